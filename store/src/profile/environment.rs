//! User environments: one tree of links to everything that is installed.
//!
//! The tree is built by `builtin:buildenv` from a derivation, so that the same things installed give
//! the same path. Its `manifest.nix` lists them as an expression:
//!
//! ```text
//! [ { meta = { }; name = "x-1"; out = { outPath = "…"; }; outPath = "…"; outputs = [ "out" ];
//!     system = "builtin"; type = "derivation"; } ]
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::generations::ProfileError;
use crate::derivation::{BasicDerivation, Derivation, DerivationError, Output};
use crate::path::{StoreDir, StorePath};
use crate::store::{AddFlags, BuildMode, DerivedPath, OutputsSpec, Store, StoreError};

/// Something installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Name with version.
    pub name: Vec<u8>,
    /// The output that it stands for.
    pub out_path: StorePath,
    /// Outputs that are installed, with their paths.
    pub outputs: BTreeMap<String, StorePath>,
    /// The derivation, if it is to be kept.
    pub derivation: Option<StorePath>,
    /// What it was built on; nothing if that is not known.
    pub system: Vec<u8>,
    /// Its `meta`, as an expression.
    pub meta: Vec<u8>,
    /// Files of lower numbers win. Normally a number, but whatever its `meta` says.
    pub priority: Vec<u8>,
    /// Whether its files are in the environment: all but `false` means so.
    pub active: Vec<u8>,
}

impl Element {
    /// Something with one output and nothing special.
    pub fn new(name: &str, path: StorePath, system: &str) -> Self {
        Element {
            name: name.as_bytes().to_vec(),
            outputs: BTreeMap::from([("out".to_owned(), path.clone())]),
            out_path: path,
            derivation: None,
            system: system.as_bytes().to_vec(),
            meta: b"{ }".to_vec(),
            priority: b"5".to_vec(),
            active: b"true".to_vec(),
        }
    }
}

/// A text as a string of the language.
fn quote(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    out.push(b'"');
    let mut bytes = text.iter().peekable();
    while let Some(&c) = bytes.next() {
        match c {
            b'"' | b'\\' => out.extend([b'\\', c]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'$' if bytes.peek() == Some(&&b'{') => out.extend_from_slice(b"\\$"),
            _ => out.push(c),
        }
    }
    out.push(b'"');
    out
}

/// The text of `manifest.nix`.
pub fn manifest_text(dir: &StoreDir, elements: &[Element]) -> Vec<u8> {
    let mut out = b"[ ".to_vec();
    for element in elements {
        let path = |path: &StorePath| quote(&dir.print(path));
        // Names are sorted, as the language prints sets.
        let mut attributes: BTreeMap<&[u8], Vec<u8>> = BTreeMap::new();
        let mut names = b"[ ".to_vec();
        for (name, output) in &element.outputs {
            names.extend_from_slice(&quote(name.as_bytes()));
            names.push(b' ');
            let set = [b"{ outPath = ".as_slice(), &path(output), b"; }"].concat();
            attributes.insert(name.as_bytes(), set);
        }
        names.push(b']');
        attributes.insert(b"outputs", names);
        attributes.insert(b"outPath", path(&element.out_path));
        attributes.insert(b"meta", element.meta.clone());
        attributes.insert(b"name", quote(&element.name));
        attributes.insert(b"type", quote(b"derivation"));
        if !element.system.is_empty() {
            attributes.insert(b"system", quote(&element.system));
        }
        if let Some(derivation) = &element.derivation {
            attributes.insert(b"drvPath", path(derivation));
        }
        out.extend_from_slice(b"{ ");
        for (name, value) in attributes {
            for part in [name, b" = ", &value, b"; "] {
                out.extend_from_slice(part);
            }
        }
        out.extend_from_slice(b"} ");
    }
    out.push(b']');
    out
}

/// The derivation that builds the environment.
pub fn environment_derivation(
    dir: &StoreDir,
    elements: &[Element],
    manifest: &StorePath,
) -> Result<Derivation, StoreError> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    for element in elements {
        words.push(element.active.clone());
        words.push(element.priority.clone());
        words.push(element.outputs.len().to_string().into_bytes());
        words.extend(element.outputs.values().map(|path| dir.print(path)));
    }
    let variables = [
        ("allowSubstitutes", Vec::new()),
        ("derivations", words.join(&b' ')),
        ("manifest", dir.print(manifest)),
        ("preferLocalBuild", b"1".to_vec()),
    ];
    builtin_derivation(
        dir,
        "user-environment",
        "builtin:buildenv",
        &variables,
        manifest,
    )
}

