//! Getting and putting the files of a cache: in a directory, over HTTP, in an S3 bucket.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::NarInfoError;
use crate::fetch::download::{DownloadError, Downloader, ErrorKind, Method, Request, Upload};
use crate::fetch::s3::{Bucket, Signer};
use crate::fetch::url::{BadUrl, Url};

/// How long a cache that failed is left alone.
const REST: Duration = Duration::from_secs(60);

/// Why a cache could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The transfer failed.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The cache has failed before and is left alone for a while.
    #[error("substituter '{0}' is disabled")]
    Resting(String),
    /// A file of the cache makes no sense.
    #[error(transparent)]
    NarInfo(#[from] NarInfoError),
    /// A file of the cache names a place that it must not.
    #[error("binary cache '{cache}' names an unacceptable address '{address}'")]
    Address {
        /// The cache.
        cache: String,
        /// What it names.
        address: String,
    },
    /// The cache does not have the file.
    #[error("file '{file}' does not exist in binary cache '{cache}'")]
    NoSuchFile {
        /// Which file.
        file: String,
        /// Which cache.
        cache: String,
    },
    /// The cache is for another store directory.
    #[error("binary cache '{cache}' is for Nix stores with prefix '{theirs}', not '{ours}'")]
    OtherStore {
        /// The cache.
        cache: String,
        /// Its directory.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// The server has no `nix-cache-info`.
    #[error("'{0}' does not appear to be a binary cache")]
    NoCache(String),
    /// A reference of a path that is to be added is not there.
    #[error(
        "cannot add '{path}' to the binary cache because the reference '{reference}' is not valid"
    )]
    MissingReference {
        /// The path.
        path: String,
        /// What it refers to.
        reference: String,
    },
    /// The address is not one of a cache.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// A local file failed.
    #[error("{action} '{path}': {source}")]
    File {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A parameter or setting that makes no sense.
    #[error("{0}")]
    Setting(String),
}

impl CacheError {
    pub(super) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        CacheError::File {
            action,
            path: path.display().to_string(),
            source,
        }
    }
}

impl From<CacheError> for crate::store::StoreError {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Download(DownloadError::Interrupted(_)) => {
                crate::store::StoreError::Interrupted
            }
            other => crate::store::StoreError::layer(other),
        }
    }
}

enum Place {
    Directory(PathBuf),
    Http {
        base: Url,
        downloader: Downloader,
        signer: Option<Arc<Signer>>,
        extra_headers: Vec<(String, String)>,
    },
}

/// Access to the files of one cache.
pub struct Transport {
    name: String,
    place: Place,
    /// Until when the cache is left alone.
    resting_until: Mutex<Option<Instant>>,
}

/// What a file is, for servers that want to know.
pub(super) fn mime_type(file: &str) -> &'static str {
    if file == "nix-cache-info" {
        "text/x-nix-cache-info"
    } else if file.ends_with(".narinfo") {
        "text/x-nix-narinfo"
    } else if file.starts_with("nar/") {
        "application/x-nix-nar"
    } else if file.starts_with("log/") {
        "text/plain; charset=utf-8"
    } else {
        "application/json"
    }
}

/// Whether a relative name stays below the cache.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('/')
        && !name.contains('\0')
        && name
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

impl Transport {
    /// Access to the cache at a `file`, `http`, `https` or `s3` URL (without parameters of ours).
    pub fn open(url: &Url, downloader: &Downloader) -> Result<Self, CacheError> {
        let name = url.without_credentials().to_string();
        let place = match url.scheme.as_str() {
            "file" => Place::Directory(url.to_path()?),
            "http" | "https" => Place::Http {
                base: url.as_directory(),
                downloader: downloader.clone(),
                signer: None,
                extra_headers: Vec::new(),
            },
            "s3" => {
                let bucket = Bucket::parse(url)?;
                Place::Http {
                    base: bucket.url.as_directory(),
                    downloader: downloader.clone(),
                    signer: bucket.signer().map(Arc::new),
                    extra_headers: Vec::new(),
                }
            }
            _ => return Err(BadUrl(format!("don't know how to open Nix store '{url}'")).into()),
        };
        Ok(Transport {
            name,
            place,
            resting_until: Mutex::new(None),
        })
    }

