//! Path literals: made absolute and canonical at compile time.

use rx_lang::ast::ExprId;

use super::{Compiler, Undefined};
use crate::code::Code;
use crate::value::Value;

impl Compiler<'_> {
    /// A path literal. A trailing slash (only there before an interpolation) stays.
    pub(super) fn path(&mut self, text: &[u8], id: ExprId) -> Code {
        let absolute = match text {
            [b'~', b'/', rest @ ..] => match self.environment.home {
                Some(home) => join(home, rest),
                None => {
                    // Reported as what the reference says when a home path is not to be had.
                    self.undefined.push(Undefined {
                        name: rx_lang::symbol::intern(b"~"),
                        pos: self.pos(id),
                        similar: Vec::new(),
                    });
                    return self.constant_node(Value::NULL);
                }
            },
            [b'/', ..] => text.to_vec(),
            _ => join(self.environment.base_dir, text),
        };
        let mut path = canonical(&absolute);
        if text.ends_with(b"/") && !path.ends_with(b"/") {
            path.push(b'/');
        }
        self.constant_path(&path)
    }
}

fn join(dir: &[u8], rest: &[u8]) -> Vec<u8> {
    [dir, b"/", rest].concat()
}

/// Takes out empty components, `.` and `..` (which stays at the root) without looking at the disk. A path in the
/// library that is part of rx begins with `<rx>` and not with a slash.
pub fn canonical(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len() + 1);
    for component in path.split(|&b| b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => out.truncate(memchr::memrchr(b'/', &out).unwrap_or(0)),
            _ => {
                if !(out.is_empty()
                    && component == crate::io::LIBRARY
                    && path.starts_with(component))
                {
                    out.push(b'/');
                }
                out.extend_from_slice(component);
            }
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_paths_have_no_dots_and_no_double_slashes() {
        for (path, want) in [
            ("/", "/"),
            ("//a//b/", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/../..", "/"),
            ("/..a/...", "/..a/..."),
            ("<rx>/a/./../b", "<rx>/b"),
            ("/<rx>/a", "/<rx>/a"),
        ] {
            assert_eq!(canonical(path.as_bytes()), want.as_bytes());
        }
    }
}