/// A derivation of a built-in builder with one source.
pub(crate) fn builtin_derivation(
    dir: &StoreDir,
    name: &str,
    builder: &str,
    variables: &[(&str, Vec<u8>)],
    source: &StorePath,
) -> Result<Derivation, StoreError> {
    let basic = BasicDerivation {
        name: name.to_owned(),
        outputs: BTreeMap::from([("out".to_owned(), Output::Deferred)]),
        input_sources: BTreeSet::from([source.clone()]),
        platform: b"builtin".to_vec(),
        builder: builder.as_bytes().to_vec(),
        ..BasicDerivation::default()
    };
    let mut derivation = Derivation {
        basic,
        input_derivations: BTreeMap::new(),
    };
    let always = [
        ("builder", builder.as_bytes().to_vec()),
        ("name", name.as_bytes().to_vec()),
        ("system", b"builtin".to_vec()),
    ];
    for (key, value) in variables.iter().chain(&always) {
        derivation
            .env
            .insert(key.as_bytes().to_vec(), value.clone());
    }
    derivation.fill_in_output_paths::<DerivationError>(dir, &mut |input| {
        Err(DerivationError::ShouldBeDeferred(
            dir.display(input).to_string(),
        ))
    })?;
    Ok(derivation)
}

/// Builds a derivation with the one output `out`, and gives that.
pub(crate) fn build_output(
    store: &dyn Store,
    derivation: &Derivation,
) -> Result<StorePath, StoreError> {
    let drv = store.write_derivation(derivation, AddFlags::default())?;
    let wanted = DerivedPath::built(drv.clone(), OutputsSpec::parse("out")?);
    store.build_paths(&[wanted], BuildMode::Normal)?;
    let outputs = store.query_derivation_outputs(&drv)?;
    outputs
        .get("out")
        .cloned()
        .flatten()
        .ok_or(StoreError::Format("the derivation has no output 'out'"))
}

/// Builds the environment of these elements.
pub fn build_environment(
    store: &dyn Store,
    elements: &[Element],
) -> Result<StorePath, ProfileError> {
    let dir = store.dir();
    let mut references: BTreeSet<StorePath> = BTreeSet::new();
    for element in elements {
        references.extend(element.outputs.values().cloned());
        references.extend(element.derivation.clone());
    }
    let text = manifest_text(dir, elements);
    let manifest = store.add_text("env-manifest.nix", &text, &references, AddFlags::default())?;
    let derivation = environment_derivation(dir, elements, &manifest)?;
    Ok(build_output(store, &derivation)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    fn path(name: &str) -> StorePath {
        StorePath::parse(name).unwrap()
    }

    #[test]
    fn the_same_things_installed_give_the_known_path() {
        // As the reference installs two channels.
        let elements = [
            Element::new(
                "foo-1.2.tar.xz-1.2.tar.xz",
                path("y7yjfsiba1x083622d4nl9c9b8v809qv-foo-1.2.tar.xz-1.2.tar.xz"),
                "builtin",
            ),
            Element::new(
                "nixpkgs-24.05",
                path("c47im4apjyga4aq9jzqh5s9aa1aqk80h-nixpkgs-24.05"),
                "builtin",
            ),
        ];
        let store = MemoryStore::new(StoreDir::default());
        let references = elements
            .iter()
            .map(|element| element.out_path.clone())
            .collect();
        let text = manifest_text(store.dir(), &elements);
        let manifest = store
            .add_text("env-manifest.nix", &text, &references, AddFlags::default())
            .unwrap();
        assert_eq!(
            manifest.to_string(),
            "pgxraa8nqi2ni4y8w57a02vg2irlaax9-env-manifest.nix"
        );
        let derivation = environment_derivation(store.dir(), &elements, &manifest).unwrap();
        assert_eq!(
            derivation.path(store.dir()).unwrap().to_string(),
            "1nxf4pfs8gyfswnl62svd9lapn8f7f5b-user-environment.drv"
        );
        assert_eq!(
            derivation.output_paths(store.dir()).unwrap()[0]
                .1
                .as_ref()
                .unwrap()
                .to_string(),
            "7dvkgxw0lkra9g3ayp1d4gbnfg8yd3in-user-environment"
        );
    }

    #[test]
    fn texts_in_a_manifest_are_quoted() {
        assert_eq!(quote(b"a\"b\\c${d}$e\n"), br#""a\"b\\c\${d}$e\n""#);
    }
}
