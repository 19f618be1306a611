//! What a derivation asks of its builder beyond the program: read from its environment, or from its
//! structured attributes when it has them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::base32;
use crate::derivation::BasicDerivation;
use crate::path::{StoreDir, StorePath};

/// Options of a derivation.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Constraints on outputs.
    pub checks: Checks,
    /// Outputs whose references are not recorded.
    pub discard_references: BTreeMap<String, bool>,
    /// Variables that are passed as files.
    pub pass_as_file: BTreeSet<Vec<u8>>,
    /// Files (or attributes) that receive the closure of paths.
    pub export_references_graph: BTreeMap<String, BTreeSet<StorePath>>,
    /// A path in these graphs that is not known before the inputs are built: the derivation must be resolved first.
    pub unresolved: Option<String>,
    /// Asks to be built without a sandbox.
    pub no_chroot: bool,
    /// Paths of the host it wants to see (macOS).
    pub impure_host_deps: BTreeSet<Vec<u8>>,
    /// Variables that fixed-output builds take from the caller.
    pub impure_env_vars: BTreeSet<Vec<u8>>,
    /// What the machine must offer.
    pub required_system_features: BTreeSet<String>,
    /// Not worth sending elsewhere.
    pub prefer_local_build: bool,
    /// May be substituted.
    pub allow_substitutes: bool,
    /// The structured attributes.
    pub structured: Option<Map<String, Value>>,
}

/// The feature of machines that let builds use their own programs; what the setting `host-tools` gives.
pub const HOST_TOOLS: &str = "host-tools";

/// Constraints on outputs: the same for all, or by name with structured attributes.
#[derive(Clone, Debug)]
pub enum Checks {
    /// For every output.
    All(OutputChecks),
    /// By output.
    ByOutput(BTreeMap<String, OutputChecks>),
}

impl Default for Checks {
    fn default() -> Self {
        Self::All(OutputChecks::default())
    }
}

/// What an output may be and refer to.
#[derive(Clone, Debug, Default)]
pub struct OutputChecks {
    /// Whether an output may always require itself.
    pub ignore_self: bool,
    /// Largest archive size.
    pub max_size: Option<u64>,
    /// Largest archive size of the closure.
    pub max_closure_size: Option<u64>,
    /// The only direct references.
    pub allowed_references: Option<BTreeSet<Reference>>,
    /// The only paths in the closure.
    pub allowed_requisites: Option<BTreeSet<Reference>>,
    /// No direct references.
    pub disallowed_references: BTreeSet<Reference>,
    /// Not in the closure.
    pub disallowed_requisites: BTreeSet<Reference>,
}

/// A path, or an output of the derivation itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A store path.
    Path(StorePath),
    /// An output's name.
    Output(String),
}

/// Why options cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// `__json` is not JSON.
    #[error("cannot process __json attribute: {0}")]
    Json(String),
    /// An attribute has another type than it must.
    #[error("while parsing attribute \"{0}\": expected {1}")]
    Type(String, &'static str),
    /// A list of pairs has an odd end.
    #[error("odd number of tokens in 'exportReferencesGraph': '{0}'")]
    OddPairs(String),
    /// A file name that could lead elsewhere.
    #[error("invalid file name '{0}' in 'exportReferencesGraph'")]
    FileName(String),
    /// Something that should be a store path.
    #[error("path '{0}' is not in the Nix store")]
    NotInStore(String),
}

impl Options {
    /// Reads the options of a derivation.
    pub fn of(derivation: &BasicDerivation, dir: &StoreDir) -> Result<Self, OptionsError> {
        let structured = match derivation.structured_attrs() {
            None => None,
            Some(text) => match serde_json::from_slice(text) {
                Ok(Value::Object(map)) => Some(map),
                Ok(_) => return Err(OptionsError::Json("not an object".to_owned())),
                Err(error) => return Err(OptionsError::Json(error.to_string())),
            },
        };
        let source = Source {
            environment: &derivation.env,
            structured: structured.as_ref(),
        };
        let words = |name: &str| source.words(name);
        let text_set = |name: &str| {
            Ok::<_, OptionsError>(
                words(name)?
                    .unwrap_or_default()
                    .into_iter()
                    .map(|word| String::from_utf8_lossy(&word).into_owned())
                    .collect(),
            )
        };
        let Graphs { paths, unresolved } = source.export_references_graph(dir)?;
        Ok(Self {
            checks: source.checks(dir)?,
            discard_references: source.discard_references()?,
            pass_as_file: match structured {
                Some(_) => BTreeSet::new(),
                None => words("passAsFile")?.unwrap_or_default(),
            },
            export_references_graph: paths,
            unresolved,
            no_chroot: source.boolean("__noChroot", false)?,
            impure_host_deps: words("__impureHostDeps")?.unwrap_or_default(),
            impure_env_vars: words("impureEnvVars")?.unwrap_or_default(),
            required_system_features: text_set("requiredSystemFeatures")?,
            prefer_local_build: source.boolean("preferLocalBuild", false)?,
            allow_substitutes: source.boolean("allowSubstitutes", true)?,
            structured,
        })
    }
}

