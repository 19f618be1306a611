//! Builders that are part of this program: `builtin:fetchurl`, `builtin:buildenv`,
//! `builtin:unpack-channel`.
//!
//! They run in this process: they are our code, and no program of the derivation runs. What they
//! read is limited to what an isolated builder would see.

mod buildenv;
mod fetchurl;
mod unpack_channel;

pub use buildenv::{Conflict, LinkError, Package, link_packages};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::environment::BuildEnvironment;
use super::error::{BuildError, FailureKind};
use super::job::{BuildContext, BuildRequest};
use super::report::known_output_list;
use crate::path::{StoreDir, StorePath};

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
            dir: self.context.store.dir(),
            real_dir: self.context.store.real_dir(),
            visible: match self.isolated {
                true => Visible::Inputs(&self.request.inputs),
                false => Visible::Host,
            },
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

/// The files that a builder may see.
struct View<'a> {
    dir: &'a StoreDir,
    /// Where the store's objects are on the host.
    real_dir: &'a Path,
    visible: Visible<'a>,
}

/// Which files these are.
#[derive(Clone, Copy)]
enum Visible<'a> {
    /// All of the host's, as the host sees them.
    Host,
    /// Only these objects.
    Inputs(&'a BTreeSet<StorePath>),
    /// All objects of the store, which may lie elsewhere on the host, and the host's files.
    Store,
}

/// Links followed before a loop is assumed.
const MAX_LINKS: usize = 40;

impl View<'_> {
    /// Where a path of the builder's world is on the host, its links followed; nothing if the
    /// builder would not see it.
    fn resolve(&self, path: &Path) -> Option<PathBuf> {
        if matches!(self.visible, Visible::Host) {
            return std::fs::canonicalize(self.physical(path)).ok();
        }
        let mut waiting: Vec<std::ffi::OsString> = components(path);
        let mut at = PathBuf::from("/");
        let mut links = 0;
        let root = self.dir.as_path();
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
                if matches!(self.visible, Visible::Store) {
                    let rest = waiting.iter().rev();
                    return std::fs::canonicalize(rest.fold(candidate, |at, part| at.join(part)))
                        .ok();
                }
                return None;
            };
            if inside.as_os_str().is_empty() {
                at = candidate;
                continue;
            }
            let name = inside.components().next()?.as_os_str().as_encoded_bytes();
            let object = StorePath::parse(name).ok()?;
            if let Visible::Inputs(inputs) = self.visible
                && !inputs.contains(&object)
            {
                return None;
            }
            let physical = self.real_dir.join(inside);
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
        match path.strip_prefix(self.dir.as_path()) {
            Ok(inside) => self.real_dir.join(inside),
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
