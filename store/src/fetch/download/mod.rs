//! Downloads over HTTP(S) and from `file://` URLs.
//!
//! A [`Downloader`] owns one connection pool and a small asynchronous runtime (two threads). The
//! runtime is ours rather than the HTTP library's blocking front end, because every wait must be
//! able to end early: when the user interrupts, when no byte arrives for `stalled-download-timeout`,
//! when a limit is reached. Callers stay synchronous: [`Downloader::open`] gives a [`Download`],
//! which is a plain [`std::io::Read`]; decompression, hashing and unpacking are stacked on it in the
//! caller's thread while the runtime keeps the sockets going.
//!
//! Faults are repaired below `read`: a transfer that breaks in the middle is continued with a
//! `Range` request for the missing tail if the server can, and the caller never notices.

mod body;
mod decode;
mod error;
mod exchange;
mod retry;
mod settings;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

pub use error::{DownloadError, ErrorKind};
pub use settings::{DownloadSettings, Monitor, ProcessMonitor};

use super::netrc::Netrc;
use super::url::Url;
use crate::progress::{Activity, ActivityKind, Level};
use body::HttpBody;
use exchange::Exchange;

/// What to do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Fetch it.
    Get,
    /// Ask whether it is there.
    Head,
    /// Write it.
    Put,
    /// Send data to it.
    Post,
}

/// What an upload sends. It can be sent again when an attempt fails.
#[derive(Debug, Clone)]
pub enum Upload {
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// The contents of a file.
    File(PathBuf),
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// `http`, `https` or `file` URL.
    pub url: String,
    /// What to do.
    pub method: Method,
    /// Additional headers; `Authorization` is not sent on to another host by a redirect.
    pub headers: Vec<(String, String)>,
    /// The entity tag of what the caller has already; the answer may then be "unchanged".
    pub etag: Option<String>,
    /// Whether a `Content-Encoding` of the server is undone; without, the body is taken as sent.
    pub decode: bool,
    /// What to send.
    pub upload: Option<Upload>,
    /// More bytes than this (after decoding) are an error.
    pub size_limit: Option<u64>,
    /// Number of attempts, if not the one of the settings.
    pub attempts: Option<u32>,
    /// Access key for S3; signs every request to the URL's host.
    pub sign: Option<Arc<super::s3::Signer>>,
}

impl Request {
    /// A request with nothing special.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Request {
            url: url.into(),
            method,
            headers: Vec::new(),
            etag: None,
            decode: true,
            upload: None,
            size_limit: None,
            attempts: None,
            sign: None,
        }
    }

    /// Fetches `url`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::Get, url)
    }

    fn verb(&self) -> &'static str {
        if self.upload.is_some() {
            "upload"
        } else {
            "download"
        }
    }

    /// The URL without credentials, for messages.
    pub fn display_url(&self) -> String {
        Url::parse(&self.url).map_or_else(
            |_| self.url.clone(),
            |url| url.without_credentials().to_string(),
        )
    }
}

/// What is known of a download once its header has arrived.
#[derive(Debug, Clone, Default)]
pub struct Meta {
    /// HTTP status; 0 for files.
    pub status: u16,
    /// Entity tag, empty if there is none.
    pub etag: String,
    /// The URL that was asked for and those it was redirected to.
    pub urls: Vec<String>,
    /// The server said that what the caller has (`Request::etag`) is current.
    pub unchanged: bool,
    /// Content of a `Link: <…>; rel="immutable"` header.
    pub immutable_url: Option<String>,
    /// Length of the body as transferred.
    pub length: Option<u64>,
    /// Host name in the last URL, and so on, are in `urls`; this is the content type.
    pub content_type: Option<String>,
}

impl Meta {
    /// The URL that finally answered.
    pub fn effective_url(&self) -> &str {
        self.urls.last().map_or("", String::as_str)
    }
}

