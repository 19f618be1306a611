//! Attribute paths and inputs of flakes for completion: what is named on the line so far is evaluated, and nothing is
//! said about what goes wrong.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::Arc;

use rx_eval::{Origin, Value};
use rx_lang::symbol;
use rx_store::progress::{self, Level, Logger};
use rx_store::settings::SettingsBuilder;

use super::{EvalOptions, Invocation};
use crate::eval_session::{EvalSession, with_session};
use crate::ui::Failure;

/// What attribute paths are looked up in.
pub(super) enum Root {
    /// `--file`
    File(String),
    /// `--expr`
    Expression(String),
    /// A flake, before the `#`.
    Flake(String),
}

struct Silent;

impl Logger for Silent {
    fn log(&self, _: Level, _: &str) {}
}

/// The words that attribute paths may go on to.
pub(super) fn complete(root: &Root, word: &str, builder: SettingsBuilder) -> BTreeSet<String> {
    let (start, path) = match root {
        Root::Flake(_) => word.split_at(word.find('#').map_or(0, |at| at + 1)),
        _ => ("", word),
    };
    quietly(builder, |session| {
        let mut names = BTreeSet::new();
        let value = root_value(session, root)?;
        let (parent, written) = match path.rfind('.') {
            Some(dot) => (&path[..dot], &path[..=dot]),
            None => ("", ""),
        };
        let mut places = vec![parent.to_owned()];
        if matches!(root, Root::Flake(_)) {
            let system = &session.vm.ev.settings.system;
            for kind in ["packages", "legacyPackages"] {
                let place = format!("{kind}.{system}.{parent}");
                places.push(place.trim_end_matches('.').to_owned());
            }
        }
        for place in places {
            for name in names_at(session, value, &place) {
                names.insert(format!("{start}{written}{name}"));
            }
        }
        Ok(names)
    })
}

/// The names of flakes' inputs.
pub(super) fn inputs(flakes: &[&str], builder: SettingsBuilder) -> BTreeSet<String> {
    quietly(builder, |session| {
        let mut names = BTreeSet::new();
        for flake in flakes {
            let file = expand(flake) + "/flake.nix";
            let file = OsString::from(file);
            if let Ok(value) = session.eval_file(&file) {
                names.extend(names_at(session, value, "inputs"));
            }
        }
        Ok(names)
    })
}

/// `~/` is the shell's to expand, but not before a completion.
fn expand(path: &str) -> String {
    match path.strip_prefix("~/") {
        Some(rest) => format!("{}/{rest}", std::env::var("HOME").unwrap_or_default()),
        None => path.to_owned(),
    }
}

fn quietly(
    builder: SettingsBuilder,
    run: impl FnOnce(&mut EvalSession) -> Result<BTreeSet<String>, Failure>,
) -> BTreeSet<String> {
    progress::set_logger(Arc::new(Silent));
    let (mut settings, _) = builder.finish();
    settings.pure_eval = false;
    let invocation = Invocation {
        program: "rx".to_owned(),
        settings: Arc::new(settings),
        offline: false,
        refresh: false,
        print_build_logs: false,
        gc_warning: false,
        flakes: Arc::default(),
        base_dir: None,
    };
    with_session(&invocation, &EvalOptions::default(), true, run).unwrap_or_default()
}

fn root_value(session: &mut EvalSession, root: &Root) -> Result<Value, Failure> {
    let value = match root {
        Root::File(file) => session.eval_file(&OsString::from(expand(file)))?,
        Root::Expression(text) => session.eval_text(Origin::String, text.as_bytes())?,
        Root::Flake(reference) => {
            let function = session.eval_text(Origin::String, b"builtins.getFlake")?;
            let reference = expand(if reference.is_empty() { "." } else { reference });
            let reference = if reference.starts_with(['.', '/']) {
                let path = std::path::absolute(&reference)?;
                rx_store::settings::clean(&path).display().to_string()
            } else {
                reference
            };
            let reference = session.vm.str(reference.as_bytes());
            let called = session.vm.call(function, &[reference]);
            session.check(called)?
        }
    };
    let called = session.vm.auto_call(&session.auto_args, value);
    session.check(called)
}

/// The attributes of what is at a path; none if that fails.
fn names_at(session: &mut EvalSession, root: Value, path: &str) -> Vec<String> {
    let found = session
        .vm
        .find_along(path.as_bytes(), &session.auto_args, root);
    let value = found.and_then(|(value, _)| session.vm.auto_call(&session.auto_args, value));
    let Some(set) = value.ok().and_then(|value| value.as_attrs()) else {
        return Vec::new();
    };
    let entries = set.entries(&mut session.vm.heap);
    let names = entries.names().iter();
    names
        .map(|&name| String::from_utf8_lossy(symbol::name(name)).into_owned())
        .collect()
}
