//! Why a transfer failed, in the words that users of Nix search for.

use std::io;
use std::time::Duration;

/// What an error means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The resource is certainly not there.
    NotFound,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// Access is refused; some object stores say this of what does not exist.
    Forbidden,
    /// Another attempt may succeed.
    Transient,
    /// Another attempt would fail as well.
    Permanent,
    /// The user interrupted.
    Interrupted,
}

/// A failed transfer.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server answered with an error.
    #[error("unable to {verb} '{url}': HTTP error {status}{}", shown_body(body))]
    Http {
        /// `download` or `upload`.
        verb: &'static str,
        /// What was asked for.
        url: String,
        /// The server's status.
        status: u16,
        /// The text that came with it.
        body: String,
        /// How long the server asks us to stay away.
        retry_after: Option<Duration>,
    },
    /// Too many redirects, or one that leads nowhere.
    #[error("unable to {verb} '{url}': HTTP error {status} (curl error: {why})")]
    Redirect {
        /// `download` or `upload`.
        verb: &'static str,
        /// What was asked for.
        url: String,
        /// The last status.
        status: u16,
        /// What is wrong with it.
        why: String,
    },
    /// No answer, or a broken one.
    #[error("unable to {verb} '{url}': {what} ({code}) {detail}")]
    Transport {
        /// `download` or `upload`.
        verb: &'static str,
        /// What was asked for.
        url: String,
        /// The kind of fault, in curl's words.
        what: &'static str,
        /// curl's number for it, which scripts look for.
        code: u16,
        /// More about it.
        detail: String,
    },
    /// More data than the caller wants.
    #[error("unable to download '{url}': it is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// The user interrupted.
    #[error("download of '{0}' was interrupted")]
    Interrupted(String),
    /// The URL's scheme cannot be written to.
    #[error("uploading to '{0}' is not supported")]
    UploadUnsupported(String),
    /// What was downloaded could not be written.
    #[error("cannot write what was downloaded from '{url}': {source}")]
    Sink {
        /// What was downloaded.
        url: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// HTTP cannot be set up on this machine.
    #[error("cannot set up HTTP: {0}")]
    Setup(String),
}

fn shown_body(body: &str) -> String {
    const LONGEST: usize = 1024;
    if body.is_empty() {
        String::new()
    } else if body.len() < LONGEST {
        format!("\n\nresponse body:\n\n{}", body.trim_end_matches('\n'))
    } else if body.contains("<html>") {
        let short: String = body.chars().take(LONGEST).collect();
        format!("\n\nresponse body:\n\n{short}…")
    } else {
        String::new()
    }
}

impl DownloadError {
    /// What the error means for the caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            DownloadError::Http {
                status: 404 | 410, ..
            }
            | DownloadError::Transport { code: 37, .. } => ErrorKind::NotFound,
            DownloadError::Http {
                status: 401 | 407, ..
            } => ErrorKind::Unauthorized,
            DownloadError::Http { status: 403, .. } => ErrorKind::Forbidden,
            DownloadError::Http {
                status: 408 | 429, ..
            } => ErrorKind::Transient,
            DownloadError::Http {
                status: 501 | 505 | 511,
                ..
            } => ErrorKind::Permanent,
            DownloadError::Http { status, .. } if *status >= 500 => ErrorKind::Transient,
            DownloadError::Transport {
                code: 1 | 3 | 33 | 61,
                ..
            } => ErrorKind::Permanent,
            DownloadError::Transport { .. } => ErrorKind::Transient,
            DownloadError::Interrupted(_) => ErrorKind::Interrupted,
            _ => ErrorKind::Permanent,
        }
    }

    /// How long the server asks us to stay away.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            DownloadError::Http { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The download error that travelled inside an I/O error; any other becomes a fault of the
    /// decoding layer, which is the only other thing between socket and caller.
    pub fn from_io(error: io::Error, url: &str) -> Self {
        if error
            .get_ref()
            .is_some_and(|inner| inner.is::<DownloadError>())
            && let Some(inner) = error.into_inner()
        {
            return match inner.downcast::<DownloadError>() {
                Ok(error) => *error,
                Err(other) => DownloadError::Setup(other.to_string()),
            };
        }
        DownloadError::Transport {
            verb: "download",
            url: url.to_owned(),
            what: "Unrecognized or bad HTTP Content or Transfer-Encoding",
            code: 61,
            detail: "the compressed data is damaged".into(),
        }
    }
}
