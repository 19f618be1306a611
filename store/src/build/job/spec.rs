//! What is executed: the builder of the derivation, or the program that builds for its system.

use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{Gid, Uid};

use super::{BuildError, Job, Prepared};
use crate::build::external;
use crate::build::layout;
use crate::build::sandbox::{self, SandboxSpec};
use crate::derivation::rewrite;
use crate::settings::ExternalBuilder;

impl Job<'_> {
    /// What the sandbox is asked for.
    pub(super) fn spec(&self, prepared: &Prepared<'_>) -> Result<SandboxSpec, BuildError> {
        let request = self.request;
        let Prepared { isolated, user, .. } = *prepared;
        let builder = &request.derivation.builder;
        let name = builder.rsplit(|&b| b == b'/').next().unwrap_or(builder);
        let mut arguments = vec![name.to_vec()];
        arguments.extend(
            request
                .derivation
                .args
                .iter()
                .map(|argument| rewrite(argument, &prepared.scratch.rewrites)),
        );
        if !isolated && Path::new("/homeless-shelter").exists() {
            return Err(BuildError::misc(
                "home directory '/homeless-shelter' exists; please remove it to assure purity of builds without sandboxing",
            ));
        }
        if let Some(external) = self.external_builder() {
            return self.external_spec(external, &arguments[1..], prepared);
        }
        let user_namespace = isolated && sandbox::namespaces_supported().user;
        if isolated && !user_namespace && user.is_none() {
            return Err(BuildError::misc(
                "cannot perform a sandboxed build because user namespaces are not enabled; check /proc/sys/user/max_user_namespaces",
            ));
        }
        let sandbox_user = self.sandbox_user(user_namespace, user);
        let isolation = match &prepared.workspace.chroot {
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
                    build_dir: &prepared.workspace.build,
                    user_range: self.wants_user_range(),
                },
                user_namespace,
                sandbox_user.as_ref(),
            )?),
        };
        Ok(SandboxSpec {
            program: builder.clone(),
            arguments,
            environment: prepared
                .environment
                .variables
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            directory: prepared.directory.clone(),
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
        prepared: &Prepared<'_>,
    ) -> Result<SandboxSpec, BuildError> {
        let (workspace, user) = (&prepared.workspace, prepared.user);
        let description = external::Description {
            store: self.store,
            derivation: &self.request.derivation,
            arguments,
            environment: &prepared.environment,
            inputs: &self.request.inputs,
            outputs: prepared.scratch.paths.iter().collect(),
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
}
