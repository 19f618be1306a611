//! What new commands work on, as it is named on the command line.
//!
//! ```text
//! FLAKE#ATTRIBUTE^OUTPUTS      .#hello   nixpkgs#git^doc   github:o/r#x   path:/d   ./dir
//! PATH^OUTPUTS                 /nix/store/…-x.drv^out   ./result
//! ATTRIBUTE^OUTPUTS            with --file or --expr
//! ```
//!
//! [`SourceOptions::name`] reads arguments, which evaluates nothing of them yet. What they name is then asked
//! for what has to be realised for it ([`Named::installables`]) or for its value ([`Named::value`]).

mod flake;
mod locking;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rx_eval::interp::{Coercion, CopyMode};
use rx_eval::packages::Assertions;
use rx_eval::value::{Context, ContextElement, View};
use rx_eval::{Origin, Pos, Value};
use rx_store::fetch::flake_ref::{FlakeRef, ParseOptions};
use rx_store::path::StoreDir;
use rx_store::store::{DerivedPath, OutputsSpec, SingleDerivedPath};
use serde_json::json;

pub use flake::{FlakeInstallable, find_all, flake_outputs};
pub use locking::{LockOptions, LockWish, flake_with_fragment, lock_flake, parse_flake_ref};

use crate::cli::Invocation;
use crate::eval_session::EvalSession;
use crate::store_session::path_with_outputs;
use crate::ui::{Failure, UsageError};

/// Where attribute paths on the command line are looked up.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct SourceOptions {
    /// Take attributes of this file; `-` is standard input.
    #[arg(long, short, value_name = "FILE", conflicts_with = "expr")]
    pub file: Option<OsString>,
    /// Take attributes of this expression's value.
    #[arg(long, value_name = "EXPRESSION")]
    pub expr: Option<OsString>,
    /// How flakes are locked.
    #[command(flatten)]
    pub lock: LockOptions,
}

/// Which attributes of a flake a command looks at.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// What is meant when no attribute is named.
    pub defaults: Vec<String>,
    /// Where a name is looked up before it is tried as it is, each with its final dot.
    pub prefixes: Vec<String>,
}

impl Lookup {
    /// Packages, as most commands want them.
    pub fn packages(invocation: &Invocation) -> Lookup {
        let system = invocation.settings.current_system();
        Lookup {
            defaults: vec![
                format!("packages.{system}.default"),
                format!("defaultPackage.{system}"),
            ],
            prefixes: vec![
                format!("packages.{system}."),
                format!("legacyPackages.{system}."),
            ],
        }
    }

    /// Things to run, or else packages.
    pub fn apps(invocation: &Invocation) -> Lookup {
        let system = invocation.settings.current_system();
        let Lookup { defaults, prefixes } = Lookup::packages(invocation);
        Lookup {
            defaults: [
                vec![
                    format!("apps.{system}.default"),
                    format!("defaultApp.{system}"),
                ],
                defaults,
            ]
            .concat(),
            prefixes: [vec![format!("apps.{system}.")], prefixes].concat(),
        }
    }

    /// Environments to develop in, or else packages.
    pub fn shells(invocation: &Invocation) -> Lookup {
        let system = invocation.settings.current_system();
        let Lookup { defaults, prefixes } = Lookup::packages(invocation);
        Lookup {
            defaults: [
                vec![
                    format!("devShells.{system}.default"),
                    format!("devShell.{system}"),
                ],
                defaults,
            ]
            .concat(),
            prefixes: [vec![format!("devShells.{system}.")], prefixes].concat(),
        }
    }

    /// The attribute paths that may be meant by what follows `#`.
    pub fn attr_paths(&self, fragment: &str) -> Vec<String> {
        if let Some(exact) = fragment.strip_prefix('.') {
            return vec![exact.to_owned()];
        }
        if fragment.is_empty() {
            return self.defaults.clone();
        }
        let prefixed = self
            .prefixes
            .iter()
            .map(|prefix| format!("{prefix}{fragment}"));
        prefixed.chain([fragment.to_owned()]).collect()
    }
}

