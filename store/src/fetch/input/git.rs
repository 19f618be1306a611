//! `git+https://host/repo?ref=main`: a commit or a work tree of a Git repository.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fetch::Fetcher;
use super::{Input, InputError, query_flag};
use crate::fetch::attrs::Attrs;
use crate::fetch::git::{
    GitTree, LfsSource, Mirror, PublicKey, Repo, WorkTree, is_legal_ref_name, parse_public_keys,
    verify_commit,
};
use crate::fetch::url::{BadUrl, Url, parse_git_url, split_scheme};
use crate::hash::{Algorithm, Hash, Hasher};
use crate::settings::Feature;

pub(super) const ATTRIBUTES: &[&str] = &[
    "url",
    "ref",
    "rev",
    "shallow",
    "submodules",
    "lfs",
    "exportIgnore",
    "lastModified",
    "revCount",
    "narHash",
    "allRefs",
    "name",
    "dirtyRev",
    "dirtyShortRev",
    "verifyCommit",
    "keytype",
    "publicKey",
    "publicKeys",
];

const FLAGS: &[&str] = &[
    "shallow",
    "submodules",
    "lfs",
    "exportIgnore",
    "allRefs",
    "verifyCommit",
];
const TEXTS: &[&str] = &["rev", "ref", "keytype", "publicKey", "publicKeys"];
const VERIFICATION: &[&str] = &["verifyCommit", "keytype", "publicKey", "publicKeys"];

/// Submodules inside each other; more is a repository that contains itself.
const MAX_NESTING: usize = 32;

pub(super) fn from_url(url: &Url) -> Result<Option<Attrs>, InputError> {
    if url.scheme != "git" && split_scheme(&url.scheme).0 != Some("git") {
        return Ok(None);
    }
    let mut attrs = Attrs::new().with("type", "git");
    let mut plain = url.clone();
    plain.query.clear();
    for (name, value) in &url.query {
        if TEXTS.contains(&name.as_str()) {
            attrs.set(name, value.as_str());
        } else if FLAGS.contains(&name.as_str()) {
            attrs.0.insert(name.clone(), query_flag(value));
        } else {
            plain.query.insert(name.clone(), value.clone());
        }
    }
    attrs.set("url", plain.to_string());
    check(attrs).map(Some)
}

pub(super) fn check(mut attrs: Attrs) -> Result<Attrs, InputError> {
    if let Some(reference) = attrs.str_opt("ref")?
        && !is_legal_ref_name(reference)
    {
        return Err(BadUrl(format!("invalid Git branch/tag name '{reference}'")).into());
    }
    for flag in FLAGS {
        attrs.bool_opt(flag)?;
    }
    let url = parse_git_url(attrs.str("url")?)?.to_string();
    attrs.set("url", url);
    Ok(attrs)
}

pub(super) fn to_url(input: &Input) -> Result<Url, InputError> {
    let mut url = Url::parse(input.attrs.str("url")?)?;
    if url.scheme != "git" {
        url.scheme = format!("git+{}", url.scheme);
    }
    let mut put = |name: &str, value: String| drop(url.query.insert(name.to_owned(), value));
    if let Some(revision) = input.revision()? {
        put("rev", revision.base16());
    }
    if let Some(reference) = input.reference()? {
        put("ref", reference.to_owned());
    }
    for flag in [
        "shallow",
        "lfs",
        "submodules",
        "exportIgnore",
        "verifyCommit",
    ] {
        if input.attrs.flag(flag)? {
            put(flag, "1".into());
        }
    }
    match public_keys(input)?.as_slice() {
        [] => {}
        [key] => {
            put("keytype", key.kind.clone());
            put("publicKey", key.key.clone());
        }
        keys => {
            let list: Vec<serde_json::Value> = keys
                .iter()
                .map(|key| serde_json::json!({ "key": key.key, "type": key.kind }))
                .collect();
            put("publicKeys", serde_json::Value::from(list).to_string());
        }
    }
    Ok(url)
}

