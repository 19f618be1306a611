//! Builders of other systems: a program of the user's (an emulator, a virtual machine) runs the build.
//!
//! It is called with its own arguments and a file that describes the build as JSON. What it writes before a line with
//! the byte 2 is about its own preparations and no part of the log.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::backend::Backend;
use super::environment::BuildEnvironment;
use crate::derivation::BasicDerivation;
use crate::path::StorePath;
use crate::settings::{ExternalBuilder, Feature, Settings};

/// Where builders believe that their directory is.
pub(super) const BUILD_DIR: &str = "/build";

/// The program that builds for a derivation's system, if the user has named one.
pub(super) fn find<'a>(
    settings: &'a Settings,
    derivation: &BasicDerivation,
) -> Option<&'a ExternalBuilder> {
    let builds = |system: &String| system.as_bytes() == derivation.platform;
    let mut builders = settings.external_builders.0.iter();
    builders
        .find(|builder| builder.systems.iter().any(builds))
        .filter(|_| settings.enabled(Feature::ExternalBuilders))
}

/// What the program is told.
pub(super) struct Description<'a> {
    pub(super) store: &'a dyn Backend,
    pub(super) derivation: &'a BasicDerivation,
    /// The arguments with paths in the place of placeholders.
    pub(super) arguments: &'a [Vec<u8>],
    pub(super) environment: &'a BuildEnvironment,
    pub(super) inputs: &'a BTreeSet<StorePath>,
    /// Where outputs are to be.
    pub(super) outputs: Vec<(&'a String, &'a StorePath)>,
    pub(super) top: &'a Path,
    pub(super) build: &'a Path,
}

impl Description<'_> {
    /// Writes it beside the build directory.
    pub(super) fn write(&self) -> std::io::Result<PathBuf> {
        let file = self.top.join("build.json");
        std::fs::write(&file, self.to_json().to_string())?;
        Ok(file)
    }

    fn to_json(&self) -> Value {
        let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes));
        let path = |path: &StorePath| Value::from(self.store.dir().display(path).to_string());
        let place = |path: &Path| Value::from(path.to_string_lossy());
        let environment: Map<String, Value> = self
            .environment
            .variables
            .iter()
            .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), text(value)))
            .collect();
        let outputs: Map<String, Value> = self
            .outputs
            .iter()
            .map(|(name, output)| ((*name).clone(), path(output)))
            .collect();
        json!({
            "version": 1,
            "builder": text(&self.derivation.builder),
            "args": self.arguments.iter().map(|argument| text(argument)).collect::<Vec<_>>(),
            "env": environment,
            "topTmpDir": place(self.top),
            "tmpDir": place(self.build),
            "tmpDirInSandbox": BUILD_DIR,
            "storeDir": self.store.dir().to_string(),
            "realStoreDir": place(self.store.real_dir()),
            "system": text(&self.derivation.platform),
            "inputPaths": self.inputs.iter().map(path).collect::<Vec<_>>(),
            "outputs": outputs,
        })
    }
}

/// Leaves the program's own preparations out of the log.
pub(super) struct Preparations {
    over: bool,
    line: Vec<u8>,
}

/// Preparations whose lines are longer than this are not what they claim to be.
const MAX_LINE: usize = 1 << 16;

impl Preparations {
    /// There are some if the builder is external.
    pub(super) fn new(expected: bool) -> Self {
        Self {
            over: !expected,
            line: Vec::new(),
        }
    }

    /// What of the output belongs to the log.
    pub(super) fn skip<'a>(&mut self, mut output: &'a [u8]) -> &'a [u8] {
        while !self.over {
            let Some(end) = memchr::memchr(b'\n', output) else {
                self.line.extend_from_slice(output);
                self.over = self.line.len() > MAX_LINE;
                return &[];
            };
            self.line.extend_from_slice(&output[..end]);
            output = &output[end + 1..];
            self.over = self.line.first() == Some(&2);
            if !self.over {
                let line = String::from_utf8_lossy(&self.line);
                crate::progress::log(
                    crate::progress::Level::Debug,
                    format!("sandbox setup: {line}"),
                );
            }
            self.line.clear();
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_the_mark_is_left_out_however_it_arrives() {
        let mut preparations = Preparations::new(true);
        assert_eq!(preparations.skip(b"booting\nmo"), b"");
        assert_eq!(preparations.skip(b"re\n\x02"), b"");
        assert_eq!(preparations.skip(b"\nfirst\n"), b"first\n");
        assert_eq!(preparations.skip(b"second\n"), b"second\n");
        assert_eq!(Preparations::new(false).skip(b"all\n"), b"all\n");
    }
}
