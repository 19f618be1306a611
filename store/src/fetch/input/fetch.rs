//! Fetching inputs into a store.

use std::io::{BufReader, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::git::{Need, short};
use super::locks::check_locks;
use super::{Input, InputError, Scheme};
use crate::content_address::{ContentAddress, Method, References};
use crate::fetch::attrs::{Attr, Attrs};
use crate::fetch::cache::FetchCache;
use crate::fetch::download::{Downloader, Request};
use crate::fetch::registry::{Kind, Registry};
use crate::fetch::time::compact_date;
use crate::fetch::unpack::{Limits, unpack};
use crate::fetch::url::Url;
use crate::hash::{Algorithm, Format, Hash};
use crate::path::StorePath;
use crate::settings::Settings;
use crate::store::{AddFlags, Addition, Contents, Store};

/// Fetches into one store, with the settings of the user.
pub struct Fetcher {
    pub(super) store: Arc<dyn Store>,
    pub(super) settings: Arc<Settings>,
    pub(super) downloader: Downloader,
    pub(super) cache: FetchCache,
    pub(super) cache_dir: PathBuf,
    /// What the command line says that names stand for.
    flags: Mutex<Registry>,
}

/// A fetched tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The tree in the store.
    pub store_path: StorePath,
    /// The input, locked: with commit, hash and times.
    pub input: Input,
}

/// A downloaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileResult {
    /// The file in the store.
    pub store_path: StorePath,
    /// Its entity tag.
    pub etag: String,
    /// The URL that answered in the end.
    pub effective_url: String,
    /// The URL under which the server will always have this very file.
    pub immutable_url: Option<String>,
}

/// A downloaded and unpacked archive.
pub(super) struct Archive {
    pub(super) store_path: StorePath,
    pub(super) last_modified: u64,
    pub(super) immutable_url: Option<String>,
}

impl Fetched {
    /// What `fetchTree` and `fetchGit` give besides `outPath`. With `empty_revision`, a work tree
    /// without commit gets one of zeros, as `fetchGit` always gave it.
    pub fn output_attributes(&self, empty_revision: bool) -> Result<Attrs, InputError> {
        let input = &self.input;
        let mut out = Attrs::new();
        if let Some(hash) = input.nar_hash()? {
            out.set("narHash", hash.sri());
        }
        if input.scheme() == Some(Scheme::Git) {
            out.set("submodules", input.attrs.flag("submodules")?);
        }
        let zeros = "0".repeat(40);
        let revision = input.revision()?.map(|revision| revision.base16());
        if let Some(revision) = revision.or_else(|| empty_revision.then_some(zeros)) {
            out.set("shortRev", short(&revision));
            out.set("rev", revision);
        }
        // Of a commit whose history is cut off nobody knows the number.
        let unknown = input.attrs.has("rev") && !input.attrs.flag("shallow")?;
        if let Some(count) = input
            .attrs
            .int_opt("revCount")?
            .or((empty_revision && !unknown).then_some(0))
        {
            out.set("revCount", count);
        }
        for name in ["dirtyRev", "dirtyShortRev"] {
            if let Some(text) = input.attrs.str_opt(name)? {
                out.set(name, text);
            }
        }
        if let Some(time) = input.last_modified()? {
            out.set("lastModified", time);
            out.set("lastModifiedDate", compact_date(time));
        }
        Ok(out)
    }
}

impl Fetcher {
    /// A fetcher for a store.
    pub fn new(store: Arc<dyn Store>, settings: Arc<Settings>) -> Self {
        let downloader = Downloader::from_settings(&settings);
        Self::with_downloader(store, settings, downloader)
    }

    /// A fetcher that shares the connections of somebody else.
    pub fn with_downloader(
        store: Arc<dyn Store>,
        settings: Arc<Settings>,
        downloader: Downloader,
    ) -> Self {
        let cache_dir = settings.places.cache_dir.clone();
        let cache = FetchCache::open(&cache_dir, settings.tarball_ttl.into());
        Fetcher {
            store,
            settings,
            downloader,
            cache,
            cache_dir,
            flags: Mutex::new(Registry::new(Kind::Flag)),
        }
    }

