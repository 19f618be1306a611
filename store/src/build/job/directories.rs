//! The directories that a build gets on the host.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Gid, Uid};

use super::{BuildError, Job, Workspace};
use crate::build::sandbox::BuildUser;
use crate::build::workspace::{make_private_dir, refuse_world_writable};
use crate::remove::remove_tree;

impl Job<'_> {
    /// Those of one build, removed with the result.
    pub(super) fn make_workspace(
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
}