struct Inner {
    settings: DownloadSettings,
    monitor: Arc<dyn Monitor>,
    netrc: OnceLock<Netrc>,
    client: OnceLock<Result<reqwest::Client, String>>,
    runtime: OnceLock<Result<tokio::runtime::Runtime, String>>,
    slots: Option<Arc<tokio::sync::Semaphore>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Name lookups run in threads that cannot be cancelled; nobody waits for them here.
        if let Some(Ok(runtime)) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Downloads and uploads; cheap to clone, all clones share one connection pool.
#[derive(Clone)]
pub struct Downloader {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Downloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Downloader")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

/// The names in a directory but hidden ones, one a line, as `curl` lists them.
fn list_directory(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let name = entry?.file_name();
        if name.as_bytes().first() != Some(&b'.') {
            names.extend_from_slice(name.as_bytes());
            names.push(b'\n');
        }
    }
    Ok(names)
}

impl Downloader {
    /// A downloader. Nothing is opened or started before the first HTTP request.
    pub fn new(settings: DownloadSettings, monitor: Arc<dyn Monitor>) -> Self {
        let slots = (settings.connections > 0)
            .then(|| Arc::new(tokio::sync::Semaphore::new(settings.connections)));
        Downloader {
            inner: Arc::new(Inner {
                settings,
                monitor,
                netrc: OnceLock::new(),
                client: OnceLock::new(),
                runtime: OnceLock::new(),
                slots,
            }),
        }
    }

    /// A downloader with what the user has set.
    pub fn from_settings(settings: &crate::settings::Settings) -> Self {
        Self::new(
            DownloadSettings::from_settings(settings),
            Arc::new(ProcessMonitor),
        )
    }

    /// The settings that this downloader was made with.
    pub fn settings(&self) -> &DownloadSettings {
        &self.inner.settings
    }

    /// Who is told of warnings and asked about interrupts.
    pub fn monitor(&self) -> &Arc<dyn Monitor> {
        &self.inner.monitor
    }

    fn netrc(&self) -> &Netrc {
        self.inner.netrc.get_or_init(|| {
            self.inner
                .settings
                .netrc_file
                .as_deref()
                .map(Netrc::read)
                .unwrap_or_default()
        })
    }

    /// Sends the request, follows redirects, repeats failed attempts, and returns once the header of
    /// a successful answer is there. The body is read from the result.
    pub fn open(&self, request: &Request) -> Result<Download, DownloadError> {
        let url = Url::parse(&request.url).map_err(|_| DownloadError::Transport {
            verb: request.verb(),
            url: request.url.clone(),
            what: "URL using bad/illegal format or missing URL",
            code: 3,
            detail: "URL rejected".into(),
        })?;
        match url.scheme.as_str() {
            "file" => self.open_file(request, &url),
            "http" | "https" => self.open_http(request),
            other => Err(DownloadError::Transport {
                verb: request.verb(),
                url: request.display_url(),
                what: "Unsupported protocol",
                code: 1,
                detail: format!("Protocol \"{other}\" not supported"),
            }),
        }
    }

    fn open_file(&self, request: &Request, url: &Url) -> Result<Download, DownloadError> {
        let cannot = |detail: String| DownloadError::Transport {
            verb: request.verb(),
            url: request.display_url(),
            what: "Could not read a file:// file",
            code: 37,
            detail,
        };
        if request.upload.is_some() {
            return Err(DownloadError::UploadUnsupported(request.display_url()));
        }
        let path = url.to_path().map_err(|e| cannot(e.to_string()))?;
        let file = File::open(&path)
            .map_err(|_| cannot(format!("Could not open file {}", path.display())))?;
        let metadata = file.metadata().map_err(|e| cannot(e.to_string()))?;
        // Of a directory one gets a list of its names.
        let (reader, length): (Box<dyn Read + Send>, _) = if metadata.is_dir() {
            let names = list_directory(&path)
                .map_err(|_| cannot(format!("Could not open file {}", path.display())))?;
            let length = names.len() as u64;
            (Box::new(std::io::Cursor::new(names)), Some(length))
        } else {
            (Box::new(file), metadata.is_file().then_some(metadata.len()))
        };
        let meta = Meta {
            urls: vec![url.to_string()],
            length,
            ..Meta::default()
        };
        Ok(Download {
            meta,
            reader,
            read: 0,
            limit: request.size_limit,
            url: request.display_url(),
        })
    }

