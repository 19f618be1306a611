//! `rx-build`: expressions to built outputs, with links that keep them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rx_eval::packages::Assertions;
use rx_eval::{Origin, Value};
use rx_store::path::StorePath;
use rx_store::store::{DerivedPath, OutputsSpec, SingleDerivedPath, Store};

use crate::cli::{
    BuildOptions, ClassicCommand, EvalOptions, Flag, Group, Invocation, LinkOptions, Options,
    Selection,
};
use crate::eval_session::{EvalSession, with_session};
use crate::realise::{build_failure, realise};
use crate::store_session::open_store;
use crate::ui::{self, Failure, UsageError};

/// Options of `rx-build`.
#[derive(Debug, Default)]
pub struct Build {
    selection: Selection,
    link: LinkOptions,
    build: BuildOptions,
    eval: EvalOptions,
    arguments: Vec<OsString>,
}

impl Options for Build {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::value(
            "drv-link",
            &["path"],
            "Has no effect any more.",
            |_: &mut Self, values| {
                values.os();
                Ok(())
            },
        ),
        Flag::switch("add-drv-link", "Has no effect any more.", |_: &mut Self| {}),
        Flag::switch(
            "indirect",
            "Has no effect any more: all roots are indirect.",
            |_: &mut Self| {},
        ),
    ];

    const GROUPS: &'static [Group<Self>] = &[
        Group::new("Selection", |options| &mut options.selection),
        Group::new("Links", |options| &mut options.link),
        Group::new("Building", |options| &mut options.build),
        Group::new("Evaluation", |options| &mut options.eval),
    ];

    fn argument(&mut self, argument: OsString) -> Result<(), UsageError> {
        self.arguments.push(argument);
        Ok(())
    }
}

/// A derivation and the output of it that is wanted.
type Wanted = (StorePath, String);

impl ClassicCommand for Build {
    const NAME: &'static str = "build";
    const ABOUT: &'static str = "build what expressions describe";
    const USAGE: &'static [&'static str] = &[
        "[-A PATH]... [--arg NAME EXPR]... [-o PATH | --no-out-link] [FILE]...",
        "-E EXPRESSION...",
    ];

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (wanted, store) = with_session(invocation, &self.eval, false, |session| {
            let wanted = self.evaluate(session)?;
            Ok((wanted, session.store()?))
        })?;
        // Derivations that were just written must be known to whoever builds.
        store.flush()?;
        let eval_store = store;
        let store = if self.eval.eval_store.is_none() {
            Arc::clone(&eval_store)
        } else {
            let store = open_store(invocation)?;
            if let Some(builder) = store.builder() {
                builder.set_eval_store(Arc::clone(&eval_store));
            }
            store
        };
        let paths: Vec<DerivedPath> = wanted
            .iter()
            .map(|(derivation, output)| DerivedPath::Built {
                drv: Arc::new(SingleDerivedPath::Opaque(derivation.clone())),
                outputs: OutputsSpec::Names(BTreeSet::from([output.clone()])),
            })
            .collect();
        let made = realise(
            &*store,
            &invocation.settings,
            &paths,
            self.build.mode,
            self.build.run(),
            build_failure,
        )?;
        if self.build.dry_run {
            return Ok(());
        }
        self.link_and_print(&*store, &*eval_store, &wanted, &made)
    }
}

impl Build {
    fn evaluate(&self, session: &mut EvalSession) -> Result<Vec<Wanted>, Failure> {
        let mut arguments = self.arguments.clone();
        if arguments.is_empty() && !self.selection.expressions {
            arguments.push("./default.nix".into());
        }
        let mut wanted = Vec::new();
        for argument in &arguments {
            if argument == "-" {
                let text = crate::ui::read_stdin()?;
                let value = session.eval_text(Origin::Stdin, &text)?;
                self.select(session, value, &mut wanted)?;
            } else if self.selection.expressions {
                let value = session.eval_text(Origin::String, argument.as_bytes())?;
                self.select(session, value, &mut wanted)?;
            } else if let Some(derivation) = derivation_file(session, argument) {
                wanted.push(derivation);
            } else {
                let value = session.eval_file(argument)?;
                self.select(session, value, &mut wanted)?;
            }
        }
        Ok(wanted)
    }

    fn select(
        &self,
        session: &mut EvalSession,
        root: Value,
        wanted: &mut Vec<Wanted>,
    ) -> Result<(), Failure> {
        for path in self.selection.paths() {
            let found = session
                .vm
                .find_along(path.as_bytes(), &session.auto_args, root);
            let (value, _) = session.check(found)?;
            let packages = session
                .vm
                .packages(value, b"", &session.auto_args, Assertions::Fail);
            for package in session.check(packages)? {
                let derivation = package.drv_path(&mut session.vm);
                let derivation = session.check(derivation)?;
                let output = package.output_name(&mut session.vm);
                let output = String::from_utf8_lossy(&session.check(output)?).into_owned();
                if output.is_empty() {
                    return Err(Failure::message(format!(
                        "derivation '{}' lacks an 'outputName' attribute",
                        session.vm.ev.store_dir.display(&derivation)
                    )));
                }
                wanted.push((derivation, output));
            }
        }
        Ok(())
    }

    /// Links each output and prints its path. Several derivations get numbered links, outputs other
    /// than `out` a suffix.
    fn link_and_print(
        &self,
        store: &dyn Store,
        eval_store: &dyn Store,
        wanted: &[Wanted],
        made: &[BTreeMap<String, StorePath>],
    ) -> Result<(), Failure> {
        let base = self.link.base()?;
        let mut numbers: BTreeMap<&StorePath, usize> = BTreeMap::new();
        let mut out = ui::stdout();
        let mut lines = Vec::new();
        for (number, (derivation, output)) in wanted.iter().enumerate() {
            let made = made.get(number).and_then(|made| made.get(output));
            let next = numbers.len();
            let number = *numbers.entry(derivation).or_insert(next);
            let path = match made {
                Some(path) => Some(path.clone()),
                None => {
                    let outputs = eval_store.query_derivation_outputs(derivation)?;
                    outputs.get(output).cloned().flatten()
                }
            };
            let path = path.ok_or_else(|| {
                Failure::message(format!(
                    "derivation '{}' does not have an output named '{output}'",
                    store.dir().display(derivation)
                ))
            })?;
            if let Some(base) = &base {
                let mut link = base.clone().into_os_string();
                if number > 0 {
                    link.push(format!("-{}", number + 1));
                }
                if output != "out" {
                    link.push(format!("-{output}"));
                }
                store.add_permanent_root(&path, PathBuf::from(link).as_path())?;
            }
            lines.push(store.dir().print(&path));
        }
        for line in lines {
            out.write_all(&line)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        Ok(())
    }
}

/// A `.drv` file of the store given as an argument, with `!output` after it or meaning `out`.
fn derivation_file(session: &EvalSession, argument: &OsStr) -> Option<Wanted> {
    let text = argument.as_bytes();
    let (path, output) = match text.iter().rposition(|&b| b == b'!') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &b"out"[..]),
    };
    let path = session
        .vm
        .ev
        .store_dir
        .parse_canonical(&session.absolute(path))
        .ok()
        .filter(StorePath::is_derivation)?;
    Some((path, String::from_utf8(output.to_vec()).ok()?))
}
