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
    pub name: String,
    /// Outputs that are installed, with their paths; the first is the default.
    pub outputs: Vec<(String, StorePath)>,
    /// The derivation, if it is to be kept.
    pub derivation: Option<StorePath>,
    /// What it was built on.
    pub system: String,
    /// Its `meta`, as an expression.
    pub meta: String,
    /// Files of lower numbers win.
    pub priority: i64,
    /// Whether its files are in the environment.
    pub active: bool,
}

impl Element {
    /// Something with one output and nothing special.
    pub fn new(name: &str, path: StorePath, system: &str) -> Self {
        Element {
            name: name.to_owned(),
            outputs: vec![("out".to_owned(), path)],
            derivation: None,
            system: system.to_owned(),
            meta: "{ }".to_owned(),
            priority: 5,
            active: true,
        }
    }
}

/// A text as a string of the language.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' if chars.peek() == Some(&'{') => out.push_str("\\$"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The text of `manifest.nix`.
pub fn manifest_text(dir: &StoreDir, elements: &[Element]) -> String {
    let mut out = String::from("[ ");
    for element in elements {
        let path = |path: &StorePath| quote(&dir.display(path).to_string());
        // Names are sorted, as the language prints sets.
        let mut attributes = vec![
            ("meta".to_owned(), element.meta.clone()),
            ("name".to_owned(), quote(&element.name)),
            ("system".to_owned(), quote(&element.system)),
            ("type".to_owned(), quote("derivation")),
        ];
        if let Some(derivation) = &element.derivation {
            attributes.push(("drvPath".to_owned(), path(derivation)));
        }
        let names: Vec<String> = element
            .outputs
            .iter()
            .map(|(name, _)| quote(name))
            .collect();
        attributes.push(("outputs".to_owned(), format!("[ {} ]", names.join(" "))));
        for (number, (name, output)) in element.outputs.iter().enumerate() {
            attributes.push((name.clone(), format!("{{ outPath = {}; }}", path(output))));
            if number == 0 {
                attributes.push(("outPath".to_owned(), path(output)));
            }
        }
        attributes.sort();
        out.push_str("{ ");
        for (name, value) in attributes {
            out.push_str(&format!("{name} = {value}; "));
        }
        out.push_str("} ");
    }
    out.push(']');
    out
}

/// The derivation that builds the environment.
pub fn environment_derivation(
    dir: &StoreDir,
    elements: &[Element],
    manifest: &StorePath,
) -> Result<Derivation, StoreError> {
    let mut words = Vec::new();
    for element in elements {
        words.push(element.active.to_string());
        words.push(element.priority.to_string());
        words.push(element.outputs.len().to_string());
        words.extend(
            element
                .outputs
                .iter()
                .map(|(_, path)| dir.display(path).to_string()),
        );
    }
    let variables = [
        ("allowSubstitutes", String::new()),
        ("derivations", words.join(" ")),
        ("manifest", dir.display(manifest).to_string()),
        ("preferLocalBuild", "1".to_owned()),
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
    variables: &[(&str, String)],
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
        ("builder", builder.to_owned()),
        ("name", name.to_owned()),
        ("system", "builtin".to_owned()),
    ];
    for (key, value) in variables.iter().chain(&always) {
        derivation
            .env
            .insert(key.as_bytes().to_vec(), value.as_bytes().to_vec());
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
        references.extend(element.outputs.iter().map(|(_, path)| path.clone()));
        references.extend(element.derivation.clone());
    }
    let text = manifest_text(dir, elements);
    let manifest = store.add_text(
        "env-manifest.nix",
        text.as_bytes(),
        &references,
        AddFlags::default(),
    )?;
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
            .map(|element| element.outputs[0].1.clone())
            .collect();
        let text = manifest_text(store.dir(), &elements);
        let manifest = store
            .add_text(
                "env-manifest.nix",
                text.as_bytes(),
                &references,
                AddFlags::default(),
            )
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
        assert_eq!(quote("a\"b\\c${d}$e\n"), r#""a\"b\\c\${d}$e\n""#);
    }
}