fn public_keys(input: &Input) -> Result<Vec<PublicKey>, InputError> {
    let mut keys = Vec::new();
    if let Some(text) = input.attrs.str_opt("publicKeys")? {
        keys = parse_public_keys(text).ok_or_else(|| {
            InputError::Other(format!(
                "attribute 'publicKeys' of a Git input is malformed: {text}"
            ))
        })?;
    }
    if let Some(key) = input.attrs.str_opt("publicKey")? {
        let kind = input
            .attrs
            .str_opt("keytype")?
            .unwrap_or("ssh-ed25519")
            .to_owned();
        keys.push(PublicKey {
            kind,
            key: key.to_owned(),
        });
    }
    Ok(keys)
}

/// Where a repository is.
enum Location {
    /// A work tree on this machine.
    Local(PathBuf),
    /// Anything else is fetched into a mirror.
    Remote(Url),
}

impl Location {
    fn of(input: &Input) -> Result<Self, InputError> {
        let mut url = Url::parse(input.attrs.str("url")?)?;
        if url.scheme == "file" {
            let path = url.to_path()?;
            let is_bare = path.exists() && !path.join(".git").exists();
            let forced = std::env::var_os("_NIX_FORCE_HTTP").is_some_and(|value| value == "1");
            if !is_bare && !forced {
                if path.is_relative() {
                    crate::progress::warn(format_args!(
                        "Fetching Git repository '{url}', which uses a path relative to the current directory. \
                         This is not supported and will stop working in a future release. \
                         See https://github.com/NixOS/nix/issues/12281 for details."
                    ));
                }
                let path = std::path::absolute(&path)
                    .map_err(|e| InputError::file("finding", &path, e))?;
                return Ok(Location::Local(path));
            }
            url.query.clear();
        }
        // Old lock files have the flake's subdirectory in the address of the repository.
        url.query.remove("dir");
        Ok(Location::Remote(url))
    }

    fn show(&self) -> String {
        match self {
            Location::Local(path) => path.display().to_string(),
            Location::Remote(url) => url.to_string(),
        }
    }
}

pub(super) fn local_path(input: &Input) -> Option<PathBuf> {
    match Location::of(input).ok()? {
        Location::Local(path) => Some(path),
        Location::Remote(_) => None,
    }
}

fn null_revision() -> String {
    "0".repeat(40)
}

/// The commit that a work tree has, and a text that is the same for the same changes to it. Submodules have changes of
/// their own, so with them there is none.
pub(super) fn changes(input: &Input) -> Option<(String, String)> {
    let repo = Repo::work_tree(local_path(input)?);
    let state = repo.status().ok()?;
    if !state.submodules.is_empty() {
        return None;
    }
    let mut hasher = Hasher::new(Algorithm::Sha512);
    // Texts as in archives of store objects: their length, and zeros up to a multiple of eight.
    let put = |hasher: &mut Hasher, text: &[u8]| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text);
        hasher.update(&[0; 8][..(8 - text.len() % 8) % 8]);
    };
    for (kind, files) in [
        (&b"modified:"[..], &state.modified),
        (b"deleted:", &state.deleted),
    ] {
        for file in files {
            put(&mut hasher, kind);
            put(&mut hasher, &[b"/", &file[..]].concat());
            if kind == b"modified:" {
                let path = repo.path().join(std::ffi::OsStr::from_bytes(file));
                hasher = crate::nar::dump(&path, hasher).ok()?;
            }
        }
    }
    let revision = state.head.unwrap_or_else(null_revision);
    Some((revision, format!(";d={}", hasher.finish().base16())))
}

fn revision_text(input: &Input) -> Result<Option<String>, InputError> {
    let Some(revision) = input.revision()? else {
        return Ok(None);
    };
    if !matches!(revision.algorithm(), Algorithm::Sha1 | Algorithm::Sha256) {
        return Err(InputError::Other(format!(
            "Hash '{}' is not supported by Git. Supported types are sha1 and sha256.",
            revision.format(crate::hash::Format::Base16, true)
        )));
    }
    Ok(Some(revision.base16()))
}

