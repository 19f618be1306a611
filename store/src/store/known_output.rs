//! To what an output was built, found also where only the derivation that it resolves to is known.
//!
//! A store (a cache, say) may know what the *resolved* derivation made, whose inputs are store objects, and have no
//! record under the name of the one that was written.

use super::api::Store;
use super::drv_hash::{drv_output, drv_output_of};
use super::error::StoreError;
use super::realisation::Realisation;
use crate::derivation::Derivation;
use crate::path::StorePath;

/// Derivations that depend on each other more deeply than this are not followed.
const MAX_DEPTH: usize = 1_000;

/// What `known` has recorded for an output of a derivation that is in `derivations`.
pub fn known_output(
    derivations: &dyn Store,
    known: &dyn Store,
    derivation: &StorePath,
    output: &str,
) -> Result<Option<Realisation>, StoreError> {
    at_depth(derivations, known, derivation, output, 0)
}

fn at_depth(
    derivations: &dyn Store,
    known: &dyn Store,
    path: &StorePath,
    output: &str,
    depth: usize,
) -> Result<Option<Realisation>, StoreError> {
    let id = drv_output(derivations, path, output)?;
    if let Some(found) = known.query_realisation(&id)? {
        return Ok(Some(found));
    }
    let derivation = derivations.read_derivation(path)?;
    let is_resolved = derivation.input_derivations.is_empty();
    if is_resolved || derivation.has_dynamic_inputs() || depth > MAX_DEPTH {
        return Ok(None);
    }
    let dir = derivations.dir();
    let mut failure = None;
    let resolved = derivation.resolve(dir, &mut |input, outputs| {
        let [output] = outputs else { return None };
        let found = output_path(derivations, known, input, output, depth);
        found.unwrap_or_else(|error| {
            failure = Some(error);
            None
        })
    });
    if let Some(error) = failure {
        return Err(error);
    }
    match resolved {
        Some(resolved) => {
            let id = drv_output_of(derivations, &Derivation::from(resolved), output)?;
            known.query_realisation(&id)
        }
        None => Ok(None),
    }
}

/// The path of an input's output, written in its derivation or recorded.
fn output_path(
    derivations: &dyn Store,
    known: &dyn Store,
    path: &StorePath,
    output: &str,
    depth: usize,
) -> Result<Option<StorePath>, StoreError> {
    let derivation = derivations.read_derivation(path)?;
    let written = match derivation.outputs.get(output) {
        Some(declared) => declared.path(derivations.dir(), &derivation.name, output)?,
        None => None,
    };
    match written {
        Some(path) => Ok(Some(path)),
        None => {
            Ok(at_depth(derivations, known, path, output, depth + 1)?.map(|found| found.out_path))
        }
    }
}
