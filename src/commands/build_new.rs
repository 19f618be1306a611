//! `rx build`: derivations and store paths, realised and linked.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rx_store::path::StorePath;
use rx_store::profile::Generations;
use rx_store::store::{BuildMode, DerivedPath, Store};
use serde_json::{Map, json};

use crate::cli::{
    BuildMode as Wish, BuildOptions, Category, EvalOptions, Invocation, JsonOptions, Subcommand,
};
use crate::eval_session::with_session;
use crate::installables::SourceOptions;
use crate::realise::{Run, plain_failure, realise};
use crate::ui::{self, Failure};

/// Arguments of `rx build`.
#[derive(clap::Args)]
pub struct BuildNew {
    #[command(flatten)]
    source: SourceOptions,
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
        let invocation = self.source.adapt(invocation);
        let (wanted, store) = with_session(&invocation, &self.options, false, |session| {
            let store = session.store()?;
            let found = self.source.resolve(session, &*store, &self.what)?;
            Ok((found, store))
        })?;
        let wanted: Vec<DerivedPath> = wanted.into_iter().map(|found| found.path).collect();
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
            Generations::add(store, &profile, path)?;
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
