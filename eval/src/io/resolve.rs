//! Which file `import` means by a path.

use super::{EvalIo, FileKind};
use crate::compile::canonical;
use crate::error::{Error, Result};

/// Follows a link at the end of the path (but none before it), and goes to `default.nix` in a directory.
pub fn resolve_expr_path(io: &dyn EvalIo, path: &[u8]) -> Result<Vec<u8>> {
    let mut path = path.to_vec();
    let mut kind = io.kind(&path)?;
    for _ in 0..1024 {
        if kind != Some(FileKind::Symlink) {
            if kind == Some(FileKind::Directory) {
                path = canonical(&[&path[..], b"/default.nix"].concat());
            }
            return Ok(path);
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
