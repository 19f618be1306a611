//! Values in error messages: short, and with nothing evaluated.

use rx_lang::symbol;

use crate::value::function::FunctionView;
use crate::value::{Value, View};
use crate::vm::Vm;

/// Nesting, and attributes or elements in all, beyond which `«…»` stands for the rest.
const DEPTH: usize = 10;
const PARTS: usize = 10;
/// Bytes of a string that are shown.
const TEXT: usize = 1024;

impl Vm {
    /// The value as an error message shows it.
    pub fn describe(&mut self, value: Value) -> Vec<u8> {
        let mut out = Vec::new();
        let mut left = Left {
            attrs: PARTS,
            elements: PARTS,
        };
        self.describe_into(value, &mut out, 0, &mut left);
        out
    }

    fn describe_into(&mut self, value: Value, out: &mut Vec<u8>, depth: usize, left: &mut Left) {
        match value.peel().view() {
            View::Null => out.extend_from_slice(b"null"),
            View::Bool(b) => out.extend_from_slice(if b { b"true" } else { b"false" }),
            View::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
            View::Float(f) => out.extend_from_slice(super::float(f).as_bytes()),
            View::Str(s) => super::quote::string(s.as_bytes(), TEXT, out),
            View::Path(p) => out.extend_from_slice(p.as_bytes()),
            View::Thunk(_) => out.extend_from_slice("«thunk»".as_bytes()),
            View::Function(f) => self.describe_function(f.view(), out),
            View::List(list) => {
                if depth > DEPTH {
                    out.extend_from_slice("[ ... ]".as_bytes());
                    return;
                }
                out.extend_from_slice(b"[ ");
                for (i, element) in list.iter().enumerate() {
                    if left.elements == 0 {
                        elided(list.len() - i, "item", out);
                        break;
                    }
                    left.elements -= 1;
                    self.describe_into(element, out, depth + 1, left);
                    out.push(b' ');
                }
                out.push(b']');
            }
            View::Attrs(attrs) => {
                if depth > DEPTH {
                    out.extend_from_slice("{ ... }".as_bytes());
                    return;
                }
                out.extend_from_slice(b"{ ");
                let entries = attrs.entries(&mut self.heap);
                for (i, (name, value)) in entries.iter().enumerate() {
                    if left.attrs == 0 {
                        elided(entries.len() - i, "attribute", out);
                        break;
                    }
                    left.attrs -= 1;
                    super::quote::attr_name(symbol::name(name), out);
                    out.extend_from_slice(b" = ");
                    self.describe_into(value, out, depth + 1, left);
                    out.extend_from_slice(b"; ");
                }
                out.push(b'}');
            }
        }
    }

    fn describe_function(&mut self, function: FunctionView, out: &mut Vec<u8>) {
        match function {
            FunctionView::Lambda(code, _) => {
                out.extend_from_slice("«lambda ".as_bytes());
                if let Some(name) = code.name {
                    out.extend_from_slice(symbol::name(name));
                    out.push(b' ');
                }
                out.extend_from_slice(b"@ ");
                out.extend(self.ev.describe_pos(code.pos));
                out.extend_from_slice("»".as_bytes());
            }
            FunctionView::Builtin(builtin) => {
                out.extend(format!("«primop {}»", builtin.name).into_bytes())
            }
            FunctionView::Partial(partial) => match partial.function().view() {
                FunctionView::Builtin(builtin) => {
                    out.extend(format!("«partially applied primop {}»", builtin.name).into_bytes());
                }
                other => self.describe_function(other, out),
            },
        }
    }
}

struct Left {
    attrs: usize,
    elements: usize,
}

fn elided(count: usize, what: &str, out: &mut Vec<u8>) {
    let plural = if count == 1 { "" } else { "s" };
    out.extend(format!("«{count} {what}{plural} elided» ").into_bytes());
}
