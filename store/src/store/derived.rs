//! Store objects named by what builds them.
//!
//! ```text
//! derived = path | derived ("^" | "!") outputs          outputs = "*" | name ("," name)*
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::error::StoreError;
use crate::path::{StoreDir, StorePath, check_name};

/// One store object: given, or an output of a derivation that may itself be an output.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SingleDerivedPath {
    /// A store path as it is.
    Opaque(StorePath),
    /// An output.
    Built {
        /// Of what.
        drv: Arc<SingleDerivedPath>,
        /// Its name.
        output: String,
    },
}

/// Which outputs of a derivation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OutputsSpec {
    /// Every one.
    All,
    /// These.
    Names(BTreeSet<String>),
}

/// A store object, or outputs of a derivation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DerivedPath {
    /// A store path as it is.
    Opaque(StorePath),
    /// Outputs.
    Built {
        /// Of what.
        drv: Arc<SingleDerivedPath>,
        /// Which.
        outputs: OutputsSpec,
    },
}

/// Nesting limit: `a^b^c…` comes from outside.
const MAX_NESTING: usize = 64;

impl OutputsSpec {
    /// Whether the output is meant.
    pub fn contains(&self, output: &str) -> bool {
        match self {
            OutputsSpec::All => true,
            OutputsSpec::Names(names) => names.contains(output),
        }
    }

    /// Reads `*` or names with commas.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        if text == "*" {
            return Ok(OutputsSpec::All);
        }
        let mut names = BTreeSet::new();
        for name in text.split(',') {
            let name = check_name(name.as_bytes()).map_err(crate::path::PathError::from)?;
            names.insert(name.to_owned());
        }
        Ok(OutputsSpec::Names(names))
    }
}

impl fmt::Display for OutputsSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutputsSpec::All => f.write_str("*"),
            OutputsSpec::Names(names) => {
                for (i, name) in names.iter().enumerate() {
                    if i > 0 {
                        f.write_str(",")?;
                    }
                    f.write_str(name)?;
                }
                Ok(())
            }
        }
    }
}

impl SingleDerivedPath {
    /// An output of a known derivation.
    pub fn output(drv: StorePath, output: impl Into<String>) -> Self {
        SingleDerivedPath::Built {
            drv: Arc::new(SingleDerivedPath::Opaque(drv)),
            output: output.into(),
        }
    }

    /// The store path at the beginning.
    pub fn base(&self) -> &StorePath {
        let mut here = self;
        loop {
            match here {
                SingleDerivedPath::Opaque(path) => return path,
                SingleDerivedPath::Built { drv, .. } => here = drv,
            }
        }
    }

    /// Output names from the base onwards.
    pub fn outputs(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let mut here = self;
        while let SingleDerivedPath::Built { drv, output } = here {
            names.push(output.as_str());
            here = drv;
        }
        names.reverse();
        names
    }

    /// Prints with `separator` before output names.
    pub fn print(&self, dir: &StoreDir, separator: char) -> String {
        let mut out = dir.display(self.base()).to_string();
        for output in self.outputs() {
            out.push(separator);
            out.push_str(output);
        }
        out
    }

    /// Reads a path with output names after `separator`.
    pub fn parse(dir: &StoreDir, text: &str, separator: char) -> Result<Self, StoreError> {
        let mut parts = text.split(separator);
        let base = dir.parse(parts.next().unwrap_or(""))?;
        let mut here = SingleDerivedPath::Opaque(base);
        for (depth, output) in parts.enumerate() {
            if depth >= MAX_NESTING {
                return Err(StoreError::Format("derived path is nested too deeply"));
            }
            let output = check_name(output.as_bytes()).map_err(crate::path::PathError::from)?;
            here = SingleDerivedPath::Built {
                drv: Arc::new(here),
                output: output.to_owned(),
            };
        }
        Ok(here)
    }
}

impl DerivedPath {
    /// Outputs of a known derivation.
    pub fn built(drv: StorePath, outputs: OutputsSpec) -> Self {
        DerivedPath::Built {
            drv: Arc::new(SingleDerivedPath::Opaque(drv)),
            outputs,
        }
    }

    /// The store path at the beginning.
    pub fn base(&self) -> &StorePath {
        match self {
            DerivedPath::Opaque(path) => path,
            DerivedPath::Built { drv, .. } => drv.base(),
        }
    }

    /// Prints with `separator` (`^`, or `!` in old places) before outputs.
    pub fn print(&self, dir: &StoreDir, separator: char) -> String {
        match self {
            DerivedPath::Opaque(path) => dir.display(path).to_string(),
            DerivedPath::Built { drv, outputs } => {
                format!("{}{separator}{outputs}", drv.print(dir, separator))
            }
        }
    }

    /// Reads a path, or a derivation with outputs after `separator`.
    pub fn parse(dir: &StoreDir, text: &str, separator: char) -> Result<Self, StoreError> {
        match text.rsplit_once(separator) {
            None => Ok(DerivedPath::Opaque(dir.parse(text)?)),
            Some((drv, outputs)) => Ok(DerivedPath::Built {
                drv: Arc::new(SingleDerivedPath::parse(dir, drv, separator)?),
                outputs: OutputsSpec::parse(outputs)?,
            }),
        }
    }
}

impl From<SingleDerivedPath> for DerivedPath {
    fn from(single: SingleDerivedPath) -> Self {
        match single {
            SingleDerivedPath::Opaque(path) => DerivedPath::Opaque(path),
            SingleDerivedPath::Built { drv, output } => DerivedPath::Built {
                drv,
                outputs: OutputsSpec::Names(BTreeSet::from([output])),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_paths_print_and_read_unchanged() {
        let dir = StoreDir::default();
        let base = "/nix/store/00000000000000000000000000000000-a.drv";
        for rest in ["", "^*", "^out", "^bin,out", "^a^b^*"] {
            let text = format!("{base}{rest}");
            assert_eq!(
                DerivedPath::parse(&dir, &text, '^')
                    .unwrap()
                    .print(&dir, '^'),
                text
            );
        }
        assert!(DerivedPath::parse(&dir, &format!("{base}^"), '^').is_err());
        assert!(DerivedPath::parse(&dir, &format!("{base}^../x"), '^').is_err());
        let deep = format!("{base}{}", "^a".repeat(100_000));
        assert!(DerivedPath::parse(&dir, &deep, '^').is_err());
    }
}
