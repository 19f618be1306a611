//! Channels: package collections that a user follows by URL.
//!
//! `~/.nix-channels` lists them, one `URL NAME` a line. An update downloads each as an archive,
//! unpacks it with a derivation, and makes a new generation of the profile `channels`, in which
//! `<NAME>` and the commands of the classic line look. If anything fails, nothing has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::content_address::Method;
use crate::fetch::input::{Fetcher, Input, InputError, Wanted};
use crate::hash::Algorithm;
use crate::path::StorePath;
use crate::profile::{Element, Generation, Generations, ProfileError, build_environment};
use crate::scratch::{Scratch, replace_file};
use crate::settings::{Settings, machine};
use crate::store::{Addition, Contents, Store, StoreError};

/// Why channels cannot be changed or updated.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// Not a `file`, `http` or `https` URL.
    #[error("invalid channel URL '{0}'")]
    Url(String),
    /// A name that cannot be one of a channel.
    #[error("invalid channel identifier '{0}'")]
    Name(String),
    /// A file could not be read or written.
    #[error("{action} '{path}': {source}")]
    File {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A channel could not be downloaded.
    #[error(transparent)]
    Fetch(#[from] InputError),
    /// The profile could not be changed.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ChannelError {
    fn file(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        ChannelError::File {
            action,
            path: path.display().to_string(),
            source,
        }
    }
}

/// A user's channels and where they are kept.
#[derive(Debug, Clone)]
pub struct Channels {
    list: PathBuf,
    /// The profile of unpacked channels.
    pub profile: PathBuf,
    expressions: PathBuf,
    /// URLs by name.
    pub urls: BTreeMap<String, String>,
}

fn is_name(name: &str) -> bool {
    name.bytes()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric() || c == b'_')
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-'))
}

fn base_name(url: &str) -> &str {
    url.trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default()
}

/// The end of a URL that tells the version: `-24.05` of `…/nixos-24.05`.
fn version_suffix(url: &str) -> &str {
    let name = base_name(url);
    let at = name
        .as_bytes()
        .windows(2)
        .position(|pair| pair[0] == b'-' && pair[1].is_ascii_digit());
    at.map_or("", |at| &name[at..])
}

/// The reference of a repository, if a URL names one: `git+…`, that of a forge, or `….git`.
fn repository(url: &str) -> Option<String> {
    let forges = ["git+", "git://", "github:", "gitlab:", "sourcehut:", "hg+"];
    if forges.iter().any(|scheme| url.starts_with(scheme)) {
        return Some(url.to_owned());
    }
    let path = url.split(['?', '#']).next().unwrap_or(url);
    path.ends_with(".git").then(|| format!("git+{url}"))
}

