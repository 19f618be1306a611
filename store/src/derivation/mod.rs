//! Derivations: exact build plans, their text form (ATerm), their JSON form, and the paths that follow from them.
//!
//! | file | what |
//! |---|---|
//! | `aterm` | printing and strict reading of `.drv` files |
//! | `modulo` | the hash that output paths are made of, and filling those paths in |
//! | `json` | the form that `derivation show` prints and `derivation add` reads |
//! | `placeholder` | the texts that stand for output paths not known yet |
//! | `resolve` | replacing derivation inputs by what they built to |

mod aterm;
mod json;
mod modulo;
mod placeholder;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use thiserror::Error;

use crate::content_address::{ContentAddress, ContentAddressError, Method, References};
use crate::hash::{Algorithm, sha256};
use crate::path::{NameError, PathError, StoreDir, StorePath, check_name};

pub use aterm::ParseError;
pub use json::{JsonError, canonical_json, pretty_json};
pub use modulo::HashModulo;
pub use placeholder::{computed_output_placeholder, output_placeholder, upstream_placeholder};
pub use resolve::rewrite;

/// One output as the derivation declares it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// The path follows from the inputs and is known.
    InputAddressed(StorePath),
    /// The path follows from contents that are known beforehand.
    Fixed(ContentAddress),
    /// The path follows from the contents, after the build.
    Floating {
        /// How the contents are hashed.
        method: Method,
        /// With what.
        algorithm: Algorithm,
    },
    /// Input-addressed, but some input's path is not known yet.
    Deferred,
    /// Built anew each time, with network, and content-addressed.
    Impure {
        /// How the contents are hashed.
        method: Method,
        /// With what.
        algorithm: Algorithm,
    },
}

/// What kind of derivation the outputs make together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Paths follow from the inputs.
    InputAddressed {
        /// They are not known yet.
        deferred: bool,
    },
    /// Paths follow from the contents.
    ContentAddressed {
        /// False for fixed outputs, whose builders may use the network.
        sandboxed: bool,
        /// The contents' hash is declared.
        fixed: bool,
    },
    /// Built anew each time.
    Impure,
}

impl Kind {
    /// The experimental feature that allows building it.
    pub fn feature(self) -> Option<crate::settings::Feature> {
        use crate::settings::Feature;
        if self.is_impure() {
            Some(Feature::ImpureDerivations)
        } else if !self.has_known_output_paths() {
            // What depends on others without known paths is named with this feature, too.
            Some(Feature::CaDerivations)
        } else {
            None
        }
    }

    /// Content-addressed in any way.
    pub fn is_content_addressed(self) -> bool {
        !matches!(self, Kind::InputAddressed { .. })
    }

    /// Has one output of declared hash.
    pub fn is_fixed(self) -> bool {
        matches!(self, Kind::ContentAddressed { fixed: true, .. })
    }

    /// All output paths are known before building.
    pub fn has_known_output_paths(self) -> bool {
        matches!(
            self,
            Kind::InputAddressed { deferred: false } | Kind::ContentAddressed { fixed: true, .. }
        )
    }

    /// The builder gets no network.
    pub fn is_sandboxed(self) -> bool {
        matches!(
            self,
            Kind::InputAddressed { .. }
                | Kind::ContentAddressed {
                    sandboxed: true,
                    ..
                }
        )
    }

    /// Built anew each time.
    pub fn is_impure(self) -> bool {
        self == Kind::Impure
    }
}

