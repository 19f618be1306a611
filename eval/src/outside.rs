//! What builtins about files have in common: values as paths, contexts that must exist, the search path.

use rx_lang::symbol::known;

use crate::compile::canonical;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::interp::Coercion;
use crate::io::{FileKind, Realised, outside};
use crate::source::Pos;
use crate::value::{Context, ContextElement, Value, View};
use crate::vm::Vm;

/// An element of the search path: `prefix=path`, or a path alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SearchEntry {
    /// Names that begin with this are looked up here; may be empty.
    pub prefix: Vec<u8>,
    /// A path or URL.
    pub path: Vec<u8>,
}

impl SearchEntry {
    /// Splits `prefix=path`.
    pub fn parse(text: &[u8]) -> SearchEntry {
        match memchr::memchr(b'=', text) {
            Some(at) => SearchEntry {
                prefix: text[..at].to_vec(),
                path: text[at + 1..].to_vec(),
            },
            None => SearchEntry {
                prefix: Vec::new(),
                path: text.to_vec(),
            },
        }
    }

    /// What is to be looked up below this entry for `name`, if the entry may have it.
    fn suffix<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        let rest = name.strip_prefix(&self.prefix[..])?;
        if self.prefix.is_empty() || rest.is_empty() {
            return Some(rest);
        }
        rest.strip_prefix(b"/")
    }
}

/// Whether what a search path names may be read from then on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// The user named it.
    Allow,
    /// A program did.
    AsItIs,
}

impl Vm {
    /// The value as an absolute path, with the context of the string that it may have been.
    pub fn coerce_to_path(
        &mut self,
        value: Value,
        context: &mut Context,
        pos: Pos,
        what: &str,
    ) -> Result<Vec<u8>> {
        let value = self.force(value).context(pos, || what)?;
        match value.view() {
            View::Path(path) => return Ok(path.as_bytes().to_vec()),
            View::Attrs(attrs) => {
                if let Some(to_string) = attrs.get(known::TO_STRING) {
                    let text = self.call(to_string, &[value])?;
                    return self.deeper(|vm| vm.coerce_to_path(text, context, pos, what));
                }
            }
            _ => {}
        }
        let mut text = Vec::new();
        self.coerce_to_string(
            value,
            &mut text,
            context,
            Coercion::segment(false),
            pos,
            what,
        )?;
        if text.first() == Some(&b'/') {
            return Ok(canonical(&text));
        }
        let message = [
            b"string '".as_slice(),
            &text,
            b"' doesn't represent an absolute path",
        ]
        .concat();
        Err(Error::other(message).frame(pos, what))
    }

    /// The value as a path that can be read: what its context names is built first.
    pub fn realise_path(&mut self, value: Value, pos: Pos) -> Result<Vec<u8>> {
        let mut context = Context::EMPTY;
        let path = self.coerce_to_path(
            value,
            &mut context,
            pos,
            "while realising the context of a path",
        )?;
        if context.is_empty() {
            return Ok(path);
        }
        let realised = self.realise_context(context, pos).context(pos, || {
            [
                b"while realising the context of path '".as_slice(),
                &path,
                b"'",
            ]
            .concat()
        })?;
        Ok(canonical(&rewritten(path, &realised)))
    }

    /// Like [`Vm::realise_path`], with all links followed.
    pub fn realise_resolved(&mut self, value: Value, pos: Pos) -> Result<Vec<u8>> {
        let path = self.realise_path(value, pos)?;
        self.ev.io.resolve(&path).map_err(|e| e.at(pos))
    }

