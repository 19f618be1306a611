//! Values from text and as text: JSON, TOML, XML.

use rx_lang::symbol::{self, Symbol};

use crate::builtins::{Builtin, builtin};
use crate::error::{Context as _, Error, Result};
use crate::interp::CopyMode;
use crate::print::XmlOptions;
use crate::source::Pos;
use crate::text::json::{Event, Events};
use crate::text::toml::{self, Document, Id, Node};
use crate::value::attrs::Duplicates;
use crate::value::{AttrsBuilder, Context, Str, Value};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!(
        "toJSON",
        ["e"],
        to_json,
        "`e` as JSON. Paths are copied to the store and become their store paths; a set with `outPath` or `__toString` becomes what that gives.",
        strict: 1
    ),
    builtin!("fromJSON", ["e"], from_json, "The value that the JSON text `e` stands for.", strict: 1),
    builtin!("fromTOML", ["e"], from_toml, "The value that the TOML text `e` stands for.", strict: 1, global: true),
    builtin!("toXML", ["e"], to_xml, "`e` as XML.", strict: 1),
];

fn to_json(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let (mut text, mut context) = (Vec::new(), Context::EMPTY);
    vm.print_json(args[0], CopyMode::ToStore, pos, &mut text, &mut context)?;
    vm.check_size(text.len() / 8)?;
    Ok(Str::with_context(&mut vm.heap, &text, context))
}

fn to_xml(vm: &mut Vm, args: &[Value]) -> Result {
    let mut context = Context::EMPTY;
    let text = vm.print_xml(
        args[0],
        XmlOptions {
            strict: true,
            location: false,
        },
        &mut context,
    )?;
    Ok(Str::with_context(&mut vm.heap, &text, context))
}

/// Text with a NUL cannot become a string.
pub(super) fn without_nul(text: &[u8]) -> Result<()> {
    if memchr::memchr(0, text).is_none() {
        return Ok(());
    }
    let mut message = b"input string '".to_vec();
    for &byte in text {
        match byte {
            0 => message.extend_from_slice("␀".as_bytes()),
            byte => message.push(byte),
        }
    }
    message
        .extend_from_slice(b"' cannot be represented as Nix string because it contains null bytes");
    Err(Error::other(message))
}

fn from_json(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let text = vm.expect_plain_str(
        args[0],
        pos,
        "while evaluating the first argument passed to builtins.fromJSON",
    )?;
    vm.parse_json(text)
        .context(pos, || "while decoding a JSON string")
}

/// What is open while JSON becomes a value, with the name under which each will stand.
enum Open {
    Array(Vec<Value>),
    Object(AttrsBuilder, Option<Symbol>),
}

impl Vm {
    /// The value that a JSON text stands for.
    pub fn parse_json(&mut self, text: &[u8]) -> Result {
        let mut open: Vec<Open> = Vec::new();
        let mut result = Value::NULL;
        for (count, event) in Events::new(text).enumerate() {
            if count.is_multiple_of(4096) {
                self.check()?;
            }
            let value = match event.map_err(|error| Error::other(error.0))? {
                Event::Null => Value::NULL,
                Event::Bool(b) => Value::bool(b),
                Event::Int(n) => self.int(n),
                Event::Unsigned(n) => {
                    let message = format!("unsigned json number {n} outside of Nix integer range");
                    return Err(Error::other(message));
                }
                Event::Float(f) => self.float(f),
                Event::Text(text) => {
                    without_nul(&text)?;
                    self.str(&text)
                }
                Event::Key(name) => {
                    without_nul(&name)?;
                    if let Some(Open::Object(_, key)) = open.last_mut() {
                        *key = Some(symbol::intern(&name));
                    }
                    continue;
                }
                Event::BeginArray => {
                    open.push(Open::Array(Vec::new()));
                    continue;
                }
                Event::BeginObject => {
                    open.push(Open::Object(AttrsBuilder::new(8), None));
                    continue;
                }
                Event::EndArray | Event::EndObject => match open.pop() {
                    Some(Open::Array(elements)) => self.list(&elements),
                    Some(Open::Object(set, _)) => set.finish(&mut self.heap, Duplicates::Last),
                    None => Value::NULL,
                },
            };
            match open.last_mut() {
                Some(Open::Array(elements)) => elements.push(value),
                Some(Open::Object(set, name)) => {
                    if let Some(name) = name.take() {
                        set.push(name, value);
                    }
                }
                None => result = value,
            }
        }
        Ok(result)
    }
}

/// Without this feature, a date or time in TOML is an error.
const TIMESTAMPS: &str = "parse-toml-timestamps";

fn from_toml(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let text = vm.expect_plain_str(
        args[0],
        pos,
        "while evaluating the argument passed to builtins.fromTOML",
    )?;
    let failed =
        |what: Vec<u8>| Error::other([b"while parsing TOML: ".to_vec(), what].concat()).at(pos);
    let document = toml::parse(text).map_err(|error| failed(error.0))?;
    toml_value(vm, &document, document.root(), pos)
}

fn toml_value(vm: &mut Vm, document: &Document, id: Id, pos: Pos) -> Result {
    match document.node(id) {
        Node::Bool(b) => Ok(Value::bool(*b)),
        Node::Int(n) => Ok(vm.int(*n)),
        Node::Float(f) => Ok(vm.float(*f)),
        Node::Text(text) => {
            without_nul(text).map_err(|e| toml_error(e, pos))?;
            Ok(vm.str(text))
        }
        Node::Timestamp(text) => {
            if !vm.ev.has_feature(TIMESTAMPS) {
                return Err(
                    Error::other("while parsing TOML: Dates and times are not supported").at(pos),
                );
            }
            let (kind, text) = (vm.str(b"timestamp"), vm.str(text.as_bytes()));
            let mut set = AttrsBuilder::new(2);
            set.push(symbol::intern(b"_type"), kind);
            set.push(symbol::known::VALUE, text);
            Ok(set.finish(&mut vm.heap, Duplicates::Last))
        }
        Node::Array(elements) => vm.deeper(|vm| {
            let values = elements
                .iter()
                .map(|element| toml_value(vm, document, *element, pos))
                .collect::<Result<Vec<_>>>()?;
            Ok(vm.list(&values))
        }),
        Node::Table(entries) => vm.deeper(|vm| {
            vm.check()?;
            let mut set = AttrsBuilder::new(entries.len());
            for (name, id) in entries {
                without_nul(name).map_err(|e| toml_error(e, pos))?;
                let value = toml_value(vm, document, *id, pos)?;
                set.push(symbol::intern(name), value);
            }
            Ok(set.finish(&mut vm.heap, Duplicates::Last))
        }),
    }
}

/// The error as part of this builtin's message.
#[cold]
fn toml_error(mut error: Box<Error>, pos: Pos) -> Box<Error> {
    let mut message = b"while parsing TOML: error: ".to_vec();
    message.append(&mut error.message);
    error.message = message;
    error.at(pos)
}
