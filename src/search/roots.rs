//! What is searched: channels, `<nixpkgs>`, files, expressions.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rx_eval::outside::is_url;
use rx_eval::value::Attrs;
use rx_eval::{Origin, Value};
use rx_store::hash::{Algorithm, Hasher};
use rx_store::settings::Settings;

use super::Searcher;
use crate::cli::AutoArg;
use crate::eval_session::EvalSession;
use crate::ui::Failure;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootKind {
    /// A file, as the command line names it: a path, `<name>`, `-`.
    File(OsString),
    /// An expression.
    Expression(OsString),
}

/// A value that is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Where it comes from.
    pub kind: RootKind,
    /// The attribute path of what is searched in it; empty for all of it.
    pub attribute: Vec<u8>,
    /// What stands before each attribute path that is shown.
    pub shown: Vec<u8>,
}

/// What a root's value is.
pub(super) enum Opened {
    /// A set that is searched.
    Set(Attrs),
    /// Something else: a package, as a rule.
    One(Value),
}

impl Root {
    /// All of what comes from somewhere.
    pub fn of(kind: RootKind) -> Root {
        Root {
            kind,
            attribute: Vec::new(),
            shown: Vec::new(),
        }
    }

    /// The value, evaluated as far as the set of its attributes.
    pub(super) fn open(&self, session: &mut EvalSession) -> Result<Opened, Failure> {
        let value = match &self.kind {
            RootKind::File(file) if file == "-" => {
                let text = crate::ui::read_stdin()?;
                session.eval_text(Origin::Stdin, &text)?
            }
            RootKind::File(file) => session.eval_file(file)?,
            RootKind::Expression(text) => session.eval_text(Origin::String, text.as_bytes())?,
        };
        let args = session.auto_args.clone();
        let found = session.vm.find_along(&self.attribute, &args, value);
        let (value, _) = session.check(found)?;
        let called = session.vm.auto_call(&args, value);
        let value = session.check(called)?;
        let package = session.vm.is_package(value);
        Ok(match value.as_attrs() {
            Some(attrs) if !session.check(package)? => Opened::Set(attrs),
            _ => Opened::One(value),
        })
    }

    /// Whether it is read from standard input.
    pub(super) fn is_stdin(&self) -> bool {
        matches!(&self.kind, RootKind::File(file) if file == "-")
    }

    /// The names of the attribute path that is searched.
    pub(super) fn prefix(&self) -> Vec<Vec<u8>> {
        rx_eval::selection::parse_attr_path(&self.attribute).unwrap_or_default()
    }
}

/// The channels of the user, as `rx-env` sees them, and `<nixpkgs>`: what is searched when nothing is named.
pub fn default_roots(settings: &Settings, include: &[OsString]) -> Vec<Root> {
    let mut roots = Vec::new();
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut add = |name: &OsStr, kind: RootKind, at: &Path| {
        let real = std::fs::canonicalize(at).unwrap_or_else(|_| at.to_owned());
        if seen.contains(&real) {
            return;
        }
        seen.push(real);
        roots.push(Root {
            kind,
            attribute: Vec::new(),
            shown: [name.as_bytes(), b"."].concat(),
        });
    };
    if let Some(path) = in_search_path(settings, include, "nixpkgs") {
        let kind = RootKind::File("<nixpkgs>".into());
        add(OsStr::new("nixpkgs"), kind, &path);
    }
    let own = settings.places.home.join(".nix-defexpr/channels");
    let of_root = settings
        .places
        .state_dir
        .join("profiles/per-user/root/channels");
    for dir in [own, of_root] {
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        let mut names: Vec<OsString> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            let path = dir.join(&name);
            if path.join("default.nix").exists() {
                add(&name, RootKind::File(path.clone().into()), &path);
            }
        }
    }
    roots
}

/// The element of the search path that has a name, if it is there.
fn in_search_path(settings: &Settings, include: &[OsString], name: &str) -> Option<PathBuf> {
    let words = include.iter().chain(&settings.nix_path.0);
    let defaults = settings.places.default_nix_path();
    for word in words.chain(&defaults.0) {
        let bytes = word.as_bytes();
        let (prefix, path) = match bytes.iter().position(|&b| b == b'=') {
            Some(at) => (&bytes[..at], &bytes[at + 1..]),
            None => (&b""[..], bytes),
        };
        let text = String::from_utf8_lossy(path);
        let path = Path::new(OsStr::from_bytes(path));
        if prefix == name.as_bytes() {
            if is_url(&text) || text.starts_with("flake:") || path.exists() {
                return Some(path.to_owned());
            }
        } else if prefix.is_empty() && path.join(name).exists() {
            return Some(path.join(name));
        }
    }
    None
}

