//! The environment of a derivation's builder as data, found out by a build of its own.
//!
//! A copy of the derivation has the same inputs and nearly the same variables, but its builder only writes down
//! what stdenv's setup has made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rx_store::derivation::{Derivation, Output, STRUCTURED_ATTRS, canonical_json};
use rx_store::path::StorePath;
use rx_store::store::{AddFlags, BuildMode, DerivedPath, OutputsSpec, Store, StoreError};
use serde_json::{Map, Value, json};

use crate::execute::quote;
use crate::realise::plain_failure;
use crate::ui::Failure;

/// What writes the environment down.
const GET_ENV: &[u8] = include_bytes!("../../../stdlib/get-env.sh");

/// The value of a variable of bash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// A string.
    Text {
        /// Its value.
        value: String,
        /// Do programs see it?
        exported: bool,
    },
    /// A list.
    Array(Vec<String>),
    /// A map.
    Associative(BTreeMap<String, String>),
}

/// Variables and functions of a builder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Variables by name.
    pub variables: BTreeMap<String, Variable>,
    /// Bodies of functions, without braces.
    pub functions: BTreeMap<String, String>,
    /// `.attrs.json` and `.attrs.sh`, if the derivation has structured attributes.
    pub structured: Option<(String, String)>,
}

/// The text is no environment.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the environment in '{path}': {reason}")]
struct Unreadable {
    path: String,
    reason: String,
}

impl Environment {
    /// Reads an environment that was written down.
    pub fn read(store: &dyn Store, path: &StorePath) -> Result<Environment, Failure> {
        let text = store.read_file(path, b"")?;
        let text = String::from_utf8_lossy(&text);
        Self::parse(&text).map_err(|reason| {
            Unreadable {
                path: store.dir().display(path).to_string(),
                reason,
            }
            .into()
        })
    }

