//! Finding the derivations in a value, as the classic commands do.

use rustc_hash::FxHashSet;
use rx_lang::symbol::{self, Symbol, known};
use rx_store::path::StorePath;

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::interp::Coercion;
use crate::selection::AutoArgs;
use crate::source::Pos;
use crate::value::{Attrs, Context, Value};
use crate::vm::Vm;

/// A derivation found in a value.
#[derive(Clone, Debug)]
pub struct Package {
    /// The attribute path below the value that was searched.
    pub attr_path: Vec<u8>,
    /// The derivation's attributes.
    pub attrs: Attrs,
    /// Its name.
    pub name: Vec<u8>,
}

/// What to do about a failed assertion (or a `throw`) on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Assertions {
    /// It is an error.
    Fail,
    /// What has it is left out.
    Skip,
}

struct Search<'a> {
    args: &'a AutoArgs,
    assertions: Assertions,
    seen: FxHashSet<u64>,
    found: Vec<Package>,
}

impl Vm {
    /// The derivations in a value: itself, or those of a set or list, and of sets in it that ask for it.
    pub fn packages(
        &mut self,
        value: Value,
        prefix: &[u8],
        args: &AutoArgs,
        assertions: Assertions,
    ) -> Result<Vec<Package>> {
        let mut search = Search {
            args,
            assertions,
            seen: FxHashSet::default(),
            found: Vec::new(),
        };
        search.all(self, value, prefix)?;
        Ok(search.found)
    }

    /// The value as a derivation, if it is one.
    pub fn as_package(&mut self, value: Value, assertions: Assertions) -> Result<Option<Package>> {
        let mut search = Search {
            args: &[],
            assertions,
            seen: FxHashSet::default(),
            found: Vec::new(),
        };
        search.one(self, value, b"")?;
        Ok(search.found.pop())
    }

    /// Whether a forced value is a derivation.
    pub fn is_package(&mut self, value: Value) -> Result<bool> {
        let Some(kind) = value.as_attrs().and_then(|a| a.get(known::TYPE)) else {
            return Ok(false);
        };
        let kind = self.force(kind)?;
        Ok(kind.as_str().is_some_and(|s| s.as_bytes() == b"derivation"))
    }

    /// The value as a store path: a string (or what becomes one) that is the path of a store object.
    pub fn coerce_to_store_path(
        &mut self,
        value: Value,
        context: &mut Context,
        pos: Pos,
        what: &str,
    ) -> Result<StorePath> {
        let mut text = Vec::new();
        self.coerce_to_string(
            value,
            &mut text,
            context,
            Coercion::segment(false),
            pos,
            what,
        )?;
        self.ev.store_dir.parse(&text).map_err(|_| {
            let message = [b"path '".as_slice(), &text, b"' is not in the Nix store"].concat();
            Error::other(message).frame(pos, what)
        })
    }
}

/// The path of the derivation that a set stands for.
pub fn drv_path(vm: &mut Vm, attrs: Attrs) -> Result<StorePath> {
    let Some(value) = attrs.get(known::DRV_PATH) else {
        return Err(Error::other(
            "derivation does not contain a 'drvPath' attribute",
        ));
    };
    let pos = attrs.pos(known::DRV_PATH);
    let what = "while evaluating the 'drvPath' attribute of a derivation";
    let path = vm.coerce_to_store_path(value, &mut Context::EMPTY.clone(), pos, what)?;
    if path.is_derivation() {
        return Ok(path);
    }
    let message = format!("store path '{path}' is not a valid derivation path");
    Err(Error::other(message).frame(pos, what))
}

impl Package {
    /// The path of its derivation.
    pub fn drv_path(&self, vm: &mut Vm) -> Result<StorePath> {
        drv_path(vm, self.attrs)
    }

    /// The path of the output that it stands for.
    pub fn out_path(&self, vm: &mut Vm) -> Result<StorePath> {
        let Some(value) = self.attrs.get(known::OUT_PATH) else {
            return Err(Error::other("derivation does not have attribute 'outPath'"));
        };
        let pos = self.attrs.pos(known::OUT_PATH);
        let what = "while evaluating the output path of a derivation";
        vm.coerce_to_store_path(value, &mut Context::EMPTY.clone(), pos, what)
    }

    /// A string attribute; nothing when it lacks the attribute.
    pub fn text(&self, vm: &mut Vm, name: Symbol, what: &str) -> Result<Option<Vec<u8>>> {
        let Some(value) = self.attrs.get(name) else {
            return Ok(None);
        };
        let pos = self.attrs.pos(name);
        Ok(Some(vm.expect_plain_str(value, pos, what)?.to_vec()))
    }

