//! The environment of a builder, and the files that it finds in its build directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::backend::{Backend, BackendError};
use super::options::Options;
use super::structured_attrs;
use crate::base32;
use crate::derivation::{
    BasicDerivation, Derivation, Kind, canonical_json, output_placeholder, rewrite,
};
use crate::hash::sha256;
use crate::path::{StoreDir, StorePath};
use crate::settings::Settings;
use crate::store::closure::ClosureOptions;
use crate::store::{PathInfo, Store};

/// Variables and files.
#[derive(Clone, Debug, Default)]
pub struct BuildEnvironment {
    /// The environment, in the order of names.
    pub variables: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Files of the build directory, by name.
    pub files: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Everything the environment follows from.
pub struct EnvironmentInput<'a> {
    /// What is built.
    pub derivation: &'a BasicDerivation,
    /// Its options.
    pub options: &'a Options,
    /// Its kind.
    pub kind: Kind,
    /// The closure of its inputs.
    pub inputs: &'a BTreeSet<StorePath>,
    /// The build directory as the builder sees it.
    pub build_dir: &'a [u8],
    /// Output placeholders and redirected hash parts, and what replaces them.
    pub rewrites: &'a BTreeMap<Vec<u8>, Vec<u8>>,
    /// The user's settings.
    pub settings: &'a Settings,
}

/// Why there is no environment.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A graph is wanted of a path that is no input.
    #[error(
        "cannot export references of path '{0}' because it is not in the input closure of the derivation"
    )]
    NotAnInput(String),
    /// A graph is wanted of a derivation whose outputs are not known.
    #[error("exportReferences on CA derivations is not yet implemented")]
    UnknownOutputs,
    /// The store.
    #[error(transparent)]
    Store(#[from] BackendError),
}

impl BuildEnvironment {
    /// The environment of a build.
    pub fn new(
        store: &dyn Backend,
        input: &EnvironmentInput<'_>,
    ) -> Result<Self, EnvironmentError> {
        let mut made = Self::default();
        let top = input.build_dir;
        made.set("PATH", "/path-not-set");
        made.set("HOME", "/homeless-shelter");
        made.set("NIX_STORE", store.dir().as_bytes());
        made.set("NIX_BUILD_CORES", input.settings.build_cores().to_string());
        match &input.options.structured {
            Some(attributes) => made.add_structured(store, input, attributes)?,
            None => made.add_variables(store, input)?,
        }
        for name in ["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"] {
            made.set(name, top);
        }
        if input.kind.is_fixed() {
            made.set("NIX_OUTPUT_CHECKED", "1");
        }
        if !input.kind.is_sandboxed() {
            made.add_impure(input);
        }
        made.set("NIX_LOG_FD", "2");
        made.set("TERM", "xterm-256color");
        made.apply(input.rewrites);
        Ok(made)
    }

    fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.variables
            .insert(name.as_bytes().to_vec(), value.as_ref().to_vec());
    }

    fn add_file(
        &mut self,
        input: &EnvironmentInput<'_>,
        variable: Vec<u8>,
        file: String,
        content: Vec<u8>,
    ) {
        let path = [input.build_dir, b"/", file.as_bytes()].concat();
        self.variables.insert(variable, path);
        self.files.insert(file.into_bytes(), content);
    }

    fn add_variables(
        &mut self,
        store: &dyn Backend,
        input: &EnvironmentInput<'_>,
    ) -> Result<(), EnvironmentError> {
        for (name, value) in &input.derivation.env {
            if input.options.pass_as_file.contains(name) {
                let file = format!(".attr-{}", base32::encode(&sha256(name)));
                let variable = [name.as_slice(), b"Path"].concat();
                self.add_file(input, variable, file, value.clone());
            } else {
                self.variables.insert(name.clone(), value.clone());
            }
        }
        for (file, paths) in &input.options.export_references_graph {
            let paths = export_references(&store, paths, input.inputs)?;
            let mut text = Vec::new();
            for path in &paths {
                let info = store.info(path)?;
                store.dir().append_to(path, &mut text);
                text.extend_from_slice(format!("\n\n{}\n", info.references.len()).as_bytes());
                for reference in &info.references {
                    store.dir().append_to(reference, &mut text);
                    text.push(b'\n');
                }
            }
            self.files.insert(file.as_bytes().to_vec(), text);
        }
        Ok(())
    }

    fn add_structured(
        &mut self,
        store: &dyn Backend,
        input: &EnvironmentInput<'_>,
        attributes: &Map<String, Value>,
    ) -> Result<(), EnvironmentError> {
        let attributes = complete_attributes(
            &store,
            input.derivation,
            input.options,
            input.inputs,
            attributes,
        )?;
        let shell = structured_attrs::to_shell(&attributes).into_bytes();
        let json = canonical_json(&Value::Object(attributes)).into_bytes();
        self.add_file(
            input,
            b"NIX_ATTRS_SH_FILE".to_vec(),
            ".attrs.sh".to_owned(),
            shell,
        );
        self.add_file(
            input,
            b"NIX_ATTRS_JSON_FILE".to_vec(),
            ".attrs.json".to_owned(),
            json,
        );
        Ok(())
    }

    /// Fixed-output builds cannot be made impure by their environment, so it may come from outside.
    fn add_impure(&mut self, input: &EnvironmentInput<'_>) {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        for name in &input.options.impure_env_vars {
            let text = String::from_utf8_lossy(name);
            let value = match input.settings.impure_env.get(text.as_ref()) {
                Some(value) => value.clone().into_bytes(),
                None => std::env::var_os(std::ffi::OsStr::from_bytes(name))
                    .map(OsStringExt::into_vec)
                    .unwrap_or_default(),
            };
            self.variables.insert(name.clone(), value);
        }
    }

    fn apply(&mut self, rewrites: &BTreeMap<Vec<u8>, Vec<u8>>) {
        if rewrites.is_empty() {
            return;
        }
        self.variables = std::mem::take(&mut self.variables)
            .into_iter()
            .map(|(name, value)| (rewrite(&name, rewrites), rewrite(&value, rewrites)))
            .collect();
        for content in self.files.values_mut() {
            *content = rewrite(content, rewrites);
        }
    }
}

