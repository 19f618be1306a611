//! Outputs of flakes on the command line.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use rx_eval::flakes::LockedFlake;
use rx_eval::print::PrintOptions;
use rx_eval::{Error, ErrorKind, Pos, Value, Vm};
use rx_lang::symbol;
use rx_store::fetch::flake_ref::FlakeRef;
use rx_store::store::{DerivedPath, OutputsSpec, SingleDerivedPath};

use super::{FlakeOrigin, Installable, LockWish, Lookup, attribute, lock_flake, single_path};
use crate::eval_session::EvalSession;
use crate::ui::Failure;

/// An output of a flake, as it is named on the command line.
#[derive(Clone, Debug)]
pub struct FlakeInstallable {
    /// As it stands on the command line.
    pub what: String,
    /// The flake.
    pub reference: FlakeRef,
    /// The attribute paths that may be meant, the first that exists counts.
    pub attr_paths: Vec<String>,
    /// The outputs that are named.
    pub outputs: Option<OutputsSpec>,
    wish: LockWish,
    locked: RefCell<Option<Arc<LockedFlake>>>,
}

/// What an attribute path of a flake leads to.
#[derive(Clone, Debug)]
pub struct Found {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub pos: Pos,
    /// The attribute path.
    pub attr_path: String,
}

impl FlakeInstallable {
    /// An output of a flake, `fragment` being what follows `#`.
    pub fn new(
        what: String,
        reference: FlakeRef,
        fragment: &str,
        outputs: Option<OutputsSpec>,
        lookup: &Lookup,
        wish: LockWish,
    ) -> FlakeInstallable {
        FlakeInstallable {
            what,
            reference,
            attr_paths: lookup.attr_paths(fragment),
            outputs,
            wish,
            locked: RefCell::new(None),
        }
    }

    /// The flake with its inputs; its lock file is written if that has to be changed.
    pub fn locked(&self, session: &mut EvalSession) -> Result<Arc<LockedFlake>, Failure> {
        if let Some(locked) = &*self.locked.borrow() {
            return Ok(Arc::clone(locked));
        }
        let locked = Arc::new(lock_flake(session, &self.reference, &self.wish)?);
        *self.locked.borrow_mut() = Some(Arc::clone(&locked));
        Ok(locked)
    }

    /// All attribute paths that exist, in order, with their values.
    pub fn find_all(&self, session: &mut EvalSession) -> Result<Vec<Found>, Failure> {
        let locked = self.locked(session)?;
        let outputs = flake_outputs(session, &locked)?;
        let found = find_all(&mut session.vm, outputs, &self.attr_paths, &self.reference);
        session.check(found)
    }

    /// The first attribute path that exists, with its value.
    pub fn find(&self, session: &mut EvalSession) -> Result<Found, Failure> {
        let mut all = self.find_all(session)?;
        Ok(all.swap_remove(0))
    }

    /// What has to be realised for it.
    pub fn installable(&self, session: &mut EvalSession) -> Result<Installable, Failure> {
        let locked = self.locked(session)?;
        let Found {
            value,
            pos,
            attr_path,
        } = self.find(session)?;
        let origin = Some(FlakeOrigin {
            original: self.reference.clone(),
            locked: locked.flake.locked.clone(),
            attr_path: attr_path.clone(),
        });
        let forced = session.vm.force(value);
        let value = session.check(forced)?;
        let is_package = session.vm.is_package(value);
        if !session.check(is_package)? {
            let what = format!("while evaluating the flake output attribute '{attr_path}'");
            let Some(path) = single_path(session, value, pos, &what)? else {
                let options = PrintOptions {
                    max_depth: 10,
                    max_attrs: 10,
                    max_items: 10,
                    max_string: 1024,
                    ..PrintOptions::default()
                };
                let shown = session.vm.print(value, &options);
                return Err(Failure::message(format!(
                    "expected flake output attribute '{attr_path}' to be a derivation or path but found {}: {}",
                    value.type_phrase(),
                    String::from_utf8_lossy(&session.check(shown)?)
                )));
            };
            return Ok(Installable {
                what: self.what.clone(),
                path,
                value: Some(value),
                origin,
                outputs: self.outputs.clone(),
            });
        }
        let Some(attrs) = value.as_attrs() else {
            return Err(Failure::message(format!("'{attr_path}' is no derivation")));
        };
        let derivation = rx_eval::packages::drv_path(&mut session.vm, attrs);
        let derivation = session.check(derivation)?;
        let outputs = match &self.outputs {
            Some(outputs) => outputs.clone(),
            None => OutputsSpec::Names(installed_outputs(session, value)),
        };
        Ok(Installable {
            what: self.what.clone(),
            path: DerivedPath::Built {
                drv: Arc::new(SingleDerivedPath::Opaque(derivation)),
                outputs,
            },
            value: Some(value),
            origin,
            outputs: self.outputs.clone(),
        })
    }
}

/// What there is at the attribute paths in a flake's outputs, in their order: something, or it is an error.
pub fn find_all(
    vm: &mut Vm,
    outputs: Value,
    attr_paths: &[String],
    reference: &FlakeRef,
) -> rx_eval::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut similar: BTreeSet<Vec<u8>> = BTreeSet::new();
    for attr_path in attr_paths {
        match vm.find_plain(attr_path.as_bytes(), outputs) {
            Ok(Ok((value, pos))) => found.push(Found {
                value,
                pos,
                attr_path: attr_path.clone(),
            }),
            Ok(Err(names)) => similar.extend(names),
            // What has no attributes cannot have this one.
            Err(error) if error.kind == ErrorKind::Type => {}
            Err(error) => return Err(error),
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let mut shown = String::new();
    for (i, path) in attr_paths.iter().enumerate() {
        shown += match i {
            0 => "",
            i if i + 1 == attr_paths.len() => " or ",
            _ => ", ",
        };
        shown += &format!("'{path}'");
    }
    let message = format!("flake '{reference}' does not provide attribute {shown}");
    Err(Error::other(message).suggest(similar.into_iter().collect()))
}

/// The value of a flake's outputs.
pub fn flake_outputs(session: &mut EvalSession, locked: &LockedFlake) -> Result<Value, Failure> {
    let called = rx_eval::flakes::call(&mut session.vm, locked);
    let flake = session.check(called)?;
    let forced = session.vm.force(flake);
    let flake = session.check(forced)?;
    let outputs = flake
        .as_attrs()
        .and_then(|flake| flake.get(symbol::intern(b"outputs")));
    outputs.ok_or_else(|| Failure::message("flake has no outputs"))
}

/// The outputs that a package of a flake stands for when none are named.
fn installed_outputs(session: &mut EvalSession, package: Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    match attribute(session, package, b"outputSpecified") {
        Some(specified) => {
            if specified == true
                && let Some(serde_json::Value::String(name)) =
                    attribute(session, package, b"outputName")
            {
                names.insert(name);
            }
        }
        None => {
            if let Some(serde_json::Value::Array(list)) =
                attribute(session, package, b"meta.outputsToInstall")
            {
                names.extend(
                    list.iter()
                        .filter_map(|name| name.as_str().map(str::to_owned)),
                );
            }
        }
    }
    if names.is_empty() {
        names.insert("out".to_owned());
    }
    names
}
