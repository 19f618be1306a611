//! `rx-env`: packages of a user, installed into profiles whose generations can be gone back to.
//!
//! | file | what |
//! |---|---|
//! | `options` | the command line |
//! | `item` | a package, installed or available |
//! | `source` | where available packages come from |
//! | `installed` | the packages of a profile, and making it have others |
//! | `selectors` | choosing packages by name and version |
//! | `install`, `upgrade`, `flags` | the operations that change packages |
//! | `query`, `table` | listing |
//! | `generations` | switching and deleting |

mod flags;
mod generations;
mod install;
pub mod installed;
pub mod item;
mod options;
mod query;
pub mod selectors;
pub mod source;
mod table;
mod upgrade;

pub use generations::{days_ago, deletion, list as list_generations, switch as switch_generation};

use std::path::PathBuf;
use std::sync::Arc;

use rx_store::profile::default_profile;
use rx_store::progress;
use rx_store::store::{BuildMode, Store};

use self::installed::Commit;
use self::options::{Columns, Operation, Upgrade};
use self::source::Source;
use crate::cli::{ClassicCommand, EvalOptions, Invocation};
use crate::eval_session::{EvalSession, with_session};
use crate::ui::{Failure, UsageError};

/// Options of `rx-env`.
#[derive(Default)]
pub struct Env {
    eval: EvalOptions,
    operation: Option<Operation>,
    several_operations: bool,
    /// Flags that were given, with the operations that have them.
    special: Vec<(&'static str, &'static [Operation])>,
    profile: Option<PathBuf>,
    source: Source,
    dry_run: bool,
    mode: BuildMode,
    prebuilt_only: bool,
    force_name: Vec<u8>,
    preserve_installed: bool,
    remove_all: bool,
    priority: Option<i64>,
    upgrade: Upgrade,
    columns: Columns,
    arguments: Vec<Vec<u8>>,
}

impl ClassicCommand for Env {
    const NAME: &'static str = "env";
    const ABOUT: &'static str = "install, upgrade, list and remove packages";
    const USAGE: &'static [&'static str] = &[
        "-i [-A | -E] [-P] [-r] [--priority N] [--from-profile PATH] ARGUMENT...",
        "-u [--lt | --leq | --eq | --always] [-A] [NAME...]",
        "-e NAME...",
        "-q [-a] [-c] [-s] [-P] [--out-path] [--drv-path] [--json | --xml] [NAME...]",
        "--set PACKAGE",
        "--set-flag priority|active|keep VALUE NAME...",
        "--rollback | -G NUMBER | --list-generations | --delete-generations WHICH...",
        "-S PROFILE",
    ];
    const DETAILS: &'static str = "\
Packages are named by NAME or NAME-VERSION, where NAME is a regular expression; '*' means all. With -A arguments are \
attribute paths, which is faster and exact. With '-q -a -A PATH' only packages below PATH are listed. Arguments with \
a slash are store paths.

Packages come from ~/.nix-defexpr (channels), or from the file given with -f.";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let Some(operation) = self.operation else {
            return Err(UsageError::new("no operation specified").into());
        };
        if self.several_operations {
            return Err(UsageError::new("only one operation may be specified").into());
        }
        let unknown = self
            .special
            .iter()
            .find(|(_, operations)| !operations.contains(&operation));
        if let Some((flag, _)) = unknown {
            return Err(UsageError::new(format!("unknown flag '{flag}'")).into());
        }
        if self.dry_run {
            progress::info("(dry run; not doing anything)");
        }
        let profile = self.profile_path(invocation)?;
        match operation {
            Operation::SwitchProfile
            | Operation::SwitchGeneration
            | Operation::Rollback
            | Operation::ListGenerations
            | Operation::DeleteGenerations => {
                return self.change_generations(invocation, operation, &profile);
            }
            _ => {}
        }
        let read_only = operation == Operation::Query;
        with_session(invocation, &self.eval, read_only, |session| {
            let store = session.store()?;
            let mut work = Work {
                env: &self,
                invocation,
                store,
                profile: &profile,
                session,
            };
            match operation {
                Operation::Install => work.install(),
                Operation::Upgrade => work.upgrade(),
                Operation::Uninstall => work.uninstall(),
                Operation::Set => work.set(),
                Operation::SetFlag => work.set_flag(),
                _ => work.query(),
            }
        })
    }
}

impl Env {
    /// The profile to work on: that of the command line, of `NIX_PROFILE`, or the user's.
    fn profile_path(&self, invocation: &Invocation) -> Result<PathBuf, Failure> {
        let variable = || std::env::var_os("NIX_PROFILE").filter(|value| !value.is_empty());
        let named = self
            .profile
            .clone()
            .or_else(|| variable().map(PathBuf::from));
        Ok(match named {
            Some(path) => rx_store::settings::clean(&std::path::absolute(path)?),
            None => default_profile(&invocation.settings),
        })
    }
}

/// An operation at work.
struct Work<'a> {
    env: &'a Env,
    invocation: &'a Invocation,
    store: Arc<dyn Store>,
    profile: &'a std::path::Path,
    session: &'a mut EvalSession,
}

impl<'a> Work<'a> {
    /// A commit of a list whose first `new` packages are new.
    fn commit(&self, format: installed::Format, new: usize) -> Commit<'a> {
        Commit {
            store: self.store.clone(),
            profile: self.profile,
            format,
            mode: self.env.mode,
            keep_derivations: self.invocation.settings.keep_env_derivations,
            new,
        }
    }

    /// The packages that the arguments mean.
    fn query_source(&mut self, choice: selectors::Choice) -> Result<Vec<item::Item>, Failure> {
        let env = self.env;
        env.source.query(
            self.session,
            self.invocation,
            &*self.store,
            &env.arguments,
            choice,
        )
    }

    /// Evaluates something about a package.
    fn of<T>(
        &mut self,
        run: impl FnOnce(&mut rx_eval::Vm) -> rx_eval::Result<T>,
    ) -> Result<T, Failure> {
        let result = run(&mut self.session.vm);
        self.session.check(result)
    }
}