/// What an argument names if it names something to search: `nixpkgs`, `CHANNEL`, `<name>`, `./dir`, each with
/// `#ATTRIBUTE` or not.
pub fn named_root(settings: &Settings, include: &[OsString], argument: &OsStr) -> Option<Root> {
    let bytes = argument.as_bytes();
    let (place, attribute) = match bytes.iter().position(|&b| b == b'#') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &b""[..]),
    };
    let place = OsStr::from_bytes(place);
    let path = Path::new(place);
    let root = |kind| Root {
        kind,
        attribute: attribute.to_vec(),
        shown: Vec::new(),
    };
    let is_path = place == "." || place == ".." || place.as_bytes().contains(&b'/');
    let is_lookup = place.as_bytes().first() == Some(&b'<') && place.as_bytes().ends_with(b">");
    // A directory with both needs no copy as a directory.
    let is_flake = path.join("flake.nix").exists() && !path.join("default.nix").exists();
    if is_lookup || (is_path && path.exists() && !is_flake) || is_url(&place.to_string_lossy()) {
        return Some(root(RootKind::File(place.to_owned())));
    }
    let name = [place.as_bytes(), b"."].concat();
    let channel = default_roots(settings, include)
        .into_iter()
        .find(|root| root.shown == name)?;
    let mut found = root(channel.kind);
    // As the reference names what is in the flake of this name.
    found.shown = format!("legacyPackages.{}.", settings.current_system()).into_bytes();
    Some(found)
}

/// The name of a root's index: a hash of all that decides what the evaluation gives and is not an input that
/// the evaluation itself looks at. Nothing for what cannot be evaluated again.
pub(super) fn key(searcher: &Searcher<'_>, root: usize) -> Result<Option<String>, Failure> {
    let settings = &searcher.invocation.settings;
    let root = &searcher.roots[root];
    let here = std::env::current_dir()?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut add = |text: &[u8]| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text);
    };
    add(env!("CARGO_PKG_VERSION").as_bytes());
    match &root.kind {
        RootKind::File(file) if file == "-" => return Ok(None),
        RootKind::File(file) if file.as_bytes().first() == Some(&b'<') => add(file.as_bytes()),
        RootKind::File(file) if is_url(&file.to_string_lossy()) => return Ok(None),
        RootKind::File(file) => add(here.join(file).as_os_str().as_bytes()),
        RootKind::Expression(text) => {
            add(b"expression");
            add(here.as_os_str().as_bytes());
            add(text.as_bytes());
        }
    }
    add(&root.attribute);
    for (name, arg) in &searcher.options.auto_args {
        add(name.as_bytes());
        match arg {
            AutoArg::Expr(text) | AutoArg::Text(text) => {
                let is_text = matches!(arg, AutoArg::Text(_));
                add(if is_text { b"text" } else { b"expression" });
                add(text.as_bytes());
            }
            // What is in there is not known before it is read.
            AutoArg::File(_) | AutoArg::Stdin => return Ok(None),
        }
    }
    if !searcher.options.auto_args.is_empty() {
        add(here.as_os_str().as_bytes());
    }
    let defaults = settings.places.default_nix_path();
    let words = searcher.options.include.iter().chain(&settings.nix_path.0);
    for word in words.chain(&defaults.0) {
        add(word.as_bytes());
        if !word.as_bytes().contains(&b'/') {
            add(here.as_os_str().as_bytes());
        }
    }
    add(settings.current_system().as_bytes());
    add(settings.places.store_dir.as_os_str().as_bytes());
    add(settings.store.as_bytes());
    add(settings.places.home.as_os_str().as_bytes());
    for feature in &settings.experimental_features {
        add(feature.name().as_bytes());
    }
    add(&[
        u8::from(settings.pure_eval),
        u8::from(settings.restrict_eval),
        u8::from(settings.allow_import_from_derivation),
    ]);
    add(&settings.max_call_depth.to_le_bytes());
    let digest = hasher.finish();
    Ok(Some(digest.base16()[..32].to_owned()))
}