/// What `exportReferencesGraph` asks for.
#[derive(Default)]
struct Graphs {
    paths: BTreeMap<String, BTreeSet<StorePath>>,
    unresolved: Option<String>,
}

impl Graphs {
    fn add(&mut self, dir: &StoreDir, file: &str, path: &[u8]) -> Result<(), OptionsError> {
        let paths = self.paths.entry(file.to_owned()).or_default();
        match dir.split(path) {
            Ok((path, _)) => {
                paths.insert(path);
            }
            Err(_) if is_placeholder(path) => {
                self.unresolved = Some(String::from_utf8_lossy(path).into_owned());
            }
            Err(_) => {
                return Err(OptionsError::NotInStore(
                    String::from_utf8_lossy(path).into_owned(),
                ));
            }
        }
        Ok(())
    }
}

/// Where options are read.
struct Source<'a> {
    environment: &'a BTreeMap<Vec<u8>, Vec<u8>>,
    structured: Option<&'a Map<String, Value>>,
}

/// Words between white space.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
        .filter(|word| !word.is_empty())
}

impl Source<'_> {
    fn variable(&self, name: &str) -> Option<&Vec<u8>> {
        self.environment.get(name.as_bytes())
    }

    fn boolean(&self, name: &str, default: bool) -> Result<bool, OptionsError> {
        match self.structured {
            Some(map) => match map.get(name) {
                None => Ok(default),
                Some(Value::Bool(value)) => Ok(*value),
                Some(_) => Err(OptionsError::Type(name.to_owned(), "a boolean")),
            },
            None => Ok(self.variable(name).map_or(default, |value| value == b"1")),
        }
    }

    fn words(&self, name: &str) -> Result<Option<BTreeSet<Vec<u8>>>, OptionsError> {
        match self.structured {
            Some(map) => map
                .get(name)
                .map(|value| {
                    Ok(strings(name, value)?
                        .into_iter()
                        .map(|word| word.as_bytes().to_vec())
                        .collect())
                })
                .transpose(),
            None => Ok(self
                .variable(name)
                .map(|text| words(text).map(<[u8]>::to_vec).collect())),
        }
    }

    fn checks(&self, dir: &StoreDir) -> Result<Checks, OptionsError> {
        let Some(map) = self.structured else {
            let set = |name: &str| {
                Ok::<_, OptionsError>(self.words(name)?.map(|words| {
                    words
                        .iter()
                        .map(|word| reference(dir, word))
                        .collect::<BTreeSet<_>>()
                }))
            };
            return Ok(Checks::All(OutputChecks {
                ignore_self: true,
                max_size: None,
                max_closure_size: None,
                allowed_references: set("allowedReferences")?,
                allowed_requisites: set("allowedRequisites")?,
                disallowed_references: set("disallowedReferences")?.unwrap_or_default(),
                disallowed_requisites: set("disallowedRequisites")?.unwrap_or_default(),
            }));
        };
        let mut by_output = BTreeMap::new();
        if let Some(checks) = map.get("outputChecks") {
            for (output, value) in object("outputChecks", checks)? {
                let value = object(output, value)?;
                by_output.insert(output.clone(), output_checks(dir, output, value)?);
            }
        }
        Ok(Checks::ByOutput(by_output))
    }

    fn discard_references(&self) -> Result<BTreeMap<String, bool>, OptionsError> {
        const NAME: &str = "unsafeDiscardReferences";
        let Some(value) = self.structured.and_then(|map| map.get(NAME)) else {
            return Ok(BTreeMap::new());
        };
        object(NAME, value)?
            .iter()
            .map(|(output, value)| match value {
                Value::Bool(discard) => Ok((output.clone(), *discard)),
                _ => Err(OptionsError::Type(NAME.to_owned(), "a boolean")),
            })
            .collect()
    }

    fn export_references_graph(&self, dir: &StoreDir) -> Result<Graphs, OptionsError> {
        const NAME: &str = "exportReferencesGraph";
        let mut graphs = Graphs::default();
        if let Some(map) = self.structured {
            let Some(Value::Object(graph)) = map.get(NAME) else {
                if map.contains_key(NAME) {
                    crate::progress::warn(
                        "'exportReferencesGraph' in structured attrs is not a JSON object, ignoring",
                    );
                }
                return Ok(graphs);
            };
            for (key, value) in graph {
                graphs.paths.entry(key.clone()).or_default();
                let mut waiting = vec![value];
                while let Some(value) = waiting.pop() {
                    match value {
                        Value::Array(items) => waiting.extend(items),
                        Value::String(path) => graphs.add(dir, key, path.as_bytes())?,
                        _ => return Err(OptionsError::Type(NAME.into(), "an array or a string")),
                    }
                }
            }
            return Ok(graphs);
        }
        let Some(text) = self.variable(NAME) else {
            return Ok(graphs);
        };
        let tokens: Vec<&[u8]> = words(text).collect();
        if !tokens.len().is_multiple_of(2) {
            return Err(OptionsError::OddPairs(
                String::from_utf8_lossy(text).into_owned(),
            ));
        }
        for pair in tokens.chunks(2) {
            let name = String::from_utf8_lossy(pair[0]).into_owned();
            if !is_file_name(pair[0]) {
                return Err(OptionsError::FileName(name));
            }
            graphs.add(dir, &name, pair[1])?;
        }
        Ok(graphs)
    }
}