/// What an argument names, before anything of it is evaluated.
#[derive(Clone, Debug)]
pub enum Named {
    /// A store path, or outputs of one.
    Store {
        /// As it stands on the command line.
        what: String,
        /// The path.
        path: DerivedPath,
    },
    /// An attribute of a file or expression.
    Attribute {
        /// As it stands on the command line.
        what: String,
        /// The value of the file or expression.
        root: Value,
        /// The attribute path.
        path: Vec<u8>,
        /// The outputs that are named.
        outputs: Option<OutputsSpec>,
    },
    /// An output of a flake.
    Flake(Box<FlakeInstallable>),
}

/// One thing that was named.
#[derive(Clone, Debug)]
pub struct Installable {
    /// As it stands on the command line.
    pub what: String,
    /// What has to be realised for it.
    pub path: DerivedPath,
    /// The value that it was found as; nothing for a store path.
    pub value: Option<Value>,
    /// Where in a flake it was found.
    pub origin: Option<FlakeOrigin>,
    /// The outputs that were named.
    pub outputs: Option<OutputsSpec>,
}

/// Where in a flake something was found.
#[derive(Clone, Debug)]
pub struct FlakeOrigin {
    /// The flake as it was named.
    pub original: FlakeRef,
    /// The exact tree.
    pub locked: FlakeRef,
    /// The attribute path in its outputs.
    pub attr_path: String,
}

impl SourceOptions {
    /// The invocation with the purity that these options ask for: files are evaluated impurely.
    ///
    /// # Errors
    /// When purity was asked for as well.
    pub fn adapt(&self, invocation: &Invocation) -> Result<Invocation, Failure> {
        let mut invocation = invocation.clone();
        if self.file.is_some() {
            let settings = Arc::make_mut(&mut invocation.settings);
            if settings.pure_eval && settings.is_overridden("pure-eval") {
                return Err(Failure::message(
                    "'--file' is not compatible with '--pure-eval'",
                ));
            }
            settings.pure_eval = false;
        }
        Ok(invocation)
    }

    /// What the arguments name, as things to realise. Without arguments it is the whole value of the file or
    /// expression, or the flake of the working directory.
    pub fn resolve(
        &self,
        session: &mut EvalSession,
        arguments: &[OsString],
    ) -> Result<Vec<Installable>, Failure> {
        let lookup = Lookup::packages(&session.invocation);
        let mut found = Vec::new();
        for named in self.name(session, arguments, &lookup)? {
            found.extend(named.installables(session)?);
        }
        Ok(found)
    }

    /// What one argument names, or what is meant without any.
    pub fn name_one(
        &self,
        session: &mut EvalSession,
        argument: Option<&OsString>,
        lookup: &Lookup,
    ) -> Result<Named, Failure> {
        let arguments = argument.map(std::slice::from_ref).unwrap_or_default();
        // There is one for each argument, and one for none.
        Ok(self.name(session, arguments, lookup)?.swap_remove(0))
    }

    /// What the arguments name.
    pub fn name(
        &self,
        session: &mut EvalSession,
        arguments: &[OsString],
        lookup: &Lookup,
    ) -> Result<Vec<Named>, Failure> {
        let root = match (&self.file, &self.expr) {
            (Some(file), _) if file == "-" => {
                let text = crate::ui::read_stdin()?;
                Some(session.eval_text(Origin::Stdin, &text)?)
            }
            (Some(file), _) => Some(session.eval_file(file)?),
            (None, Some(text)) => Some(session.eval_text(Origin::String, text.as_bytes())?),
            (None, None) => None,
        };
        self.lock.override_names(session)?;
        let whole = [OsString::from(".")];
        let arguments = if arguments.is_empty() {
            &whole[..]
        } else {
            arguments
        };
        arguments
            .iter()
            .map(|argument| {
                let what = argument.to_string_lossy().into_owned();
                let (name, outputs) = split_outputs(argument.as_bytes())?;
                if let Some(root) = root {
                    let path = if name == b"." { &b""[..] } else { name };
                    return Ok(Named::Attribute {
                        what,
                        root,
                        path: path.to_vec(),
                        outputs,
                    });
                }
                if name.contains(&b'/')
                    && let Ok(path) = path_with_outputs(&*session.store()?, argument, '^')
                {
                    return Ok(Named::Store { what, path });
                }
                let base = PathBuf::from(std::ffi::OsStr::from_bytes(
                    &session.vm.ev.settings.current_dir,
                ));
                let options = ParseOptions {
                    base: Some(&base),
                    ..ParseOptions::default()
                };
                let (reference, fragment) =
                    FlakeRef::parse_with_fragment(&String::from_utf8_lossy(name), options)?;
                if !session.auto_args.is_empty() {
                    return Err(UsageError::new(
                        "'--arg' and '--argstr' are incompatible with flakes",
                    )
                    .into());
                }
                let mut wish = self.lock.wish(session)?;
                wish.apply_config = true;
                Ok(Named::Flake(Box::new(FlakeInstallable::new(
                    what, reference, &fragment, outputs, lookup, wish,
                ))))
            })
            .collect()
    }
}

