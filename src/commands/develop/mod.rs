//! `rx develop` and `rx print-dev-env`: the environment of a derivation's builder, for people.

mod environment;
mod script;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rx_store::path::StorePath;
use rx_store::profile::Generations;
use rx_store::progress::{self, Level};
use rx_store::store::{DerivedPath, Store};

use self::environment::{Environment, build_environment};
use self::script::start_script;
use super::shell::setup::Bash as Shell;
use super::shell::{build_bash, choose_bash, flake_bash};
use crate::cli::{Category, EnvironmentOptions, EvalOptions, Invocation, JsonOptions, Subcommand};
use crate::eval_session::{EvalSession, with_session};
use crate::execute::{Program, find_program, quote};
use crate::installables::{FlakeInstallable, Lookup, Named, SourceOptions};
use crate::ui::{self, Failure, UsageError};

/// What both commands take.
#[derive(clap::Args)]
struct Common {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    options: EvalOptions,
    /// Make a generation of this profile from the environment; given as argument later, it is used again.
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
    /// Replace the store paths of a package by those in a directory; can be repeated.
    #[arg(
        long,
        num_args = 2,
        value_names = ["WHAT", "DIRECTORY"],
        action = clap::ArgAction::Append
    )]
    redirect: Vec<OsString>,
}

/// What was found out about the thing that is to be developed.
struct Found {
    store: Arc<dyn Store>,
    environment: Environment,
    /// The file of the environment.
    file: StorePath,
    /// The derivation, if it was not just a stored environment.
    derivation: Option<StorePath>,
    /// Where the flake is, if it is a directory.
    directory: Option<PathBuf>,
    /// A bash for people that the flake's nixpkgs has.
    bash: Option<StorePath>,
    redirects: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Whether a bash for people is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bash {
    Wanted,
    Unwanted,
}

impl Common {
    fn find(
        &self,
        invocation: &Invocation,
        what: Option<&OsString>,
        bash: Bash,
    ) -> Result<Found, Failure> {
        let invocation = self.source.adapt(invocation)?;
        let evaluated = with_session(&invocation, &self.options, false, |session| {
            self.evaluate(session, &invocation, what, bash)
        })?;
        let (thing, directory, bash, redirects) = evaluated;
        let store = crate::store_session::open_store(&invocation)?;
        store.flush()?;
        let (file, derivation) = match thing {
            Thing::Environment(path) => {
                store.ensure_path(&path)?;
                (path, None)
            }
            Thing::Derivation(path) => {
                store.add_temp_root(&path)?;
                (build_environment(&*store, &path)?, Some(path))
            }
        };
        if let Some(profile) = &self.profile {
            Generations::add(&*store, &std::path::absolute(profile)?, &file)?;
        }
        Ok(Found {
            environment: Environment::read(&*store, &file)?,
            store,
            file,
            derivation,
            directory,
            bash,
            redirects,
        })
    }