/// Why outputs do not go together.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum DerivationError {
    /// Outputs of different kinds.
    #[error("can't mix derivation output types")]
    MixedOutputs,
    /// Two outputs of declared hash.
    #[error("only one fixed output is allowed for now")]
    SeveralFixed,
    /// The fixed output is not called `out`.
    #[error("single fixed output must be named \"out\"")]
    FixedNotOut,
    /// Floating outputs hashed with different algorithms.
    #[error("all floating outputs must use the same hash algorithm")]
    MixedAlgorithms,
    /// No outputs.
    #[error("must have at least one output")]
    NoOutputs,
    /// An output's name cannot be part of a store path's.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A computed path has a bad name.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A content address makes no path.
    #[error(transparent)]
    ContentAddress(#[from] ContentAddressError),
    /// An output's declared path is not the one that follows from the derivation.
    #[error("derivation has incorrect output '{found}', should be '{expected}'")]
    WrongOutputPath {
        /// What is declared.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// An output path is declared although an input's is not known.
    #[error("derivation has incorrect output '{0}', should be deferred")]
    ShouldBeDeferred(String),
    /// The environment lacks an output's variable.
    #[error(
        "derivation has missing environment variable '{name}', should be '{expected}' but is not present"
    )]
    MissingVariable {
        /// The output.
        name: String,
        /// Its path.
        expected: String,
    },
    /// The environment has another path for an output.
    #[error(
        "derivation has incorrect environment variable '{name}', should be '{expected}' but is actually '{found}'"
    )]
    WrongVariable {
        /// The output.
        name: String,
        /// Its path.
        expected: String,
        /// What the environment says.
        found: String,
    },
    /// The file's name and the derivation's do not go together.
    #[error("derivation '{path}' has name '{name}' which does not match its path")]
    NameMismatch {
        /// The file.
        path: String,
        /// The derivation's name.
        name: String,
    },
    /// A fixed-output input has no output of that name.
    #[error("no hash for output '{output}' of derivation '{derivation}'")]
    NoSuchOutput {
        /// The output asked for.
        output: String,
        /// Whose output it would be.
        derivation: String,
    },
}

/// Outputs of an input derivation that are wanted, and outputs of derivations that those outputs *are*.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InputOutputs {
    /// Wanted outputs.
    pub outputs: BTreeSet<String>,
    /// For outputs that are themselves derivations: what is wanted of them.
    pub dynamic: BTreeMap<String, InputOutputs>,
}

impl InputOutputs {
    /// Just these outputs.
    pub fn of<S: Into<String>>(outputs: impl IntoIterator<Item = S>) -> Self {
        let outputs = outputs.into_iter().map(Into::into).collect();
        InputOutputs {
            outputs,
            dynamic: BTreeMap::new(),
        }
    }

    /// True when nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.dynamic.is_empty()
    }
}

/// A derivation whose inputs are all store objects: what a builder gets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BasicDerivation {
    /// The name, without `.drv`; store object names of outputs begin with it.
    pub name: String,
    /// Outputs by name.
    pub outputs: BTreeMap<String, Output>,
    /// Store objects that the build may read.
    pub input_sources: BTreeSet<StorePath>,
    /// The system it is built on.
    pub platform: Vec<u8>,
    /// The program to run, or `builtin:…`.
    pub builder: Vec<u8>,
    /// Its arguments.
    pub args: Vec<Vec<u8>>,
    /// Its environment; structured attributes are the JSON text under [`STRUCTURED_ATTRS`].
    pub env: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A derivation with other derivations as inputs. Dereferences to the rest of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Derivation {
    /// Everything but the input derivations.
    pub basic: BasicDerivation,
    /// Derivations whose outputs the build may read.
    pub input_derivations: BTreeMap<StorePath, InputOutputs>,
}

/// The environment variable that holds structured attributes as JSON.
pub const STRUCTURED_ATTRS: &[u8] = b"__json";

impl Deref for Derivation {
    type Target = BasicDerivation;

    fn deref(&self) -> &BasicDerivation {
        &self.basic
    }
}

impl DerefMut for Derivation {
    fn deref_mut(&mut self) -> &mut BasicDerivation {
        &mut self.basic
    }
}

impl Output {
    /// The output's path when it is known; `derivation_name` and `output` name its store object.
    pub fn path(
        &self,
        dir: &StoreDir,
        derivation_name: &str,
        output: &str,
    ) -> Result<Option<StorePath>, ContentAddressError> {
        match self {
            Output::InputAddressed(path) => Ok(Some(path.clone())),
            Output::Fixed(address) => {
                let name = crate::content_address::output_path_name(derivation_name, output);
                dir.make_content_path(&name, address, &References::default())
                    .map(Some)
            }
            Output::Floating { .. } | Output::Deferred | Output::Impure { .. } => Ok(None),
        }
    }
}