/// What a Git input gave, before it is in a store.
pub(super) struct GitSource {
    /// The files; absent if their hash is known already.
    pub(super) tree: Option<GitTree>,
    /// The SHA-256 of the tree's NAR, if an earlier fetch noted it.
    pub(super) nar_hash: Option<Hash>,
    /// The input with what was found out.
    pub(super) input: Input,
    /// What the hash can be noted under.
    pub(super) cache_key: Option<Attrs>,
}

/// Whether a tree is needed even if its hash is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Tree,
    HashIsEnough,
}

impl Fetcher {
    pub(super) fn fetch_git(&self, input: &Input, need: Need) -> Result<GitSource, InputError> {
        self.git_source(input, need, 0, false)
    }

    fn git_source(
        &self,
        input: &Input,
        need: Need,
        nesting: usize,
        submodule: bool,
    ) -> Result<GitSource, InputError> {
        if nesting > MAX_NESTING {
            return Err(InputError::Other(format!(
                "Git submodules of '{}' are nested too deeply",
                input.show()
            )));
        }
        if VERIFICATION.iter().any(|name| input.attrs.has(name))
            && !self.settings.enabled(Feature::VerifiedFetches)
        {
            return Err(InputError::Other(
                "experimental Nix feature 'verified-fetches' is disabled; add '--extra-experimental-features verified-fetches' to enable it"
                    .into(),
            ));
        }
        if input.attrs.flag("exportIgnore")? && input.attrs.flag("submodules")? {
            return Err(InputError::Other(
                "exportIgnore and submodules are not supported together yet".into(),
            ));
        }
        revision_text(input)?;
        let location = Location::of(input)?;
        match &location {
            Location::Local(path) => {
                if !path.join(".git").exists() {
                    return Err(InputError::Other(format!(
                        "Git repository \"{}\" does not exist.",
                        path.display()
                    )));
                }
                let repo = Repo::work_tree(path);
                if input.attrs.has("ref") || input.attrs.has("rev") {
                    self.git_local_commit(input, &repo, &location, need, nesting)
                } else {
                    self.git_work_tree(input, &repo, nesting)
                }
            }
            Location::Remote(url) => {
                self.git_remote(input, url, &location, need, nesting, submodule)
            }
        }
    }

    fn git_local_commit(
        &self,
        input: &Input,
        repo: &Repo,
        location: &Location,
        need: Need,
        nesting: usize,
    ) -> Result<GitSource, InputError> {
        let mut input = input.clone();
        let reference = match input.reference()? {
            Some(reference) => reference.to_owned(),
            None => repo.head_ref()?.unwrap_or_else(|| default_branch(location)),
        };
        input.attrs.set("ref", reference.as_str());
        if !input.attrs.has("rev") {
            input.attrs.set("rev", repo.resolve(&reference)?);
        }
        self.git_commit(input, repo, location, need, nesting)
    }

