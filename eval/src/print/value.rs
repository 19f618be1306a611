//! Values for people: error messages, `trace`, the REPL, `rx eval`.

use rustc_hash::FxHashSet;
use rx_lang::symbol::{self, Symbol, known};

use crate::code::LambdaCode;
use crate::error::{Error, ErrorKind, Result};
use crate::interp::Coercion;
use crate::source::Pos;
use crate::value::attrs::Entries;
use crate::value::function::FunctionView;
use crate::value::thunk::State;
use crate::value::{Attrs, Context, List, Thunk, Value, View};
use crate::vm::Vm;

/// What becomes of an error in a value that is being printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PrintErrors {
    /// Its message stands in the place of the value: `«error: …»`.
    Show,
    /// Printing fails.
    Fail,
    /// Printing fails if the value itself has it; in attributes and elements it is shown.
    FailAtTop,
}

/// How a derivation is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Derivations {
    /// As the set that it is.
    Attributes,
    /// As `«derivation PATH»`, which evaluates all that goes into it.
    Paths,
    /// As `«derivation NAME»`.
    Names,
}

/// How a value is printed.
#[derive(Clone, Debug)]
pub struct PrintOptions {
    /// Colours for a terminal.
    pub colors: bool,
    /// Evaluate what is printed; else `«thunk»` stands for it.
    pub force: bool,
    /// How derivations are printed; only together with `force`.
    pub derivations: Derivations,
    /// Print `«repeated»` for what has been printed before.
    pub repeated: bool,
    /// Nesting beyond which `{ ... }` and `[ ... ]` stand.
    pub max_depth: usize,
    /// Attributes that are printed in all.
    pub max_attrs: usize,
    /// Elements of lists that are printed in all.
    pub max_items: usize,
    /// Bytes of a string that are printed.
    pub max_string: usize,
    /// Columns per level; with 0 everything is on one line.
    pub indent: usize,
    /// What becomes of errors.
    pub errors: PrintErrors,
}

impl Default for PrintOptions {
    fn default() -> Self {
        PrintOptions {
            colors: false,
            force: false,
            derivations: Derivations::Attributes,
            repeated: true,
            max_depth: usize::MAX,
            max_attrs: usize::MAX,
            max_items: usize::MAX,
            max_string: usize::MAX,
            indent: 0,
            errors: PrintErrors::Show,
        }
    }
}

impl PrintOptions {
    /// For values of unknown size in error messages.
    pub const fn brief() -> PrintOptions {
        PrintOptions {
            colors: false,
            force: false,
            derivations: Derivations::Attributes,
            repeated: true,
            max_depth: 10,
            max_attrs: 10,
            max_items: 10,
            max_string: 1024,
            indent: 0,
            errors: PrintErrors::Show,
        }
    }
}

impl Vm {
    /// The value as text for people.
    pub fn print(&mut self, value: Value, options: &PrintOptions) -> Result<Vec<u8>> {
        let mut printer = Printer {
            options,
            out: Vec::new(),
            seen: FxHashSet::default(),
            attrs: 0,
            items: 0,
            indent: 0,
        };
        printer.value(self, value, 0)?;
        Ok(printer.out)
    }

    /// The value as an error message shows it: short, and with nothing evaluated.
    pub fn describe(&mut self, value: Value) -> Vec<u8> {
        static BRIEF: PrintOptions = PrintOptions::brief();
        self.print(value, &BRIEF).unwrap_or_default()
    }
}

const CYAN: &str = "36;1";
const MAGENTA: &str = "35;1";
const GREEN: &str = "32;1";
const BLUE: &str = "34;1";
const RED: &str = "31;1";
const FAINT: &str = "2";

struct Printer<'a> {
    options: &'a PrintOptions,
    out: Vec<u8>,
    /// Addresses of sets, and words of lists: a list is the same when it stands in the same thunk or is the same object.
    seen: FxHashSet<u64>,
    attrs: usize,
    items: usize,
    indent: usize,
}

