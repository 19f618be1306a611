//! The files behind `<nix/…>`: part of rx, written so in paths.

use crate::error::Result;
use crate::outside::does_not_exist;

const PREFIX: &[u8] = b"<nix/";

const FILES: &[(&[u8], &[u8])] = &[(
    b"fetchurl.nix",
    include_bytes!("../../../stdlib/fetchurl.nix"),
)];

/// The text of an internal file; nothing if the path is an ordinary one, an error if there is no such file.
pub(crate) fn text(path: &[u8]) -> Option<Result<&'static [u8]>> {
    let name = path.strip_prefix(PREFIX)?.strip_suffix(b">")?;
    let found = FILES.iter().find(|(file, _)| *file == name);
    Some(
        found
            .map(|(_, text)| *text)
            .ok_or_else(|| does_not_exist(path)),
    )
}
