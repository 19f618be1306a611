//! What can go wrong in a store.

use std::io;
use std::path::Path;

use thiserror::Error;

use crate::content_address::ContentAddressError;
use crate::derivation::{DerivationError, JsonError, ParseError};
use crate::hash::HashError;
use crate::nar::NarError;
use crate::path::PathError;

/// Why a store could not do what it was asked for.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store has no such object.
    #[error("path '{0}' is not valid")]
    InvalidPath(String),
    /// The object has no such file.
    #[error("path '{0}' does not exist")]
    NoFile(String),
    /// The object exists, but others need it.
    #[error("cannot delete path '{path}' because it is in use by {}", quoted(.by))]
    InUse {
        /// The object.
        path: String,
        /// Who refers to it.
        by: Vec<String>,
    },
    /// A root needs the object.
    #[error(
        "Cannot delete path '{0}' since it is still alive. To find out why, use: \
         nix-store --query --roots and nix-store --query --referrers"
    )]
    Alive(String),
    /// A system call on a file failed.
    #[error("{action} '{path}': {error}")]
    File {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// The database is somebody else's.
    #[error(
        "opening lock file \"{path}\": {error}\n\
         This command may have been run as non-root in a single-user Nix installation,\n\
         or the Nix daemon may have crashed."
    )]
    NotOurs {
        /// The lock file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// Reading or writing a stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The database failed.
    #[error("database '{path}': {error}")]
    Database {
        /// Its file.
        path: String,
        /// What SQLite says.
        error: rusqlite::Error,
    },
    /// The database has a schema that is not understood.
    #[error("current Nix store schema is version {found}, but I only support {supported}")]
    Schema {
        /// What the store has.
        found: u64,
        /// What is understood.
        supported: u64,
    },
    /// The file that tells the schema does not.
    #[error("\"{0}\" is corrupt")]
    SchemaFile(String),
    /// Something must be created, but nothing may be.
    #[error("{0}")]
    ReadOnly(&'static str),
    /// Part of the store's path is a symbolic link.
    #[error(
        "the path \"{0}\" is a symlink; this is not allowed for the Nix store and its parent directories"
    )]
    SymlinkedStore(String),
    /// A row of the database makes no sense.
    #[error("invalid database entry for '{path}': {reason}")]
    BadRow {
        /// The object it is about.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody has the object.
    #[error("path '{0}' is required, but there is no substituter that can build it")]
    Unobtainable(String),
    /// A cache cannot build.
    #[error(
        "Unable to build with a primary store that isn't a local store; either pass a different '--store' or enable remote builds."
    )]
    NoBuilder,
    /// An archive's hash is not the one announced.
    #[error(
        "hash mismatch importing path '{path}';\n         specified: {specified}\n         got:       {found}"
    )]
    HashMismatch {
        /// The object.
        path: String,
        /// Announced.
        specified: String,
        /// Computed.
        found: String,
    },
    /// An archive's size is not the one announced.
    #[error(
        "size mismatch importing path '{path}';\n         specified: {specified}\n         got:       {found}"
    )]
    SizeMismatch {
        /// The object.
        path: String,
        /// Announced.
        specified: u64,
        /// Counted.
        found: u64,
    },
    /// An archive's content address is not the one announced.
    #[error(
        "ca hash mismatch importing path '{path}';\n         specified: {specified}\n         got:       {found}"
    )]
    AddressMismatch {
        /// The object.
        path: String,
        /// Announced.
        specified: String,
        /// Computed.
        found: String,
    },
    /// The object's path does not follow from its content address.
    #[error(
        "cannot add path '{0}' to the Nix store because it claims to be content-addressed but isn't"
    )]
    FalseAddress(String),
    /// No trusted key has signed the object.
    #[error("cannot add path '{0}' because it lacks a signature by a trusted key")]
    Unsigned(String),
    /// No trusted key has signed the realisation.
    #[error("cannot register realisation '{0}' because it lacks a signature by a trusted key")]
    UnsignedRealisation(String),
    /// A different realisation is known.
    #[error(
        "Trying to register a realisation of '{id}', but we already have another one locally.\nLocal:  {local}\nRemote: {remote}"
    )]
    RealisationConflict {
        /// Whose.
        id: String,
        /// What is known.
        local: String,
        /// What was to be registered.
        remote: String,
    },
    /// Objects refer to each other in a circle.
    #[error("cycle detected in the references of '{path}' from '{parent}'")]
    Cycle {
        /// One of them.
        path: String,
        /// One that refers to it.
        parent: String,
    },
    /// An object's contents are not what was registered.
    #[error("hash of path '{path}' has changed from '{expected}' to '{found}'!")]
    Changed {
        /// The object.
        path: String,
        /// Registered.
        expected: String,
        /// Computed.
        found: String,
    },
    /// A stream does not have the form that it should.
    #[error("{0}")]
    Format(&'static str),
    /// A key does not have the form of one.
    #[error("{0}")]
    Key(#[from] crate::store::signature::KeyError),
    /// A derivation has no such output.
    #[error("derivation '{derivation}' does not have an output named '{output}'")]
    NoSuchOutput {
        /// The derivation.
        derivation: String,
        /// The name.
        output: String,
    },
    /// A `.drv` file is malformed.
    #[error("error parsing derivation '{path}': {error}")]
    ParseDerivation {
        /// The file.
        path: String,
        /// What is wrong.
        error: ParseError,
    },
    /// A derivation's outputs are wrong.
    #[error("while checking derivation '{path}': {error}")]
    CheckDerivation {
        /// The derivation.
        path: String,
        /// What is wrong.
        error: DerivationError,
    },
    /// A derivation as such is wrong.
    #[error(transparent)]
    Derivation(#[from] DerivationError),
    /// JSON is not what it should be.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A path is none.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A hash is none.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A content address is none or makes no path.
    #[error(transparent)]
    ContentAddress(#[from] ContentAddressError),
    /// An archive is malformed or could not be made.
    #[error(transparent)]
    Nar(#[from] NarError),
    /// The text names no store.
    #[error("{0}")]
    Address(#[from] crate::store::address::AddressError),
    /// This kind of store cannot do that.
    #[error("operation '{operation}' is not supported by store '{store}'")]
    Unsupported {
        /// What was asked for.
        operation: &'static str,
        /// Of which store.
        store: String,
    },
    /// The user wants to stop.
    #[error("interrupted by the user")]
    Interrupted,
    /// Another layer (builder, cache, network) failed.
    #[error("{0}")]
    Layer(Box<dyn std::error::Error + Send + Sync>),
}

fn quoted(paths: &[String]) -> String {
    paths
        .iter()
        .map(|p| format!("'{p}'"))
        .collect::<Vec<_>>()
        .join(", ")
}

impl StoreError {
    /// Whether the database found no room on the disk.
    pub fn is_full(&self) -> bool {
        use rusqlite::{Error, ErrorCode, ffi};
        let StoreError::Database { error, .. } = self else {
            return false;
        };
        match error {
            // What several processes share is made with a size, and that is what fails.
            Error::SqliteFailure(failure, _) => {
                failure.code == ErrorCode::DiskFull
                    || failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE
            }
            _ => false,
        }
    }

    /// A failed system call on a file.
    pub fn file(action: &'static str, path: &Path, error: impl Into<io::Error>) -> Self {
        StoreError::File {
            action,
            path: path.display().to_string(),
            error: error.into(),
        }
    }

    /// Wraps an error of another layer.
    pub fn layer(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        StoreError::Layer(Box::new(error))
    }
}

impl From<crate::interrupt::Interrupted> for StoreError {
    fn from(_: crate::interrupt::Interrupted) -> Self {
        StoreError::Interrupted
    }
}
