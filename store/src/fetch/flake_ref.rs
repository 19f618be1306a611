//! Flake references: what people write for a flake on the command line and in `inputs`.
//!
//! ```text
//! nixpkgs/branch#attr      a name of the registry
//! github:o/r?dir=x#attr    a URL
//! ./some/dir?ref=x#attr    a path; a Git repository around it is noticed
//! ```

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::attrs::Attrs;
use super::git::is_legal_ref_name;
use super::input::{Input, InputError, Wanted};
use super::url::{Authority, BadUrl, Reading, Url, decode_query, percent_decode};

/// A source tree and the flake's directory in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlakeRef {
    /// The tree.
    pub input: Input,
    /// The flake's directory in it; empty for its root.
    pub subdir: String,
}

/// How a reference is read.
#[derive(Debug, Clone, Copy)]
pub struct ParseOptions<'a> {
    /// Relative paths begin here; without it they are an error.
    pub base: Option<&'a Path>,
    /// Accept a directory without `flake.nix`.
    pub allow_missing: bool,
    /// It must be a flake, not just a tree or file.
    pub is_flake: bool,
    /// Keep relative paths as they are when there is no `base`.
    pub keep_relative: bool,
}

impl Default for ParseOptions<'_> {
    fn default() -> Self {
        ParseOptions {
            base: None,
            allow_missing: false,
            is_flake: true,
            keep_relative: false,
        }
    }
}

fn bad(text: String) -> InputError {
    BadUrl(text).into()
}

impl FlakeRef {
    /// Reads a reference without fragment.
    pub fn parse(text: &str, options: ParseOptions<'_>) -> Result<Self, InputError> {
        let (reference, fragment) = Self::parse_with_fragment(text, options)?;
        if !fragment.is_empty() {
            return Err(InputError::Other(format!(
                "unexpected fragment '{fragment}' in flake reference '{text}'"
            )));
        }
        Ok(reference)
    }

    /// Reads a reference and what follows `#`.
    pub fn parse_with_fragment(
        text: &str,
        options: ParseOptions<'_>,
    ) -> Result<(Self, String), InputError> {
        if let Some(found) = parse_id(text, options)? {
            return Ok(found);
        }
        match parse_url(text, options) {
            // What is no URL may be a path.
            Err(InputError::Url(_)) => parse_path(text, options),
            other => other,
        }
    }

    fn from_url(mut url: Url, options: ParseOptions<'_>) -> Result<(Self, String), InputError> {
        let subdir = url.query.remove("dir").unwrap_or_default();
        let fragment = std::mem::take(&mut url.fragment);
        let wanted = if options.is_flake {
            Wanted::Tree
        } else {
            Wanted::Anything
        };
        Ok((
            FlakeRef {
                input: Input::from_url(&url, wanted)?,
                subdir,
            },
            fragment,
        ))
    }

    /// From the attributes of a lock file: those of the input and `dir`.
    pub fn from_attrs(mut attrs: Attrs) -> Result<Self, InputError> {
        let subdir = attrs.str_opt("dir")?.unwrap_or_default().to_owned();
        attrs.remove("dir");
        Ok(FlakeRef {
            input: Input::from_attrs(attrs)?,
            subdir,
        })
    }

    /// The attributes for a lock file.
    pub fn to_attrs(&self) -> Attrs {
        let mut attrs = self.input.attrs.clone();
        if !self.subdir.is_empty() && !attrs.has("dir") {
            attrs.set("dir", self.subdir.as_str());
        }
        attrs
    }

    /// The reference as a URL.
    pub fn to_url(&self) -> Result<Url, InputError> {
        let mut url = self.input.to_url()?;
        if !self.subdir.is_empty() {
            url.query
                .entry("dir".into())
                .or_insert_with(|| self.subdir.clone());
        }
        Ok(url)
    }

    /// Without a `dir` in the address that repeats the directory, as old lock files have it.
    pub fn canonical(&self) -> Self {
        let mut result = self.clone();
        if let Ok(Some(text)) = self.input.attrs.str_opt("url")
            && let Ok(mut url) = Url::read(text, Reading::Lenient)
        {
            if !self.subdir.is_empty() && url.query.get("dir") == Some(&self.subdir) {
                url.query.remove("dir");
            }
            result.input.attrs.set("url", url.to_string());
        }
        result
    }
}

