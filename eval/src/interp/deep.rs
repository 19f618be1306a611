//! Forcing a value with everything in it.

use rustc_hash::FxHashSet;
use rx_lang::symbol;

use crate::error::{Context as _, Result};
use crate::source::Pos;
use crate::value::{Value, View};
use crate::vm::Vm;

impl Vm {
    /// Forces the value and all attributes and elements in it, however deep or cyclic it is.
    pub fn force_deep(&mut self, value: Value) -> Result<()> {
        let value = self.force(value)?;
        if matches!(value.view(), View::Attrs(_) | View::List(_)) {
            self.force_parts(value, &mut FxHashSet::default())?;
        }
        Ok(())
    }

    fn force_parts(&mut self, value: Value, seen: &mut FxHashSet<u64>) -> Result<()> {
        if !seen.insert(value.word()) {
            return Ok(());
        }
        self.check()?;
        match value.view() {
            View::Attrs(attrs) => {
                let entries = attrs.entries(&mut self.heap);
                for (name, pos, value) in entries.as_met() {
                    let forced = if value.is_thunk() {
                        self.debugged_attribute(name, pos, |vm| vm.force_part(value, seen))
                    } else {
                        self.force_part(value, seen)
                    };
                    forced.context(pos, || {
                        [
                            b"while evaluating the attribute '",
                            symbol::name(name),
                            b"'",
                        ]
                        .concat()
                    })?;
                }
            }
            View::List(list) => {
                for (i, value) in list.iter().enumerate() {
                    self.force_part(value, seen).context(Pos::NONE, || {
                        format!("while evaluating list element at index {i}")
                    })?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn force_part(&mut self, value: Value, seen: &mut FxHashSet<u64>) -> Result<()> {
        let value = self.force(value)?;
        if matches!(value.view(), View::Attrs(_) | View::List(_)) {
            self.nested(|vm| vm.force_parts(value, seen))
        } else {
            Ok(())
        }
    }
}
