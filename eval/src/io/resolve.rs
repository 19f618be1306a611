//! Which file `import` means by a path.

use super::{EvalIo, FileKind};
use crate::compile::canonical;
use crate::error::{Error, Result};

/// Follows a link at the end of the path (but none before it), and goes to `default.nix` in a directory.
pub fn resolve_expr_path(io: &dyn EvalIo, path: &[u8]) -> Result<Vec<u8>> {
    let (path, kind) = resolve_links(io, path)?;
    Ok(if kind == Some(FileKind::Directory) {
        canonical(&[&path[..], b"/default.nix"].concat())
    } else {
        path
    })
}

/// The file or directory at the end of a chain of links, with its kind if it exists.
pub fn resolve_links(io: &dyn EvalIo, path: &[u8]) -> Result<(Vec<u8>, Option<FileKind>)> {
    let mut path = path.to_vec();
    let mut kind = io.kind(&path)?;
    for _ in 0..1024 {
        if kind != Some(FileKind::Symlink) {
            return Ok((path, kind));
        }
        let target = io.read_link(&path)?;
        path = match target.first() {
            Some(b'/') => canonical(&target),
            _ => {
                let parent = memchr::memrchr(b'/', &path).map_or(&b""[..], |slash| &path[..slash]);
                canonical(&[parent, b"/", &target].concat())
            }
        };
        kind = io.kind(&path)?;
    }
    let message = [
        b"too many symbolic links encountered while traversing the path '",
        &path[..],
        b"'",
    ];
    Err(Error::other(message.concat()))
}
