//! Where packages come from: expressions, store paths, other profiles.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rx_eval::io::FileKind;
use rx_eval::packages::Assertions;
use rx_eval::value::AttrsBuilder;
use rx_eval::value::attrs::Duplicates;
use rx_eval::{Origin, Value};
use rx_lang::symbol;
use rx_store::profile::{expressions_dir, set_up_expressions};
use rx_store::progress::{self, Level};
use rx_store::store::Store;

use super::installed::Installed;
use super::item::Item;
use super::selectors::{Choice, select};
use crate::cli::Invocation;
use crate::eval_session::EvalSession;
use crate::store_session::store_path;
use crate::ui::Failure;

/// How arguments of an installation are to be understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// As names, or as store paths if the first has a slash.
    #[default]
    Unknown,
    /// As functions that get the expression (`-E`).
    Functions,
    /// As attribute paths (`-A`).
    Attributes,
    /// As names in another profile (`--from-profile`).
    Profile(PathBuf),
}

/// The expression that packages are taken from, and what of it counts.
#[derive(Debug, Default)]
pub struct Source {
    /// How arguments are to be understood.
    pub kind: Kind,
    /// `-f`
    pub file: Option<OsString>,
    /// `--system-filter`; nothing means all.
    pub system: Option<Vec<u8>>,
}

/// A directory has at most so many expressions.
const MOST_EXPRESSIONS: usize = 1024;

/// Whether an argument is a path, not a name.
pub fn is_path(argument: &[u8]) -> bool {
    argument.contains(&b'/')
}