impl BasicDerivation {
    /// What kind of derivation this is; an error when outputs do not go together.
    pub fn kind(&self) -> Result<Kind, DerivationError> {
        let mut kind = None;
        let mut floating = None;
        for (name, output) in &self.outputs {
            let this = match output {
                Output::InputAddressed(_) => Kind::InputAddressed { deferred: false },
                Output::Deferred => Kind::InputAddressed { deferred: true },
                Output::Fixed(_) => Kind::ContentAddressed {
                    sandboxed: false,
                    fixed: true,
                },
                Output::Floating { algorithm, .. } => {
                    if *floating.get_or_insert(*algorithm) != *algorithm {
                        return Err(DerivationError::MixedAlgorithms);
                    }
                    Kind::ContentAddressed {
                        sandboxed: true,
                        fixed: false,
                    }
                }
                Output::Impure { .. } => Kind::Impure,
            };
            match kind {
                None => kind = Some(this),
                Some(before) if before != this => return Err(DerivationError::MixedOutputs),
                Some(before) if before.is_fixed() => return Err(DerivationError::SeveralFixed),
                Some(_) => {}
            }
            if this.is_fixed() && name != "out" {
                return Err(DerivationError::FixedNotOut);
            }
        }
        kind.ok_or(DerivationError::NoOutputs)
    }

    /// Outputs with their paths where known.
    pub fn output_paths(
        &self,
        dir: &StoreDir,
    ) -> Result<Vec<(&str, Option<StorePath>)>, ContentAddressError> {
        self.outputs
            .iter()
            .map(|(name, output)| Ok((name.as_str(), output.path(dir, &self.name, name)?)))
            .collect()
    }

    /// Whether the builder is part of the program (`builtin:fetchurl` …).
    pub fn is_builtin(&self) -> bool {
        self.builder.starts_with(b"builtin:")
    }

    /// The JSON text of structured attributes, when there are any.
    pub fn structured_attrs(&self) -> Option<&[u8]> {
        self.env.get(STRUCTURED_ATTRS).map(Vec::as_slice)
    }

    /// One variable of the environment.
    pub fn env_var(&self, name: &str) -> Option<&[u8]> {
        self.env.get(name.as_bytes()).map(Vec::as_slice)
    }
}

impl Derivation {
    /// Everything the `.drv` file refers to: input sources and input derivations.
    pub fn references(&self) -> BTreeSet<StorePath> {
        self.input_sources
            .iter()
            .chain(self.input_derivations.keys())
            .cloned()
            .collect()
    }

    /// Whether an input is an output of a derivation that is itself an output.
    pub fn has_dynamic_inputs(&self) -> bool {
        self.input_derivations
            .values()
            .any(|node| !node.dynamic.is_empty())
    }

    /// The path of the `.drv` file whose bytes are `aterm`.
    pub fn path_of(&self, dir: &StoreDir, aterm: &[u8]) -> Result<StorePath, PathError> {
        let name = format!("{}.drv", self.name);
        let digest = sha256(aterm);
        if self.input_derivations.is_empty() {
            return dir.make_text_path(&name, digest, &self.input_sources);
        }
        let mut references: Vec<&StorePath> = self
            .input_sources
            .iter()
            .chain(self.input_derivations.keys())
            .collect();
        references.sort_unstable();
        references.dedup();
        dir.make_text_path(&name, digest, references)
    }

    /// The path of this derivation's `.drv` file.
    pub fn path(&self, dir: &StoreDir) -> Result<StorePath, PathError> {
        self.path_of(dir, &self.to_aterm(dir))
    }
}

/// Checks an output's name: it becomes part of a store object's name.
pub fn check_output_name(name: &[u8]) -> Result<&str, NameError> {
    check_name(name)
}

impl From<BasicDerivation> for Derivation {
    fn from(basic: BasicDerivation) -> Self {
        Derivation {
            basic,
            input_derivations: BTreeMap::new(),
        }
    }
}