impl Printer<'_> {
    fn put(&mut self, text: impl AsRef<[u8]>) {
        self.out.extend_from_slice(text.as_ref());
    }

    fn colored(&mut self, color: &str, text: impl AsRef<[u8]>) {
        if self.options.colors {
            self.put(format!("\x1b[{color}m"));
            self.put(text);
            self.put("\x1b[0m");
        } else {
            self.put(text);
        }
    }

    fn elided(&mut self, count: usize, what: &str) {
        let plural = if count == 1 { "" } else { "s" };
        self.colored(FAINT, format!("«{count} {what}{plural} elided»"));
    }

    fn space(&mut self, pretty: bool) {
        if pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + self.indent, b' ');
        } else {
            self.out.push(b' ');
        }
    }

    /// Prints the value in a slot, whose word says whether it has been met.
    fn value(&mut self, vm: &mut Vm, slot: Value, depth: usize) -> Result<()> {
        let result = if self.options.force {
            vm.nested(|vm| self.forced(vm, slot, depth))
        } else {
            vm.deeper(|vm| self.forced(vm, slot, depth))
        };
        match result {
            Err(error) if self.shows(&error, depth) => {
                let message = String::from_utf8_lossy(&error.message).into_owned();
                self.colored(RED, format!("«error: {message}»"));
                Ok(())
            }
            result => result,
        }
    }

    fn shows(&self, error: &Error, depth: usize) -> bool {
        let serious = matches!(
            error.kind,
            ErrorKind::Interrupted | ErrorKind::Quit | ErrorKind::Memory | ErrorKind::CallDepth
        );
        !serious
            && match self.options.errors {
                PrintErrors::Show => true,
                PrintErrors::Fail => false,
                PrintErrors::FailAtTop => depth > 0,
            }
    }

    fn forced(&mut self, vm: &mut Vm, slot: Value, depth: usize) -> Result<()> {
        vm.check()?;
        let value = if self.options.force {
            vm.force(slot)?
        } else {
            slot.peel()
        };
        match value.view() {
            View::Null => self.colored(CYAN, "null"),
            View::Bool(b) => self.colored(CYAN, if b { "true" } else { "false" }),
            View::Int(n) => self.colored(CYAN, n.to_string()),
            View::Float(f) => self.colored(CYAN, super::float(f)),
            View::Str(text) => {
                let mut quoted = Vec::new();
                let shown = text.len().min(self.options.max_string);
                super::quote::string(&text.as_bytes()[..shown], &mut quoted);
                self.colored(MAGENTA, quoted);
                if text.len() > shown {
                    self.put(" ");
                    self.elided(text.len() - shown, "byte");
                }
            }
            View::Path(path) => self.colored(GREEN, path.as_bytes()),
            View::Attrs(attrs) => return self.attrs(vm, attrs, depth),
            View::List(list) => return self.list(vm, list, slot, depth),
            View::Function(function) => self.function(vm, function.view()),
            View::Thunk(thunk) => self.thunk(thunk),
        }
        Ok(())
    }

    fn thunk(&mut self, thunk: Thunk) {
        match thunk.state() {
            State::Busy(_) => self.colored(RED, "«potential infinite recursion»"),
            _ => self.colored(MAGENTA, "«thunk»"),
        }
    }

    fn is_new(&mut self, identity: u64) -> bool {
        let new = !self.options.repeated || self.seen.insert(identity);
        if !new {
            self.colored(MAGENTA, "«repeated»");
        }
        new
    }

    fn attrs(&mut self, vm: &mut Vm, attrs: Attrs, depth: usize) -> Result<()> {
        // All empty sets are one.
        let entries = attrs.entries(&mut vm.heap);
        let identity = if entries.is_empty() {
            1
        } else {
            attrs.value().word()
        };
        if !self.is_new(identity) {
            return Ok(());
        }
        if self.options.force
            && self.options.derivations != Derivations::Attributes
            && vm.is_derivation(attrs)?
        {
            return self.derivation(vm, attrs);
        }
        if depth >= self.options.max_depth {
            self.put("{ ... }");
            return Ok(());
        }
        self.indent += self.options.indent;
        self.put("{");
        let pretty = entries.len() > 1 || self.is_structure(vm, entries.slots().next())?;
        let pretty = pretty && self.options.indent > 0;
        for (done, i) in self.order(&entries).into_iter().enumerate() {
            self.space(pretty);
            if self.attrs >= self.options.max_attrs {
                self.elided(entries.len() - done, "attribute");
                break;
            }
            super::quote::attr_name(symbol::name(entries.names()[i]), &mut self.out);
            self.put(" = ");
            self.value(vm, entries.slot(i), depth + 1)?;
            self.put(";");
            self.attrs += 1;
        }
        self.indent -= self.options.indent;
        self.space(pretty);
        self.put("}");
        Ok(())
    }

    /// With a limit, what says most about a set comes first.
    fn order(&self, entries: &Entries) -> Vec<usize> {
        let mut order = (0..entries.len()).collect::<Vec<_>>();
        if self.options.max_attrs != usize::MAX {
            let important = |name: Symbol| name == known::TYPE || symbol::name(name) == b"_type";
            order.sort_by_key(|&i| !important(entries.names()[i]));
        }
        order
    }

    /// Whether the only part of a set or list is itself one that deserves lines of its own.
    fn is_structure(&mut self, vm: &mut Vm, only: Option<Value>) -> Result<bool> {
        let Some(only) = only.filter(|_| self.options.indent > 0) else {
            return Ok(false);
        };
        let value = vm.force(only)?;
        Ok(matches!(value.view(), View::Attrs(_) | View::List(_)))
    }

    fn list(&mut self, vm: &mut Vm, list: List, slot: Value, depth: usize) -> Result<()> {
        if !list.is_empty() && !self.is_new(slot.word()) {
            return Ok(());
        }
        if depth >= self.options.max_depth {
            self.put("[ ... ]");
            return Ok(());
        }
        self.indent += self.options.indent;
        self.put("[");
        let pretty = list.len() > 1 || self.is_structure(vm, list.slots().next())?;
        let pretty = pretty && self.options.indent > 0;
        for (done, slot) in list.slots().enumerate() {
            self.space(pretty);
            if self.items >= self.options.max_items {
                self.elided(list.len() - done, "item");
                break;
            }
            self.value(vm, slot, depth + 1)?;
            self.items += 1;
        }
        self.indent -= self.options.indent;
        self.space(pretty);
        self.put("]");
        Ok(())
    }

    fn derivation(&mut self, vm: &mut Vm, attrs: Attrs) -> Result<()> {
        let mut text = "«derivation".as_bytes().to_vec();
        let (found, what) = match self.options.derivations {
            Derivations::Names => (
                attrs.get(known::NAME),
                "while evaluating the name of a derivation",
            ),
            _ => (
                attrs.get(known::DRV_PATH),
                "while evaluating the drvPath of a derivation",
            ),
        };
        if let Some(path) = found {
            text.push(b' ');
            let mut context = Context::EMPTY;
            let mode = Coercion::segment(false);
            vm.coerce_to_string(path, &mut text, &mut context, mode, Pos::NONE, what)?;
        }
        text.extend_from_slice("»".as_bytes());
        self.colored(GREEN, text);
        Ok(())
    }

    fn function(&mut self, vm: &mut Vm, function: FunctionView) {
        let text = match function {
            FunctionView::Lambda(code, _) => lambda(vm, code, 0),
            FunctionView::Builtin(builtin) => format!("«primop {}»", builtin.name).into_bytes(),
            FunctionView::Partial(partial) => match partial.function().view() {
                FunctionView::Builtin(builtin) => {
                    format!("«partially applied primop {}»", builtin.name).into_bytes()
                }
                FunctionView::Lambda(code, _) => lambda(vm, code, partial.len()),
                other => return self.function(vm, other),
            },
        };
        self.colored(BLUE, text);
    }
}

/// A function of the language that has got some arguments.
fn lambda(vm: &Vm, code: &LambdaCode, arguments: usize) -> Vec<u8> {
    let mut text = "«lambda ".as_bytes().to_vec();
    if let Some(name) = code.name {
        text.extend_from_slice(symbol::name(name));
        text.push(b' ');
    }
    text.extend_from_slice(b"@ ");
    text.extend(vm.ev.describe_pos(code.pos_after(arguments)));
    text.extend_from_slice("»".as_bytes());
    text
}