fn output_checks(
    dir: &StoreDir,
    output: &str,
    value: &Map<String, Value>,
) -> Result<OutputChecks, OptionsError> {
    let set = |name: &str| {
        value
            .get(name)
            .map(|list| {
                let full = format!("outputChecks.\"{output}\".{name}");
                Ok(strings(&full, list)?
                    .into_iter()
                    .map(|word| reference(dir, word.as_bytes()))
                    .collect::<BTreeSet<_>>())
            })
            .transpose()
    };
    let size = |name: &str| {
        value
            .get(name)
            .map(|size| {
                size.as_u64()
                    .ok_or_else(|| OptionsError::Type(name.to_owned(), "a size"))
            })
            .transpose()
    };
    Ok(OutputChecks {
        ignore_self: false,
        max_size: size("maxSize")?,
        max_closure_size: size("maxClosureSize")?,
        allowed_references: set("allowedReferences")?,
        allowed_requisites: set("allowedRequisites")?,
        disallowed_references: set("disallowedReferences")?.unwrap_or_default(),
        disallowed_requisites: set("disallowedRequisites")?.unwrap_or_default(),
    })
}

fn reference(dir: &StoreDir, word: &[u8]) -> Reference {
    match dir.split(word) {
        Ok((path, _)) => Reference::Path(path),
        Err(_) => Reference::Output(String::from_utf8_lossy(word).into_owned()),
    }
}

/// Whether a text has the shape of what stands for a path that is not known yet.
fn is_placeholder(text: &[u8]) -> bool {
    text.strip_prefix(b"/")
        .is_some_and(|digits| digits.len() == 52 && digits.iter().all(|&b| base32::is_digit(b)))
}

fn is_file_name(name: &[u8]) -> bool {
    name.first()
        .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && name
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn object<'a>(name: &str, value: &'a Value) -> Result<&'a Map<String, Value>, OptionsError> {
    value
        .as_object()
        .ok_or_else(|| OptionsError::Type(name.to_owned(), "an object"))
}

fn strings<'a>(name: &str, value: &'a Value) -> Result<Vec<&'a str>, OptionsError> {
    let wrong = || OptionsError::Type(name.to_owned(), "a list of strings");
    value
        .as_array()
        .ok_or_else(wrong)?
        .iter()
        .map(|item| item.as_str().ok_or_else(wrong))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> Result<Options, OptionsError> {
        let mut derivation = BasicDerivation::default();
        for (name, value) in variables {
            derivation
                .env
                .insert(name.as_bytes().to_vec(), value.as_bytes().to_vec());
        }
        Options::of(&derivation, &StoreDir::default())
    }

    #[test]
    fn options_are_read_from_the_environment() {
        let options = options(&[
            ("passAsFile", "a  b\nc"),
            ("__noChroot", "1"),
            ("allowedReferences", "out"),
            ("requiredSystemFeatures", "kvm"),
        ])
        .unwrap();
        assert_eq!(options.pass_as_file.len(), 3);
        assert!(options.no_chroot && options.allow_substitutes);
        let Checks::All(checks) = &options.checks else {
            panic!("checks for all outputs")
        };
        assert_eq!(
            checks.allowed_references,
            Some(BTreeSet::from([Reference::Output("out".to_owned())]))
        );
        assert_eq!(checks.allowed_requisites, None);
    }

    #[test]
    fn structured_attributes_take_the_place_of_the_environment() {
        let json = r#"{"__noChroot":true,"outputChecks":{"out":{"maxSize":7}},"passAsFile":"x"}"#;
        let options = options(&[("__json", json), ("allowedReferences", "out")]).unwrap();
        assert!(options.no_chroot && options.pass_as_file.is_empty());
        let Checks::ByOutput(checks) = &options.checks else {
            panic!("checks by output")
        };
        assert_eq!(checks["out"].max_size, Some(7));
        assert!(!checks["out"].ignore_self);
    }

    #[test]
    fn file_names_of_graphs_cannot_lead_elsewhere() {
        let path = "/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo";
        assert!(options(&[("exportReferencesGraph", &format!("graph {path}/bin"))]).is_ok());
        for bad in ["../x", "a/b", ".x", "-"] {
            let text = format!("{bad} {path}");
            assert!(options(&[("exportReferencesGraph", &text)]).is_err());
        }
        assert!(options(&[("exportReferencesGraph", "a")]).is_err());
        assert!(options(&[("__json", "[]")]).is_err());
    }
}