/// Splits off the outputs after `^`.
fn split_outputs(text: &[u8]) -> Result<(&[u8], Option<OutputsSpec>), Failure> {
    let Some(at) = text.iter().rposition(|&b| b == b'^') else {
        return Ok((text, None));
    };
    let outputs = String::from_utf8_lossy(&text[at + 1..]);
    match OutputsSpec::parse(&outputs) {
        Ok(outputs) => Ok((&text[..at], Some(outputs))),
        Err(_) => Err(Failure::message(format!(
            "invalid extended outputs specifier '{}'",
            String::from_utf8_lossy(text)
        ))),
    }
}

impl Named {
    /// As it stands on the command line.
    pub fn what(&self) -> &str {
        match self {
            Named::Store { what, .. } | Named::Attribute { what, .. } => what,
            Named::Flake(flake) => &flake.what,
        }
    }

    /// Its value, with its position. A store path has none.
    pub fn value(&self, session: &mut EvalSession) -> Result<(Value, Pos), Failure> {
        match self {
            Named::Store { what, .. } => Err(UsageError::new(format!(
                "installable '{what}' does not correspond to a Nix language value"
            ))
            .into()),
            Named::Attribute { root, path, .. } => {
                let found = session.vm.find_along(path, &session.auto_args, *root);
                session.check(found)
            }
            Named::Flake(flake) => {
                let found = flake.find(session)?;
                Ok((found.value, found.pos))
            }
        }
    }

    /// What has to be realised for it.
    pub fn installables(&self, session: &mut EvalSession) -> Result<Vec<Installable>, Failure> {
        match self {
            Named::Store { what, path } => Ok(vec![Installable {
                what: what.clone(),
                path: path.clone(),
                value: None,
                origin: None,
                outputs: None,
            }]),
            Named::Attribute {
                what,
                path,
                outputs,
                ..
            } => {
                let (value, pos) = self.value(session)?;
                let context = format!(
                    "while evaluating the attribute '{}'",
                    String::from_utf8_lossy(path)
                );
                of_attribute(session, what, value, pos, &context, outputs.as_ref())
            }
            Named::Flake(flake) => Ok(vec![flake.installable(session)?]),
        }
    }
}

/// The packages in a value, each derivation once.
fn of_attribute(
    session: &mut EvalSession,
    what: &str,
    value: Value,
    pos: Pos,
    context: &str,
    outputs: Option<&OutputsSpec>,
) -> Result<Vec<Installable>, Failure> {
    if let Some(path) = single_path(session, value, pos, context)? {
        return Ok(vec![Installable {
            what: what.to_owned(),
            path,
            value: Some(value),
            origin: None,
            outputs: outputs.cloned(),
        }]);
    }
    let packages = session
        .vm
        .packages(value, b"", &session.auto_args, Assertions::Fail);
    let mut found: BTreeMap<_, (OutputsSpec, Value)> = BTreeMap::new();
    for package in session.check(packages)? {
        let derivation = package.drv_path(&mut session.vm);
        let derivation = session.check(derivation)?;
        let value = package.attrs.value();
        let wanted = match outputs {
            Some(outputs) => outputs.clone(),
            None => default_outputs(session, value),
        };
        match found.get_mut(&derivation) {
            None => {
                found.insert(derivation, (wanted, value));
            }
            Some((known, _)) => {
                *known = match (&*known, wanted) {
                    (OutputsSpec::Names(a), OutputsSpec::Names(b)) => {
                        OutputsSpec::Names(a.union(&b).cloned().collect())
                    }
                    _ => OutputsSpec::All,
                };
            }
        }
    }
    let installable = |(derivation, (wanted, value))| Installable {
        what: what.to_owned(),
        path: DerivedPath::Built {
            drv: Arc::new(SingleDerivedPath::Opaque(derivation)),
            outputs: wanted,
        },
        value: Some(value),
        origin: None,
        outputs: outputs.cloned(),
    };
    Ok(found.into_iter().map(installable).collect())
}