    fn open_http(&self, request: &Request) -> Result<Download, DownloadError> {
        let shown = request.display_url();
        let text = format!("{}ing '{shown}'", request.verb());
        let activity = Activity::start(
            Level::Talkative,
            ActivityKind::FileTransfer,
            text,
            &[shown.as_str().into()],
        );
        let mut attempt = 0;
        let (answer, permit) = loop {
            attempt += 1;
            let exchange = Exchange {
                downloader: self,
                request,
                offset: 0,
                if_range: None,
            };
            match exchange.run() {
                Ok(answer) => break answer,
                Err(failure) => self.pause_before_retry(request, failure, attempt, 0)?,
            }
        };
        let meta = answer.meta.clone();
        let encodings = if request.decode {
            answer.encodings.clone()
        } else {
            Default::default()
        };
        let body = HttpBody::new(
            self.clone(),
            request.clone(),
            answer,
            permit,
            attempt,
            activity,
        );
        let reader: Box<dyn Read + Send> = if meta.unchanged || request.method == Method::Head {
            Box::new(io::empty())
        } else {
            decode::decoder(&encodings, body).map_err(|encoding| DownloadError::Transport {
                verb: request.verb(),
                url: request.display_url(),
                what: "Unrecognized or bad HTTP Content or Transfer-Encoding",
                code: 61,
                detail: format!("Unrecognized content encoding type '{encoding}'"),
            })?
        };
        Ok(Download {
            meta,
            reader,
            read: 0,
            limit: request.size_limit,
            url: request.display_url(),
        })
    }

    /// Fetches a whole body into memory. Without a limit of the request, 1 GiB is the limit.
    pub fn fetch(&self, request: &Request) -> Result<(Meta, Vec<u8>), DownloadError> {
        let mut request = request.clone();
        request.size_limit.get_or_insert(1 << 30);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut download = self.open(&request)?;
            let mut data = Vec::new();
            match download.stream(&mut data) {
                Ok(_) => return Ok((download.meta, data)),
                // What cannot be resumed can still be fetched anew while it is only in memory.
                Err(failure) => self.pause_before_retry(&request, failure.into(), attempt, 0)?,
            }
        }
    }

    /// Whether the resource exists: a `HEAD` request, or a look at the file.
    pub fn exists(&self, request: &Request) -> Result<bool, DownloadError> {
        let mut request = request.clone();
        request.method = Method::Head;
        match self.open(&request) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends a request with a body and gives the body of the answer.
    pub fn send(&self, request: &Request) -> Result<Vec<u8>, DownloadError> {
        self.fetch(request).map(|(_, data)| data)
    }
}

/// A running download; reading it gives the decoded body.
pub struct Download {
    /// What the header said.
    pub meta: Meta,
    reader: Box<dyn Read + Send>,
    read: u64,
    limit: Option<u64>,
    url: String,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download")
            .field("meta", &self.meta)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.read += n as u64;
        match self.limit {
            Some(limit) if self.read > limit => Err(io::Error::other(DownloadError::TooLarge {
                url: self.url.clone(),
                limit,
            })),
            _ => Ok(n),
        }
    }
}

impl Download {
    /// Copies the body to `sink`; returns the number of bytes.
    pub fn stream(&mut self, sink: &mut dyn Write) -> Result<u64, DownloadError> {
        let mut buffer = vec![0; 64 * 1024];
        let mut total = 0;
        loop {
            let n = match self.read(&mut buffer) {
                Ok(0) => return Ok(total),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.error(e)),
            };
            sink.write_all(&buffer[..n])
                .map_err(|source| DownloadError::Sink {
                    url: self.url.clone(),
                    source,
                })?;
            total += n as u64;
        }
    }

    /// The download's own error inside an I/O error that came out of reading it.
    pub fn error(&self, error: io::Error) -> DownloadError {
        DownloadError::from_io(error, &self.url)
    }
}
