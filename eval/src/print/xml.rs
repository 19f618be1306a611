//! Values as XML: `builtins.toXML`, `--xml`.

use rustc_hash::FxHashSet;
use rx_lang::symbol::{self, known};

use crate::error::Result;
use crate::source::{Origin, Pos};
use crate::text::xml::{Attribute, XmlWriter};
use crate::value::function::FunctionView;
use crate::value::{Attrs, Context, Function, Value, View};
use crate::vm::Vm;

/// What XML shows of values.
#[derive(Clone, Copy, Debug)]
pub struct XmlOptions {
    /// Evaluate everything; else `<unevaluated />` stands for what is not.
    pub strict: bool,
    /// Say where attributes and functions stand.
    pub location: bool,
}

impl Vm {
    /// The value as an XML document; what strings refer to goes into `context`.
    pub fn print_xml(
        &mut self,
        value: Value,
        options: XmlOptions,
        context: &mut Context,
    ) -> Result<Vec<u8>> {
        let mut printer = Printer {
            options,
            context,
            drvs_seen: FxHashSet::default(),
            xml: XmlWriter::default(),
        };
        printer.xml.begin("expr", &[]);
        printer.value(self, value)?;
        Ok(printer.xml.finish())
    }

    /// Where something stands, as attributes of an element; in alphabetical order without `name`.
    fn xml_place(&self, pos: Pos) -> Option<Place> {
        let at = self.ev.sources.locate(pos)?;
        let path = match &at.source.origin {
            Origin::File(path) => Some(path.to_vec()),
            Origin::Internal(name) => Some(format!("/{name}").into_bytes()),
            _ => None,
        };
        Some(Place {
            line: at.line.to_string(),
            column: at.column.to_string(),
            path,
        })
    }
}

struct Place {
    line: String,
    column: String,
    path: Option<Vec<u8>>,
}

struct Printer<'a> {
    options: XmlOptions,
    context: &'a mut Context,
    drvs_seen: FxHashSet<Vec<u8>>,
    xml: XmlWriter,
}

impl Printer<'_> {
    fn value(&mut self, vm: &mut Vm, value: Value) -> Result<()> {
        vm.check()?;
        vm.check_size(self.xml.len() / 8)?;
        let value = if self.options.strict {
            vm.force(value)?
        } else {
            value.peel()
        };
        match value.view() {
            View::Null => self.xml.empty("null", &[]),
            View::Bool(b) => self.simple("bool", if b { b"true" } else { b"false" }),
            View::Int(n) => self.simple("int", n.to_string().as_bytes()),
            View::Float(f) => self.simple("float", super::float(f).as_bytes()),
            View::Path(path) => self.simple("path", path.as_bytes()),
            View::Str(text) => {
                *self.context = self.context.union(text.context());
                self.simple("string", text.as_bytes());
            }
            View::List(list) => {
                self.xml.begin("list", &[]);
                vm.nested(|vm| list.iter().try_for_each(|element| self.value(vm, element)))?;
                self.xml.end();
            }
            View::Attrs(attrs) => vm.nested(|vm| self.set(vm, attrs))?,
            View::Function(function) => self.function(vm, function),
            View::Thunk(_) => self.xml.empty("unevaluated", &[]),
        }
        Ok(())
    }

    fn simple(&mut self, element: &'static str, value: &[u8]) {
        self.xml.empty(element, &[("value", value)]);
    }

    fn set(&mut self, vm: &mut Vm, attrs: Attrs) -> Result<()> {
        if !vm.is_derivation(attrs)? {
            self.xml.begin("attrs", &[]);
            self.attributes(vm, attrs)?;
            self.xml.end();
            return Ok(());
        }
        let drv_path = self.path_of(vm, attrs, known::DRV_PATH)?;
        let out_path = self.path_of(vm, attrs, known::OUT_PATH)?;
        let mut attributes: Vec<Attribute<'_>> = Vec::new();
        attributes.extend(drv_path.as_deref().map(|path| ("drvPath", path)));
        attributes.extend(out_path.as_deref().map(|path| ("outPath", path)));
        self.xml.begin("derivation", &attributes);
        match drv_path {
            Some(path) if !path.is_empty() && self.drvs_seen.insert(path.clone()) => {
                self.attributes(vm, attrs)?
            }
            _ => self.xml.empty("repeated", &[]),
        }
        self.xml.end();
        Ok(())
    }

    /// A path of a derivation, if it is a string (and evaluated).
    fn path_of(&self, vm: &mut Vm, attrs: Attrs, name: symbol::Symbol) -> Result<Option<Vec<u8>>> {
        let Some(value) = attrs.get(name) else {
            return Ok(None);
        };
        let value = if self.options.strict {
            vm.force(value)?
        } else {
            value.peel()
        };
        Ok(value.as_str().map(|text| text.as_bytes().to_vec()))
    }

    fn attributes(&mut self, vm: &mut Vm, attrs: Attrs) -> Result<()> {
        let entries = attrs.entries(&mut vm.heap);
        for (index, (name, value)) in entries.iter().enumerate() {
            let place = self
                .options
                .location
                .then(|| vm.xml_place(entries.pos(index)))
                .flatten();
            self.begin_at("attr", place.as_ref(), Some(symbol::name(name)));
            self.value(vm, value)?;
            self.xml.end();
        }
        Ok(())
    }

    fn begin_at(&mut self, element: &'static str, place: Option<&Place>, name: Option<&[u8]>) {
        let mut attributes: Vec<Attribute<'_>> = Vec::new();
        if let Some(place) = place {
            attributes.push(("column", place.column.as_bytes()));
            attributes.push(("line", place.line.as_bytes()));
        }
        attributes.extend(name.map(|name| ("name", name)));
        attributes.extend(
            place
                .and_then(|place| place.path.as_deref())
                .map(|path| ("path", path)),
        );
        self.xml.begin(element, &attributes);
    }

    fn function(&mut self, vm: &mut Vm, function: Function) {
        let (function, taken) = match function.view() {
            FunctionView::Partial(partial) => (partial.function(), partial.len()),
            _ => (function, 0),
        };
        let FunctionView::Lambda(code, _) = function.view() else {
            self.xml.empty("unevaluated", &[]);
            return;
        };
        let place = self
            .options
            .location
            .then(|| vm.xml_place(code.pos))
            .flatten();
        self.begin_at("function", place.as_ref(), None);
        let argument = code
            .arguments
            .get(taken)
            .copied()
            .flatten()
            .map(symbol::name);
        match code.formals.filter(|_| taken + 1 == code.arity as usize) {
            Some(formals) => {
                let mut attributes: Vec<Attribute<'_>> = Vec::new();
                if formals.ellipsis {
                    attributes.push(("ellipsis", b"1"));
                }
                attributes.extend(argument.map(|name| ("name", name)));
                self.xml.begin("attrspat", &attributes);
                let mut names: Vec<&[u8]> = formals
                    .list
                    .iter()
                    .map(|formal| symbol::name(formal.name))
                    .collect();
                names.sort_unstable();
                for name in names {
                    self.xml.empty("attr", &[("name", name)]);
                }
                self.xml.end();
            }
            None => self
                .xml
                .empty("varpat", &[("name", argument.unwrap_or_default())]),
        }
        self.xml.end();
    }
}