/// What a path or string stands for: a copy in the store, or the one thing in its context.
fn single_path(
    session: &mut EvalSession,
    value: Value,
    pos: Pos,
    what: &str,
) -> Result<Option<DerivedPath>, Failure> {
    let forced = session.vm.force(value);
    let value = session.check(forced)?;
    let dir = session.vm.ev.store_dir.clone();
    if let View::Path(path) = value.view() {
        // What is named by its path alone is a source, whatever it is called.
        let copied = session.vm.copy_path_as(path.as_bytes(), b"source");
        let path = session.check(copied)?;
        return Ok(Some(DerivedPath::Opaque(dir.parse(&path)?)));
    }
    if !matches!(value.view(), View::Str(_)) {
        return Ok(None);
    }
    let (mut text, mut context) = (Vec::new(), Context::EMPTY);
    let coerced = session.vm.coerce_to_string(
        value,
        &mut text,
        &mut context,
        Coercion::segment(false),
        pos,
        what,
    );
    session.check(coerced)?;
    let shown = String::from_utf8_lossy(&text);
    let [element] = context.elements() else {
        return Err(Failure::message(format!(
            "string '{shown}' has {} entries in its context. It should only have exactly one entry",
            context.elements().len()
        )));
    };
    Ok(Some(match element {
        ContextElement::Opaque(path) => DerivedPath::Opaque(dir.parse(path)?),
        ContextElement::DrvDeep(path) => {
            return Err(Failure::message(format!(
                "string '{shown}' has a context which refers to a complete source and binary closure. This is not supported at this time: '{}'",
                String::from_utf8_lossy(path)
            )));
        }
        ContextElement::Built { drv, output } => DerivedPath::Built {
            drv: Arc::new(derivation_in_context(&dir, drv)?),
            outputs: OutputsSpec::Names(BTreeSet::from([
                String::from_utf8_lossy(output).into_owned()
            ])),
        },
    }))
}

/// The derivation that an element of a context names.
fn derivation_in_context(
    dir: &StoreDir,
    element: &ContextElement,
) -> Result<SingleDerivedPath, Failure> {
    Ok(match element {
        ContextElement::Opaque(path) | ContextElement::DrvDeep(path) => {
            SingleDerivedPath::Opaque(dir.parse(path)?)
        }
        ContextElement::Built { drv, output } => SingleDerivedPath::Built {
            drv: Arc::new(derivation_in_context(dir, drv)?),
            output: String::from_utf8_lossy(output).into_owned(),
        },
    })
}

/// An attribute of a package as JSON; nothing if it is missing or fails.
pub fn attribute(
    session: &mut EvalSession,
    package: Value,
    path: &[u8],
) -> Option<serde_json::Value> {
    let (value, pos) = session.vm.find_along(path, &Vec::new(), package).ok()?;
    let mut out = Vec::new();
    let mut context = Context::EMPTY;
    session
        .vm
        .print_json(value, CopyMode::Name, pos, &mut out, &mut context)
        .ok()?;
    serde_json::from_slice(&out).ok()
}

/// The outputs that a package stands for when none are named: the one it is, those it says are to be
/// installed, or all.
fn default_outputs(session: &mut EvalSession, package: Value) -> OutputsSpec {
    if attribute(session, package, b"outputSpecified") == Some(json!(true))
        && let Some(serde_json::Value::String(name)) = attribute(session, package, b"outputName")
    {
        return OutputsSpec::Names(BTreeSet::from([name]));
    }
    let names = match attribute(session, package, b"meta.outputsToInstall") {
        Some(serde_json::Value::Array(names)) => names,
        _ => match attribute(session, package, b"outputs") {
            Some(serde_json::Value::Array(names)) => names,
            _ => Vec::new(),
        },
    };
    let mut names: BTreeSet<String> = names
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    if names.is_empty() {
        names.insert("out".to_owned());
    }
    OutputsSpec::Names(names)
}
