//! `rx shell`: a shell, or a command, that has packages in its `PATH`.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rx_store::path::StorePath;
use rx_store::store::{BuildMode, Store};

use crate::cli::{Category, EnvironmentOptions, Invocation, Subcommand};
use crate::execute::Program;
use crate::operands::Operands;
use crate::realise::{Run, plain_failure, realise};
use crate::ui::Failure;

/// Arguments of `rx shell`.
#[derive(clap::Args)]
pub struct ShellNew {
    #[command(flatten)]
    environment: EnvironmentOptions,
    /// Run a command with its arguments instead of a shell; everything that follows belongs to it.
    #[arg(long, short = 'c', value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true)]
    command: Vec<OsString>,
    #[command(flatten)]
    operands: Operands,
}

impl Subcommand for ShellNew {
    const PATH: &'static str = "env shell";
    const ABOUT: &'static str = "Start a shell, or run a command, that has packages in its PATH";
    const CATEGORY: Category = Category::Main;
    const DETAILS: &'static str = "\
Examples:\n  rx shell nixpkgs#hello                     a shell with hello\n  \
rx shell -f '<nixpkgs>' git jq -c git log  one command\n  \
rx shell /nix/store/…-hello-2.12           what is in the store already\n";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let named = self.operands.find(invocation, None)?;
        named.prepare();
        let store = &*named.store;
        realise(
            store,
            &invocation.settings,
            &named.derived(),
            BuildMode::Normal,
            Run::Real,
            plain_failure,
        )?;
        let mut todo = VecDeque::new();
        for (_, outputs) in named.outputs()? {
            todo.extend(outputs.into_values().flatten());
        }
        let mut environment = self.environment.apply()?;
        let mut directories = program_directories(store, todo)?;
        if let Some(path) = environment.get(std::ffi::OsStr::new("PATH")) {
            directories.extend(std::env::split_paths(path));
        }
        environment.insert("PATH".into(), std::env::join_paths(directories)?);
        let mut command = VecDeque::from(self.command);
        let program = command.pop_front().unwrap_or_else(|| {
            std::env::var_os("SHELL")
                .filter(|shell| !shell.is_empty())
                .unwrap_or_else(|| "bash".into())
        });
        let mut program = Program::new(program, command.into());
        program.environment = Some(environment.into_iter().collect());
        Err(program.execute(store))
    }
}

/// Where the programs of packages are, and of those that they bring with them.
fn program_directories(
    store: &dyn Store,
    mut todo: VecDeque<StorePath>,
) -> Result<Vec<PathBuf>, Failure> {
    let mut done = BTreeSet::new();
    let mut directories = Vec::new();
    while let Some(path) = todo.pop_front() {
        if !done.insert(path.clone()) {
            continue;
        }
        let package = crate::store_session::shown(store, &path);
        directories.push(resolve(store, &package.join("bin"))?);
        let more = resolve(
            store,
            &package.join("nix-support/propagated-user-env-packages"),
        )?;
        if let Some(more) = on_disk(store, &more)
            && let Ok(text) = std::fs::read(more)
        {
            let words = text.split(u8::is_ascii_whitespace);
            for word in words.filter(|word| !word.is_empty()) {
                todo.push_back(store.dir().parse(word)?);
            }
        }
    }
    Ok(directories)
}

/// Where a path of the store lies on this machine's disk.
fn on_disk(store: &dyn Store, path: &Path) -> Option<PathBuf> {
    let (object, rest) = store.dir().split(path.as_os_str().as_bytes()).ok()?;
    let real = store.real_path(&object)?;
    let rest = rest.strip_prefix(b"/").unwrap_or(&rest);
    // Joining nothing would add a slash, which follows links.
    Some(match rest {
        [] => real,
        rest => real.join(std::ffi::OsStr::from_bytes(rest)),
    })
}

/// The path with links followed as programs will see them; it has to stay in the store.
fn resolve(store: &dyn Store, path: &Path) -> Result<PathBuf, Failure> {
    let not_in_store = |path: &Path| {
        Failure::message(format!("path '{}' is not in the Nix store", path.display()))
    };
    let mut left: VecDeque<OsString> = path.iter().skip(1).map(OsString::from).collect();
    let mut resolved = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            resolved.pop();
            continue;
        }
        resolved.push(&name);
        let Some(real) = on_disk(store, &resolved) else {
            continue;
        };
        let Ok(target) = std::fs::read_link(&real) else {
            continue;
        };
        links += 1;
        if links > 40 {
            return Err(Failure::message(format!(
                "too many symbolic links in '{}'",
                path.display()
            )));
        }
        resolved.pop();
        if target.is_absolute() {
            resolved = PathBuf::from("/");
        }
        let more = target.iter().filter(|part| *part != "/" && *part != ".");
        for part in more
            .map(OsString::from)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            left.push_front(part);
        }
    }
    if store.dir().contains(resolved.as_os_str().as_bytes()) {
        Ok(resolved)
    } else {
        Err(not_in_store(&resolved))
    }
}