    fn evaluate(
        &self,
        session: &mut EvalSession,
        invocation: &Invocation,
        what: Option<&OsString>,
        bash: Bash,
    ) -> Result<Evaluated, Failure> {
        let lookup = Lookup::shells(invocation);
        let named = self.source.name_one(session, what, &lookup)?;
        let thing = match &named {
            Named::Store {
                path: DerivedPath::Opaque(path),
                ..
            } if path.name().ends_with("-env") => Thing::Environment(path.clone()),
            named => Thing::Derivation(one_derivation(session, named)?),
        };
        let (mut directory, mut bash_path) = (None, None);
        if let Named::Flake(flake) = &named {
            directory = flake_directory(session, flake)?;
            if bash == Bash::Wanted {
                bash_path = flake_bash(session, flake);
            }
        }
        let mut redirects = BTreeMap::new();
        for pair in self.redirect.chunks(2) {
            let [what, directory] = pair else { continue };
            let directory = std::path::absolute(directory)?;
            let packages = Lookup::packages(invocation);
            let named = self
                .source
                .name(session, std::slice::from_ref(what), &packages)?;
            for path in output_paths(session, &named)? {
                redirects.insert(path, directory.as_os_str().as_bytes().to_vec());
            }
        }
        Ok((thing, directory, bash_path, redirects))
    }
}

type Evaluated = (
    Thing,
    Option<PathBuf>,
    Option<StorePath>,
    BTreeMap<Vec<u8>, Vec<u8>>,
);

enum Thing {
    /// An environment that was built before.
    Environment(StorePath),
    Derivation(StorePath),
}

/// The directory of a flake that lies on this machine.
fn flake_directory(
    session: &mut EvalSession,
    flake: &FlakeInstallable,
) -> Result<Option<PathBuf>, Failure> {
    let locked = flake.locked(session)?;
    Ok(locked.flake.resolved.input.source_path())
}

/// The derivation that an argument means.
fn one_derivation(session: &mut EvalSession, named: &Named) -> Result<StorePath, Failure> {
    let store = session.store()?;
    let mut found = Vec::new();
    for installable in named.installables(session)? {
        let derivation = match installable.path {
            DerivedPath::Built { drv, .. } => drv.base().clone(),
            DerivedPath::Opaque(path) if path.is_derivation() => path,
            DerivedPath::Opaque(path) => {
                let deriver = store.path_info(&path)?.deriver.clone();
                deriver.ok_or_else(|| {
                    Failure::message(format!(
                        "'{}' does not have a known deriver",
                        store.dir().display(&path)
                    ))
                })?
            }
        };
        if !found.contains(&derivation) {
            found.push(derivation);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        count => Err(Failure::message(format!(
            "'{}' needs to evaluate to a single derivation, but it evaluated to {count} derivations",
            named.what()
        ))),
    }
}

/// The paths of what arguments name, as far as they are known without building.
fn output_paths(session: &mut EvalSession, named: &[Named]) -> Result<Vec<Vec<u8>>, Failure> {
    let store = session.store()?;
    let mut paths = Vec::new();
    for named in named {
        for installable in named.installables(session)? {
            match installable.path {
                DerivedPath::Opaque(path) => paths.push(store.dir().print(&path)),
                DerivedPath::Built { drv, outputs } => {
                    for (name, path) in store.query_derivation_outputs(drv.base())? {
                        if let Some(path) = path.filter(|_| outputs.contains(&name)) {
                            paths.push(store.dir().print(&path));
                        }
                    }
                }
            }
        }
    }
    Ok(paths)
}

impl Found {
    fn script(&self, files: &Path) -> Result<Vec<u8>, Failure> {
        let outputs = std::env::current_dir()?.join("outputs");
        for path in self.redirects.keys() {
            let shown = String::from_utf8_lossy(path);
            let used = self.environment.to_bash(&[]);
            if !used.windows(path.len()).any(|part| part == path) {
                progress::warn(format_args!(
                    "'{shown}' is not used by this build environment"
                ));
            }
        }
        start_script(&self.environment, &self.redirects, &outputs, files)
    }
}

/// Arguments of `rx develop`.
#[derive(clap::Args)]
pub struct Develop {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    environment: EnvironmentOptions,
    /// Run a command with its arguments instead of a shell; everything that follows belongs to it.
    #[arg(long, short = 'c', value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true)]
    command: Vec<OsString>,
    /// Run a phase of the build.
    #[arg(long, value_name = "NAME", conflicts_with = "command")]
    phase: Option<String>,
    /// Run the phase that unpacks sources.
    #[arg(long)]
    unpack: bool,
    /// Run the phase that configures.
    #[arg(long)]
    configure: bool,
    /// Run the phase that builds.
    #[arg(long)]
    build: bool,
    /// Run the phase that checks what was built.
    #[arg(long)]
    check: bool,
    /// Run the phase that installs.
    #[arg(long)]
    install: bool,
    /// Run the phase that checks what was installed.
    #[arg(long)]
    installcheck: bool,
    /// An attribute, a derivation, or an environment that was built before.
    #[arg(value_name = "WHAT")]
    what: Option<OsString>,
}

impl Subcommand for Develop {
    const PATH: &'static str = "develop";
    const ABOUT: &'static str = "Start a shell with the build environment of a derivation";
    const CATEGORY: Category = Category::Main;
    const DETAILS: &'static str = "\
Examples:\n  rx develop                        the shell of the flake here\n  \
rx develop -f . hello             the build environment of an attribute\n  \
rx develop -f . hello --build     run its build phase here\n  \
rx develop -f . hello -c make     run a command in it\n";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let phase = self.phase()?;
        let for_people = phase.is_none() && self.command.is_empty();
        let found = self
            .common
            .find(invocation, self.what.as_ref(), Bash::Wanted)?;
        let store = &*found.store;
        let bash = self.bash(&found)?;
        let files = tempfile::Builder::new().prefix("nix-develop-").tempdir()?;
        let start = files.path().join("rc");
        let mut script = found.script(files.path())?;
        if progress::wanted(Level::Debug) {
            script.extend_from_slice(b"set -x\n");
        }
        let remove = find_program("rm").map_or("rm".into(), PathBuf::into_os_string);
        let mut line = |parts: &[&[u8]]| script.extend(parts.concat());
        let directory = quote(files.path().as_os_str());
        let cleanup = [&quote(&remove)[..], b" -rf ", &directory].concat();
        let structured = found.environment.structured.is_some();
        if for_people || phase.is_some() {
            line(&[
                b"_rx_shell_clean() { ",
                &cleanup,
                b"; }\ntrap _rx_shell_clean EXIT\n",
            ]);
        } else if !structured {
            line(&[&cleanup, b"\n"]);
        }
        if let Some(phase) = &phase {
            // Some phases rely on what the one before has found.
            line(&[
                b"foundMakefile=1\nif declare -f runPhase >/dev/null; then\n  runPhase ",
                phase.as_bytes(),
                b"Phase\nelse\n  runHook ",
                phase.as_bytes(),
                b"Phase\nfi\n",
            ]);
        } else if !self.command.is_empty() {
            line(&[b"exec"]);
            for word in &self.command {
                line(&[b" ", &quote(word)]);
            }
            line(&[b"\n"]);
        } else {
            script = for_a_person(invocation, script);
        }
        let shell = bash.file.as_os_str();
        script.extend([b"SHELL=", &quote(shell)[..], b"\n"].concat());
        if let Some(parent) = bash.file.parent().filter(|_| bash.in_path) {
            let parent = quote(parent.as_os_str());
            script.extend([b"PATH=", &parent[..], b"${PATH:+:$PATH}\n"].concat());
        }
        std::fs::write(&start, &script)?;

        let mut environment = self.environment.apply()?;
        // What a process has in its environment is not collected.
        environment.insert(
            "NIX_GCROOT".into(),
            OsStr::from_bytes(&store.dir().print(&found.file)).into(),
        );
        environment.insert("SHELL".into(), shell.to_owned());
        let name = bash.file.file_name().unwrap_or("bash".as_ref()).to_owned();
        let mut arguments = vec![start.into_os_string()];
        if for_people {
            arguments.insert(0, "--rcfile".into());
        }
        if phase.is_some()
            && let Some(directory) = &found.directory
        {
            std::env::set_current_dir(directory)?;
        }
        let files = files.keep();
        let failure = Program {
            file: shell.to_owned(),
            name,
            arguments,
            environment: Some(environment.into_iter().collect()),
            system: found.environment.text("system").map(str::to_owned),
        }
        .execute(store);
        let _ = std::fs::remove_dir_all(files);
        Err(failure)
    }
}

impl Develop {
    fn phase(&self) -> Result<Option<String>, UsageError> {
        let named = [
            (self.unpack, "unpack"),
            (self.configure, "configure"),
            (self.build, "build"),
            (self.check, "check"),
            (self.install, "install"),
            (self.installcheck, "installCheck"),
        ];
        let flag = named.iter().find(|(given, _)| *given);
        let phase = self
            .phase
            .clone()
            .or_else(|| flag.map(|(_, name)| (*name).to_owned()));
        if let Some(phase) = &phase {
            if !self.command.is_empty() {
                return Err(UsageError::new(
                    "you cannot use both '--command' and '--phase'",
                ));
            }
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if phase.is_empty() || !phase.bytes().all(plain) {
                return Err(UsageError::new(format!("'{phase}' is no name of a phase")));
            }
        }
        Ok(phase)
    }