    /// The cache's URL, for messages and as key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory, if the cache is one.
    pub fn directory(&self) -> Option<&Path> {
        match &self.place {
            Place::Directory(directory) => Some(directory),
            Place::Http { .. } => None,
        }
    }

    /// Whether the cache has failed lately.
    pub fn is_resting(&self) -> bool {
        let mut until = self.resting_until.lock();
        if until.is_some_and(|until| until <= Instant::now()) {
            *until = None;
        }
        until.is_some()
    }

    fn check_rest(&self) -> Result<(), CacheError> {
        if self.is_resting() {
            Err(CacheError::Resting(self.name.clone()))
        } else {
            Ok(())
        }
    }

    /// Leaves the cache alone for a while, unless the failure says nothing about its health.
    fn failed(&self, error: DownloadError) -> CacheError {
        if matches!(error.kind(), ErrorKind::Transient | ErrorKind::Unauthorized) {
            let mut until = self.resting_until.lock();
            if until.is_none() {
                *until = Some(Instant::now() + REST);
                drop(until);
                crate::progress::warn(format_args!(
                    "{error}; not using binary cache '{}' for {} seconds",
                    self.name,
                    REST.as_secs()
                ));
            }
        }
        error.into()
    }

    fn file_in(&self, directory: &Path, name: &str) -> Result<PathBuf, CacheError> {
        // Parameters are for servers; a directory has none.
        let name = name.split('?').next().unwrap_or_default();
        if is_plain(name) {
            Ok(directory.join(name))
        } else {
            Err(CacheError::Address {
                cache: self.name.clone(),
                address: name.to_owned(),
            })
        }
    }

    fn request(&self, method: Method, name: &str) -> Result<(&Downloader, Request), CacheError> {
        let Place::Http {
            base,
            downloader,
            signer,
            extra_headers,
        } = &self.place
        else {
            return Err(CacheError::Address {
                cache: self.name.clone(),
                address: name.to_owned(),
            });
        };
        let refuse = || CacheError::Address {
            cache: self.name.clone(),
            address: name.to_owned(),
        };
        let url = base.join(name)?;
        let same_place = url.scheme == base.scheme && url.authority == base.authority;
        let relative = name.split(['?', '#']).next().unwrap_or_default();
        let climbs = relative.split('/').any(|part| part == "..");
        let safe_elsewhere =
            url.scheme == "https" || (url.scheme == "http" && base.scheme == "http");
        if climbs || !(same_place || safe_elsewhere) {
            return Err(refuse());
        }
        let mut request = Request::new(method, url.to_string());
        if same_place {
            request.sign.clone_from(signer);
            request.headers.clone_from(extra_headers);
        }
        Ok((downloader, request))
    }