    fn git_remote(
        &self,
        input: &Input,
        url: &Url,
        location: &Location,
        need: Need,
        nesting: usize,
        submodule: bool,
    ) -> Result<GitSource, InputError> {
        let mut input = input.clone();
        let shallow = input.attrs.flag("shallow")?;
        let all = input.attrs.flag("allRefs")?;
        let mirror = Mirror::open(&self.cache_dir, &url.to_string(), shallow, self.cache.ttl())?;
        let named = input.reference()?.map(str::to_owned);
        let wanted = revision_text(&input)?;
        let missing = match &wanted {
            Some(revision) => !mirror.repo().has(revision)?,
            None => false,
        };
        // A commit that is here already needs no network, not even to learn the default branch.
        let reference = match &named {
            Some(reference) => reference.clone(),
            None if wanted.is_some() && !missing => mirror
                .cached_head()
                .unwrap_or_else(|| "refs/heads/master".into()),
            None => mirror
                .default_ref()?
                .unwrap_or_else(|| default_branch(location)),
        };
        input.attrs.set("ref", reference.as_str());
        let local = local_name(&reference);
        let fetch = match &wanted {
            Some(_) => missing,
            None => all || !mirror.is_fresh(&local),
        };
        if fetch {
            let refspec = if all {
                "refs/*:refs/*".to_owned()
            } else if let Some(revision) = &wanted {
                revision.clone()
            } else if reference == "HEAD" {
                format!("HEAD:{local}")
            } else {
                format!("{local}:{local}")
            };
            match mirror.fetch(&refspec, submodule) {
                Ok(()) => {}
                Err(error) if wanted.is_none() && mirror.was_fetched(&local) => {
                    crate::progress::warn(format_args!("{error}"));
                    crate::progress::warn(format_args!(
                        "could not update local clone of Git repository '{}'; continuing with the most recent version",
                        location.show()
                    ));
                }
                // That the commit is missing is said more clearly below.
                Err(error) if wanted.is_some() => {
                    crate::progress::debug(format_args!("{error}"));
                    if !all {
                        let fallback = format!("{local}:{local}");
                        if let Err(error) = mirror.fetch(&fallback, submodule) {
                            return Err(error.into());
                        }
                    }
                }
                Err(error) => return Err(error.into()),
            }
            if wanted.is_none() {
                mirror.mark_fetched(&local);
            }
            if named.is_none() {
                mirror.remember_head(&reference);
            }
        }
        match &wanted {
            Some(revision) if !mirror.repo().has(revision)? => {
                return Err(InputError::Other(format!(
                    "Cannot find Git revision '{revision}' in ref '{reference}' of repository '{}'! \
                     Please make sure that the rev exists on the ref you've specified or add allRefs = true; to fetchGit.",
                    location.show()
                )));
            }
            Some(_) => {}
            None => input.attrs.set("rev", mirror.repo().resolve(&local)?),
        }
        self.git_commit(input, mirror.repo(), location, need, nesting)
    }

    fn git_commit(
        &self,
        mut input: Input,
        repo: &Repo,
        location: &Location,
        need: Need,
        nesting: usize,
    ) -> Result<GitSource, InputError> {
        let revision = revision_text(&input)?.unwrap_or_default();
        if !input.attrs.has("lastModified") {
            let time = self.cached_number("gitLastModified", &revision, || {
                Ok(repo.commit_time(&revision)?)
            })?;
            input.attrs.set("lastModified", time);
        }
        if !input.attrs.flag("shallow")?
            && !input.attrs.has("revCount")
            && let Some(count) = self.git_revision_count(repo, &revision)?
        {
            input.attrs.set("revCount", count);
        }
        crate::progress::talkative(format_args!(
            "using revision {revision} of repo '{}'",
            location.show()
        ));
        verify(&input, Some((repo, &revision)))?;
        let (submodules, export_ignore, lfs) = (
            input.attrs.flag("submodules")?,
            input.attrs.flag("exportIgnore")?,
            input.attrs.flag("lfs")?,
        );
        let key = Attrs::new()
            .with("rev", revision.as_str())
            .with("submodules", submodules)
            .with("exportIgnore", export_ignore)
            .with("lfs", lfs);
        if need == Need::HashIsEnough
            && let Some(cached) = self.cache.get("gitTree", &key)
            && let Ok(hash) = Hash::parse_sri(cached.value.str("narHash").unwrap_or_default())
        {
            return Ok(GitSource {
                tree: None,
                nar_hash: Some(hash),
                input,
                cache_key: Some(key),
            });
        }
        let large = if lfs {
            Some(Arc::new(LfsSource::new(
                self.downloader.clone(),
                &Url::parse(input.attrs.str("url")?)?,
            )?))
        } else {
            None
        };
        let mut tree = GitTree::of_commit(repo, &revision, export_ignore, large)?;
        if submodules {
            let reference = input.reference()?.unwrap_or("HEAD").to_owned();
            let base = match location {
                Location::Local(path) => {
                    repo.origin()?.unwrap_or_else(|| path.display().to_string())
                }
                Location::Remote(url) => url.to_string(),
            };
            for (module, wanted) in repo.submodules(&revision)? {
                let mut attrs = Attrs::new()
                    .with("type", "git")
                    .with("url", resolve_submodule_url(&base, &module.url))
                    .with("rev", wanted)
                    .with("exportIgnore", export_ignore)
                    .with("submodules", true)
                    .with("lfs", lfs)
                    .with("allRefs", true);
                if !module.branch.is_empty() {
                    let branch = if module.branch == "." {
                        reference.as_str()
                    } else {
                        module.branch.as_str()
                    };
                    attrs.set("ref", branch);
                }
                let inner = Input::from_attrs(attrs)?;
                let source = self
                    .git_source(&inner, Need::Tree, nesting + 1, true)
                    .map_err(|error| InputError::While {
                        input: inner.show(),
                        error: Box::new(error),
                    })?;
                if let Some(inner_tree) = source.tree {
                    tree.mount(&module.path, inner_tree)?;
                }
            }
        }
        Ok(GitSource {
            tree: Some(tree),
            nar_hash: None,
            input,
            cache_key: Some(key),
        })
    }

