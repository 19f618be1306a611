//! One build, from locks to registered outputs.
//!
//! ```text
//! lock the outputs -> valid meanwhile? -> build user -> directories of ours alone -> environment
//!   -> sandbox -> builder, its log, its deadlines -> outputs -> registration -> hook
//! ```
//!
//! | part | what |
//! |---|---|
//! | `known` | the outputs' paths and what is there before building |
//! | `identity` | whether there is a sandbox, as whom the builder runs, its control group |
//! | `scratch`, `directories` | the paths that it is told, the directories that it gets |
//! | `spec` | what is executed |
//! | `follow` | its output, its deadlines, its exit |
//! | `failed` | what is left of a failure |

mod directories;
mod failed;
mod follow;
mod identity;
mod known;
mod scratch;
mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::BuildMode;
use super::backend::Backend;
use super::builtin;
use super::cancel::Cancel;
use super::cgroup::Cgroup;
use super::environment::{BuildEnvironment, EnvironmentInput};
use super::error::{BuildError, FailureKind};
use super::external::{self, Preparations};
use super::hooks;
use super::log::{BuildLog, LogFile};
use super::options::{Options, OptionsError};
use super::outputs::{Finished, FinishedBuild, finish_outputs};
use super::sandbox::{self, BuildUser, ExitStatus, SandboxSpec};
use super::workspace::{Workspace, write_files};
use crate::derivation::{BasicDerivation, Kind};
use crate::fetch::download::Downloader;
use crate::lock::PathLocks;
use crate::path::StorePath;
use crate::progress::{self, Activity, ActivityKind, Level};
use crate::remove::remove_tree;
use crate::settings::{Feature, Settings};
use identity::Held;
pub use known::{KnownOutputs, PathStatus};
use scratch::Scratch;

/// What builds share.
pub struct BuildContext<'a> {
    /// The store.
    pub store: &'a dyn Backend,
    /// The user's settings.
    pub settings: &'a Settings,
    /// For `builtin:fetchurl`.
    pub downloader: &'a Downloader,
    /// Tells builders to stop.
    pub cancel: &'a Cancel,
}

/// What to build.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The derivation's path.
    pub derivation_path: StorePath,
    /// The derivation, its inputs resolved.
    pub derivation: BasicDerivation,
    /// Its options.
    pub options: Options,
    /// Its kind.
    pub kind: Kind,
    /// The closure of its inputs.
    pub inputs: BTreeSet<StorePath>,
    /// Why.
    pub mode: BuildMode,
}

/// How an attempt ended without failing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Built, or checked.
    Built(BTreeMap<String, StorePath>),
    /// Somebody else built it meanwhile.
    AlreadyValid(BTreeMap<String, StorePath>),
    /// Somebody else is building it; try again later.
    Locked,
    /// All build users are at work; try again later.
    NoUser,
}

/// Tries to build.
pub fn build(context: &BuildContext<'_>, request: &BuildRequest) -> Result<Attempt, BuildError> {
    Job {
        context,
        request,
        store: context.store,
        settings: context.settings,
    }
    .run()
}

struct Job<'a> {
    context: &'a BuildContext<'a>,
    request: &'a BuildRequest,
    store: &'a dyn Backend,
    settings: &'a Settings,
}

/// All that has been made for a builder before it starts.
struct Prepared<'a> {
    /// Whether it gets a root of its own.
    isolated: bool,
    user: Option<&'a BuildUser>,
    scratch: Scratch,
    workspace: Workspace,
    /// The build directory as the builder sees it.
    directory: PathBuf,
    environment: BuildEnvironment,
}