    /// Opens a file; `None` if the cache does not have it.
    pub fn open_file(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, CacheError> {
        if let Place::Directory(directory) = &self.place {
            let path = self.file_in(directory, name)?;
            return match File::open(&path) {
                Ok(file) => Ok(Some(Box::new(file))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(CacheError::file("opening", &path, error)),
            };
        }
        self.check_rest()?;
        let (downloader, request) = self.request(Method::Get, name)?;
        match downloader.open(&request) {
            Ok(download) => Ok(Some(Box::new(download))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => {
                Ok(None)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Reads a small file; `None` if the cache does not have it.
    pub fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, CacheError> {
        if self.directory().is_some() {
            let Some(file) = self.open_file(name)? else {
                return Ok(None);
            };
            let mut data = Vec::new();
            let read = file.take(limit + 1).read_to_end(&mut data);
            read.map_err(|e| CacheError::file("reading", Path::new(name), e))?;
            if data.len() as u64 > limit {
                return Err(DownloadError::TooLarge {
                    url: format!("{}/{name}", self.name),
                    limit,
                }
                .into());
            }
            return Ok(Some(data));
        }
        self.check_rest()?;
        let (downloader, mut request) = self.request(Method::Get, name)?;
        request.size_limit = Some(limit);
        if name == "nix-cache-info" {
            // The first question to a cache: one that is dead should not hold everything up.
            request.attempts = Some(downloader.settings().attempts.min(2));
        }
        match downloader.fetch(&request) {
            Ok((_, data)) => Ok(Some(data)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => {
                Ok(None)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Whether the cache has a file.
    pub fn exists(&self, name: &str) -> Result<bool, CacheError> {
        if let Place::Directory(directory) = &self.place {
            return Ok(self.file_in(directory, name)?.exists());
        }
        self.check_rest()?;
        let (downloader, request) = self.request(Method::Head, name)?;
        downloader
            .exists(&request)
            .map_err(|error| self.failed(error))
    }

    /// Writes a file, all or nothing.
    pub fn put(&self, name: &str, contents: Upload) -> Result<(), CacheError> {
        match &self.place {
            Place::Directory(directory) => self.put_in_directory(directory, name, contents),
            Place::Http { .. } => {
                let (downloader, mut request) = self.request(Method::Put, name)?;
                request
                    .headers
                    .push(("Content-Type".into(), mime_type(name).into()));
                request.upload = Some(contents);
                downloader
                    .send(&request)
                    .map(drop)
                    .map_err(CacheError::from)
            }
        }
    }

    fn put_in_directory(
        &self,
        directory: &Path,
        name: &str,
        contents: Upload,
    ) -> Result<(), CacheError> {
        let path = self.file_in(directory, name)?;
        let parent = path.parent().unwrap_or(directory);
        let fail = |error| CacheError::file("writing", &path, error);
        std::fs::create_dir_all(parent).map_err(fail)?;
        let mut file = tempfile::Builder::new()
            .prefix(".tmp-")
            .tempfile_in(parent)
            .map_err(fail)?;
        match contents {
            Upload::Bytes(bytes) => file.write_all(&bytes).map_err(fail)?,
            Upload::File(source) => {
                let mut source =
                    File::open(&source).map_err(|e| CacheError::file("opening", &source, e))?;
                io::copy(&mut source, &mut file).map_err(fail)?;
            }
        }
        self.persist(file, &path)
    }

    fn persist(&self, file: tempfile::NamedTempFile, path: &Path) -> Result<(), CacheError> {
        let fail = |error| CacheError::file("writing", path, error);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.as_file().set_permissions(mode).map_err(fail)?;
        file.persist(path).map_err(|e| fail(e.error))?;
        Ok(())
    }

    /// A temporary file for something that will be put into the cache; near it if it is a directory.
    pub(super) fn temporary(&self) -> Result<tempfile::NamedTempFile, CacheError> {
        let builder = || {
            let mut builder = tempfile::Builder::new();
            builder.prefix(".tmp-");
            builder
        };
        match self.directory() {
            Some(directory) => {
                let near = directory.join("nar");
                std::fs::create_dir_all(&near)
                    .map_err(|e| CacheError::file("creating directory", &near, e))?;
                builder()
                    .tempfile_in(&near)
                    .map_err(|e| CacheError::file("creating file in", &near, e))
            }
            None => builder()
                .tempfile()
                .map_err(|e| CacheError::file("creating file in", &std::env::temp_dir(), e)),
        }
    }

    /// Puts a temporary file into the cache.
    pub(super) fn put_temporary(
        &self,
        name: &str,
        file: tempfile::NamedTempFile,
    ) -> Result<(), CacheError> {
        match self.directory() {
            Some(directory) => {
                let path = self.file_in(directory, name)?;
                self.persist(file, &path)
            }
            None => self.put(name, Upload::File(file.path().to_owned())),
        }
    }
}
