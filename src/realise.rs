//! Realising paths for a command: say what it takes, do it, and turn failures into exit codes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rx_store::build::RunError;
use rx_store::path::StorePath;
use rx_store::profile::Generations;
use rx_store::progress::{self, Level};
use rx_store::settings::Settings;
use rx_store::store::closure::topological_paths;
use rx_store::store::{BuildMode, DerivedPath, Missing, Store, StoreError};

use crate::operands::Outputs;
use crate::ui::Failure;

/// Whether anything is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Only said.
    Dry,
    /// Done.
    Real,
}

impl Run {
    /// What an option `--dry-run` asks for.
    pub fn unless(dry: bool) -> Run {
        if dry { Run::Dry } else { Run::Real }
    }
}

/// Builds and fetches what is missing; `failure` says how an error ends the command. Gives what each path became, or
/// nothing for a dry run.
pub fn realise(
    store: &dyn Store,
    settings: &Settings,
    paths: &[DerivedPath],
    mode: BuildMode,
    run: Run,
    failure: fn(StoreError) -> Failure,
) -> Result<Vec<BTreeMap<String, StorePath>>, Failure> {
    if run == Run::Dry || (settings.print_missing && progress::wanted(Level::Info)) {
        let missing = store.query_missing(paths)?;
        let level = if run == Run::Dry {
            Level::Error
        } else {
            Level::Info
        };
        show_missing(store, &missing, level)?;
    }
    if run == Run::Dry {
        return Ok(Vec::new());
    }
    store.build_outputs(paths, mode).map_err(failure)
}

/// A failure of building, with the exit code that says what kind it is.
pub fn build_failure(error: StoreError) -> Failure {
    match error {
        StoreError::Layer(error) => match error.downcast::<RunError>() {
            Ok(mut error) => {
                let code = error.code;
                if let Some(message) = error.by_path.take() {
                    error.message = message;
                }
                Failure::with_status(*error, code)
            }
            Err(error) => Failure::message(error.to_string()),
        },
        error => error.into(),
    }
}

/// A failure of building for commands that only tell success from failure.
pub fn plain_failure(error: StoreError) -> Failure {
    match error {
        StoreError::Layer(error) => Failure::message(error.to_string()),
        error => error.into(),
    }
}

/// Makes links that keep outputs: the first thing's has the plain name, others a number; outputs have a suffix.
pub fn link_outputs(
    store: &dyn Store,
    base: &Path,
    built: &[(DerivedPath, Outputs)],
) -> Result<(), Failure> {
    let base = std::path::absolute(base)?;
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

/// Makes the one output the next generation of a profile.
pub fn switch_profile(
    store: &dyn Store,
    profile: &Path,
    built: &[(DerivedPath, Outputs)],
) -> Result<(), Failure> {
    let paths: Vec<_> = built
        .iter()
        .flat_map(|(_, outputs)| outputs.values().flatten())
        .collect();
    let [path] = paths.as_slice() else {
        return Err(Failure::message(format!(
            "'--profile' requires that the arguments produce a single store path, but there are {}",
            paths.len()
        )));
    };
    let profile = std::path::absolute(profile)?;
    crate::ui::show_changes(store, &profile, &BTreeSet::from([(*path).clone()]));
    Generations::add(store, &profile, path)?;
    Ok(())
}

/// Says what will be built and fetched.
pub fn show_missing(store: &dyn Store, missing: &Missing, level: Level) -> Result<(), Failure> {
    // Each line is a message of its own: programs that read the JSON log look for them.
    let list = |heading: &str, paths: &mut dyn Iterator<Item = &StorePath>| {
        progress::log(level, heading);
        for path in paths {
            progress::log(level, format_args!("  {}", store.dir().display(path)));
        }
    };
    if !missing.build.is_empty() {
        let mut order = topological_paths(store, &missing.build)?;
        order.reverse();
        let heading = match order.len() {
            1 => "this derivation will be built:".to_owned(),
            count => format!("these {count} derivations will be built:"),
        };
        list(&heading, &mut order.iter());
    }
    if !missing.substitute.is_empty() {
        let sizes = format!(
            "({} download, {} unpacked)",
            crate::ui::render_size(missing.download_size),
            crate::ui::render_size(missing.nar_size)
        );
        let heading = match missing.substitute.len() {
            1 => format!("this path will be fetched {sizes}:"),
            count => format!("these {count} paths will be fetched {sizes}:"),
        };
        list(&heading, &mut missing.substitute.iter());
    }
    if !missing.unknown.is_empty() {
        let heading = "don't know how to build these paths:";
        list(heading, &mut missing.unknown.iter());
    }
    Ok(())
}
