//! Where a package is defined, and showing that place in an editor.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rx_eval::io::resolve_expr_path;
use rx_eval::{Value, Vm};
use rx_lang::Symbol;
use rx_store::store::Store;

use crate::ui::{Failure, eval_failure, open_editor};

/// A line of something that can be shown in an editor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The file as the evaluator knows it: in the store, in a tree of the user's, or a part of rx (`<rx>/lib/lists.nix`).
    pub file: Vec<u8>,
    /// The line, from 1; 0 is none in particular.
    pub line: u32,
}

impl Definition {
    /// Where a package says that it is defined: `meta.position`, a file and a line. It is called `name` in errors.
    ///
    /// # Errors
    /// When it does not say so.
    pub fn of_package(
        vm: &mut Vm,
        auto_args: &[(Symbol, Value)],
        package: Value,
        name: &str,
    ) -> Result<Definition, Failure> {
        let unknown = || {
            Failure::message(format!(
                "package '{name}' has no source location information"
            ))
        };
        let position = vm.find_along(b"meta.position", auto_args, package);
        let (position, _) = position.map_err(|_| unknown())?;
        let position = vm
            .force(position)
            .map_err(|error| eval_failure(vm.ev, &error))?;
        let position = position.as_str().ok_or_else(unknown)?;
        Definition::parse(position.as_bytes()).ok_or_else(|| {
            Failure::message(format!(
                "cannot parse 'meta.position' attribute '{}'",
                String::from_utf8_lossy(position.as_bytes())
            ))
        })
    }

    /// `FILE:LINE`
    fn parse(text: &[u8]) -> Option<Definition> {
        let colon = text.iter().rposition(|&byte| byte == b':')?;
        let line = std::str::from_utf8(&text[colon + 1..]).ok()?;
        Some(Definition {
            file: text[..colon].to_vec(),
            line: line.parse().ok()?,
        })
    }

    /// Opens the place in the user's editor. Tells whether a file was opened that may have changed.
    ///
    /// # Errors
    /// When it cannot be read, and what the editor ends with.
    pub fn edit(
        &self,
        vm: &Vm,
        store: impl FnOnce() -> Result<Arc<dyn Store>, Failure>,
    ) -> Result<bool, Failure> {
        let file = PathBuf::from(OsStr::from_bytes(&self.file));
        // The store may lie elsewhere than where programs see it.
        if let Ok((object, rest)) = vm.ev.store_dir.split(&self.file)
            && let Some(real) = store()?.real_path(&object)
        {
            let rest = rest.strip_prefix(b"/").unwrap_or(&rest);
            open_editor(&real.join(OsStr::from_bytes(rest)), self.line)?;
            return Ok(true);
        }
        if self.file.starts_with(b"/") && file.exists() {
            open_editor(&file, self.line)?;
            return Ok(true);
        }
        // Files that are part of rx have no place on the disk.
        let io = &vm.ev.io;
        let text = resolve_expr_path(&**io, &self.file)
            .and_then(|file| io.read_file(&file))
            .map_err(|error| eval_failure(vm.ev, &error))?;
        edit_text(&text, self.line)?;
        Ok(false)
    }
}

/// Shows a text that is no file in the user's editor.
///
/// # Errors
/// When it cannot be written, and what the editor ends with.
pub fn edit_text(text: &[u8], line: u32) -> Result<(), Failure> {
    let mut file = tempfile::Builder::new().suffix(".nix").tempfile()?;
    file.write_all(text)?;
    let mut permissions = file.as_file().metadata()?.permissions();
    permissions.set_readonly(true);
    file.as_file().set_permissions(permissions)?;
    open_editor(file.path(), line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_a_file_and_a_line() {
        let found = |text: &str| {
            let found = Definition::parse(text.as_bytes())?;
            Some((String::from_utf8(found.file).ok()?, found.line))
        };
        assert_eq!(found("/a:b/c.nix:12"), Some(("/a:b/c.nix".to_owned(), 12)));
        assert_eq!(found("<rx>/x.nix:1"), Some(("<rx>/x.nix".to_owned(), 1)));
        assert_eq!(found("/a.nix"), None);
        assert_eq!(found("/a.nix:x"), None);
    }
}