/// What structured attributes need to know of a store.
trait Graph {
    fn dir(&self) -> &StoreDir;
    fn info(&self, path: &StorePath) -> Result<Arc<PathInfo>, BackendError>;
    fn closure(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, BackendError>;
    fn derivation(&self, path: &StorePath) -> Result<Option<Derivation>, BackendError>;
}

impl Graph for &dyn Backend {
    fn dir(&self) -> &StoreDir {
        (**self).dir()
    }

    fn info(&self, path: &StorePath) -> Result<Arc<PathInfo>, BackendError> {
        (**self).info(path)
    }

    fn closure(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, BackendError> {
        (**self).closure(paths)
    }

    fn derivation(&self, path: &StorePath) -> Result<Option<Derivation>, BackendError> {
        (**self).derivation(path)
    }
}

impl Graph for &dyn Store {
    fn dir(&self) -> &StoreDir {
        (**self).dir()
    }

    fn info(&self, path: &StorePath) -> Result<Arc<PathInfo>, BackendError> {
        Ok((**self).path_info(path)?)
    }

    fn closure(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, BackendError> {
        Ok((**self).closure(paths, ClosureOptions::default())?)
    }

    fn derivation(&self, path: &StorePath) -> Result<Option<Derivation>, BackendError> {
        Ok(Some((**self).read_derivation(path)?))
    }
}

/// The structured attributes of a derivation as its builder would find them, with placeholders for outputs.
/// `inputs` is the closure of its inputs.
pub fn structured_attributes(
    store: &dyn Store,
    derivation: &BasicDerivation,
    options: &Options,
    inputs: &BTreeSet<StorePath>,
) -> Result<Map<String, Value>, EnvironmentError> {
    let none = Map::new();
    let attributes = options.structured.as_ref().unwrap_or(&none);
    complete_attributes(&store, derivation, options, inputs, attributes)
}

fn complete_attributes(
    store: &dyn Graph,
    derivation: &BasicDerivation,
    options: &Options,
    inputs: &BTreeSet<StorePath>,
    attributes: &Map<String, Value>,
) -> Result<Map<String, Value>, EnvironmentError> {
    let mut attributes = attributes.clone();
    let outputs: Map<String, Value> = derivation
        .outputs
        .keys()
        .map(|name| (name.clone(), Value::String(output_placeholder(name))))
        .collect();
    attributes.insert("outputs".to_owned(), Value::Object(outputs));
    for (key, paths) in &options.export_references_graph {
        let paths = export_references(store, paths, inputs)?;
        attributes.insert(key.clone(), closure_json(store, &paths)?);
    }
    Ok(attributes)
}

/// The closure of input paths, and for derivations in it that of their outputs.
fn export_references(
    store: &dyn Graph,
    paths: &BTreeSet<StorePath>,
    inputs: &BTreeSet<StorePath>,
) -> Result<BTreeSet<StorePath>, EnvironmentError> {
    if let Some(other) = paths.iter().find(|path| !inputs.contains(*path)) {
        return Err(EnvironmentError::NotAnInput(
            store.dir().display(other).to_string(),
        ));
    }
    let mut closure = store.closure(paths)?;
    let mut outputs = BTreeSet::new();
    for path in closure.iter().filter(|path| path.is_derivation()) {
        let Some(derivation) = store.derivation(path)? else {
            continue;
        };
        for (_, path) in derivation
            .output_paths(store.dir())
            .map_err(|_| EnvironmentError::UnknownOutputs)?
        {
            outputs.insert(path.ok_or(EnvironmentError::UnknownOutputs)?);
        }
    }
    if !outputs.is_empty() {
        closure.extend(store.closure(&outputs)?);
    }
    Ok(closure)
}

/// What structured attributes say of each path of a closure.
fn closure_json(store: &dyn Graph, paths: &BTreeSet<StorePath>) -> Result<Value, EnvironmentError> {
    let show = |path: &StorePath| store.dir().display(path).to_string();
    let mut list = Vec::new();
    for path in paths {
        let info = store.info(path)?;
        let mut size = 0u64;
        for member in store.closure(&BTreeSet::from([path.clone()]))? {
            size = size.saturating_add(store.info(&member)?.nar_size);
        }
        let references: Vec<String> = info.references.iter().map(show).collect();
        let mut entry = json!({
            "narHash": format!("sha256:{}", info.nar_hash.nix32()),
            "narSize": info.nar_size,
            "references": references,
            "path": show(path),
            "valid": true,
            "closureSize": size,
        });
        if let Some(address) = &info.content_address {
            entry["ca"] = Value::String(address.to_string());
        }
        list.push(entry);
    }
    Ok(Value::Array(list))
}
