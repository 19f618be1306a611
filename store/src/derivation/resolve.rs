//! Resolving: a derivation with content-addressed inputs becomes one whose inputs are store objects.
//!
//! Placeholders of the inputs' outputs in builder, arguments and environment are replaced by real paths.

use std::collections::BTreeMap;

use super::{
    BasicDerivation, Derivation, InputOutputs, computed_output_placeholder, upstream_placeholder,
};
use crate::path::{StoreDir, StorePath};

/// Finds what an output of a derivation was built to: the derivation, and output names from it onwards.
type Lookup<'a> = dyn FnMut(&StorePath, &[&str]) -> Option<StorePath> + 'a;

impl Derivation {
    /// The derivation with input derivations replaced by their outputs; `None` when `lookup` misses one.
    pub fn resolve(&self, dir: &StoreDir, lookup: &mut Lookup<'_>) -> Option<BasicDerivation> {
        let mut basic = self.basic.clone();
        let mut rewrites = BTreeMap::new();
        for (path, node) in &self.input_derivations {
            resolve_node(
                dir,
                path,
                node,
                &mut Vec::new(),
                lookup,
                &mut basic,
                &mut rewrites,
            )?;
        }
        basic.apply_rewrites(&rewrites);
        Some(basic)
    }
}

fn resolve_node<'a>(
    dir: &StoreDir,
    drv: &StorePath,
    node: &'a InputOutputs,
    outer: &mut Vec<&'a str>,
    lookup: &mut Lookup<'_>,
    basic: &mut BasicDerivation,
    rewrites: &mut BTreeMap<Vec<u8>, Vec<u8>>,
) -> Option<()> {
    for output in &node.outputs {
        outer.push(output);
        let built = lookup(drv, outer)?;
        let placeholder = match outer.as_slice() {
            [only] => upstream_placeholder(drv, only),
            several => computed_output_placeholder(drv, several)?,
        };
        rewrites.insert(placeholder.into_bytes(), dir.print(&built));
        basic.input_sources.insert(built);
        outer.pop();
    }
    for (output, child) in &node.dynamic {
        outer.push(output);
        resolve_node(dir, drv, child, outer, lookup, basic, rewrites)?;
        outer.pop();
    }
    Some(())
}

impl BasicDerivation {
    /// Replaces texts in builder, arguments, and names and values of the environment.
    pub fn apply_rewrites(&mut self, rewrites: &BTreeMap<Vec<u8>, Vec<u8>>) {
        if rewrites.is_empty() {
            return;
        }
        self.builder = rewrite(&self.builder, rewrites);
        for arg in &mut self.args {
            *arg = rewrite(arg, rewrites);
        }
        self.env = std::mem::take(&mut self.env)
            .into_iter()
            .map(|(name, value)| (rewrite(&name, rewrites), rewrite(&value, rewrites)))
            .collect();
    }
}

/// Replaces every occurrence of each key by its value, key after key.
pub fn rewrite(text: &[u8], rewrites: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let mut text = text.to_vec();
    for (from, to) in rewrites {
        if from.is_empty() || from == to {
            continue;
        }
        let finder = memchr::memmem::Finder::new(from);
        if finder.find(&text).is_none() {
            continue;
        }
        let mut out = Vec::with_capacity(text.len());
        let mut start = 0;
        for at in finder.find_iter(&text) {
            out.extend_from_slice(&text[start..at]);
            out.extend_from_slice(to);
            start = at + from.len();
        }
        out.extend_from_slice(&text[start..]);
        text = out;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_paths_and_inputs() {
        let dir = StoreDir::default();
        let input = StorePath::parse("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv").unwrap();
        let built = StorePath::parse("00000000000000000000000000000000-foo").unwrap();
        let mut drv = Derivation::default();
        drv.env.insert(
            b"x".to_vec(),
            upstream_placeholder(&input, "out").into_bytes(),
        );
        drv.input_derivations
            .insert(input, InputOutputs::of(["out"]));
        let resolved = drv.resolve(&dir, &mut |_, _| Some(built.clone())).unwrap();
        assert_eq!(resolved.env[&b"x"[..]], dir.print(&built));
        assert!(resolved.input_sources.contains(&built));
        assert!(drv.resolve(&dir, &mut |_, _| None).is_none());
    }
}