    /// Makes everything that a context names exist: the evaluation needs its contents.
    pub fn realise_context(&mut self, context: Context, pos: Pos) -> Result<Realised> {
        let elements = context.elements();
        let built = elements
            .iter()
            .find(|e| matches!(e, ContextElement::Built { .. }));
        if let Some(built) = built
            && !self.import_from_derivation
        {
            let message = [
                b"cannot build '".as_slice(),
                &derived_path(built),
                b"' during evaluation because the option 'allow-import-from-derivation' is disabled",
            ];
            return Err(Error::new(ErrorKind::Outside, message.concat()).at(pos));
        }
        let io = &self.ev.io;
        let store = io.store();
        if let Some(built) = built
            && self.ev.settings.trace_import_from_derivation
        {
            let shown = String::from_utf8_lossy(&derived_path(built)).into_owned();
            rx_store::progress::warn(format_args!(
                "built '{shown}' during evaluation due to an import from derivation"
            ));
        }
        let realised = store.realise(elements).map_err(|e| e.at(pos))?;
        if self.ev.settings.pure || self.ev.settings.restricted {
            for output in &realised.outputs {
                for path in store.closure(output)? {
                    io.allow(&self.ev.store_dir.print(&path));
                }
            }
        }
        Ok(realised)
    }

    /// The file that `<name>` means with this search path.
    pub fn find_file(&mut self, entries: &[SearchEntry], name: &[u8], pos: Pos) -> Result<Vec<u8>> {
        for entry in entries {
            let Some(suffix) = entry.suffix(name) else {
                continue;
            };
            let Some(base) = self.search_root(&entry.path, Access::AsItIs)? else {
                continue;
            };
            let path = canonical(&[&base[..], b"/", suffix].concat());
            let io = &self.ev.io;
            let found = io.resolve(&path)?;
            io.check_access(&found)?;
            if io.kind(&found)?.is_some() {
                return Ok(found);
            }
        }
        if name.starts_with(b"nix/") {
            return Ok([b"<", name, b">"].concat());
        }
        if let Some(below) = name.strip_prefix(b"rx")
            && (below.is_empty() || below[0] == b'/')
        {
            let path = canonical(&[crate::io::LIBRARY, below].concat());
            if self.ev.io.kind(&path)?.is_some() {
                return Ok(path);
            }
        }
        let message = if self.ev.settings.pure {
            let hint = b">' in pure evaluation mode (use '--impure' to override)";
            [b"cannot look up '<".as_slice(), name, hint].concat()
        } else {
            let hint = b"' was not found in the Nix search path (add it using $NIX_PATH or -I)";
            [b"file '".as_slice(), name, hint].concat()
        };
        Err(Error::new(ErrorKind::Throw, message).at(pos))
    }

    /// Finds the whole search path and lets it be read, as restricted evaluation begins.
    pub fn allow_search_path(&mut self) -> Result<()> {
        for entry in &self.ev.settings.search_path {
            self.search_root(&entry.path, Access::Allow)?;
        }
        Ok(())
    }

    /// Where an element of the search path is; found out once.
    fn search_root(&mut self, path: &[u8], access: Access) -> Result<Option<Vec<u8>>> {
        if let Some(known) = self.ev.search_roots.lock().get(path) {
            self.ev.io.used(crate::track::InputKind::Kind, path);
            return Ok(known.clone());
        }
        let root = self.find_search_root(path, access)?;
        self.ev
            .search_roots
            .lock()
            .insert(path.to_vec(), root.clone());
        Ok(root)
    }

    fn find_search_root(&mut self, path: &[u8], access: Access) -> Result<Option<Vec<u8>>> {
        let shown = String::from_utf8_lossy(path);
        if is_url(&shown) {
            return Ok(match self.fetch_search_root(&shown) {
                Ok(root) => Some(root),
                Err(error) if error.is_passing() => return Err(error),
                Err(_) => {
                    rx_store::progress::warn(format_args!(
                        "Nix search path entry '{shown}' cannot be downloaded, ignoring"
                    ));
                    None
                }
            });
        }
        if let Some(reference) = shown.strip_prefix("flake:") {
            return self.fetch_flake_root(reference).map(Some);
        }
        let absolute = if path.first() == Some(&b'/') {
            canonical(path)
        } else {
            canonical(&[&self.ev.settings.current_dir[..], b"/", path].concat())
        };
        let io = &self.ev.io;
        match access {
            Access::Allow => io.allow(&absolute),
            Access::AsItIs => io.check_access(&absolute)?,
        }
        if access == Access::Allow
            && self.ev.settings.restricted
            && let Ok((object, _)) = self.ev.store_dir.split(&absolute)
            && let Ok(closure) = io.store().closure(&object)
        {
            for path in closure {
                io.allow(&self.ev.store_dir.print(&path));
            }
        }
        let found = io.resolve(&absolute)?;
        if io.kind(&found)?.is_some() {
            return Ok(Some(absolute));
        }
        rx_store::progress::warn(format_args!(
            "Nix search path entry '{shown}' does not exist, ignoring"
        ));
        Ok(None)
    }

