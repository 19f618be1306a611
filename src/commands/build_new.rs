//! `rx build`: derivations and store paths, realised and linked.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rx_eval::interp::{Coercion, CopyMode};
use rx_eval::packages::Assertions;
use rx_eval::value::{Context, ContextElement, View};
use rx_eval::{Origin, Pos, Value};
use rx_store::path::StorePath;
use rx_store::store::{BuildMode, DerivedPath, OutputsSpec, SingleDerivedPath, Store};
use serde_json::{Map, json};

use crate::cli::{
    BuildMode as Wish, BuildOptions, Category, EvalOptions, Invocation, JsonOptions, Subcommand,
};
use crate::eval_session::{EvalSession, with_session};
use crate::realise::{Run, plain_failure, realise};
use crate::store_session::path_with_outputs;
use crate::ui::{self, Failure, UsageError};

/// Arguments of `rx build`.
#[derive(clap::Args)]
pub struct BuildNew {
    /// Take attributes of this file; `-` is standard input.
    #[arg(long, short, value_name = "FILE", conflicts_with = "expr")]
    file: Option<OsString>,
    /// Take attributes of this expression's value.
    #[arg(long, value_name = "EXPRESSION")]
    expr: Option<OsString>,
    /// Print the paths of the outputs.
    #[arg(long)]
    print_out_paths: bool,
    /// Make a generation of this profile from the one output.
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    json: JsonOptions,
    #[command(flatten)]
    build: BuildOptions,
    #[command(flatten)]
    options: EvalOptions,
    /// Attribute paths, store paths, or either with outputs (`NAME^OUTPUT,OUTPUT`).
    #[arg(value_name = "WHAT")]
    what: Vec<OsString>,
}

impl Subcommand for BuildNew {
    const PATH: &'static str = "build";
    const ABOUT: &'static str = "Build derivations or fetch store paths";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let mut invocation = invocation.clone();
        if self.file.is_some() {
            Arc::make_mut(&mut invocation.settings).pure_eval = false;
        }
        let (wanted, store) = with_session(&invocation, &self.options, false, |session| {
            let store = session.store()?;
            Ok((self.wanted(session, &*store)?, store))
        })?;
        store.flush()?;
        let run = if self.build.dry_run {
            Run::Dry
        } else {
            Run::Real
        };
        let mode = match self.build.mode {
            Wish::Normal => BuildMode::Normal,
            Wish::Repair => BuildMode::Repair,
            Wish::Check => BuildMode::Check,
        };
        realise(
            &*store,
            &invocation.settings,
            &wanted,
            mode,
            run,
            plain_failure,
        )?;
        let built = results(&*store, &wanted)?;
        if run == Run::Real {
            self.make_links(&*store, &built)?;
        }
        self.print(&*store, &built)
    }
}

/// What a thing that was asked for has become: outputs by name, or a path under no name.
type Built = (DerivedPath, BTreeMap<String, Option<StorePath>>);

fn results(store: &dyn Store, wanted: &[DerivedPath]) -> Result<Vec<Built>, Failure> {
    wanted
        .iter()
        .map(|path| {
            let outputs = match path {
                DerivedPath::Opaque(path) => BTreeMap::from([(String::new(), Some(path.clone()))]),
                DerivedPath::Built { drv, outputs } => store
                    .query_derivation_outputs(drv.base())?
                    .into_iter()
                    .filter(|(name, _)| outputs.contains(name))
                    .collect(),
            };
            Ok((path.clone(), outputs))
        })
        .collect()
}

impl BuildNew {
    fn wanted(
        &self,
        session: &mut EvalSession,
        store: &dyn Store,
    ) -> Result<Vec<DerivedPath>, Failure> {
        let root = match (&self.file, &self.expr) {
            (Some(file), _) => Some(session.eval_file(file)?),
            (None, Some(text)) => Some(session.eval_text(Origin::String, text.as_bytes())?),
            (None, None) => None,
        };
        let mut what = self.what.clone();
        if what.is_empty() && root.is_some() {
            what.push(OsString::new());
        }
        if what.is_empty() {
            return Err(UsageError::new("what is to be built?")
                .hint("name attributes of a file given with --file, or store paths")
                .into());
        }
        let mut wanted = Vec::new();
        for argument in &what {
            // A path with a slash is one of the store, whatever else is given.
            let is_path = argument.as_bytes().contains(&b'/');
            match root {
                Some(root) if !is_path => self.select(session, root, argument, &mut wanted)?,
                _ => wanted.push(path_with_outputs(store, argument, '^')?),
            }
        }
        Ok(wanted)
    }

