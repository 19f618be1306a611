//! Builders that are part of this program: `builtin:fetchurl`, `builtin:buildenv`,
//! `builtin:unpack-channel`.
//!
//! They run in this process: they are our code, and no program of the derivation runs. What they
//! read is limited to what an isolated builder would see.

mod buildenv;
mod fetchurl;
mod unpack_channel;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::backend::Backend;
use super::environment::BuildEnvironment;
use super::error::{BuildError, FailureKind};
use super::job::{BuildContext, BuildRequest};
use super::report::known_output_list;
use crate::path::StorePath;

/// A built-in builder at work.
struct Builtin<'a> {
    context: &'a BuildContext<'a>,
    request: &'a BuildRequest,
    environment: &'a BuildEnvironment,
    /// Where each output is to be made.
    outputs: &'a BTreeMap<String, PathBuf>,
    /// Whether only the inputs may be read.
    isolated: bool,
}

/// Runs the builder that the derivation names.
pub fn run(
    context: &BuildContext<'_>,
    request: &BuildRequest,
    environment: &BuildEnvironment,
    outputs: &BTreeMap<String, PathBuf>,
    isolated: bool,
) -> Result<(), BuildError> {
    let builtin = Builtin {
        context,
        request,
        environment,
        outputs,
        isolated,
    };
    let name = request.derivation.builder.strip_prefix(b"builtin:");
    let result = match name {
        Some(b"fetchurl") => fetchurl::run(&builtin),
        Some(b"buildenv") => buildenv::run(&builtin),
        Some(b"unpack-channel") => unpack_channel::run(&builtin),
        _ => Err(format!(
            "unsupported builtin builder '{}'",
            String::from_utf8_lossy(name.unwrap_or_default())
        )),
    };
    result.map_err(|message| builtin.failed(&message))
}

impl Builtin<'_> {
    fn variable(&self, name: &str) -> Result<&[u8], String> {
        self.optional(name)
            .ok_or_else(|| format!("attribute '{name}' missing"))
    }

    fn optional(&self, name: &str) -> Option<&[u8]> {
        self.environment
            .variables
            .get(name.as_bytes())
            .map(Vec::as_slice)
    }

    fn flag(&self, name: &str) -> bool {
        self.optional(name) == Some(b"1")
    }

    fn output(&self) -> Result<&Path, String> {
        self.outputs
            .get("out")
            .map(PathBuf::as_path)
            .ok_or_else(|| "a builtin builder needs an output named 'out'".to_owned())
    }

    fn view(&self) -> View<'_> {
        View {
            store: self.context.store,
            inputs: self.isolated.then_some(&self.request.inputs),
        }
    }

    fn failed(&self, message: &str) -> BuildError {
        if self.context.cancel.is_set() {
            return BuildError::cancelled();
        }
        let store = self.context.store;
        let text = format!(
            "Cannot build '{}'.\nReason: builder failed with exit code 1.{}\n> error: {message}",
            store.dir().display(&self.request.derivation_path),
            known_output_list(store, &self.request.derivation)
        );
        let kind = if self.request.kind.is_sandboxed() {
            FailureKind::Permanent
        } else {
            FailureKind::Transient
        };
        BuildError::new(kind, text)
    }
}

/// The files that a builder may see: all of the host's, or only its inputs.
struct View<'a> {
    store: &'a dyn Backend,
    inputs: Option<&'a BTreeSet<StorePath>>,
}

/// Links followed before a loop is assumed.
const MAX_LINKS: usize = 40;

impl View<'_> {
    /// Where a path of the builder's world is on the host, its links followed; nothing if the
    /// builder would not see it.
    fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let Some(inputs) = self.inputs else {
            return std::fs::canonicalize(self.physical(path)).ok();
        };
        let mut waiting: Vec<std::ffi::OsString> = components(path);
        let mut at = PathBuf::from("/");
        let mut links = 0;
        let root = self.store.dir().as_path();
        while let Some(next) = waiting.pop() {
            if next == ".." {
                at.pop();
                continue;
            }
            let candidate = at.join(&next);
            let Ok(inside) = candidate.strip_prefix(root) else {
                // On the way to the store there are only directories.
                if root.starts_with(&candidate) {
                    at = candidate;
                    continue;
                }
                return None;
            };
            if inside.as_os_str().is_empty() {
                at = candidate;
                continue;
            }
            let name = inside.components().next()?.as_os_str().as_encoded_bytes();
            if !inputs.contains(&StorePath::parse(name).ok()?) {
                return None;
            }
            let physical = self.store.real_dir().join(inside);
            match std::fs::read_link(&physical) {
                Ok(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    waiting.extend(components(&target));
                }
                Err(_) => at = candidate,
            }
        }
        let physical = self.physical(&at);
        physical.symlink_metadata().ok().map(|_| physical)
    }

    /// A path of the store as the host names it.
    fn physical(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(self.store.dir().as_path()) {
            Ok(inside) => self.store.real_dir().join(inside),
            Err(_) => path.to_owned(),
        }
    }
}

/// The parts of a path, the last first.
fn components(path: &Path) -> Vec<std::ffi::OsString> {
    use std::path::Component;
    path.components()
        .rev()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}
