//! Values as `nix-instantiate --eval` prints them.

use rustc_hash::FxHashSet;
use rx_lang::symbol;

use crate::error::Result;
use crate::value::function::FunctionView;
use crate::value::thunk::State;
use crate::value::{Value, View};
use crate::vm::Vm;

/// Sets and lists that were printed, if that matters.
type Seen = Option<FxHashSet<u64>>;

fn is_repeated(seen: &mut Seen, value: Value) -> bool {
    seen.as_mut().is_some_and(|seen| !seen.insert(value.word()))
}

impl Vm {
    /// The value as `nix-instantiate --eval` prints it, with nothing evaluated: `<CODE>`, `<LAMBDA>`, `<PRIMOP>`,
    /// `«repeated»` stand for what has no text.
    pub fn print_classic(&mut self, value: Value) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.classic(value, &mut out, &mut Some(FxHashSet::default()))?;
        Ok(out)
    }

    /// As [`Vm::print_classic`], but what occurs several times is printed each time: for finite data.
    pub fn print_data(&mut self, value: Value) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.classic(value, &mut out, &mut None)?;
        Ok(out)
    }

    fn classic(&mut self, slot: Value, out: &mut Vec<u8>, seen: &mut Seen) -> Result<()> {
        match slot.peel().view() {
            View::Null => out.extend_from_slice(b"null"),
            View::Bool(b) => out.extend_from_slice(if b { b"true" } else { b"false" }),
            View::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
            View::Float(f) => out.extend_from_slice(super::float(f).as_bytes()),
            View::Str(text) => super::quote::string(text.as_bytes(), out),
            View::Path(path) => out.extend_from_slice(path.as_bytes()),
            View::Function(function) => out.extend_from_slice(match function.view() {
                FunctionView::Lambda(..) => b"<LAMBDA>",
                FunctionView::Builtin(_) => b"<PRIMOP>",
                FunctionView::Partial(partial) => match partial.function().view() {
                    FunctionView::Builtin(_) => b"<PRIMOP-APP>",
                    _ => b"<LAMBDA>",
                },
            }),
            View::Thunk(thunk) => out.extend_from_slice(match thunk.state() {
                State::Busy(_) => "«potential infinite recursion»".as_bytes(),
                _ => b"<CODE>",
            }),
            View::Attrs(attrs) => {
                self.check()?;
                let entries = attrs.entries(&mut self.heap);
                if !entries.is_empty() && is_repeated(seen, attrs.value()) {
                    out.extend_from_slice("«repeated»".as_bytes());
                    return Ok(());
                }
                out.extend_from_slice(b"{ ");
                for (&name, slot) in entries.names().iter().zip(entries.slots()) {
                    out.extend_from_slice(&bare_name(symbol::name(name)));
                    out.extend_from_slice(b" = ");
                    self.nested(|vm| vm.classic(slot, out, seen))?;
                    out.extend_from_slice(b"; ");
                }
                out.push(b'}');
            }
            View::List(list) => {
                self.check()?;
                if !list.is_empty() && is_repeated(seen, slot) {
                    out.extend_from_slice("«repeated»".as_bytes());
                    return Ok(());
                }
                out.extend_from_slice(b"[ ");
                for slot in list.slots() {
                    self.nested(|vm| vm.classic(slot, out, seen))?;
                    out.push(b' ');
                }
                out.push(b']');
            }
        }
        Ok(())
    }
}

/// A name, in quotes when it is no identifier.
fn bare_name(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    super::quote::attr_name(name, &mut out);
    out
}