    fn git_work_tree(
        &self,
        input: &Input,
        repo: &Repo,
        nesting: usize,
    ) -> Result<GitSource, InputError> {
        let mut input = input.clone();
        let mut state: WorkTree = repo.status()?;
        let export_ignore = input.attrs.flag("exportIgnore")?;
        let mut tree = GitTree::of_work_tree(repo, &state.files, export_ignore)?;
        if input.attrs.flag("submodules")? {
            for module in std::mem::take(&mut state.submodules) {
                let path = repo
                    .path()
                    .join(String::from_utf8_lossy(&module.path).as_ref());
                let attrs = Attrs::new()
                    .with("type", "git")
                    .with("url", path.display().to_string())
                    .with("exportIgnore", export_ignore)
                    .with("submodules", true);
                let inner = Input::from_attrs(attrs)?;
                let source = self.git_source(&inner, Need::Tree, nesting + 1, true)?;
                if !source.input.attrs.has("rev") {
                    state.dirty = true;
                }
                if let Some(inner_tree) = source.tree {
                    tree.mount(&module.path, inner_tree)?;
                }
            }
        }
        let head = state.head.clone();
        if state.dirty {
            let place = repo.path().display();
            if !self.settings.allow_dirty {
                return Err(InputError::Other(format!("Git tree '{place}' is dirty")));
            }
            if self.settings.warn_dirty {
                crate::progress::warn(format_args!("Git tree '{place}' is dirty"));
            }
            if let Some(head) = &head {
                input.attrs.set("dirtyRev", format!("{head}-dirty"));
                input
                    .attrs
                    .set("dirtyShortRev", format!("{}-dirty", short(head)));
            }
            verify(&input, None)?;
        } else {
            if let Some(reference) = repo.head_ref()? {
                input.attrs.set("ref", reference);
            }
            let revision = head.clone().unwrap_or_else(null_revision);
            input.attrs.set("rev", revision.as_str());
            if !input.attrs.flag("shallow")? {
                let count = match &head {
                    Some(head) => self.git_revision_count(repo, head)?,
                    None => Some(0),
                };
                if let Some(count) = count {
                    input.attrs.set("revCount", count);
                }
            }
            verify(&input, Some((repo, &revision)))?;
        }
        let time = match &head {
            Some(head) => {
                self.cached_number("gitLastModified", head, || Ok(repo.commit_time(head)?))?
            }
            None => 0,
        };
        input.attrs.set("lastModified", time);
        Ok(GitSource {
            tree: Some(tree),
            nar_hash: None,
            input,
            cache_key: None,
        })
    }

    /// How many commits lead to this one. Where the history is cut off nobody can tell; the tree is there all the same.
    fn git_revision_count(&self, repo: &Repo, revision: &str) -> Result<Option<u64>, InputError> {
        let key = Attrs::new().with("rev", revision);
        if self.cache.get("gitRevCount", &key).is_none() && repo.is_shallow()? {
            return Ok(None);
        }
        self.cached_number(
            "gitRevCount",
            revision,
            || Ok(repo.count_commits(revision)?),
        )
        .map(Some)
    }

