//! As whom a builder runs, and behind which walls: sandbox or not, users, a control group.

use super::{BuildError, Job};
use crate::build::cgroup::Cgroup;
use crate::build::external;
use crate::build::sandbox::{self, BuildUser, BuildUsers, SandboxError, SandboxUser};
use crate::progress::{self, Level};
use crate::settings::{ExternalBuilder, Feature, SandboxMode};

impl Job<'_> {
    /// Whether the builder gets a root of its own.
    pub(super) fn isolated(&self) -> Result<bool, BuildError> {
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
    pub(super) fn external_builder(&self) -> Option<&ExternalBuilder> {
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

    /// Whether it asks for many users, to be root of a system inside.
    pub(super) fn wants_user_range(&self) -> bool {
        self.request
            .options
            .required_system_features
            .contains("uid-range")
    }

    /// The builder's control group, where the user wants one or the builder has a range of users.
    pub(super) fn control_group(
        &self,
        user: Option<&BuildUser>,
    ) -> Result<Option<Cgroup>, BuildError> {
        if self.settings.use_cgroups {
            if !self.settings.enabled(Feature::Cgroups) {
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

    /// The user inside and outside; nobody means as the caller.
    pub(super) fn sandbox_user(
        &self,
        user_namespace: bool,
        user: Option<&BuildUser>,
    ) -> Option<SandboxUser> {
        let range = user.is_some_and(|user| user.count > 1);
        let may_keep_groups = !self.settings.require_drop_supplementary_groups;
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

    /// A user for the builder where there are some; [`Held::NoneFree`] if all are at work.
    pub(super) fn acquire_user(&self, isolated: bool) -> Result<Held, BuildError> {
        let Some(users) = self.users(isolated) else {
            return Ok(Held::NotNeeded);
        };
        let wanted = if self.wants_user_range() { 1 << 16 } else { 1 };
        let user = users
            .acquire(self.store.state_dir(), wanted)
            .map_err(BuildError::misc)?;
        Ok(user.map_or(Held::NoneFree, Held::User))
    }
}

/// The user of a builder, for as long as this lives.
pub(super) enum Held {
    /// The builder runs as the caller.
    NotNeeded,
    /// Somebody else has to finish first.
    NoneFree,
    /// Nobody else's.
    User(BuildUser),
}
