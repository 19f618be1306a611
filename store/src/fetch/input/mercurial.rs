//! `hg+https://host/repo`: a Mercurial repository, through the `hg` program.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::fetch::Fetcher;
use super::{Input, InputError, is_revision};
use crate::fetch::attrs::Attrs;
use crate::fetch::url::{BadUrl, Url};
use crate::hash::{Algorithm, Hash};
use crate::path::StorePath;
use crate::store::Contents;

pub(super) const ATTRIBUTES: &[&str] = &["url", "ref", "rev", "revCount", "narHash", "name"];

const TRANSPORTS: &[&str] = &["hg+http", "hg+https", "hg+ssh", "hg+file"];

pub(super) fn from_url(url: &Url) -> Result<Option<Attrs>, InputError> {
    if !TRANSPORTS.contains(&url.scheme.as_str()) {
        return Ok(None);
    }
    let mut plain = url.clone();
    plain.scheme = url.transport().to_owned();
    let mut attrs = Attrs::new().with("type", "hg");
    plain.query.retain(|name, value| {
        let mine = name == "rev" || name == "ref";
        if mine {
            attrs.set(name, value.as_str());
        }
        !mine
    });
    attrs.set("url", plain.to_string());
    check(attrs).map(Some)
}

fn is_ref(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric() || c == b'@')
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"_./@+-".contains(&c))
}

pub(super) fn check(attrs: Attrs) -> Result<Attrs, InputError> {
    Url::parse(attrs.str("url")?)?;
    if let Some(reference) = attrs.str_opt("ref")?
        && !is_ref(reference)
        && !is_revision(reference)
    {
        return Err(BadUrl(format!("invalid Mercurial branch/tag name '{reference}'")).into());
    }
    Ok(attrs)
}

pub(super) fn to_url(input: &Input) -> Result<Url, InputError> {
    let mut url = Url::parse(input.attrs.str("url")?)?;
    url.scheme = format!("hg+{}", url.scheme);
    if let Some(revision) = input.revision()? {
        url.query.insert("rev".into(), revision.base16());
    }
    if let Some(reference) = input.reference()? {
        url.query.insert("ref".into(), reference.to_owned());
    }
    Ok(url)
}

