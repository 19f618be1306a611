//! The hash that names a derivation in realisations, known even before its output paths are.

use std::collections::{BTreeMap, BTreeSet};

use super::api::Store;
use super::error::StoreError;
use super::realisation::DrvOutput;
use crate::derivation::{Derivation, HashModulo};
use crate::hash::{Hash, sha256};
use crate::path::StorePath;

/// Derivations that depend on each other more deeply than this are refused.
const MAX_DEPTH: usize = 10_000;

/// The name under which what an output was built to is recorded.
pub fn drv_output<S: Store + ?Sized>(
    store: &S,
    derivation: &StorePath,
    output: &str,
) -> Result<DrvOutput, StoreError> {
    let parsed = store.read_derivation(derivation)?;
    let hash = if parsed.kind()?.is_fixed() {
        match store.derivation_modulo(derivation)? {
            HashModulo::Fixed(hash) | HashModulo::InputAddressed(hash) => hash,
            HashModulo::Deferred => return Err(StoreError::Format("the derivation has no hash")),
        }
    } else {
        return drv_output_of(store, &parsed, output);
    };
    Ok(DrvOutput {
        drv_hash: Hash::sha256(hash),
        output: output.to_owned(),
    })
}

/// The same for a derivation with unknown output paths, which need not be in the store; its inputs are.
pub fn drv_output_of<S: Store + ?Sized>(
    store: &S,
    derivation: &Derivation,
    output: &str,
) -> Result<DrvOutput, StoreError> {
    Ok(DrvOutput {
        drv_hash: Hash::sha256(text_hash(store, derivation, Outputs::Masked, 0)?),
        output: output.to_owned(),
    })
}

/// Whether the variables named after outputs keep their values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outputs {
    Masked,
    Shown,
}

/// The hash of a derivation's text with its inputs replaced by theirs, also where outputs are not
/// known yet.
fn text_hash<S: Store + ?Sized>(
    store: &S,
    derivation: &Derivation,
    outputs: Outputs,
    depth: usize,
) -> Result<[u8; 32], StoreError> {
    if depth > MAX_DEPTH {
        return Err(StoreError::Format(
            "derivations depend on each other too deeply",
        ));
    }
    let mut inputs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, wanted) in &derivation.input_derivations {
        // What is wanted of outputs that are derivations is left out.
        if wanted.outputs.is_empty() {
            continue;
        }
        let hash = match store.derivation_modulo(path)? {
            HashModulo::InputAddressed(hash) | HashModulo::Fixed(hash) => hash,
            HashModulo::Deferred => {
                let input = store.read_derivation(path)?;
                text_hash(store, &input, Outputs::Shown, depth + 1)?
            }
        };
        inputs
            .entry(Hash::sha256(hash).base16())
            .or_default()
            .extend(wanted.outputs.iter().cloned());
    }
    let mut text = derivation.clone();
    text.input_derivations.clear();
    if outputs == Outputs::Masked {
        let basic = &mut text.basic;
        for (name, output) in &mut basic.outputs {
            if let Some(value) = basic.env.get_mut(name.as_bytes()) {
                value.clear();
            }
            if matches!(output, crate::derivation::Output::InputAddressed(_)) {
                *output = crate::derivation::Output::Deferred;
            }
        }
    }
    let aterm = text.to_aterm(store.dir());
    // With no inputs of its own, the first list after that of the outputs is empty.
    let at = memchr::memmem::find(&aterm, b"],[],[")
        .ok_or(StoreError::Format("the derivation cannot be printed"))?;
    let list: Vec<String> = inputs
        .into_iter()
        .map(|(hash, outputs)| {
            let names: Vec<String> = outputs.iter().map(|name| format!("\"{name}\"")).collect();
            format!("(\"{hash}\",[{}])", names.join(","))
        })
        .collect();
    let (begin, rest) = (b"Derive(", &aterm[..at + 3]);
    let mut out = Vec::with_capacity(aterm.len());
    match rest.strip_prefix(begin) {
        // It keeps the beginning that such inputs give it.
        Some(rest) if derivation.has_dynamic_inputs() => {
            out.extend_from_slice(b"DrvWithVersion(\"xp-dyn-drv\",");
            out.extend_from_slice(rest);
        }
        _ => out.extend_from_slice(rest),
    }
    out.extend_from_slice(list.join(",").as_bytes());
    out.extend_from_slice(&aterm[at + 3..]);
    Ok(sha256(&out))
}
