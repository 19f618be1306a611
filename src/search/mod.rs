//! Searching for packages in an index that is kept up to date by what changed.
//!
//! ```text
//! roots ──► index file? ──no──► build: scan every attribute (in workers), remember what each depends on ──┐
//!               │yes                                                                                     ▼
//!               └──► refresh: look which inputs changed, scan again what depends on them ──────────► Index ──► query
//!                            │too much for now
//!                            └──► Answer: what was known, with what is old in it ─► query
//!                                 background: the same refresh in a process that nobody waits for
//! ```
//!
//! | file | what |
//! |---|---|
//! | `roots` | what is searched: channels, `<nixpkgs>`, files, expressions |
//! | `flake` | flakes as roots |
//! | `scan` | one attribute → the packages in it, with the inputs of each |
//! | `wire` | scans and inputs as bytes, between processes and in the journal |
//! | `index` | the index: columns of bytes, read and written whole |
//! | `check` | whether the inputs of an index are as they were |
//! | `build` | making an index |
//! | `draft` | an index in the making |
//! | `journal` | the same on disk, for a build that is interrupted |
//! | `crew` | having attributes scanned by workers |
//! | `tasks` | what is left to scan |
//! | `worker` | a process that scans attributes for another |
//! | `refresh` | bringing an index up to date |
//! | `answer` | an index, and what in it is old |
//! | `background` | a process that brings an index up to date for later searches |
//! | `budget` | a moment after which an evaluation ends |
//! | `tidy` | taking away what nobody uses any more |
//! | `popularity` | how well known a package is |
//! | `query` | patterns, matches, ranks |

mod answer;
mod background;
mod budget;
mod build;
mod check;
mod crew;
mod draft;
mod flake;
mod index;
mod journal;
mod popularity;
mod query;
mod refresh;
mod roots;
mod scan;
mod tasks;
mod tidy;
mod wire;
mod worker;

pub use answer::{Answer, Behind};
pub use flake::flake_root;
pub use index::{Index, PackageRef};
pub use query::{Hit, Query, Spans};
use refresh::Effort;
pub use roots::{Root, RootKind, default_roots, named_root};

use std::path::{Path, PathBuf};
use std::time::Instant;

use rx_store::lock::{LockKind, lock, open_lock_file, try_lock};
use rx_store::progress::{self, Activity, ActivityKind, Level};

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

/// If this process works for another, does that work, and says so.
pub fn serve(invocation: &Invocation, options: &EvalOptions) -> Result<bool, Failure> {
    Ok(worker::serve(invocation, options)? || background::serve(invocation, options)?)
}

impl Searcher<'_> {
    /// The index of a root, up to date, however long that takes.
    pub fn index(&self, root: usize) -> Result<Index, Failure> {
        let Some(file) = self.index_file(root)? else {
            return build::build(self, root, None);
        };
        if let Some(index) = Index::load(&file)
            && let Some(index) = refresh::refresh(self, root, index, &file, Effort::Little)?
        {
            return Ok(index);
        }
        // Who comes second waits, and finds the index made.
        match self.lock_index(&file) {
            Ok(held) => {
                let index = self.index_in_turn(root, &file);
                drop(held);
                index
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(error.into()),
            Err(error) => {
                progress::warn(format_args!("the index cannot be kept: {error}"));
                build::build(self, root, None)
            }
        }
    }

    /// What is known of a root by a deadline. What the packages depend on that are `wanted` is evaluated first; what is
    /// left is brought up to date in the background. The first search in a root waits for the index.
    pub fn answer(
        &self,
        root: usize,
        wanted: &dyn Fn(PackageRef<'_>) -> bool,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        if let Some(file) = self.index_file(root)?
            && let Some(index) = Index::load(&file)
        {
            tidy::note_use(&file);
            return refresh::refresh_soon(self, root, index, &file, wanted, deadline);
        }
        self.index(root).map(Answer::current)
    }

    /// The index of a root whose lock is held.
    fn index_in_turn(&self, root: usize, file: &Path) -> Result<Index, Failure> {
        if let Some(index) = Index::load(file)
            && let Some(index) = refresh::refresh(self, root, index, file, Effort::All)?
        {
            return Ok(index);
        }
        build::build(self, root, Some(file))
    }

    fn lock_index(&self, file: &Path) -> std::io::Result<std::fs::File> {
        std::fs::create_dir_all(file.parent().unwrap_or(file))?;
        let held = open_lock_file(&file.with_extension("lock"))?;
        if !try_lock(&held, LockKind::Write)? {
            let what = "waiting for another search that indexes the same packages";
            let _activity = Activity::start(Level::Info, ActivityKind::Unknown, what, &[]);
            lock(&held, LockKind::Write)?;
        }
        Ok(held)
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