    fn select(
        &self,
        session: &mut EvalSession,
        root: Value,
        argument: &OsStr,
        wanted: &mut Vec<DerivedPath>,
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
        let found = session.vm.find_along(path, &session.auto_args, root);
        let (value, pos) = session.check(found)?;
        if let Some(path) = self.named_by_string(session, value, pos)? {
            wanted.push(path);
            return Ok(());
        }
        let packages = session
            .vm
            .packages(value, b"", &session.auto_args, Assertions::Fail);
        for package in session.check(packages)? {
            let derivation = package.drv_path(&mut session.vm);
            let derivation = session.check(derivation)?;
            let outputs = match &outputs {
                Some(outputs) => outputs.clone(),
                None => default_outputs(session, value),
            };
            wanted.push(DerivedPath::Built {
                drv: Arc::new(SingleDerivedPath::Opaque(derivation)),
                outputs,
            });
        }
        Ok(())
    }

    /// What a string stands for: the one thing in its context.
    fn named_by_string(
        &self,
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

    /// The link of the first thing has the plain name, others a number; outputs have a suffix.
    fn make_links(&self, store: &dyn Store, built: &[Built]) -> Result<(), Failure> {
        let paths: Vec<&StorePath> = built
            .iter()
            .flat_map(|(_, outputs)| outputs.values().flatten())
            .collect();
        if let Some(profile) = &self.profile {
            let [path] = paths.as_slice() else {
                return Err(Failure::message(format!(
                    "'--profile' requires that the arguments produce a single store path, but there are {}",
                    paths.len()
                )));
            };
            let profile = std::path::absolute(profile)?;
            new_generation(store, &profile, path)?;
        }
        if self.build.no_out_link {
            return Ok(());
        }
        let base = self
            .build
            .out_link
            .clone()
            .unwrap_or_else(|| "result".into());
        let base = std::path::absolute(PathBuf::from(base))?;
        for (number, (_, outputs)) in built.iter().enumerate() {
            for (name, path) in outputs {
                let Some(path) = path else { continue };
                let mut link = base.clone().into_os_string();
                if number > 0 {
                    link.push(format!("-{number}"));
                }
                if !matches!(name.as_str(), "" | "out") {
                    link.push(format!("-{name}"));
                }
                store.add_permanent_root(path, Path::new(&link))?;
            }
        }
        Ok(())
    }

    fn print(&self, store: &dyn Store, built: &[Built]) -> Result<(), Failure> {
        let show = |path: &StorePath| store.dir().display(path).to_string();
        if self.json.json {
            let list: Vec<_> = built
                .iter()
                .map(|(path, outputs)| match path {
                    DerivedPath::Opaque(path) => json!(show(path)),
                    DerivedPath::Built { drv, .. } => {
                        let outputs: Map<_, _> = outputs
                            .iter()
                            .map(|(name, path)| (name.clone(), json!(path.as_ref().map(show))))
                            .collect();
                        json!({ "drvPath": show(drv.base()), "outputs": outputs })
                    }
                })
                .collect();
            return self.json.print(&json!(list));
        }
        if self.print_out_paths && !self.build.dry_run {
            let lines: String = built
                .iter()
                .flat_map(|(_, outputs)| outputs.values().flatten())
                .map(|path| show(path) + "\n")
                .collect();
            ui::print(&lines)?;
        }
        Ok(())
    }
}

/// The outputs that a package stands for when none are named: the one it is, those it says are to be
/// installed, or all.
fn default_outputs(session: &mut EvalSession, package: Value) -> OutputsSpec {
    let mut attribute = |path: &[u8]| -> Option<serde_json::Value> {
        let (value, pos) = session.vm.find_along(path, &Vec::new(), package).ok()?;
        let mut out = Vec::new();
        let mut context = Context::EMPTY;
        session
            .vm
            .print_json(value, CopyMode::Name, pos, &mut out, &mut context)
            .ok()?;
        serde_json::from_slice(&out).ok()
    };
    if attribute(b"outputSpecified") == Some(json!(true))
        && let Some(serde_json::Value::String(name)) = attribute(b"outputName")
    {
        return OutputsSpec::Names(BTreeSet::from([name]));
    }
    match attribute(b"meta.outputsToInstall") {
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

/// Makes the next generation of a profile and switches to it.
fn new_generation(store: &dyn Store, profile: &Path, path: &StorePath) -> Result<(), Failure> {
    let name = profile
        .file_name()
        .ok_or_else(|| Failure::message("a profile needs a name"))?;
    let directory = profile.parent().unwrap_or(Path::new("/"));
    let prefix = [name.as_bytes(), b"-"].concat();
    let mut last = 0u64;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?.file_name();
        let number = entry
            .as_bytes()
            .strip_prefix(prefix.as_slice())
            .and_then(|rest| rest.strip_suffix(b"-link"))
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        last = last.max(number.unwrap_or(0));
    }
    let mut generation = profile.as_os_str().to_owned();
    generation.push(format!("-{}-link", last + 1));
    let generation = PathBuf::from(generation);
    store.add_permanent_root(path, &generation)?;
    let target = generation.file_name().unwrap_or(name);
    let mut temporary = profile.as_os_str().to_owned();
    temporary.push(format!(".tmp-{}", std::process::id()));
    std::os::unix::fs::symlink(target, &temporary)?;
    std::fs::rename(&temporary, profile)?;
    Ok(())
}
