//! Searching for packages in an index that is kept up to date by what changed.
//!
//! ```text
//! roots ──► index file? ──no──► build: scan every attribute (in workers), remember what each depends on ──┐
//!               │yes                                                                                     ▼
//!               └──► refresh: look which inputs changed, scan again what depends on them ──────────► Index ──► query
//! ```
//!
//! | file | what |
//! |---|---|
//! | `roots` | what is searched: channels, `<nixpkgs>`, files, expressions |
//! | `scan` | one attribute → the packages in it, with the inputs of each |
//! | `wire` | scans and inputs as bytes, between processes and in the journal |
//! | `index` | the index: columns of bytes, read and written whole |
//! | `build` | making an index, with workers and a journal |
//! | `worker` | a process that scans attributes for another |
//! | `refresh` | bringing an index up to date |
//! | `query` | patterns, matches, ranks |

mod build;
mod index;
mod query;
mod refresh;
mod roots;
mod scan;
mod wire;
mod worker;

pub use index::{Index, PackageRef};
pub use query::{Hit, Query, Spans};
pub use roots::{Root, RootKind, default_roots, named_root};

use std::path::PathBuf;

use rx_store::lock::{LockKind, lock, open_lock_file};
use rx_store::progress;

use crate::cli::{EvalOptions, Invocation};
use crate::ui::Failure;

/// What a search is done in: the settings that decide what evaluation gives.
pub struct Searcher<'a> {
    /// The run.
    pub invocation: &'a Invocation,
    /// The command line's evaluation options.
    pub options: &'a EvalOptions,
    /// All roots of the search, in the same order in the workers.
    pub roots: &'a [Root],
}

impl Searcher<'_> {
    /// If this process is a worker of another, works until that is done, and says so.
    pub fn serve(&self) -> Result<bool, Failure> {
        worker::serve(self)
    }

    /// The index of a root, up to date.
    pub fn index(&self, root: usize) -> Result<Index, Failure> {
        let Some(file) = self.index_file(root)? else {
            return build::build(self, root, None);
        };
        if let Some(index) = Index::load(&file)
            && let Some(index) = refresh::refresh(self, root, index, &file)?
        {
            return Ok(index);
        }
        if let Err(error) = std::fs::create_dir_all(file.parent().unwrap_or(&file)) {
            progress::warn(format_args!("the index cannot be kept: {error}"));
            return build::build(self, root, None);
        }
        // Who comes second waits, and finds the index made.
        let held = open_lock_file(&file.with_extension("lock"));
        let held = match held {
            Ok(held) => {
                lock(&held, LockKind::Write)?;
                if let Some(index) = Index::load(&file)
                    && let Some(index) = refresh::refresh(self, root, index, &file)?
                {
                    return Ok(index);
                }
                Some(held)
            }
            Err(error) => {
                progress::warn(format_args!("the index cannot be kept: {error}"));
                None
            }
        };
        build::build(self, root, held.is_some().then_some(&*file))
    }

    /// Where the index of a root is kept; nothing if it cannot be found again.
    fn index_file(&self, root: usize) -> Result<Option<PathBuf>, Failure> {
        let Some(key) = roots::key(self, root)? else {
            return Ok(None);
        };
        let cache = &self.invocation.settings.places.cache_dir;
        let dir = cache.parent().unwrap_or(cache).join("rx/search");
        Ok(Some(dir.join(format!("{key}.index"))))
    }
}
