//! Path literals as text.

/// How to print path literals.
#[derive(Debug, Clone, Copy)]
pub enum Paths<'a> {
    /// As they stand in the source.
    AsWritten,
    /// Absolute and canonical, as evaluation sees them.
    Resolved {
        /// The directory of the file, absolute.
        base: &'a [u8],
        /// The home directory.
        home: &'a [u8],
    },
}

impl Paths<'_> {
    pub(super) fn print(&self, literal: &[u8], out: &mut Vec<u8>) {
        match *self {
            Paths::AsWritten => out.extend_from_slice(literal),
            Paths::Resolved { base, home } => out.extend_from_slice(&resolve(literal, base, home)),
        }
    }
}

/// The absolute form of a path literal. One that begins with `~` is not made canonical; a slash at the end, which only the
/// first piece of an interpolated path has, stays.
pub fn resolve(literal: &[u8], base: &[u8], home: &[u8]) -> Vec<u8> {
    if let Some(rest) = literal.strip_prefix(b"~") {
        return [home, rest].concat();
    }
    let mut path = if literal.starts_with(b"/") {
        canonical(literal)
    } else {
        canonical(&[base, b"/", literal].concat())
    };
    if literal.len() > 1 && literal.ends_with(b"/") {
        path.push(b'/');
    }
    path
}

/// Removes `.`, `..` and empty components from an absolute path, by its text alone.
fn canonical(path: &[u8]) -> Vec<u8> {
    let mut components: Vec<&[u8]> = Vec::new();
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                components.pop();
            }
            other => components.push(other),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    for component in &components {
        out.push(b'/');
        out.extend_from_slice(component);
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn paths_become_absolute() {
        let table: [(&str, &str); 8] = [
            ("./a", "/base/dir/a"),
            ("./.", "/base/dir"),
            ("../x/./y", "/base/x/y"),
            ("../../../..", "/"),
            ("/a/../b", "/b"),
            ("/", "/"),
            ("./a/", "/base/dir/a/"),
            ("~/a/../b", "/home/me/a/../b"),
        ];
        for (literal, path) in table {
            assert_eq!(
                String::from_utf8_lossy(&resolve(literal.as_bytes(), b"/base/dir", b"/home/me")),
                path
            );
        }
    }
}