/// Runs `hg` without the user's aliases and colours.
fn hg(args: &[&OsStr]) -> Result<Vec<u8>, InputError> {
    let output = Command::new("hg")
        .env("HGPLAIN", "")
        .args(args)
        .output()
        .map_err(|error| InputError::Other(format!("cannot run 'hg': {error}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let message = String::from_utf8_lossy(&output.stderr);
    Err(InputError::Other(format!(
        "program 'hg' failed with {}:\n{}",
        output.status,
        message.trim_end()
    )))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

/// The work tree of a repository on this machine.
pub(super) fn local_path(input: &Input) -> Option<PathBuf> {
    let url = Url::parse(input.attrs.str("url").ok()?).ok()?;
    let path = (url.scheme == "file").then(|| url.to_path().ok())??;
    (path.is_absolute() && !input.attrs.has("ref") && !input.attrs.has("rev")).then_some(path)
}

/// Lets Mercurial know of a file, and commits it if there is a message.
pub(super) fn record(root: &Path, file: &Path, message: Option<&str>) -> Result<(), InputError> {
    let file = root.join(file);
    let at = [OsStr::new("-R"), root.as_os_str()];
    hg(&[&[OsStr::new("add")], &at[..], &[file.as_os_str()]].concat())?;
    if let Some(message) = message {
        let rest = [OsStr::new("-m"), OsStr::new(message), file.as_os_str()];
        hg(&[&[OsStr::new("commit")], &at[..], &rest].concat())?;
    }
    Ok(())
}

impl Fetcher {
    /// Fetches a commit or, of a local repository, the work tree with its changes.
    pub(super) fn fetch_mercurial(&self, input: &Input) -> Result<(StorePath, Input), InputError> {
        let url = Url::parse(input.attrs.str("url")?)?;
        let local = if url.scheme == "file" {
            Some(url.to_path()?)
        } else {
            None
        };
        if let Some(local) = local.as_deref().filter(|path| path.join(".hg").exists())
            && !input.attrs.has("ref")
            && !input.attrs.has("rev")
        {
            let repo = [OsStr::new("status"), OsStr::new("-R"), local.as_os_str()];
            let flags = ["--modified", "--added", "--removed"].map(OsStr::new);
            if !hg(&[&repo[..], &flags[..]].concat())?.is_empty() {
                return self.mercurial_work_tree(input, local);
            }
        }
        let address = local.map_or_else(|| url.to_string(), |path| path.display().to_string());
        self.mercurial_commit(input, &address)
    }

    fn mercurial_work_tree(
        &self,
        input: &Input,
        local: &Path,
    ) -> Result<(StorePath, Input), InputError> {
        if !self.settings.allow_dirty {
            return Err(InputError::Other(format!(
                "Mercurial tree \"{}\" is unclean",
                local.display()
            )));
        }
        if self.settings.warn_dirty {
            crate::progress::warn(format_args!(
                "Mercurial tree \"{}\" is unclean",
                local.display()
            ));
        }
        let mut input = input.clone();
        let branch = hg(&[OsStr::new("branch"), OsStr::new("-R"), local.as_os_str()])?;
        input.attrs.set("ref", text(branch));
        let repo = [OsStr::new("status"), OsStr::new("-R"), local.as_os_str()];
        let flags = [
            "--clean",
            "--modified",
            "--added",
            "--no-status",
            "--print0",
        ]
        .map(OsStr::new);
        let listing = hg(&[&repo[..], &flags[..]].concat())?;
        let mut files = BTreeSet::new();
        for file in listing.split(|&c| c == 0).filter(|file| !file.is_empty()) {
            files.insert(file.to_vec());
            for (at, _) in file.iter().enumerate().filter(|(_, c)| **c == b'/') {
                files.insert(file[..at].to_vec());
            }
        }
        let root = local.to_owned();
        let mut filter = move |path: &Path, _kind: crate::nar::FileKind| {
            let inside = path.strip_prefix(&root).unwrap_or(path);
            Some(inside.as_os_str().is_empty() || files.contains(inside.as_os_str().as_bytes()))
        };
        let path = self.add_tree(input.name()?, Contents::Filtered(local, &mut filter))?;
        Ok((path, input))
    }

    fn mercurial_commit(
        &self,
        input: &Input,
        address: &str,
    ) -> Result<(StorePath, Input), InputError> {
        let mut input = input.clone();
        let name = input.name()?.to_owned();
        if !input.attrs.has("ref") {
            input.attrs.set("ref", "default");
        }
        let wanted = input.revision()?;
        if let Some(hash) = wanted.filter(|hash| hash.algorithm() != Algorithm::Sha1) {
            return Err(InputError::Other(format!(
                "Hash '{}' is not supported by Mercurial. Only sha1 is supported.",
                hash.format(crate::hash::Format::Base16, true)
            )));
        }
        let branch_key = Attrs::new()
            .with("url", address)
            .with("ref", input.reference()?.unwrap_or("default"));
        if wanted.is_none()
            && let Some(cached) = self
                .cache
                .get("hgRef", &branch_key)
                .filter(|cached| !cached.expired)
            && let Ok(revision) = cached.value.str("rev")
        {
            input.attrs.set("rev", revision);
        }
        let key = |revision: &str| {
            Attrs::new()
                .with("name", name.as_str())
                .with("rev", revision)
        };
        if let Some(revision) = input.revision()?
            && let Some((path, count)) = self.cached_tree("hgRev", &key(&revision.base16()))
        {
            input.attrs.set("revCount", count);
            return Ok((path, input));
        }
        let mirror = self
            .cache_dir
            .join("hg")
            .join(Hash::of(Algorithm::Sha256, address.as_bytes()).nix32());
        let at_mirror =
            |command: &'static str| [OsStr::new(command), OsStr::new("-R"), mirror.as_os_str()];
        let revision = match input.revision()? {
            Some(revision) => revision.base16(),
            None => input.reference()?.unwrap_or("default").to_owned(),
        };
        let log = |template: &str| {
            let rest = ["-r", &revision, "--template", template].map(OsStr::new);
            hg(&[&at_mirror("log")[..], &rest[..]].concat())
        };
        let here = is_revision(&revision)
            && mirror.exists()
            && log("1").is_ok_and(|answer| answer == b"1");
        if !here {
            if mirror.exists() {
                let rest = [OsStr::new("--"), OsStr::new(address)];
                let pull = || hg(&[&at_mirror("pull")[..], &rest[..]].concat());
                if let Err(error) = pull() {
                    // A pull that was killed leaves a journal, which must be undone first.
                    if !mirror.join(".hg/store/journal").exists() {
                        return Err(error);
                    }
                    hg(&at_mirror("recover"))?;
                    pull()?;
                }
            } else {
                let parent = self.cache_dir.join("hg");
                std::fs::create_dir_all(&parent)
                    .map_err(|e| InputError::file("creating directory", &parent, e))?;
                let clone = ["clone", "--noupdate", "--", address].map(OsStr::new);
                hg(&[&clone[..], &[mirror.as_os_str()]].concat())?;
            }
        }
        let answer = text(log("{node} {rev} {branch}")?);
        let mut words = answer.splitn(3, ' ');
        let (Some(node), Some(count), Some(branch)) = (
            words.next(),
            words.next().and_then(|n| n.parse().ok()),
            words.next(),
        ) else {
            return Err(InputError::Other(format!(
                "cannot understand the answer of 'hg log': {answer}"
            )));
        };
        let count: u64 = count;
        let node = Hash::parse_any(node, Some(Algorithm::Sha1))?.base16();
        input.attrs.set("rev", node.as_str());
        input.attrs.set("ref", branch);
        input.attrs.set("revCount", count);
        if let Some((path, _)) = self.cached_tree("hgRev", &key(&node)) {
            return Ok((path, input));
        }
        let directory = tempfile::tempdir()
            .map_err(|e| InputError::file("creating directory in", &std::env::temp_dir(), e))?;
        let rest = [
            OsStr::new("-r"),
            OsStr::new(&node),
            directory.path().as_os_str(),
        ];
        hg(&[&at_mirror("archive")[..], &rest[..]].concat())?;
        // Mercurial's own note about the archive is not part of the commit.
        let _ = std::fs::remove_file(directory.path().join(".hg_archival.txt"));
        let path = self.add_tree(&name, Contents::Path(directory.path()))?;
        self.remember_tree("hgRev", &key(&node), &path, count);
        if wanted.is_none() {
            self.cache
                .put("hgRef", &branch_key, &Attrs::new().with("rev", node));
        }
        Ok((path, input))
    }
}
