//! One build, from locks to registered outputs.
//!
//! ```text
//! lock the outputs -> valid meanwhile? -> build user -> directories of ours alone -> environment
//!   -> sandbox -> builder, its log, its deadlines -> outputs -> registration -> hook
//! ```

mod failed;
mod follow;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid};

use super::BuildMode;
use super::backend::Backend;
use super::builtin;
use super::cancel::Cancel;
use super::cgroup::Cgroup;
use super::environment::{BuildEnvironment, EnvironmentInput};
use super::error::{BuildError, FailureKind};
use super::external::{self, Preparations};
use super::hooks;
use super::layout;
use super::log::{BuildLog, LogFile};
use super::options::{Options, OptionsError};
use super::outputs::{Finished, FinishedBuild, finish_outputs};
use super::sandbox::{
    self, BuildUser, BuildUsers, ExitStatus, SandboxError, SandboxSpec, SandboxUser,
};
use super::workspace::{Workspace, make_private_dir, refuse_world_writable, write_files};
use crate::content_address::output_path_name;
use crate::derivation::{BasicDerivation, Kind, output_placeholder, rewrite};
use crate::fetch::download::Downloader;
use crate::lock::PathLocks;
use crate::path::StorePath;
use crate::progress::{self, Activity, ActivityKind, Level};
use crate::remove::remove_tree;
use crate::settings::{ExternalBuilder, SandboxMode, Settings};

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