impl Source {
    /// The value of the expression: of a file, or a set of all expressions in a directory.
    pub fn load(
        &self,
        session: &mut EvalSession,
        invocation: &Invocation,
    ) -> Result<Value, Failure> {
        let path = match &self.file {
            Some(file) if file == "-" => {
                let mut text = Vec::new();
                std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut text)?;
                return session.eval_text(Origin::Stdin, &text);
            }
            Some(file) => session.lookup_argument(file)?,
            None => {
                set_up_expressions(&invocation.settings);
                expressions_dir(&invocation.settings)
                    .into_os_string()
                    .into_vec()
            }
        };
        let real = session.vm.ev.io.resolve(&path);
        let real = session.check(real)?;
        match self.kind_of(session, &real)? {
            Some(Found::Expression) => session.eval_file(OsStr::from_bytes(&path)),
            Some(Found::Directory) => {
                let mut attrs = AttrsBuilder::new(16);
                let none = session.vm.list(&[]);
                attrs.push(symbol::intern(b"_combineChannels"), none);
                let import = session.eval_text(Origin::Internal("rx-env"), b"import")?;
                let mut seen = BTreeSet::new();
                self.collect(session, &path, import, &mut seen, &mut attrs)?;
                Ok(attrs.finish(&mut session.vm.heap, Duplicates::First))
            }
            None => Err(Failure::message(format!(
                "path '{}' is not a directory or a Nix expression",
                String::from_utf8_lossy(&path)
            ))),
        }
    }

    /// Adds the expressions in a directory and those below it as attributes named after their files.
    fn collect(
        &self,
        session: &mut EvalSession,
        dir: &[u8],
        import: Value,
        seen: &mut BTreeSet<Vec<u8>>,
        attrs: &mut AttrsBuilder,
    ) -> Result<(), Failure> {
        rx_store::interrupt::check()?;
        let real = session.vm.ev.io.resolve(dir);
        let real = session.check(real)?;
        let listing = session.vm.ev.io.read_dir(&real);
        let listing = session.check(listing)?;
        let names: BTreeSet<Vec<u8>> = listing.iter().map(|(name, _)| name.to_vec()).collect();
        for name in names {
            // The manifest of the profile that channels are.
            if name == b"manifest.nix" {
                continue;
            }
            let path = [dir, b"/", &name].concat();
            // Links that lead nowhere are passed over.
            let Ok(path) = session.vm.ev.io.resolve(&path) else {
                continue;
            };
            let Ok(Some(kind)) = session.vm.ev.io.kind(&path) else {
                continue;
            };
            match self.kind_of(session, &path)? {
                Some(Found::Expression)
                    if kind == FileKind::Directory || path.ends_with(b".nix") =>
                {
                    // Without the suffix it can be selected as an attribute.
                    let attribute = name.strip_suffix(b".nix").unwrap_or(&name);
                    if !seen.insert(attribute.to_vec()) {
                        report_collision(dir, &path, attribute);
                        continue;
                    }
                    if seen.len() >= MOST_EXPRESSIONS {
                        return Err(Failure::message(format!(
                            "too many Nix expressions in directory '{}'",
                            String::from_utf8_lossy(dir)
                        )));
                    }
                    let value = session.vm.path(&path);
                    let value = session.vm.delay_call(import, &[value]);
                    attrs.push(symbol::intern(attribute), value);
                }
                Some(Found::Directory) => self.collect(session, &path, import, seen, attrs)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn kind_of(&self, session: &EvalSession, path: &[u8]) -> Result<Option<Found>, Failure> {
        let io = &session.vm.ev.io;
        Ok(match session.check(io.kind(path))? {
            Some(FileKind::Regular) => Some(Found::Expression),
            Some(FileKind::Directory) => {
                let default = [path, b"/default.nix"].concat();
                let default = io.resolve(&default);
                let there = default.is_ok_and(|path| matches!(io.kind(&path), Ok(Some(_))));
                Some(if there {
                    Found::Expression
                } else {
                    Found::Directory
                })
            }
            Some(_) => None,
            None => {
                return Err(Failure::message(format!(
                    "path '{}' does not exist",
                    String::from_utf8_lossy(path)
                )));
            }
        })
    }

    /// All packages of the expression, below an attribute path.
    pub fn available(
        &self,
        session: &mut EvalSession,
        invocation: &Invocation,
        prefix: &[u8],
    ) -> Result<Vec<Item>, Failure> {
        let root = self.load(session, invocation)?;
        let found = session.vm.find_along(prefix, &session.auto_args, root);
        let (value, _) = session.check(found)?;
        let packages = session
            .vm
            .packages(value, prefix, &session.auto_args, Assertions::Skip);
        let mut items = Vec::new();
        for package in session.check(packages)? {
            let item = Item::from(package);
            if let Some(wanted) = &self.system {
                let system = item.system(&mut session.vm);
                if session.check(system)? != *wanted {
                    continue;
                }
            }
            items.push(item);
        }
        Ok(items)
    }

    /// The packages that arguments mean.
    pub fn query(
        &self,
        session: &mut EvalSession,
        invocation: &Invocation,
        store: &dyn Store,
        arguments: &[Vec<u8>],
        choice: Choice,
    ) -> Result<Vec<Item>, Failure> {
        let mut items = Vec::new();
        match &self.kind {
            Kind::Unknown if arguments.first().is_some_and(|it| is_path(it)) => {
                for argument in arguments {
                    items.push(item_of_path(store, argument)?);
                }
            }
            Kind::Unknown => {
                let all = self.available(session, invocation, b"")?;
                return select_in(session, &all, arguments, choice);
            }
            Kind::Profile(profile) => {
                let installed = Installed::read(session, store, profile)?;
                return select_in(session, &installed.items, arguments, choice);
            }
            Kind::Functions => {
                let root = self.load(session, invocation)?;
                for argument in arguments {
                    let function = session.eval_text(Origin::String, argument)?;
                    let value = session.vm.delay_call(function, &[root]);
                    let found =
                        session
                            .vm
                            .packages(value, b"", &session.auto_args, Assertions::Skip);
                    items.extend(session.check(found)?.into_iter().map(Item::from));
                }
            }
            Kind::Attributes => {
                let root = self.load(session, invocation)?;
                for argument in arguments {
                    let found = session.vm.find_along(argument, &session.auto_args, root);
                    let (value, _) = session.check(found)?;
                    let found =
                        session
                            .vm
                            .packages(value, b"", &session.auto_args, Assertions::Skip);
                    items.extend(session.check(found)?.into_iter().map(Item::from));
                }
            }
        }
        Ok(items)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Expression,
    Directory,
}

fn select_in(
    session: &mut EvalSession,
    items: &[Item],
    arguments: &[Vec<u8>],
    choice: Choice,
) -> Result<Vec<Item>, Failure> {
    let ev = session.vm.ev;
    select(&mut session.vm, items, arguments, choice, &|error| {
        crate::ui::eval_failure(ev, &error)
    })
}

/// A store path given as an argument: a derivation stands for its output `out`.
fn item_of_path(store: &dyn Store, argument: &[u8]) -> Result<Item, Failure> {
    let path = store_path(store, OsStr::from_bytes(argument))?;
    if !path.is_derivation() {
        return Ok(Item::of_path(path.name(), path.clone(), None));
    }
    let outputs = store.query_derivation_outputs(&path)?;
    let out = outputs.get("out").cloned().flatten().ok_or_else(|| {
        Failure::message(format!(
            "derivation '{}' does not have an output named 'out'",
            store.dir().display(&path)
        ))
    })?;
    Ok(Item::of_path(path.name(), out, Some(path.clone())))
}

fn report_collision(dir: &[u8], path: &[u8], attribute: &[u8]) {
    let names_channels = |path: &[u8]| String::from_utf8_lossy(path).contains("channels");
    let mut text = format!(
        "warning: name collision in input Nix expressions, skipping '{}'",
        String::from_utf8_lossy(path)
    );
    if names_channels(path) && names_channels(dir) {
        text.push_str(&format!(
            "\nsuggestion: remove '{}' from either the root channels or the user channels",
            String::from_utf8_lossy(attribute)
        ));
    }
    progress::log(Level::Error, text);
}