    fn bash(&self, found: &Found) -> Result<Shell, Failure> {
        let store = &*found.store;
        if let Some(derivation) = &found.bash
            && let Some(bash) = build_bash(store, derivation)
        {
            return Ok(bash);
        }
        let derivation = match &found.derivation {
            Some(path) => store.read_derivation(path)?,
            None => rx_store::derivation::Derivation::default(),
        };
        choose_bash(store, &derivation, None, Level::Debug)
    }
}

/// The script for a shell that somebody types into: their own settings first, and their prompt.
fn for_a_person(invocation: &Invocation, script: Vec<u8>) -> Vec<u8> {
    let mut text = b"[ -n \"$PS1\" ] && [ -e ~/.bashrc ] && source ~/.bashrc\n\
        shopt -u expand_aliases\n"
        .to_vec();
    text.extend(script);
    text.extend_from_slice(b"\nshopt -s expand_aliases\n");
    let settings = &invocation.settings;
    for (value, before, after) in [
        (&settings.bash_prompt, "PS1=", ""),
        (&settings.bash_prompt_prefix, "PS1=", "\"$PS1\""),
        (&settings.bash_prompt_suffix, "PS1+=", ""),
    ] {
        if !value.is_empty() {
            text.extend(format!("[ -n \"$PS1\" ] && {before}").bytes());
            text.extend(quote(value.as_ref()));
            text.extend(format!("{after}\n").bytes());
        }
    }
    text
}

/// Arguments of `rx print-dev-env`.
#[derive(clap::Args)]
pub struct PrintDevEnv {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    json: JsonOptions,
    /// An attribute, a derivation, or an environment that was built before.
    #[arg(value_name = "WHAT")]
    what: Option<OsString>,
}

impl Subcommand for PrintDevEnv {
    const PATH: &'static str = "print-dev-env";
    const ABOUT: &'static str = "Print what gives a bash the build environment of a derivation";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let found = self
            .common
            .find(invocation, self.what.as_ref(), Bash::Unwanted)?;
        if self.json.json {
            return self.json.print(&found.environment.to_json());
        }
        let files = tempfile::Builder::new().prefix("nix-dev-env-").tempdir()?;
        let script = found.script(files.path())?;
        if found.environment.structured.is_some() {
            // The script refers to them.
            let _ = files.keep();
        }
        ui::print_bytes(&script)
    }
}