    /// A number that follows from a commit.
    fn cached_number(
        &self,
        domain: &str,
        revision: &str,
        compute: impl FnOnce() -> Result<u64, InputError>,
    ) -> Result<u64, InputError> {
        let key = Attrs::new().with("rev", revision);
        if let Some(number) = self
            .cache
            .get(domain, &key)
            .and_then(|cached| cached.value.int("value").ok())
        {
            return Ok(number);
        }
        let number = compute()?;
        self.cache
            .put(domain, &key, &Attrs::new().with("value", number));
        Ok(number)
    }
}

/// The first seven digits, as Git shortens commits.
pub(super) fn short(revision: &str) -> &str {
    revision.get(..7).unwrap_or(revision)
}

fn default_branch(location: &Location) -> String {
    crate::progress::warn(format_args!(
        "could not read HEAD ref from repo at '{}', using 'master'",
        location.show()
    ));
    "master".into()
}

/// The name that a remote's branch has in its mirror.
fn local_name(reference: &str) -> String {
    if reference == "HEAD" {
        "refs/remote-head".into()
    } else if reference.starts_with("refs/") {
        reference.into()
    } else {
        format!("refs/heads/{reference}")
    }
}

fn verify(input: &Input, commit: Option<(&Repo, &str)>) -> Result<(), InputError> {
    let keys = public_keys(input)?;
    if !input
        .attrs
        .bool_opt("verifyCommit")?
        .unwrap_or(!keys.is_empty())
    {
        return Ok(());
    }
    match commit {
        Some((repo, revision)) => Ok(verify_commit(repo, revision, &keys)?),
        None => Err(InputError::Other(format!(
            "commit verification is required for Git repository '{}', but it's dirty",
            input.show()
        ))),
    }
}

/// `./x` and `../x` are relative to the parent repository, anything else stands for itself.
fn resolve_submodule_url(base: &str, url: &str) -> String {
    if !url.starts_with("./") && !url.starts_with("../") {
        return url.to_owned();
    }
    let mut base = base.trim_end_matches('/');
    let mut rest = url;
    loop {
        if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("../") {
            rest = after;
            base = match base.rfind('/') {
                Some(at) => &base[..at],
                None => base.rfind(':').map_or(base, |at| &base[..at]),
            };
        } else {
            return format!("{base}/{rest}");
        }
    }
}

/// Clones an input's repository to a directory, for people to work in.
pub(super) fn clone(input: &Input, directory: &Path) -> Result<(), InputError> {
    let location = Location::of(input)?;
    let revision = revision_text(input)?;
    let mut command = std::process::Command::new("git");
    command.args(["-c", "protocol.ext.allow=never", "clone"]);
    if let Some(reference) = input.reference()? {
        command.args(["--branch", reference]);
    }
    command.arg("--").arg(location.show()).arg(directory);
    run_visibly(command)?;
    let Some(revision) = revision else {
        return Ok(());
    };
    let mut checkout = std::process::Command::new("git");
    checkout
        .arg("-C")
        .arg(directory)
        .args(["checkout", "--detach", "--quiet", &revision, "--"]);
    run_visibly(checkout)
}

/// Runs a program whose output people see.
fn run_visibly(mut command: std::process::Command) -> Result<(), InputError> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(InputError::Other(format!(
            "program 'git' failed with {status}"
        ))),
        Err(error) => Err(InputError::Other(format!("cannot run 'git': {error}"))),
    }
}

#[cfg(test)]
mod unit {
    use super::resolve_submodule_url;

    #[test]
    fn relative_addresses_of_submodules_start_at_the_parent() {
        for (base, url, want) in [
            ("https://h/a/b", "../c", "https://h/a/c"),
            ("https://h/a/b/", "../../c", "https://h/c"),
            ("git@h:a", "../c", "git@h/c"),
            ("/a/b", "./c", "/a/b/c"),
            ("/a/b", "https://x/y", "https://x/y"),
        ] {
            assert_eq!(resolve_submodule_url(base, url), want);
        }
    }
}