    /// The output that it stands for; empty when it does not say.
    pub fn output_name(&self, vm: &mut Vm) -> Result<Vec<u8>> {
        let what = "while evaluating the output name of a derivation";
        Ok(self.text(vm, known::OUTPUT_NAME, what)?.unwrap_or_default())
    }

    /// The system that it is built on.
    pub fn system(&self, vm: &mut Vm) -> Result<Vec<u8>> {
        let what = "while evaluating the 'system' attribute of a derivation";
        let system = self.text(vm, known::SYSTEM, what)?;
        Ok(system.unwrap_or_else(|| b"unknown".to_vec()))
    }
}

impl Search<'_> {
    /// Notes the value if it is a derivation. Says whether to look inside of it.
    fn one(&mut self, vm: &mut Vm, value: Value, path: &[u8]) -> Result<bool> {
        match self.try_one(vm, value, path) {
            Err(error) if error.is_assertion() && self.assertions == Assertions::Skip => Ok(false),
            other => other,
        }
    }

    fn try_one(&mut self, vm: &mut Vm, value: Value, path: &[u8]) -> Result<bool> {
        let value = vm.force(value)?;
        if !vm.is_package(value)? {
            return Ok(true);
        }
        let Some(attrs) = value.as_attrs() else {
            return Ok(true);
        };
        if !self.seen.insert(value.word()) {
            return Ok(false);
        }
        let Some(name) = attrs.get(known::NAME) else {
            return Err(Error::new(ErrorKind::Type, "derivation name missing"));
        };
        let what = "while evaluating the 'name' attribute of a derivation";
        let name = vm.expect_plain_str(name, Pos::NONE, what)?.to_vec();
        self.found.push(Package {
            attr_path: path.to_vec(),
            attrs,
            name,
        });
        Ok(false)
    }

    fn all(&mut self, vm: &mut Vm, value: Value, path: &[u8]) -> Result<()> {
        vm.check()?;
        let value = vm.auto_call(self.args, value)?;
        if !self.one(vm, value, path)? {
            return Ok(());
        }
        if let Some(attrs) = value.as_attrs() {
            return self.in_set(vm, attrs, path);
        }
        if let Some(list) = value.as_list() {
            for (i, element) in list.iter().enumerate() {
                let below = join(path, i.to_string().as_bytes());
                if self.one(vm, element, &below)? {
                    vm.nested(|vm| self.all(vm, element, &below))?;
                }
            }
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Type,
            "expression does not evaluate to a derivation (or a set or list of those)",
        ))
    }

    fn in_set(&mut self, vm: &mut Vm, attrs: Attrs, path: &[u8]) -> Result<()> {
        let combine = attrs.get(symbol::intern(b"_combineChannels")).is_some();
        let entries = attrs.entries(&mut vm.heap);
        for (i, (name, value)) in entries.iter().enumerate() {
            let name = symbol::name(name);
            if !is_plain_name(name) {
                continue;
            }
            self.attribute(vm, value, &join(path, name), combine)
                .context(entries.pos(i), || {
                    [b"while evaluating the attribute '".as_slice(), name, b"'"].concat()
                })?;
        }
        Ok(())
    }

    fn attribute(&mut self, vm: &mut Vm, value: Value, path: &[u8], combine: bool) -> Result<()> {
        if combine {
            return vm.nested(|vm| self.all(vm, value, path));
        }
        if !self.one(vm, value, path)? {
            return Ok(());
        }
        // A set inside is only searched when it says so.
        let Some(attrs) = value.peel().as_attrs() else {
            return Ok(());
        };
        let Some(recurse) = attrs.get(known::RECURSE_FOR_DERIVATIONS) else {
            return Ok(());
        };
        let pos = attrs.pos(known::RECURSE_FOR_DERIVATIONS);
        let what = "while evaluating the attribute `recurseForDerivations`";
        if vm.expect_bool(recurse, pos, what)? {
            vm.nested(|vm| self.all(vm, value, path))?;
        }
        Ok(())
    }
}

fn join(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    if prefix.is_empty() {
        name.to_vec()
    } else {
        [prefix, b".", name].concat()
    }
}

/// Names with other characters are passed over, as attribute paths could not be written with them.
fn is_plain_name(name: &[u8]) -> bool {
    let begins = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
    let continues = |b: &u8| b.is_ascii_alphanumeric() || b"-_+".contains(b);
    name.first().is_some_and(begins) && name.iter().all(continues)
}