impl Job<'_> {
    fn show(&self, path: &StorePath) -> String {
        self.store.dir().display(path).to_string()
    }

    fn real(&self, path: &StorePath) -> PathBuf {
        self.store.real_dir().join(path.base_name())
    }

    fn run(&self) -> Result<Attempt, BuildError> {
        if let Some(path) = &self.request.options.unresolved {
            return Err(BuildError::misc(OptionsError::NotInStore(path.clone())));
        }
        let known = self.known_outputs()?;
        let Some(mut locks) =
            PathLocks::try_acquire(self.lock_paths(&known)).map_err(BuildError::misc)?
        else {
            return Ok(Attempt::Locked);
        };
        // Somebody may have built it before we got the locks.
        let known = self.known_outputs()?;
        if let Some(attempt) = self.already_there(&known)? {
            locks.set_deletion(true);
            return Ok(attempt);
        }
        let isolated = self.isolated()?;
        let user = match self.acquire_user(isolated)? {
            Held::NotNeeded => None,
            Held::User(user) => Some(user),
            Held::NoneFree => return Ok(Attempt::NoUser),
        };
        let finished = self.build(&known, isolated, user.as_ref())?;
        drop(user);
        // Now that the outputs are in place, nobody will lock them again.
        locks.set_deletion(true);
        self.register(finished, locks).map(Attempt::Built)
    }

    fn build(
        &self,
        known: &KnownOutputs,
        isolated: bool,
        user: Option<&BuildUser>,
    ) -> Result<Finished, BuildError> {
        if let Some(user) = user.filter(|user| user.exclusive) {
            // Nothing of an earlier build may be alive when files are given to this user.
            sandbox::kill_processes_of(user.uid).map_err(BuildError::misc)?;
        }
        let mut prepared = self.prepare(known, isolated, user)?;
        let finished = self
            .run_builder(&prepared)
            .and_then(|()| self.finish(known, &prepared));
        match finished {
            Ok(outputs) => {
                for path in &prepared.scratch.redirected {
                    remove_tree(&self.real(path)).map_err(BuildError::misc)?;
                }
                Ok(outputs)
            }
            Err(error) => {
                self.keep_failed(&mut prepared.workspace, &error);
                if !isolated {
                    self.remove_failed_outputs(known, &prepared.scratch);
                }
                Err(error)
            }
        }
    }

    /// Chooses paths, makes directories, writes the files that the builder finds.
    fn prepare<'a>(
        &self,
        known: &KnownOutputs,
        isolated: bool,
        user: Option<&'a BuildUser>,
    ) -> Result<Prepared<'a>, BuildError> {
        let request = self.request;
        let scratch = self.choose_scratch_paths(known, isolated)?;
        let workspace = self.make_workspace(isolated, user)?;
        let directory = if isolated {
            self.settings.sandbox_build_dir.clone()
        } else if self.external_builder().is_some() {
            PathBuf::from(external::BUILD_DIR)
        } else {
            workspace.build.clone()
        };
        let environment = BuildEnvironment::new(
            self.store,
            &EnvironmentInput {
                derivation: &request.derivation,
                options: &request.options,
                kind: request.kind,
                inputs: &request.inputs,
                build_dir: directory.as_os_str().as_bytes(),
                rewrites: &scratch.rewrites,
                settings: self.settings,
            },
        )
        .map_err(BuildError::misc)?;
        write_files(&workspace.build, &environment, user)?;
        Ok(Prepared {
            isolated,
            user,
            scratch,
            workspace,
            directory,
            environment,
        })
    }

    /// Runs the builder, a program or a part of this one, to its end.
    fn run_builder(&self, prepared: &Prepared<'_>) -> Result<(), BuildError> {
        progress::log(
            Level::Chatty,
            format_args!(
                "executing builder '{}'",
                String::from_utf8_lossy(&self.request.derivation.builder)
            ),
        );
        let mut file = self.open_log()?;
        let result = if self.request.derivation.is_builtin() {
            self.run_builtin(prepared)
        } else {
            self.run_program(prepared, file.as_mut())
        };
        if let Some(file) = file {
            file.finish();
        }
        result
    }

    fn run_builtin(&self, prepared: &Prepared<'_>) -> Result<(), BuildError> {
        let log = self.start_activity();
        let directory = self.scratch_dir(&prepared.workspace);
        let paths = prepared.scratch.paths.iter();
        let outputs = paths
            .map(|(name, path)| (name.clone(), directory.join(path.base_name())))
            .collect();
        let _entered = log.activity().enter();
        builtin::run(
            self.context,
            self.request,
            &prepared.environment,
            &outputs,
            prepared.isolated,
        )
    }

    fn run_program(
        &self,
        prepared: &Prepared<'_>,
        file: Option<&mut LogFile>,
    ) -> Result<(), BuildError> {
        let group = if prepared.isolated {
            self.control_group(prepared.user)?
        } else {
            None
        };
        let spec = SandboxSpec {
            control_group: group.as_ref().map(Cgroup::entrance),
            ..self.spec(prepared)?
        };
        let preparations = Preparations::new(self.external_builder().is_some());
        let result = self.follow(&spec, file, preparations);
        if let Some(group) = group {
            let usage = group.end().map_err(BuildError::misc)?;
            progress::log(
                Level::Debug,
                format_args!(
                    "builder for '{}' used {:.3} s on processors and {:.3} s in the kernel",
                    self.show(&self.request.derivation_path),
                    usage.user.as_secs_f64(),
                    usage.system.as_secs_f64()
                ),
            );
        }
        result
    }

    /// The log of this build, as an activity for those who watch.
    fn start_activity(&self) -> BuildLog {
        let verb = match self.request.mode {
            BuildMode::Normal => "building",
            BuildMode::Repair => "repairing outputs of",
            BuildMode::Check => "checking outputs of",
        };
        let shown = self.show(&self.request.derivation_path);
        BuildLog::new(Activity::start(
            Level::Info,
            ActivityKind::Build,
            format!("{verb} '{shown}'"),
            &[shown.as_str().into(), "".into(), 1u64.into(), 1u64.into()],
        ))
    }

    fn open_log(&self) -> Result<Option<LogFile>, BuildError> {
        if !self.settings.keep_build_log {
            return Ok(None);
        }
        LogFile::create(
            self.store.log_dir(),
            &self.request.derivation_path,
            self.settings.compress_build_log,
        )
        .map(Some)
        .map_err(|error| BuildError::misc(format!("creating log file: {error}")))
    }

    /// Checks what the builder has left and moves it into place.
    fn finish(
        &self,
        known: &KnownOutputs,
        prepared: &Prepared<'_>,
    ) -> Result<Finished, BuildError> {
        let request = self.request;
        let builtin = request.derivation.is_builtin();
        finish_outputs(&FinishedBuild {
            store: self.store,
            settings: self.settings,
            derivation_path: &request.derivation_path,
            derivation: &request.derivation,
            options: &request.options,
            mode: request.mode,
            known,
            scratch: &prepared.scratch.paths,
            scratch_dir: &self.scratch_dir(&prepared.workspace),
            inputs: &request.inputs,
            owners: prepared
                .user
                .filter(|_| !builtin)
                .map(|user| user.uid..user.uid.saturating_add(user.count)),
            exposed: !request.kind.is_sandboxed() && !builtin,
            build_dir: &prepared.workspace.build,
        })
    }

    /// Registers the outputs: at once if somebody needs to see the rows, otherwise with those of other builds.
    fn register(
        &self,
        finished: Finished,
        locks: PathLocks,
    ) -> Result<BTreeMap<String, StorePath>, BuildError> {
        let Finished {
            paths,
            unregistered,
        } = finished;
        let now = !self.settings.post_build_hook.is_empty()
            || self.request.mode != BuildMode::Normal
            || self.request.kind.is_content_addressed();
        if now {
            self.store.register(&unregistered)?;
            self.register_realisations(&paths)?;
            let built: BTreeSet<StorePath> = paths.values().cloned().collect();
            hooks::run_post_build_hook(
                self.store,
                self.settings,
                &self.request.derivation_path,
                &built,
            )?;
        } else {
            self.store.register_later(unregistered, locks)?;
            self.register_realisations(&paths)?;
        }
        Ok(paths)
    }

    fn register_realisations(
        &self,
        outputs: &BTreeMap<String, StorePath>,
    ) -> Result<(), BuildError> {
        let wanted = self.settings.enabled(Feature::CaDerivations)
            && !self.request.kind.is_impure()
            && self.request.mode != BuildMode::Check;
        if wanted {
            for (name, path) in outputs {
                self.store
                    .register_realisation(&self.request.derivation_path, name, path)?;
            }
        }
        Ok(())
    }
}