impl std::fmt::Display for FlakeRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to_url() {
            Ok(url) => url.fmt(f),
            Err(_) => self.to_attrs().to_json().fmt(f),
        }
    }
}

fn is_ref_text(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric() || c == b'@')
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"_./@+-".contains(&c))
}

fn is_revision(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|c| c.is_ascii_hexdigit())
}

/// `name`, `name/ref`, `name/rev` or `name/ref/rev`.
fn parse_id(
    text: &str,
    options: ParseOptions<'_>,
) -> Result<Option<(FlakeRef, String)>, InputError> {
    let (reference, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (id, rest) = match reference.split_once('/') {
        Some((id, rest)) => (id, Some(rest)),
        None => (reference, None),
    };
    let id_is_good = id.bytes().next().is_some_and(|c| c.is_ascii_alphabetic())
        && id
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-');
    let rest_is_good = rest.is_none_or(|rest| is_revision(rest) || is_ref_text(rest));
    let fragment_char = |c: u8| {
        !c.is_ascii_control()
            && c.is_ascii()
            && !matches!(
                c,
                b'#' | b'<' | b'>' | b'[' | b']' | b'\\' | b'`' | b'{' | b'|' | b'}'
            )
    };
    if !id_is_good || !rest_is_good || !fragment.bytes().all(fragment_char) {
        return Ok(None);
    }
    let mut path = vec![id.to_owned()];
    if let Some(rest) = rest {
        match rest.rsplit_once('/') {
            Some((reference, revision))
                if is_revision(revision) && is_legal_ref_name(reference) =>
            {
                path.extend([reference.to_owned(), revision.to_owned()]);
            }
            _ => path.extend(rest.split('/').map(str::to_owned)),
        }
    }
    let url = Url {
        scheme: "flake".into(),
        authority: None,
        path,
        query: Default::default(),
        fragment: String::new(),
    };
    let (reference, _) = FlakeRef::from_url(url, options)?;
    Ok(Some((reference, percent_decode(fragment)?)))
}

fn parse_url(text: &str, options: ParseOptions<'_>) -> Result<(FlakeRef, String), InputError> {
    let mut url = Url::read(text, Reading::Lenient)?;
    if let Some(base) = options.base
        && (url.scheme == "path" || url.scheme == "git+file")
    {
        let path = url.to_path()?;
        if path.is_relative() {
            let absolute = crate::settings::clean(&base.join(path));
            url.path = absolute
                .to_string_lossy()
                .split('/')
                .map(str::to_owned)
                .collect();
        }
    }
    FlakeRef::from_url(url, options)
}

fn parse_path(text: &str, options: ParseOptions<'_>) -> Result<(FlakeRef, String), InputError> {
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let query = decode_query(query)?;
    let fragment = percent_decode(fragment)?;
    let to_url = |scheme: &str, path: &Path, query| Url {
        scheme: scheme.into(),
        authority: path.is_absolute().then(Authority::default),
        path: path
            .to_string_lossy()
            .split('/')
            .map(str::to_owned)
            .collect(),
        query,
        fragment: fragment.clone(),
    };
    let Some(base) = options.base else {
        if !options.keep_relative && !Path::new(path).is_absolute() {
            return Err(bad(format!(
                "flake reference '{text}' is not an absolute path"
            )));
        }
        return FlakeRef::from_url(to_url("path", Path::new(path), query), options);
    };
    let joined = base.join(path);
    let mut path = joined
        .canonicalize()
        .unwrap_or_else(|_| crate::settings::clean(&joined));
    if options.is_flake {
        path = find_flake(path, options.allow_missing)?;
        // A repository around it decides which files belong to the flake.
        if let Some(root) = path.ancestors().find(|root| root.join(".git").exists()) {
            let mut url = to_url("git+file", root, query);
            let subdir = path
                .strip_prefix(root)
                .unwrap_or(Path::new(""))
                .to_string_lossy()
                .into_owned();
            if !subdir.is_empty() {
                if url.query.contains_key("dir") {
                    return Err(InputError::Other(format!(
                        "flake URL '{text}' has an inconsistent 'dir' parameter"
                    )));
                }
                url.query.insert("dir".into(), subdir);
            }
            if root.join(".git/shallow").exists() {
                url.query.insert("shallow".into(), "1".into());
            }
            return FlakeRef::from_url(url, options);
        }
    }
    FlakeRef::from_url(to_url("path", &path, query), options)
}

/// The directory with `flake.nix` at or above a path.
fn find_flake(path: PathBuf, allow_missing: bool) -> Result<PathBuf, InputError> {
    let shown = |path: &Path| format!("{:?}", path.display().to_string());
    let metadata = path.symlink_metadata().map_err(|source| InputError::File {
        action: "getting status of",
        path: path.display().to_string(),
        source,
    })?;
    let mut path = path;
    if !metadata.is_dir() {
        match path.parent().filter(|_| path.ends_with("flake.nix")) {
            Some(parent) => {
                crate::progress::warn(format_args!(
                    "Path {} should point at the directory containing the 'flake.nix' file, not the file itself. \
                     Pretending that you meant {}",
                    shown(&path),
                    shown(parent)
                ));
                path = parent.to_owned();
            }
            None => {
                return Err(bad(format!(
                    "path {} is not a flake (because it's not a directory)",
                    shown(&path)
                )));
            }
        }
    }
    if allow_missing || path.join("flake.nix").exists() {
        return Ok(path);
    }
    crate::progress::log(
        crate::progress::Level::Notice,
        format_args!(
            "path {} does not contain a 'flake.nix', searching up",
            shown(&path)
        ),
    );
    let device = metadata.dev();
    for here in path.ancestors() {
        if here.join("flake.nix").exists() {
            return Ok(here.to_owned());
        }
        if here.join(".git").exists() {
            return Err(InputError::Other(format!(
                "path {} is not part of a flake (neither it nor its parent directories contain a 'flake.nix' file)",
                shown(here)
            )));
        }
        if here
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.dev() != device)
        {
            return Err(InputError::Other(format!(
                "unable to find a flake before encountering filesystem boundary at {}",
                shown(here)
            )));
        }
    }
    Err(bad("could not find a flake.nix file".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let (reference, fragment) =
            FlakeRef::parse_with_fragment(text, ParseOptions::default()).unwrap();
        format!("{reference}#{fragment}")
    }

    #[test]
    fn references_have_one_canonical_spelling() {
        for (text, want) in [
            ("nixpkgs", "flake:nixpkgs#"),
            ("nixpkgs/branch#a.b", "flake:nixpkgs/branch#a.b"),
            ("github:o/r/branch?dir=x#p", "github:o/r/branch?dir=x#p"),
            ("github:o/r?ref=b", "github:o/r/b#"),
            ("git+file:///a?ref=x", "git+file:///a?ref=x#"),
            ("path:/a/b?lastModified=3", "path:/a/b?lastModified=3#"),
            ("/a/b#x", "path:/a/b#x"),
            ("https://h/x.tar.gz", "https://h/x.tar.gz#"),
            ("hg+https://h/x?ref=b", "hg+https://h/x?ref=b#"),
            (
                "git+ssh://git@h/x?shallow=1",
                "git+ssh://git@h/x?shallow=1#",
            ),
        ] {
            assert_eq!(shown(text), want);
        }
    }

    #[test]
    fn attributes_and_urls_are_two_spellings_of_one_thing() {
        for text in [
            "github:o/r?dir=a",
            "git+https://h/r?ref=x&dir=b",
            "path:/x?dir=c",
        ] {
            let reference = FlakeRef::parse(text, ParseOptions::default()).unwrap();
            assert_eq!(
                FlakeRef::from_attrs(reference.to_attrs()).unwrap(),
                reference
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "./relative",
            "github:o",
            "git+file",
            "foo bar",
            "flake:a/b/c/d",
            "github:o/r/x?ref=y",
        ] {
            assert!(
                FlakeRef::parse(text, ParseOptions::default()).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_directory_in_a_repository_is_a_git_flake() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join(".git")).unwrap();
        std::fs::create_dir_all(root.join("sub/deeper")).unwrap();
        std::fs::write(root.join("sub/flake.nix"), "{}").unwrap();
        let options = ParseOptions {
            base: Some(&root),
            ..ParseOptions::default()
        };
        let reference = FlakeRef::parse("./sub/deeper", options).unwrap();
        assert_eq!(
            reference.to_string(),
            format!("git+file://{}?dir=sub", root.display())
        );
        assert!(FlakeRef::parse(".", options).is_err());
    }
}
