//! Comparing what was fetched with what was asked for.

use super::{Input, InputError};

/// Fails if a fetched input contradicts the specified one. If that one was final already, its
/// attributes stand as they are.
pub(super) fn check_locks(specified: &Input, result: &mut Input) -> Result<(), InputError> {
    if specified.is_final() {
        let mut specified = specified.clone();
        // Old lock files hold hashes without their padding.
        for input in [&mut specified, result] {
            if let Some(hash) = input.nar_hash()? {
                input.attrs.set("narHash", hash.sri());
            }
        }
        for (name, value) in &specified.attrs.0 {
            if result.attrs.0.get(name).is_some_and(|other| other != value) {
                return Err(InputError::Other(format!(
                    "mismatch in field '{name}' of input '{}', got '{}'",
                    specified.attrs.to_json(),
                    result.attrs.to_json()
                )));
            }
        }
        *result = specified;
        return Ok(());
    }
    if let Some(expected) = specified.nar_hash()? {
        match result.nar_hash()? {
            Some(found) if found == expected => {}
            Some(found) => {
                return Err(InputError::HashMismatch(format!(
                    "NAR hash mismatch in input '{}', expected '{}' but got '{}'",
                    specified.show(),
                    expected.sri(),
                    found.sri()
                )));
            }
            None => {
                return Err(InputError::HashMismatch(format!(
                    "NAR hash mismatch in input '{}', expected '{}' but got none",
                    specified.show(),
                    expected.sri()
                )));
            }
        }
    }
    if let Some(expected) = specified.revision()?
        && result.revision()? != Some(expected)
    {
        return Err(InputError::Other(format!(
            "'rev' attribute mismatch in input '{}', expected {}",
            result.show(),
            expected.base16()
        )));
    }
    Ok(())
}
