//! What is left of a build that failed: the message, the directory that is kept, the outputs that go.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::report::{known_output_list, log_excerpt};
use super::{
    BuildError, BuildLog, ExitStatus, FailureKind, Job, KnownOutputs, PathStatus, Scratch,
    Workspace,
};
use crate::progress::{self, Level};
use crate::remove::remove_tree;

impl Job<'_> {
    /// The report on a builder that failed.
    pub(super) fn builder_failed(&self, status: ExitStatus, log: &BuildLog) -> BuildError {
        let request = self.request;
        let shown = self.show(&request.derivation_path);
        let mut message = format!("Cannot build '{shown}'.\nReason: builder {status}.");
        message += &known_output_list(self.store, &request.derivation);
        if log
            .tail()
            .0
            .last()
            .is_some_and(|line| line.starts_with("error: executing '"))
        {
            message += &format!(
                "\nnote: its builder '{}' could not be run",
                String::from_utf8_lossy(&request.derivation.builder)
            );
        }
        if !progress::logger().shows_build_logs() {
            message += &log_excerpt(log, self.settings.log_lines);
            let command = if self.settings.enabled(crate::settings::Feature::NixCommand) {
                "nix log"
            } else {
                "nix-store -l"
            };
            if log.tail().0.next().is_some() {
                message += &format!("For full logs, run:\n  {command} {shown}");
            }
        }
        let full = self.disk_is_full();
        if full {
            message += "\nnote: build failure may have been caused by lack of free disk space";
        }
        let kind = if full || !request.kind.is_sandboxed() {
            FailureKind::Transient
        } else {
            FailureKind::Permanent
        };
        BuildError::new(kind, message)
    }

    fn disk_is_full(&self) -> bool {
        const NEEDED: u64 = 8 << 20;
        rustix::fs::statvfs(self.store.real_dir())
            .is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_bsize) < NEEDED)
    }

    /// The directory of a failed build is kept if the user wants that.
    pub(super) fn keep_failed(&self, workspace: &mut Workspace, error: &BuildError) {
        // Built-in builders may have had passwords there.
        if !self.settings.keep_failed
            || self.request.derivation.is_builtin()
            || error.kind == FailureKind::Cancelled
        {
            return;
        }
        progress::log(
            Level::Error,
            format!(
                "note: keeping build directory '{}'",
                workspace.build.display()
            ),
        );
        let open = |path: &Path| fs::set_permissions(path, PermissionsExt::from_mode(0o755));
        if open(&workspace.build)
            .and_then(|()| open(&workspace.top))
            .is_ok()
        {
            workspace.keep = true;
        }
    }

    /// What a failed builder wrote to the store itself.
    pub(super) fn remove_failed_outputs(&self, known: &KnownOutputs, scratch: &Scratch) {
        for (name, path) in &scratch.paths {
            let valid = known
                .get(name)
                .and_then(Option::as_ref)
                .is_some_and(|output| output.path == *path && output.status == PathStatus::Valid);
            if !valid && self.store.is_valid(path).is_ok_and(|valid| !valid) {
                let _ = remove_tree(&self.real(path));
            }
        }
    }
}
