//! What new commands work on: attributes of a file or expression, store paths, outputs of derivations.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rx_eval::interp::{Coercion, CopyMode};
use rx_eval::packages::Assertions;
use rx_eval::value::{Context, ContextElement, View};
use rx_eval::{Origin, Pos, Value};
use rx_store::store::{DerivedPath, OutputsSpec, SingleDerivedPath, Store};
use serde_json::json;

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
}

impl SourceOptions {
    /// The invocation with the purity that these options ask for: files are evaluated impurely.
    pub fn adapt(&self, invocation: &Invocation) -> Invocation {
        let mut invocation = invocation.clone();
        if self.file.is_some() {
            Arc::make_mut(&mut invocation.settings).pure_eval = false;
        }
        invocation
    }

    /// What the arguments name. Without arguments it is the whole value of the file or expression.
    pub fn resolve(
        &self,
        session: &mut EvalSession,
        store: &dyn Store,
        arguments: &[OsString],
    ) -> Result<Vec<Installable>, Failure> {
        let root = match (&self.file, &self.expr) {
            (Some(file), _) if file == "-" => {
                let mut text = Vec::new();
                std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut text)?;
                Some(session.eval_text(Origin::Stdin, &text)?)
            }
            (Some(file), _) => Some(session.eval_file(file)?),
            (None, Some(text)) => Some(session.eval_text(Origin::String, text.as_bytes())?),
            (None, None) => None,
        };
        let whole = [OsString::new()];
        let arguments = match (arguments, root) {
            ([], Some(_)) => &whole[..],
            ([], None) => {
                return Err(UsageError::new("no package or store path is named")
                    .hint("name attributes of a file given with --file, or store paths")
                    .into());
            }
            (arguments, _) => arguments,
        };
        let mut found = Vec::new();
        for argument in arguments {
            // A path with a slash is one of the store, whatever else is given.
            let is_path = argument.as_bytes().contains(&b'/');
            match root {
                Some(root) if !is_path => select(session, root, argument, &mut found)?,
                _ => found.push(Installable {
                    what: argument.to_string_lossy().into_owned(),
                    path: path_with_outputs(store, argument, '^')?,
                    value: None,
                }),
            }
        }
        Ok(found)
    }
}

/// Finds what an attribute path with optional outputs names below a value.
fn select(
    session: &mut EvalSession,
    root: Value,
    argument: &OsStr,
    found: &mut Vec<Installable>,
) -> Result<(), Failure> {
    let text = argument.as_bytes();
    let (path, outputs) = match text.iter().rposition(|&b| b == b'^') {
        Some(at) => {
            let names = String::from_utf8_lossy(&text[at + 1..]).into_owned();
            (&text[..at], Some(OutputsSpec::parse(&names)?))
        }
        None => (text, None),
    };
    let path = if path == b"." { &b""[..] } else { path };
    let what = argument.to_string_lossy().into_owned();
    let selected = session.vm.find_along(path, &session.auto_args, root);
    let (value, pos) = session.check(selected)?;
    if let Some(path) = named_by_string(session, value, pos)? {
        found.push(Installable {
            what,
            path,
            value: Some(value),
        });
        return Ok(());
    }
    let packages = session
        .vm
        .packages(value, b"", &session.auto_args, Assertions::Fail);
    for package in session.check(packages)? {
        let derivation = package.drv_path(&mut session.vm);
        let derivation = session.check(derivation)?;
        let value = package.attrs.value();
        let outputs = match &outputs {
            Some(outputs) => outputs.clone(),
            None => default_outputs(session, value),
        };
        found.push(Installable {
            what: what.clone(),
            path: DerivedPath::Built {
                drv: Arc::new(SingleDerivedPath::Opaque(derivation)),
                outputs,
            },
            value: Some(value),
        });
    }
    Ok(())
}

/// What a string stands for: the one thing in its context.
fn named_by_string(
    session: &mut EvalSession,
    value: Value,
    pos: Pos,
) -> Result<Option<DerivedPath>, Failure> {
    let forced = session.vm.force(value);
    let value = session.check(forced)?;
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
        "while evaluating what is to be built",
    );
    session.check(coerced)?;
    let shown = String::from_utf8_lossy(&text);
    let [element] = context.elements() else {
        return Err(Failure::message(format!(
            "string '{shown}' has {} entries in its context. It should only have exactly one entry",
            context.elements().len()
        )));
    };
    let dir = session.vm.ev.store_dir.clone();
    Ok(Some(match element {
        ContextElement::Opaque(path) => DerivedPath::Opaque(dir.parse(path)?),
        ContextElement::DrvDeep(path) => {
            return Err(Failure::message(format!(
                "string '{shown}' has a context which refers to a complete source and binary closure. This is not supported at this time: '{}'",
                String::from_utf8_lossy(path)
            )));
        }
        ContextElement::Built { drv, output } => DerivedPath::Built {
            drv: Arc::new(SingleDerivedPath::Opaque(dir.parse(drv.store_path())?)),
            outputs: OutputsSpec::Names(BTreeSet::from([
                String::from_utf8_lossy(output).into_owned()
            ])),
        },
    }))
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
    match attribute(session, package, b"meta.outputsToInstall") {
        Some(serde_json::Value::Array(names)) => {
            let mut names: BTreeSet<String> = names
                .iter()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect();
            if names.is_empty() {
                names.insert("out".to_owned());
            }
            OutputsSpec::Names(names)
        }
        _ => OutputsSpec::All,
    }
}