/// An output path that is known before building.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownOutput {
    /// The path.
    pub path: StorePath,
    /// What is there.
    pub status: PathStatus,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathStatus {
    /// Nothing valid.
    Absent,
    /// What should be.
    Valid,
    /// It is registered, but its contents have changed.
    Corrupt,
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

/// Paths that the builder is told, and what follows from them.
struct Scratch {
    paths: BTreeMap<String, StorePath>,
    /// Placeholders and hash parts that are replaced in what the builder is told.
    rewrites: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Stand-ins for valid paths, removed in the end.
    redirected: Vec<StorePath>,
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
        if self.request.mode != BuildMode::Check
            && let Some(valid) = all_valid(&known)
        {
            locks.set_deletion(true);
            return Ok(Attempt::AlreadyValid(valid));
        }
        if self.request.mode != BuildMode::Check {
            for output in known.values().flatten() {
                if output.status == PathStatus::Absent {
                    remove_tree(&self.real(&output.path)).map_err(BuildError::misc)?;
                }
            }
        }
        let isolated = self.isolated()?;
        let user = match self.users(isolated) {
            None => None,
            Some(users) => {
                let wanted = if self.wants_user_range() { 1 << 16 } else { 1 };
                match users
                    .acquire(self.store.state_dir(), wanted)
                    .map_err(BuildError::misc)?
                {
                    Some(user) => Some(user),
                    None => return Ok(Attempt::NoUser),
                }
            }
        };
        let Finished {
            paths,
            unregistered,
        } = self.build(&known, isolated, user.as_ref())?;
        drop(user);
        // Now that the outputs are in place, nobody will lock them again.
        locks.set_deletion(true);
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
        Ok(Attempt::Built(paths))
    }

    /// Outputs with their paths and what is there, as far as that is known before building.
    fn known_outputs(&self) -> Result<BTreeMap<String, Option<KnownOutput>>, BuildError> {
        let request = self.request;
        let mut known = BTreeMap::new();
        for (name, output) in &request.derivation.outputs {
            let path = if request.kind.is_impure() {
                None
            } else {
                let declared = output
                    .path(self.store.dir(), &request.derivation.name, name)
                    .map_err(BuildError::misc)?;
                match declared {
                    Some(path) => Some(path),
                    None => self.store.realisation(&request.derivation_path, name)?,
                }
            };
            let output = match path {
                None => None,
                Some(path) => {
                    let status = if !self.store.is_valid(&path)? {
                        PathStatus::Absent
                    } else if request.mode == BuildMode::Repair
                        && !self.store.contents_are_good(&path)?
                    {
                        PathStatus::Corrupt
                    } else {
                        PathStatus::Valid
                    };
                    Some(KnownOutput { path, status })
                }
            };
            known.insert(name.clone(), output);
        }
        Ok(known)
    }

    fn lock_paths(&self, known: &BTreeMap<String, Option<KnownOutput>>) -> Vec<PathBuf> {
        known
            .iter()
            .map(|(name, output)| match output {
                Some(output) => self.real(&output.path),
                None => self.store.real_dir().join(format!(
                    "{}.{name}",
                    self.request.derivation_path.base_name()
                )),
            })
            .collect()
    }

    /// Whether the builder gets a root of its own.
    fn isolated(&self) -> Result<bool, BuildError> {
        if self.external_builder().is_some() {
            return Ok(false);
        }
        let no_chroot = self.request.options.no_chroot;
        let relocated = self.store.dir().as_path() != self.store.real_dir();
        let wanted = match self.settings.sandbox {
            SandboxMode::Enabled if no_chroot => {
                return Err(BuildError::misc(format!(
                    "derivation '{}' has '__noChroot' set, but that's not allowed when 'sandbox' is 'true'",
                    self.show(&self.request.derivation_path)
                )));
            }
            SandboxMode::Enabled => true,
            SandboxMode::Disabled => relocated,
            SandboxMode::Relaxed => relocated || (self.request.kind.is_sandboxed() && !no_chroot),
        };
        if !wanted || sandbox::namespaces_supported().isolation {
            return Ok(wanted);
        }
        if !self.settings.sandbox_fallback || relocated {
            return Err(BuildError::misc(SandboxError::NoNamespaces));
        }
        static WARNED: std::sync::Once = std::sync::Once::new();
        WARNED.call_once(|| {
            progress::warn(
                "auto-disabling sandboxing because the prerequisite namespaces are not available and 'sandbox-fallback' is enabled; use '--no-sandbox' or specify 'sandbox = false' setting to silence this warning",
            );
        });
        Ok(false)
    }

    /// The program that builds in the place of this machine, if there is one for the system.
    fn external_builder(&self) -> Option<&ExternalBuilder> {
        let derivation = &self.request.derivation;
        external::find(self.settings, derivation).filter(|_| !derivation.is_builtin())
    }

    fn users(&self, isolated: bool) -> Option<BuildUsers> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        if self.settings.auto_allocate_uids {
            return Some(BuildUsers::Range {
                start: self.settings.start_id,
                count: self.settings.id_count,
                exclusive: true,
            });
        }
        let group = &self.settings.build_users_group;
        // The default group need not exist.
        if !group.is_empty() && (group != "nixbld" || BuildUsers::group_exists(group)) {
            return Some(BuildUsers::Group(group.clone()));
        }
        if isolated && sandbox::namespaces_supported().user {
            return BuildUsers::unaccounted(self.settings.start_id, self.settings.id_count);
        }
        None
    }

    fn wants_user_range(&self) -> bool {
        self.request
            .options
            .required_system_features
            .contains("uid-range")
    }

    /// The builder's control group, where the user wants one or the builder has a range of users.
    fn control_group(&self, user: Option<&BuildUser>) -> Result<Option<Cgroup>, BuildError> {
        if self.settings.use_cgroups {
            if !self.settings.enabled(crate::settings::Feature::Cgroups) {
                return Err(BuildError::misc(
                    "experimental Nix feature 'cgroups' is disabled; add '--extra-experimental-features cgroups' to enable it",
                ));
            }
        } else if !self.wants_user_range() {
            return Ok(None);
        }
        match Cgroup::create(self.store.state_dir(), user) {
            Ok(group) => Ok(Some(group)),
            Err(error) if self.settings.use_cgroups => Err(BuildError::misc(error)),
            // What runs services inside of itself would like to have one, but most do without.
            Err(error) => {
                progress::log(Level::Debug, format_args!("no control group: {error}"));
                Ok(None)
            }
        }
    }

    fn build(
        &self,
        known: &BTreeMap<String, Option<KnownOutput>>,
        isolated: bool,
        user: Option<&BuildUser>,
    ) -> Result<Finished, BuildError> {
        let request = self.request;
        if let Some(user) = user.filter(|user| user.exclusive) {
            // Nothing of an earlier build may be alive when files are given to this user.
            sandbox::kill_processes_of(user.uid).map_err(BuildError::misc)?;
        }
        let scratch = self.choose_scratch_paths(known, isolated)?;
        let mut workspace = self.make_workspace(isolated, user)?;
        let external = self.external_builder();
        let seen_build_dir = if isolated {
            self.settings.sandbox_build_dir.clone()
        } else if external.is_some() {
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
                build_dir: seen_build_dir.as_os_str().as_bytes(),
                rewrites: &scratch.rewrites,
                settings: self.settings,
            },
        )
        .map_err(BuildError::misc)?;
        write_files(&workspace.build, &environment, user)?;

        progress::log(
            Level::Chatty,
            format_args!(
                "executing builder '{}'",
                String::from_utf8_lossy(&request.derivation.builder)
            ),
        );
        let verb = match request.mode {
            BuildMode::Normal => "building",
            BuildMode::Repair => "repairing outputs of",
            BuildMode::Check => "checking outputs of",
        };
        let shown = self.show(&request.derivation_path);
        let mut file = self.open_log()?;
        let start_activity = || {
            BuildLog::new(Activity::start(
                Level::Info,
                ActivityKind::Build,
                format!("{verb} '{shown}'"),
                &[shown.as_str().into(), "".into(), 1u64.into(), 1u64.into()],
            ))
        };
        let group = if isolated && !request.derivation.is_builtin() {
            self.control_group(user)?
        } else {
            None
        };
        let result = if request.derivation.is_builtin() {
            let log = start_activity();
            let outputs = scratch
                .paths
                .iter()
                .map(|(name, path)| {
                    (
                        name.clone(),
                        self.scratch_dir(&workspace).join(path.base_name()),
                    )
                })
                .collect();
            let _entered = log.activity().enter();
            builtin::run(self.context, request, &environment, &outputs, isolated)
        } else {
            let spec = SandboxSpec {
                control_group: group.as_ref().map(Cgroup::entrance),
                ..self.spec(
                    &workspace,
                    &environment,
                    &scratch,
                    isolated,
                    user,
                    &seen_build_dir,
                )?
            };
            let preparations = Preparations::new(external.is_some());
            self.run_builder(&spec, start_activity, file.as_mut(), preparations)
        };
        if let Some(file) = file {
            file.finish();
        }
        if let Some(group) = group {
            let usage = group.end().map_err(BuildError::misc)?;
            progress::log(
                Level::Debug,
                format_args!(
                    "builder for '{shown}' used {:.3} s on processors and {:.3} s in the kernel",
                    usage.user.as_secs_f64(),
                    usage.system.as_secs_f64()
                ),
            );
        }
        let finished = result.and_then(|()| {
            finish_outputs(&FinishedBuild {
                store: self.store,
                settings: self.settings,
                derivation_path: &request.derivation_path,
                derivation: &request.derivation,
                options: &request.options,
                mode: request.mode,
                known,
                scratch: &scratch.paths,
                scratch_dir: &self.scratch_dir(&workspace),
                inputs: &request.inputs,
                owners: user
                    .filter(|_| !request.derivation.is_builtin())
                    .map(|user| user.uid..user.uid.saturating_add(user.count)),
                exposed: !request.kind.is_sandboxed() && !request.derivation.is_builtin(),
                build_dir: &workspace.build,
            })
        });
        match finished {
            Ok(outputs) => {
                for path in &scratch.redirected {
                    remove_tree(&self.real(path)).map_err(BuildError::misc)?;
                }
                Ok(outputs)
            }
            Err(error) => {
                self.keep_failed(&mut workspace, &error);
                if !isolated {
                    self.remove_failed_outputs(known, &scratch);
                }
                Err(error)
            }
        }
    }

    /// Where the scratch paths are on the host.
    fn scratch_dir(&self, workspace: &Workspace) -> PathBuf {
        match &workspace.chroot {
            Some(chroot) => chroot.join("store"),
            None => self.store.real_dir().to_owned(),
        }
    }

    /// A builder without a root of its own cannot write to paths that are valid, so it gets others.
    fn choose_scratch_paths(
        &self,
        known: &BTreeMap<String, Option<KnownOutput>>,
        isolated: bool,
    ) -> Result<Scratch, BuildError> {
        let mut scratch = Scratch {
            paths: BTreeMap::new(),
            rewrites: BTreeMap::new(),
            redirected: Vec::new(),
        };
        for (name, output) in known {
            let path = match output {
                None => self.fallback_path(
                    &format!(
                        "rewrite:{}:name:{name}",
                        self.request.derivation_path.base_name()
                    ),
                    &output_path_name(&self.request.derivation.name, name),
                )?,
                Some(output) if isolated || output.status == PathStatus::Absent => {
                    output.path.clone()
                }
                Some(output) => {
                    let path = self.fallback_path(
                        &format!(
                            "rewrite:{}:{}",
                            self.request.derivation_path.base_name(),
                            output.path.base_name()
                        ),
                        output.path.name(),
                    )?;
                    scratch.rewrites.insert(
                        output.path.hash_part().as_bytes().to_vec(),
                        path.hash_part().as_bytes().to_vec(),
                    );
                    scratch.redirected.push(path.clone());
                    path
                }
            };
            if !isolated {
                let stale = output.as_ref().is_none_or(|output| output.path != path);
                if stale {
                    remove_tree(&self.real(&path)).map_err(BuildError::misc)?;
                }
            }
            scratch.rewrites.insert(
                output_placeholder(name).into_bytes(),
                self.store.dir().print(&path),
            );
            scratch.paths.insert(name.clone(), path);
        }
        Ok(scratch)
    }

    /// A path that no derivation and no content has.
    fn fallback_path(&self, kind: &str, name: &str) -> Result<StorePath, BuildError> {
        let zero = crate::hash::Hash::zero(crate::hash::Algorithm::Sha256);
        self.store
            .dir()
            .make_store_path(kind.as_bytes(), &zero, name)
            .map_err(BuildError::misc)
    }

    fn make_workspace(
        &self,
        isolated: bool,
        user: Option<&BuildUser>,
    ) -> Result<Workspace, BuildError> {
        let parent = self
            .settings
            .build_dir
            .clone()
            .unwrap_or_else(|| self.store.state_dir().join("builds"));
        let failed = |path: &Path, error: io::Error| {
            BuildError::misc(format!("creating directory '{}': {error}", path.display()))
        };
        fs::create_dir_all(&parent).map_err(|error| failed(&parent, error))?;
        if user.is_some_and(|user| user.exclusive) {
            refuse_world_writable(&parent)?;
        }
        let top = make_private_dir(&parent)?;
        let mut workspace = Workspace {
            build: top.clone(),
            top,
            chroot: None,
            keep: false,
        };
        let private = |path: &Path| {
            fs::DirBuilder::new()
                .mode(0o700)
                .create(path)
                .map_err(|error| failed(path, error))
        };
        if isolated || self.external_builder().is_some() {
            workspace.build = workspace.top.join("build");
            private(&workspace.build)?;
        }
        if isolated {
            let chroot = self.store.real_dir().join(format!(
                "{}.chroot",
                self.request.derivation_path.base_name()
            ));
            remove_tree(&chroot).map_err(|error| failed(&chroot, error))?;
            private(&chroot)?;
            workspace.chroot = Some(chroot.clone());
            for (name, mode) in [("root", 0o700), ("store", 0o1775), ("tmp", 0o1777)] {
                let path = chroot.join(name);
                private(&path)?;
                if mode != 0o700 {
                    fs::set_permissions(&path, PermissionsExt::from_mode(mode))
                        .map_err(|error| failed(&path, error))?;
                }
                if name == "store"
                    && let Some(user) = user
                {
                    rustix::fs::chown(&path, None, Some(Gid::from_raw(user.gid)))
                        .map_err(|error| failed(&path, error.into()))?;
                }
            }
        }
        if let Some(user) = user {
            rustix::fs::chown(
                &workspace.build,
                Some(Uid::from_raw(user.uid)),
                Some(Gid::from_raw(user.gid)),
            )
            .map_err(|error| failed(&workspace.build, error.into()))?;
        }
        Ok(workspace)
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

    fn spec(
        &self,
        workspace: &Workspace,
        environment: &BuildEnvironment,
        scratch: &Scratch,
        isolated: bool,
        user: Option<&BuildUser>,
        directory: &Path,
    ) -> Result<SandboxSpec, BuildError> {
        let request = self.request;
        let builder = &request.derivation.builder;
        let name = builder.rsplit(|&b| b == b'/').next().unwrap_or(builder);
        let mut arguments = vec![name.to_vec()];
        arguments.extend(
            request
                .derivation
                .args
                .iter()
                .map(|argument| rewrite(argument, &scratch.rewrites)),
        );
        if !isolated && Path::new("/homeless-shelter").exists() {
            return Err(BuildError::misc(
                "home directory '/homeless-shelter' exists; please remove it to assure purity of builds without sandboxing",
            ));
        }
        if let Some(external) = self.external_builder() {
            return self.external_spec(
                external,
                &arguments[1..],
                workspace,
                environment,
                scratch,
                user,
            );
        }
        let user_namespace = isolated && sandbox::namespaces_supported().user;
        if isolated && !user_namespace && user.is_none() {
            return Err(BuildError::misc(
                "cannot perform a sandboxed build because user namespaces are not enabled; check /proc/sys/user/max_user_namespaces",
            ));
        }
        let sandbox_user = self.sandbox_user(user_namespace, user);
        let isolation = match &workspace.chroot {
            None => None,
            Some(chroot) => Some(layout::isolation(
                &layout::LayoutInput {
                    store: self.store,
                    settings: self.settings,
                    derivation_path: &request.derivation_path,
                    derivation: &request.derivation,
                    options: &request.options,
                    private_network: request.kind.is_sandboxed(),
                    inputs: &request.inputs,
                    chroot,
                    build_dir: &workspace.build,
                    user_range: self.wants_user_range(),
                },
                user_namespace,
                sandbox_user.as_ref(),
            )?),
        };
        Ok(SandboxSpec {
            program: builder.clone(),
            arguments,
            environment: environment
                .variables
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            directory: directory.to_owned(),
            isolation,
            user: sandbox_user,
            personality: Some(layout::personality(
                &request.derivation.platform,
                self.settings.impersonate_linux_26,
            )),
            allow_new_privileges: self.settings.allow_new_privileges,
            filter_system_calls: self.settings.filter_syscalls,
            control_group: None,
        })
    }

    /// How the program for another system is called: like any other, but with the variables of this process.
    fn external_spec(
        &self,
        external: &ExternalBuilder,
        arguments: &[Vec<u8>],
        workspace: &Workspace,
        environment: &BuildEnvironment,
        scratch: &Scratch,
        user: Option<&BuildUser>,
    ) -> Result<SandboxSpec, BuildError> {
        let description = external::Description {
            store: self.store,
            derivation: &self.request.derivation,
            arguments,
            environment,
            inputs: &self.request.inputs,
            outputs: scratch.paths.iter().collect(),
            top: &workspace.top,
            build: &workspace.build,
        };
        let failed = |error: io::Error| {
            BuildError::misc(format!(
                "describing the build to '{}': {error}",
                external.program
            ))
        };
        let file = description.write().map_err(failed)?;
        if let Some(user) = user {
            for path in [&workspace.top, &file] {
                let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
                rustix::fs::chown(path, Some(uid), Some(gid))
                    .map_err(|error| failed(error.into()))?;
            }
        }
        let mut arguments = vec![external.program.as_bytes().to_vec()];
        arguments.extend(
            external
                .args
                .iter()
                .map(|argument| argument.as_bytes().to_vec()),
        );
        arguments.push(file.into_os_string().into_vec());
        Ok(SandboxSpec {
            program: external.program.as_bytes().to_vec(),
            arguments,
            environment: std::env::vars_os()
                .map(|(name, value)| (name.into_vec(), value.into_vec()))
                .collect(),
            directory: workspace.build.clone(),
            isolation: None,
            user: self.sandbox_user(false, user),
            personality: None,
            allow_new_privileges: self.settings.allow_new_privileges,
            filter_system_calls: false,
            control_group: None,
        })
    }

    fn sandbox_user(&self, user_namespace: bool, user: Option<&BuildUser>) -> Option<SandboxUser> {
        let range = user.is_some_and(|user| user.count > 1);
        // Where nobody can set groups, root of a container included, nobody is asked to.
        let may_keep_groups = !self.settings.require_drop_supplementary_groups
            || fs::read("/proc/self/setgroups").is_ok_and(|text| text.starts_with(b"deny"));
        let (inside_uid, inside_gid) = if range { (0, 0) } else { (1000, 100) };
        match (user, user_namespace) {
            (Some(user), true) => Some(SandboxUser {
                inside_uid,
                inside_gid,
                outside_uid: user.uid,
                outside_gid: user.gid,
                count: user.count,
                groups: Vec::new(),
                may_keep_groups,
            }),
            (Some(user), false) => Some(SandboxUser {
                inside_uid: user.uid,
                inside_gid: user.gid,
                outside_uid: user.uid,
                outside_gid: user.gid,
                count: 1,
                groups: user.groups.clone(),
                may_keep_groups: false,
            }),
            (None, true) => Some(SandboxUser {
                inside_uid,
                inside_gid,
                outside_uid: rustix::process::geteuid().as_raw(),
                outside_gid: rustix::process::getegid().as_raw(),
                count: 1,
                groups: Vec::new(),
                may_keep_groups,
            }),
            (None, false) => None,
        }
    }

    fn register_realisations(
        &self,
        outputs: &BTreeMap<String, StorePath>,
    ) -> Result<(), BuildError> {
        let wanted = self
            .settings
            .enabled(crate::settings::Feature::CaDerivations)
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

fn all_valid(known: &BTreeMap<String, Option<KnownOutput>>) -> Option<BTreeMap<String, StorePath>> {
    known
        .iter()
        .map(|(name, output)| match output {
            Some(output) if output.status == PathStatus::Valid => {
                Some((name.clone(), output.path.clone()))
            }
            _ => None,
        })
        .collect()
}