    /// What the command line says that names stand for.
    pub fn flag_registry(&self) -> Registry {
        let flags = self.flags.lock();
        flags.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets a name stand for something during this run.
    pub fn override_flake(&self, from: Input, to: Input, extra: Attrs) {
        let flags = self.flags.lock();
        let mut flags = flags.unwrap_or_else(PoisonError::into_inner);
        flags.add(from, to, extra);
    }

    /// The store that is fetched into.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The user's settings.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Who downloads.
    pub fn downloader(&self) -> &Downloader {
        &self.downloader
    }

    /// Fetches an input. What comes is checked against the commit and hash that the input names.
    pub fn fetch(&self, input: &Input) -> Result<Fetched, InputError> {
        let Some(scheme) = input.scheme() else {
            return Err(InputError::Other(format!(
                "cannot fetch unsupported input '{}'",
                input.attrs.to_json()
            )));
        };
        self.fetch_unchecked(scheme, input)
            .and_then(|mut fetched| {
                check_locks(input, &mut fetched.input)?;
                Ok(fetched)
            })
            .map_err(|error| InputError::While {
                input: input.show(),
                error: Box::new(error),
            })
    }

    fn fetch_unchecked(&self, scheme: Scheme, input: &Input) -> Result<Fetched, InputError> {
        // What is final need not come from its source. Anything else must, because a store does not
        // know times and commits.
        if input.is_final()
            && let Some(hash) = input.nar_hash()?
        {
            let path = self.source_path(input.name()?, &hash)?;
            if self.have(&path) {
                return Ok(Fetched {
                    store_path: path,
                    input: input.clone(),
                });
            }
        }
        let (store_path, mut result) = match scheme {
            Scheme::Path => self.fetch_path(input)?,
            Scheme::File => {
                let name = input.name()?;
                let file = self.download_file(input.attrs.str("url")?, name, &[])?;
                // Inputs are addressed by their archive, whatever they hold.
                (self.add_under_name(file.store_path, name)?, input.clone())
            }
            Scheme::Tarball => self.fetch_tarball_input(input)?,
            Scheme::Git => self.fetch_git_input(input)?,
            Scheme::GitHub | Scheme::GitLab | Scheme::SourceHut => {
                self.fetch_forge(scheme, input)?
            }
            Scheme::Mercurial => self.fetch_mercurial(input)?,
            Scheme::Indirect => {
                return Err(InputError::Other(format!(
                    "indirect input '{}' cannot be fetched directly",
                    input.show()
                )));
            }
        };
        let hash = self.store.path_info(&store_path)?.nar_hash;
        result.attrs.set("narHash", hash.sri());
        result.attrs.set("__final", true);
        Ok(Fetched {
            store_path,
            input: result,
        })
    }

    /// Whether a path is in the store or can be fetched from a cache.
    fn have(&self, path: &StorePath) -> bool {
        // A failure means only that the path must come from its source.
        self.store
            .add_temp_root(path)
            .and_then(|()| self.store.ensure_path(path))
            .is_ok()
    }

    fn is_here(&self, path: &StorePath) -> Result<bool, InputError> {
        self.store.add_temp_root(path)?;
        Ok(self.store.is_valid(path)?)
    }

    /// The path of a tree with this hash.
    pub fn source_path(&self, name: &str, nar_hash: &Hash) -> Result<StorePath, InputError> {
        self.content_path(name, Method::NixArchive, nar_hash)
    }

    fn content_path(
        &self,
        name: &str,
        method: Method,
        hash: &Hash,
    ) -> Result<StorePath, InputError> {
        let address = ContentAddress {
            method,
            hash: *hash,
        };
        self.store
            .dir()
            .make_content_path(name, &address, &References::default())
            .map_err(|e| InputError::Store(Box::new(e)))
    }

    fn add(
        &self,
        name: &str,
        contents: Contents<'_>,
        method: Method,
    ) -> Result<StorePath, InputError> {
        let flags = AddFlags::default();
        Ok(self.store.add_to_store(
            Addition {
                flags,
                ..Addition::new(name, method, Algorithm::Sha256)
            },
            contents,
        )?)
    }

    /// The same contents, addressed by their archive and under this name.
    fn add_under_name(&self, path: StorePath, name: &str) -> Result<StorePath, InputError> {
        let info = self.store.path_info(&path)?;
        let wanted = self.source_path(name, &info.nar_hash)?;
        if wanted == path || self.is_here(&wanted)? {
            return Ok(wanted);
        }
        let mut spool = temporary_file()?;
        self.store.nar_from_path(&path, &mut spool)?;
        spool
            .rewind()
            .map_err(|e| InputError::file("reading", Path::new("temporary file"), e))?;
        self.add(
            name,
            Contents::Nar(&mut BufReader::new(spool)),
            Method::NixArchive,
        )
    }

    pub(super) fn add_tree(
        &self,
        name: &str,
        contents: Contents<'_>,
    ) -> Result<StorePath, InputError> {
        self.add(name, contents, Method::NixArchive)
    }

    /// A tree of this store that an earlier fetch noted, with a number that belongs to it.
    pub(super) fn cached_tree(&self, domain: &str, key: &Attrs) -> Option<(StorePath, u64)> {
        let cached = self.cache.get(domain, &self.store_key(key.clone()))?;
        Some((
            self.cached_path(&cached.value)?,
            cached.value.int("number").ok()?,
        ))
    }

    /// Notes a tree and a number for [`Fetcher::cached_tree`].
    pub(super) fn remember_tree(&self, domain: &str, key: &Attrs, path: &StorePath, number: u64) {
        let value = Attrs::new()
            .with("storePath", path.base_name())
            .with("number", number);
        self.cache.put(domain, &self.store_key(key.clone()), &value);
    }

    fn fetch_path(&self, input: &Input) -> Result<(StorePath, Input), InputError> {
        let text = input.attrs.str("path")?;
        let path = PathBuf::from(text);
        if path.is_relative() {
            return Err(InputError::Other(format!(
                "cannot fetch input '{}' because it uses a relative path",
                input.show()
            )));
        }
        let path = crate::settings::clean(&path);
        let mut input = input.clone();
        let own = self
            .store
            .dir()
            .parse(path.as_os_str().as_encoded_bytes())
            .ok();
        if let Some(own) = own.filter(|own| own.name() == "source")
            && self.is_here(&own)?
        {
            if !input.attrs.has("lastModified") {
                input.attrs.set("lastModified", 0);
            }
            return Ok((own, input));
        }
        // A store that is somewhere else on disk still shows its paths under their usual names.
        let real = match self.store.dir().split(path.as_os_str().as_encoded_bytes()) {
            Ok((store_path, inside)) => match self.store.real_path(&store_path) {
                Some(real) => {
                    use std::os::unix::ffi::OsStrExt;
                    let inside = inside.strip_prefix(b"/").unwrap_or(&inside);
                    if inside.is_empty() {
                        real
                    } else {
                        real.join(std::ffi::OsStr::from_bytes(inside))
                    }
                }
                None => path.clone(),
            },
            Err(_) => path.clone(),
        };
        if !input.attrs.has("lastModified") {
            input.attrs.set("lastModified", newest_change(&real)?);
        }
        tell_copying(&input, &input);
        let store_path = self.add("source", Contents::Path(&real), Method::NixArchive)?;
        Ok((store_path, input))
    }

    fn fetch_git_input(&self, input: &Input) -> Result<(StorePath, Input), InputError> {
        let name = input.name()?.to_owned();
        let mut source = self.fetch_git(input, Need::HashIsEnough)?;
        if let Some(hash) = &source.nar_hash {
            let path = self.source_path(&name, hash)?;
            if self.is_here(&path)? {
                return Ok((path, source.input));
            }
            // Its hash is known, but it has been collected since.
            source = self.fetch_git(input, Need::Tree)?;
        }
        tell_copying(input, &source.input);
        let tree = source
            .tree
            .ok_or_else(|| InputError::Other("Git gave no tree".into()))?;
        let mut spool = tree.write_nar(std::io::BufWriter::with_capacity(
            1 << 17,
            temporary_file()?,
        ))?;
        let file = std::io::Write::flush(&mut spool)
            .and_then(|()| {
                spool
                    .into_inner()
                    .map_err(std::io::IntoInnerError::into_error)
            })
            .and_then(|mut file| file.rewind().map(|()| file))
            .map_err(|e| InputError::file("writing", Path::new("temporary file"), e))?;
        let path = self.add(
            &name,
            Contents::Nar(&mut BufReader::with_capacity(1 << 17, file)),
            Method::NixArchive,
        )?;
        if let Some(key) = &source.cache_key {
            let hash = self.store.path_info(&path)?.nar_hash;
            self.cache
                .put("gitTree", key, &Attrs::new().with("narHash", hash.sri()));
        }
        Ok((path, source.input))
    }

    fn fetch_tarball_input(&self, input: &Input) -> Result<(StorePath, Input), InputError> {
        let name = input.name()?.to_owned();
        let archive = self.download_archive(input.attrs.str("url")?)?;
        let mut result = input.clone();
        if let Some(url) = &archive.immutable_url {
            result = Input::parse(url, super::Wanted::Tree)?;
            if result.scheme() != Some(Scheme::Tarball) {
                return Err(InputError::Other(
                    "tarball 'Link' headers that redirect to non-tarball URLs are not supported"
                        .into(),
                ));
            }
        }
        if archive.last_modified > 0 && !result.attrs.has("lastModified") {
            result.attrs.set("lastModified", archive.last_modified);
        }
        Ok((self.add_under_name(archive.store_path, &name)?, result))
    }

    fn cached_path(&self, value: &Attrs) -> Option<StorePath> {
        let path = StorePath::parse(value.str("storePath").ok()?).ok()?;
        self.is_here(&path).ok()?.then_some(path)
    }

    fn store_key(&self, key: Attrs) -> Attrs {
        key.with(
            "store",
            String::from_utf8_lossy(self.store.dir().as_bytes()).into_owned(),
        )
    }

    /// Downloads a file into the store, as it is.
    pub fn download_file(
        &self,
        url: &str,
        name: &str,
        headers: &[(String, String)],
    ) -> Result<FileResult, InputError> {
        let key = |url: &str| self.store_key(Attrs::new().with("url", url).with("name", name));
        let result = |value: &Attrs, store_path: StorePath| FileResult {
            store_path,
            etag: value.str("etag").unwrap_or_default().to_owned(),
            effective_url: value.str("url").unwrap_or(url).to_owned(),
            immutable_url: value.str("immutableUrl").ok().map(str::to_owned),
        };
        let cached = self
            .cache
            .get("file", &key(url))
            .and_then(|cached| self.cached_path(&cached.value).map(|path| (cached, path)));
        if let Some((cached, path)) = &cached
            && !cached.expired
        {
            return Ok(result(&cached.value, path.clone()));
        }
        let mut request = Request::get(url);
        request.headers = headers.to_vec();
        request.etag = cached
            .as_ref()
            .and_then(|(cached, _)| cached.value.str("etag").ok())
            .map(str::to_owned);
        let mut spool = temporary_file()?;
        let fetched = self.downloader.open(&request).and_then(|mut download| {
            if !download.meta.unchanged {
                download.stream(&mut spool)?;
            }
            Ok(download.meta.clone())
        });
        let meta = match (fetched, &cached) {
            (Ok(meta), _) => meta,
            (Err(error), Some((cached, path))) => {
                crate::progress::warn(format_args!("{error}; using cached version"));
                return Ok(result(&cached.value, path.clone()));
            }
            (Err(error), None) => return Err(error.into()),
        };
        let store_path = match &cached {
            Some((_, path)) if meta.unchanged => path.clone(),
            _ => {
                spool
                    .rewind()
                    .map_err(|e| InputError::file("reading", Path::new("temporary file"), e))?;
                self.add(
                    name,
                    Contents::Stream(&mut BufReader::new(spool)),
                    Method::Flat,
                )?
            }
        };
        let mut value = Attrs::new()
            .with("etag", meta.etag.as_str())
            .with("url", meta.effective_url())
            .with("storePath", store_path.base_name());
        if let Some(url) = &meta.immutable_url {
            value.set("immutableUrl", url.as_str());
        }
        for url in &meta.urls {
            self.cache.put("file", &key(url), &value);
        }
        Ok(result(&value, store_path))
    }

    /// Downloads an archive and unpacks it into the store.
    pub(super) fn download_archive(&self, url: &str) -> Result<Archive, InputError> {
        check_local_archive(url)?;
        let key = |url: &str| self.store_key(Attrs::new().with("url", url));
        let cached = self
            .cache
            .get("tarball", &key(url))
            .and_then(|cached| self.cached_path(&cached.value).map(|path| (cached, path)));
        let result = |value: &Attrs, store_path: StorePath| Archive {
            store_path,
            last_modified: value.int("lastModified").unwrap_or(0),
            immutable_url: value.str("immutableUrl").ok().map(str::to_owned),
        };
        if let Some((cached, path)) = &cached
            && !cached.expired
        {
            return Ok(result(&cached.value, path.clone()));
        }
        let mut request = Request::get(url);
        request.etag = cached
            .as_ref()
            .and_then(|(cached, _)| cached.value.str("etag").ok())
            .map(str::to_owned);
        let download = match (self.downloader.open(&request), &cached) {
            (Ok(download), _) => download,
            (Err(error), Some((cached, path))) => {
                crate::progress::warn(format_args!("{error}; using cached version"));
                return Ok(result(&cached.value, path.clone()));
            }
            (Err(error), None) => return Err(error.into()),
        };
        let meta = download.meta.clone();
        let (value, store_path) = match &cached {
            Some((cached, path)) if meta.unchanged => (cached.value.clone(), path.clone()),
            _ => {
                let (store_path, last_modified) = self.unpack_into_store(download, url)?;
                let mut value = Attrs::new()
                    .with("etag", meta.etag.as_str())
                    .with("lastModified", last_modified)
                    .with("storePath", store_path.base_name());
                if let Some(url) = &meta.immutable_url {
                    value.set("immutableUrl", url.as_str());
                }
                (value, store_path)
            }
        };
        for url in &meta.urls {
            self.cache.put("tarball", &key(url), &value);
        }
        Ok(result(&value, store_path))
    }

    /// The same for an archive that cannot change: what was fetched once under `key` stays.
    pub(super) fn download_immutable_archive(
        &self,
        key: &Attrs,
        url: &str,
        headers: &[(String, String)],
    ) -> Result<Archive, InputError> {
        let key = self.store_key(key.clone());
        if let Some(cached) = self.cache.get("forge", &key)
            && let Some(store_path) = self.cached_path(&cached.value)
        {
            let last_modified = cached.value.int("lastModified").unwrap_or(0);
            return Ok(Archive {
                store_path,
                last_modified,
                immutable_url: None,
            });
        }
        let mut request = Request::get(url);
        request.headers = headers.to_vec();
        let (store_path, last_modified) =
            self.unpack_into_store(self.downloader.open(&request)?, url)?;
        let value = Attrs::new()
            .with("lastModified", last_modified)
            .with("storePath", store_path.base_name());
        self.cache.put("forge", &key, &value);
        Ok(Archive {
            store_path,
            last_modified,
            immutable_url: None,
        })
    }

    fn unpack_into_store(
        &self,
        download: crate::fetch::download::Download,
        url: &str,
    ) -> Result<(StorePath, u64), InputError> {
        use crate::progress::{Activity, ActivityKind, Level};
        let _activity = Activity::start(
            Level::Info,
            ActivityKind::Unknown,
            format!("unpacking '{url}'"),
            &[],
        );
        let directory = tempfile::Builder::new()
            .prefix("rx-unpack-")
            .tempdir()
            .map_err(|e| InputError::file("creating directory in", &std::env::temp_dir(), e))?;
        let unpacked = unpack(download, directory.path(), &Limits::default())?;
        let path = self.add(
            "source",
            Contents::Path(unpacked.tree()),
            Method::NixArchive,
        )?;
        Ok((path, unpacked.last_modified))
    }

    /// `builtins.fetchurl` and `builtins.fetchTarball`: downloads a file, or an archive and unpacks it.
    pub fn fetch_url(
        &self,
        url: &str,
        name: &str,
        expected: Option<&Hash>,
        unpacked: bool,
    ) -> Result<StorePath, InputError> {
        let method = if unpacked {
            Method::NixArchive
        } else {
            Method::Flat
        };
        if let Some(expected) = expected.filter(|hash| hash.algorithm() == Algorithm::Sha256) {
            let path = self.content_path(name, method, expected)?;
            if self.have(&path) {
                return Ok(path);
            }
        }
        let path = if unpacked {
            let attrs = Attrs::new()
                .with("type", "tarball")
                .with("url", url)
                .with("name", name);
            self.fetch(&Input::from_attrs(attrs)?)?.store_path
        } else {
            self.download_file(url, name, &[])?.store_path
        };
        if let Some(expected) = expected {
            let found = if unpacked {
                self.store.path_info(&path)?.nar_hash
            } else {
                Hash::of(expected.algorithm(), &self.store.read_file(&path, b"")?)
            };
            if found != *expected {
                return Err(InputError::HashMismatch(format!(
                    "hash mismatch in file downloaded from '{url}':\n  specified: {}\n  got:       {}",
                    expected.format(Format::Nix32, true),
                    found.format(Format::Nix32, true)
                )));
            }
        }
        Ok(path)
    }

    /// Clones the repository of an input, for people to work in.
    pub fn clone_to(&self, input: &Input, directory: &Path) -> Result<(), InputError> {
        match input.scheme() {
            Some(Scheme::Git) => super::git::clone(input, directory),
            Some(scheme @ (Scheme::GitHub | Scheme::GitLab | Scheme::SourceHut)) => {
                let default = match scheme {
                    Scheme::GitHub => "github.com",
                    Scheme::GitLab => "gitlab.com",
                    _ => "git.sr.ht",
                };
                let host = input.attrs.str_opt("host")?.unwrap_or(default);
                let suffix = if scheme == Scheme::SourceHut {
                    ""
                } else {
                    ".git"
                };
                let url = format!(
                    "git+https://{host}/{}/{}{suffix}",
                    input.attrs.str("owner")?,
                    input.attrs.str("repo")?
                );
                let mut repository = Input::parse(&url, super::Wanted::Tree)?;
                for name in ["ref", "rev"] {
                    if let Some(Attr::Str(text)) = input.attrs.0.get(name) {
                        repository.attrs.set(name, text.as_str());
                    }
                }
                super::git::clone(&repository, directory)
            }
            // Anything else has no history: its tree is all there is.
            _ => {
                let fetched = self.fetch(input)?;
                if directory.symlink_metadata().is_ok() {
                    return Err(InputError::Other(format!(
                        "cannot clone to existing path \"{}\"",
                        directory.display()
                    )));
                }
                let mut nar = Vec::new();
                self.store.nar_from_path(&fetched.store_path, &mut nar)?;
                let options = crate::nar::RestoreOptions::default();
                crate::nar::restore(&nar[..], directory, options)
                    .map_err(|error| InputError::Other(error.to_string()))
            }
        }
    }
}

fn temporary_file() -> Result<std::fs::File, InputError> {
    tempfile::tempfile()
        .map_err(|e| InputError::file("creating temporary file in", &std::env::temp_dir(), e))
}

/// Says what is wrong with a local archive before a download fails with something less clear.
fn check_local_archive(url: &str) -> Result<(), InputError> {
    let parsed = Url::parse(url)?;
    if parsed.scheme != "file" {
        return Ok(());
    }
    let path = parsed.to_path()?;
    let shown = format!("{:?}", path.display().to_string());
    let problem = if path.is_relative() {
        format!(
            "tarball '{url}' must use an absolute path. The 'file' scheme does not support relative paths."
        )
    } else if !path.exists() {
        format!("tarball {shown} does not exist.")
    } else if path.join(".git").exists() {
        format!(
            "tarball {shown} is a git repository, not a tarball. Please use `git+file` as the scheme."
        )
    } else if path.is_dir() {
        format!("tarball {shown} is a directory, not a file.")
    } else {
        return Ok(());
    };
    Err(InputError::Other(problem))
}

/// The newest modification time in a tree.
fn newest_change(path: &Path) -> Result<u64, InputError> {
    let mut newest = 0;
    for entry in walkdir::WalkDir::new(path) {
        let metadata = entry.and_then(|entry| entry.metadata()).map_err(|e| {
            let is_missing =
                e.io_error().map(std::io::Error::kind) == Some(std::io::ErrorKind::NotFound);
            if is_missing && e.depth() == 0 {
                return InputError::Other(format!("path '{}' does not exist", path.display()));
            }
            let path = e.path().unwrap_or(path).to_owned();
            InputError::file("reading", &path, e.into())
        })?;
        newest = newest.max(std::os::unix::fs::MetadataExt::mtime(&metadata).max(0) as u64);
    }
    Ok(newest)
}

/// Says what is brought into the store now.
fn tell_copying(input: &Input, fetched: &Input) {
    crate::progress::talkative(format_args!(
        "copying '{}' to the store",
        input.provenance(fetched).shown
    ));
}