    fn parse(text: &str) -> Result<Environment, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let section = |name: &str| {
            let section = value.get(name).and_then(Value::as_object);
            section.ok_or_else(|| format!("it has no '{name}'"))
        };
        let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut environment = Environment::default();
        for (name, variable) in section("variables")? {
            let value = variable.get("value");
            let variable = match (variable.get("type").and_then(Value::as_str), value) {
                (Some(kind @ ("var" | "exported")), Some(value)) => Variable::Text {
                    value: text_of(value),
                    exported: kind == "exported",
                },
                (Some("array"), Some(Value::Array(items))) => {
                    Variable::Array(items.iter().map(text_of).collect())
                }
                (Some("associative"), Some(Value::Object(map))) => Variable::Associative(
                    map.iter()
                        .map(|(key, value)| (key.clone(), text_of(value)))
                        .collect(),
                ),
                _ => continue,
            };
            environment.variables.insert(name.clone(), variable);
        }
        for (name, body) in section("bashFunctions")? {
            environment.functions.insert(name.clone(), text_of(body));
        }
        if let Some(structured) = value.get("structuredAttrs") {
            let file = |name: &str| structured.get(name).map(text_of).unwrap_or_default();
            environment.structured = Some((file(".attrs.json"), file(".attrs.sh")));
        }
        Ok(environment)
    }

    /// The environment as JSON.
    pub fn to_json(&self) -> Value {
        let variables: Map<String, Value> = self
            .variables
            .iter()
            .map(|(name, variable)| {
                let value = match variable {
                    Variable::Text { value, exported } => {
                        let kind = if *exported { "exported" } else { "var" };
                        json!({ "type": kind, "value": value })
                    }
                    Variable::Array(items) => json!({ "type": "array", "value": items }),
                    Variable::Associative(map) => json!({ "type": "associative", "value": map }),
                };
                (name.clone(), value)
            })
            .collect();
        let mut all = Map::new();
        all.insert("bashFunctions".to_owned(), json!(self.functions));
        if let Some((json, shell)) = &self.structured {
            let files = json!({ ".attrs.json": json, ".attrs.sh": shell });
            all.insert("structuredAttrs".to_owned(), files);
        }
        all.insert("variables".to_owned(), Value::Object(variables));
        Value::Object(all)
    }

    /// A variable's value, if it is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.variables.get(name)? {
            Variable::Text { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Outputs with their paths.
    pub fn outputs(&self) -> Result<Vec<(String, String)>, Failure> {
        let named = |name: &str| {
            let path = self.text(name).unwrap_or_default();
            (name.to_owned(), path.to_owned())
        };
        match self.variables.get("outputs") {
            Some(Variable::Associative(map)) => Ok(map.clone().into_iter().collect()),
            Some(Variable::Text { value, .. }) => {
                Ok(value.split_ascii_whitespace().map(named).collect())
            }
            Some(Variable::Array(names)) => Ok(names.iter().map(|name| named(name)).collect()),
            None => Err(Failure::message(
                "derivation does not have an 'outputs' attribute",
            )),
        }
    }

    /// Definitions of all variables and functions but the ignored, for bash.
    pub fn to_bash(&self, ignored: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        let word = |text: &str| quote(text.as_ref());
        for (name, variable) in &self.variables {
            if ignored.contains(&name.as_str()) || !is_name(name) {
                continue;
            }
            match variable {
                Variable::Text { value, exported } => {
                    out.extend([name.as_bytes(), b"=", &word(value), b"\n"].concat());
                    if *exported {
                        out.extend(format!("export {name}\n").bytes());
                    }
                }
                Variable::Array(items) => {
                    out.extend(format!("declare -a {name}=(").bytes());
                    for item in items {
                        out.extend(word(item));
                        out.push(b' ');
                    }
                    out.extend(b")\n");
                }
                Variable::Associative(map) => {
                    out.extend(format!("declare -A {name}=(").bytes());
                    for (key, value) in map {
                        out.extend([b"[", &word(key)[..], b"]=", &word(value), b" "].concat());
                    }
                    out.extend(b")\n");
                }
            }
        }
        for (name, body) in &self.functions {
            out.extend(format!("{name} ()\n{{\n{body}}}\n").bytes());
        }
        out
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Builds the environment of a derivation, and gives the file that has it.
pub fn build_environment(store: &dyn Store, path: &StorePath) -> Result<StorePath, Failure> {
    let original = store.read_derivation(path)?;
    let builder = Path::new(std::ffi::OsStr::from_bytes(&original.builder));
    if builder.file_name().is_none_or(|name| name != "bash") {
        return Err(Failure::message(
            "'nix develop' only works on derivations that use 'bash' as their builder",
        ));
    }
    let script = store.add_text("get-env.sh", GET_ENV, &BTreeSet::new(), AddFlags::default())?;
    let mut derivation = environment_derivation(store, original, script)?;
    derivation.fill_in_output_paths::<StoreError>(store.dir(), &mut |input| {
        store.derivation_modulo(input)
    })?;
    let path = store.write_derivation(&derivation, AddFlags::default())?;
    store.flush()?;
    let wanted = [DerivedPath::built(path.clone(), OutputsSpec::All)];
    store
        .build_paths(&wanted, BuildMode::Normal)
        .map_err(plain_failure)?;
    // One output has it, the others are empty.
    for output in store
        .query_derivation_outputs(&path)?
        .into_values()
        .flatten()
    {
        if !store.read_file(&output, b"")?.is_empty() {
            return Ok(output);
        }
    }
    Err(Failure::message(
        "get-env.sh failed to produce an environment",
    ))
}

fn environment_derivation(
    store: &dyn Store,
    mut derivation: Derivation,
    script: StorePath,
) -> Result<Derivation, Failure> {
    let basic = &mut derivation.basic;
    basic.args = vec![store.dir().print(&script)];
    if let Some(text) = basic.env.get_mut(STRUCTURED_ATTRS) {
        if let Ok(Value::Object(mut attributes)) = serde_json::from_slice(text)
            && attributes.remove("outputChecks").is_some()
        {
            *text = canonical_json(&Value::Object(attributes)).into_bytes();
        }
    } else {
        for name in [
            "allowedReferences",
            "allowedRequisites",
            "disallowedReferences",
            "disallowedRequisites",
        ] {
            basic.env.remove(name.as_bytes());
        }
        // Derivations that were made without stdenv need not name their outputs.
        let names: Vec<&str> = basic.outputs.keys().map(String::as_str).collect();
        let names = names.join(" ").into_bytes();
        basic.env.entry(b"outputs".to_vec()).or_insert(names);
    }
    basic.name += "-env";
    basic
        .env
        .insert(b"name".to_vec(), basic.name.clone().into_bytes());
    basic.input_sources.insert(script);
    for (name, output) in &mut basic.outputs {
        if matches!(output, Output::InputAddressed(_) | Output::Fixed(_)) {
            *output = Output::Deferred;
            basic.env.insert(name.clone().into_bytes(), Vec::new());
        }
    }
    Ok(derivation)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
        "bashFunctions": { "f": " \n    echo hi\n" },
        "variables": {
            "a": {"type": "exported", "value": "it's"},
            "b": {"type": "var", "value": "x\ny"},
            "l": {"type": "array", "value": ["1", "2 3"]},
            "m": {"type": "associative", "value": {"k": "v"}},
            "n": {"type": "unknown"},
            "outputs": {"type": "exported", "value": "out dev"},
            "out": {"type": "exported", "value": "/p"}
        }
    }"#;

    #[test]
    fn an_environment_is_read_and_written_for_bash() {
        let environment = Environment::parse(TEXT).unwrap();
        let bash = String::from_utf8(environment.to_bash(&["out", "outputs"])).unwrap();
        assert_eq!(
            bash,
            "a='it'\\''s'\nexport a\nb='x\ny'\ndeclare -a l=('1' '2 3' )\n\
             declare -A m=(['k']='v' )\nf ()\n{\n \n    echo hi\n}\n"
        );
        assert_eq!(
            environment.outputs().unwrap(),
            [
                ("out".to_owned(), "/p".to_owned()),
                ("dev".to_owned(), String::new())
            ]
        );
        let again = Environment::parse(&environment.to_json().to_string()).unwrap();
        assert_eq!(again, environment);
    }

    #[test]
    fn damaged_environments_are_errors() {
        assert!(Environment::parse("{").is_err());
        assert!(Environment::parse("{}").is_err());
    }
}