    /// The tree of an archive that the search path names by its URL.
    pub fn fetch_search_root(&mut self, url: &str) -> Result<Vec<u8>> {
        let url = crate::builtins::resolve_pseudo_url(url);
        let fetched = self.fetcher()?.fetch_url(&url, "source", None, true);
        let path = fetched.map_err(crate::builtins::fetch_failed)?;
        Ok(self.allowed_root(&path))
    }

    /// The tree of a flake, as `flake:NAME` in the search path means it.
    pub fn fetch_flake_root(&mut self, reference: &str) -> Result<Vec<u8>> {
        use rx_store::fetch::flake_ref::{FlakeRef, ParseOptions};
        use rx_store::fetch::registry::{Use, lookup, registries};
        let failed = crate::builtins::fetch_failed;
        let options = ParseOptions {
            allow_missing: true,
            ..ParseOptions::default()
        };
        let reference = FlakeRef::parse(reference, options).map_err(failed)?;
        let mut input = reference.input;
        if !input.is_direct() {
            let registries = registries(self.fetcher()?).map_err(failed)?;
            input = lookup(&input, &registries, Use::All).map_err(failed)?.0;
        }
        let fetched = self.fetch_input(&input)?;
        let root = self.allowed_root(&fetched.store_path);
        Ok(match reference.subdir.as_str() {
            "" => root,
            dir => canonical(&[&root[..], b"/", dir.as_bytes()].concat()),
        })
    }

    fn allowed_root(&self, path: &rx_store::path::StorePath) -> Vec<u8> {
        let printed = self.ev.store_dir.print(path);
        self.ev.io.allow(&printed);
        printed
    }

    /// The kind of what is at a path, links followed, which must exist.
    pub(crate) fn must_exist(&mut self, path: &[u8]) -> Result<FileKind> {
        let io = &self.ev.io;
        io.check_access(path)?;
        io.kind(path)?.ok_or_else(|| does_not_exist(path))
    }
}

/// Whether an element of the search path or a file argument is to be downloaded.
pub fn is_url(text: &str) -> bool {
    const SCHEMES: [&str; 7] = ["http", "https", "file", "channel", "git", "s3", "ssh"];
    text.starts_with("channel:")
        || text
            .split_once("://")
            .is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

/// `path '…' does not exist`
#[cold]
pub(crate) fn does_not_exist(path: &[u8]) -> Box<Error> {
    let shown = String::from_utf8_lossy(path);
    outside(format_args!("path '{shown}' does not exist"))
}

/// What the element names, as build commands write it: `/nix/store/….drv^out`.
fn derived_path(element: &ContextElement) -> Vec<u8> {
    match element {
        ContextElement::Opaque(path) | ContextElement::DrvDeep(path) => path.to_vec(),
        ContextElement::Built { drv, output } => [&derived_path(drv)[..], b"^", output].concat(),
    }
}

/// The text with placeholders of outputs replaced by their paths.
pub(crate) fn rewritten(text: Vec<u8>, realised: &Realised) -> Vec<u8> {
    if realised.rewrites.is_empty() {
        return text;
    }
    rx_store::derivation::rewrite(&text, &realised.rewrites)
}
