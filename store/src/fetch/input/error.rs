//! Why an input cannot be understood or fetched.

use crate::fetch::attrs::AttrError;
use crate::fetch::download::DownloadError;
use crate::fetch::git::GitError;
use crate::fetch::unpack::UnpackError;
use crate::fetch::url::BadUrl;
use crate::hash::HashError;

/// Why an input cannot be understood or fetched.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A text that is no URL, or not one of the right kind.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// A missing or wrong attribute.
    #[error(transparent)]
    Attr(#[from] AttrError),
    /// A text that is no hash.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A failed download.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// An archive that cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The store failed.
    #[error("{0}")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file could not be read or written.
    #[error("{action} \"{path}\": {source}")]
    File {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// What was fetched has another hash than it should; the exit status is 102.
    #[error("{0}")]
    HashMismatch(String),
    /// The user interrupted.
    #[error(transparent)]
    Interrupted(#[from] crate::interrupt::Interrupted),
    /// Anything else.
    #[error("{0}")]
    Other(String),
    /// The error with what was being fetched.
    #[error("while fetching the input '{input}': {error}")]
    While {
        /// The input's URL.
        input: String,
        /// What went wrong.
        #[source]
        error: Box<InputError>,
    },
}

impl InputError {
    /// The error itself, without what was being fetched.
    pub fn cause(&self) -> &InputError {
        match self {
            InputError::While { error, .. } => error.cause(),
            other => other,
        }
    }

    pub(super) fn file(
        action: &'static str,
        path: &std::path::Path,
        source: std::io::Error,
    ) -> Self {
        InputError::File {
            action,
            path: path.display().to_string(),
            source,
        }
    }
}

impl From<crate::store::StoreError> for InputError {
    fn from(error: crate::store::StoreError) -> Self {
        InputError::Store(Box::new(error))
    }
}