impl Channels {
    /// Reads the channels of the user who runs this.
    pub fn read(settings: &Settings, state_dir: &Path) -> Result<Self, ChannelError> {
        let places = &settings.places;
        let xdg = settings.use_xdg_base_directories;
        let profiles = if machine::is_root() {
            state_dir.join("profiles/per-user/root")
        } else {
            places.user_state_dir.join("profiles")
        };
        let under_home = |name: &str, xdg_name: &str| {
            if xdg {
                places.user_state_dir.join(xdg_name)
            } else {
                places.home.join(name)
            }
        };
        let mut channels = Channels {
            list: under_home(".nix-channels", "channels"),
            profile: profiles.join("channels"),
            expressions: under_home(".nix-defexpr", "defexpr"),
            urls: BTreeMap::new(),
        };
        let text = match std::fs::read_to_string(&channels.list) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(channels),
            Err(e) => return Err(ChannelError::file("reading", &channels.list, e)),
        };
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let mut words = line.split_whitespace();
            let url = words.next().unwrap_or_default().trim_end_matches('/');
            let name = words.next().unwrap_or_else(|| base_name(url));
            channels.urls.insert(name.to_owned(), url.to_owned());
        }
        Ok(channels)
    }

    fn write(&self) -> Result<(), ChannelError> {
        let text: String = self
            .urls
            .iter()
            .map(|(name, url)| format!("{url} {name}\n"))
            .collect();
        let fail = |e| ChannelError::file("writing", &self.list, e);
        // The list may be a link into a collection of the user's own files.
        let list = self
            .list
            .canonicalize()
            .unwrap_or_else(|_| self.list.clone());
        let parent = list.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(fail)?;
        replace_file(&list, text.as_bytes(), 0o644).map_err(fail)
    }

    /// Subscribes to a channel; its name follows from the URL unless it is given.
    pub fn add(&mut self, url: &str, name: Option<&str>) -> Result<(), ChannelError> {
        if !["file://", "http://", "https://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
            && repository(url).is_none()
        {
            return Err(ChannelError::Url(url.to_owned()));
        }
        let from_url = || {
            let name = base_name(url).split('?').next().unwrap_or_default();
            let name = name.strip_suffix(".git").unwrap_or(name);
            let name = name.strip_suffix("-unstable").unwrap_or(name);
            name.strip_suffix("-stable").unwrap_or(name)
        };
        let name = name.unwrap_or_else(from_url);
        if !is_name(name) {
            return Err(ChannelError::Name(name.to_owned()));
        }
        self.urls.insert(name.to_owned(), url.to_owned());
        self.write()
    }

    /// Unsubscribes from a channel, and takes it out of the profile.
    pub fn remove(&mut self, store: &dyn Store, name: &str) -> Result<(), ChannelError> {
        self.urls.remove(name);
        self.write()?;
        let mut installed = self.installed(store);
        installed.remove(name);
        self.install(store, &installed)?;
        Ok(())
    }

    /// The channels in the current generation, by name.
    fn installed(&self, store: &dyn Store) -> BTreeMap<String, StorePath> {
        let mut found = BTreeMap::new();
        let Ok(target) = std::fs::read_link(&self.profile) else {
            return found;
        };
        let link = self.profile.parent().unwrap_or(Path::new(".")).join(target);
        let Ok(environment) = std::fs::read_link(link) else {
            return found;
        };
        use std::os::unix::ffi::OsStrExt;
        let real = store
            .dir()
            .parse(environment.as_os_str().as_bytes())
            .ok()
            .and_then(|path| store.real_path(&path));
        for entry in std::fs::read_dir(real.unwrap_or(environment))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "manifest.nix"
                && let Ok(target) = std::fs::read_link(entry.path())
                && let Ok((path, _)) = store.dir().split(target.as_os_str().as_bytes())
            {
                found.insert(name, path);
            }
        }
        found
    }

    fn install(
        &self,
        store: &dyn Store,
        channels: &BTreeMap<String, StorePath>,
    ) -> Result<Generation, ChannelError> {
        let elements: Vec<Element> = channels
            .values()
            .map(|path| Element::new(path.name(), path.clone(), "builtin"))
            .collect();
        let environment = build_environment(store, &elements)?;
        Ok(Generations::add(store, &self.profile, &environment)?)
    }

    /// Downloads and unpacks one channel.
    fn fetch(&self, fetcher: &Fetcher, name: &str, url: &str) -> Result<StorePath, ChannelError> {
        const ARCHIVES: [&str; 4] = [".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"];
        if let Some(reference) = repository(url) {
            return self.fetch_repository(fetcher, name, &reference);
        }
        let first = fetcher.download_file(url, base_name(url), &[])?;
        let archive = if ARCHIVES
            .iter()
            .any(|suffix| first.store_path.name().ends_with(suffix))
        {
            first
        } else {
            // From where the first request ended, so that all parts are of one release.
            let base = first.effective_url.as_str();
            let xz =
                fetcher.download_file(&format!("{base}/nixexprs.tar.xz"), "nixexprs.tar.xz", &[]);
            match xz {
                Err(InputError::Download(_)) => fetcher.download_file(
                    &format!("{base}/nixexprs.tar.bz2"),
                    "nixexprs.tar.bz2",
                    &[],
                )?,
                other => other?,
            }
        };
        let store = &**fetcher.store();
        let full_name = format!("{name}{}", version_suffix(url));
        let variables = [
            ("channelName", name.as_bytes().to_vec()),
            ("preferLocalBuild", b"1".to_vec()),
            ("src", store.dir().print(&archive.store_path)),
        ];
        let derivation = crate::profile::builtin_derivation(
            store.dir(),
            &full_name,
            "builtin:unpack-channel",
            &variables,
            &archive.store_path,
        )?;
        Ok(crate::profile::build_output(store, &derivation)?)
    }

    /// Fetches a repository. The channel is a directory with a link to its tree.
    fn fetch_repository(
        &self,
        fetcher: &Fetcher,
        name: &str,
        reference: &str,
    ) -> Result<StorePath, ChannelError> {
        let fetched = fetcher.fetch(&Input::parse(reference, Wanted::Tree)?)?;
        let store = &**fetcher.store();
        let temporary = Scratch::new("rx-channel-")
            .map_err(|e| ChannelError::file("creating a directory in", &std::env::temp_dir(), e))?;
        let tree = temporary.path().join("channel");
        let link = tree.join(name);
        let target = store.dir().display(&fetched.store_path).to_string();
        std::fs::create_dir(&tree)
            .and_then(|()| std::os::unix::fs::symlink(target, &link))
            .map_err(|e| ChannelError::file("creating symbolic link", &link, e))?;
        Ok(store.add_to_store(
            Addition {
                references: &BTreeSet::from([fetched.store_path]),
                ..Addition::new(name, Method::NixArchive, Algorithm::Sha256)
            },
            Contents::Path(&tree),
        )?)
    }

    /// Downloads the named channels, or all if none is named, and makes a new generation of them.
    pub fn update(
        &self,
        fetcher: &Fetcher,
        names: &BTreeSet<String>,
    ) -> Result<Generation, ChannelError> {
        let store = &**fetcher.store();
        let before = self.installed(store);
        let mut now = BTreeMap::new();
        for (name, url) in &self.urls {
            let keep = before
                .get(name)
                .filter(|_| !names.is_empty() && !names.contains(name));
            let path = match keep {
                Some(path) => path.clone(),
                None => self.fetch(fetcher, name, url)?,
            };
            now.insert(name.clone(), path);
        }
        crate::progress::info(format_args!("unpacking {} channels...", now.len()));
        let generation = self.install(store, &now)?;
        crate::profile::set_up_expressions(fetcher.settings());
        self.link_expressions()?;
        Ok(generation)
    }

    /// Makes `~/.nix-defexpr/channels` point to the profile.
    fn link_expressions(&self) -> Result<(), ChannelError> {
        let directory = &self.expressions;
        if directory.is_symlink() {
            // Very old installations had a link to one expression here.
            std::fs::remove_file(directory)
                .map_err(|e| ChannelError::file("removing", directory, e))?;
        }
        std::fs::create_dir_all(directory)
            .map_err(|e| ChannelError::file("creating directory", directory, e))?;
        let link = directory.join("channels");
        if std::fs::read_link(&link).is_ok_and(|target| target == self.profile) {
            return Ok(());
        }
        let temporary = directory.join(format!(".channels-{}", std::process::id()));
        let _ = std::fs::remove_file(&temporary);
        std::os::unix::fs::symlink(&self.profile, &temporary)
            .and_then(|()| std::fs::rename(&temporary, &link))
            .map_err(|e| ChannelError::file("creating symbolic link", &link, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Places;

    fn channels(home: &Path) -> Channels {
        let home = home.to_owned();
        let places = Places::from_lookup(|name| (name == "HOME").then(|| home.clone().into()));
        Channels::read(&Settings::with_defaults(places), &home.join("state")).unwrap()
    }

    #[test]
    fn the_list_is_kept_in_the_users_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut list = channels(dir.path());
        list.add("https://example.org/nixos-unstable", None)
            .unwrap();
        list.add("https://example.org/x", Some("nixpkgs")).unwrap();
        assert_eq!(
            std::fs::read_to_string(dir.path().join(".nix-channels")).unwrap(),
            "https://example.org/nixos-unstable nixos\nhttps://example.org/x nixpkgs\n"
        );
        assert_eq!(channels(dir.path()).urls, list.urls);
        assert!(matches!(
            list.add("ftp://x/y", None),
            Err(ChannelError::Url(_))
        ));
        assert!(matches!(
            list.add("https://x/y", Some("../z")),
            Err(ChannelError::Name(_))
        ));
        std::fs::write(
            dir.path().join(".nix-channels"),
            "# comment\n\n https://h/a/ \n",
        )
        .unwrap();
        assert_eq!(
            channels(dir.path()).urls,
            BTreeMap::from([("a".to_owned(), "https://h/a".to_owned())])
        );
    }

    #[test]
    fn versions_are_found_in_urls() {
        for (url, want) in [
            ("https://h/nixos-24.05", "-24.05"),
            ("https://h/nixos-unstable", ""),
            ("https://h/a-1-b", "-1-b"),
        ] {
            assert_eq!(version_suffix(url), want);
        }
    }

    #[test]
    fn repositories_are_told_from_archives() {
        let found = |url| repository(url);
        assert_eq!(
            found("https://h/x.git").as_deref(),
            Some("git+https://h/x.git")
        );
        assert_eq!(
            found("git+file:///x?ref=y").as_deref(),
            Some("git+file:///x?ref=y")
        );
        assert_eq!(found("github:o/r").as_deref(), Some("github:o/r"));
        assert_eq!(found("https://h/x.tar.gz"), None);
    }
}
