//! What earlier fetches found out, kept on disk: which store path a URL gave, which hash a revision
//! has. Entries of things that change (a branch, a URL) grow stale after `tarball-ttl`; entries of
//! things that cannot change (a revision) never do.
//!
//! One SQLite file, safe among processes. It is only a cache: if it cannot be opened or written, it
//! is held in memory and the work goes on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension};

use super::attrs::Attrs;
use super::time::now;

/// A cache entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// What was stored.
    pub value: Attrs,
    /// Older than the time to live.
    pub expired: bool,
}

/// The cache of all fetchers.
#[derive(Debug)]
pub struct FetchCache {
    db: Mutex<Connection>,
    ttl: u64,
}

/// Beside the cache of the reference, whose entries are others.
const FILE: &str = "fetcher-cache-rx-v1.sqlite";

const SCHEMA: &str = "
    create table if not exists Cache (
        domain text not null,
        key text not null,
        value text not null,
        timestamp integer not null,
        primary key (domain, key)
    ) without rowid;
";

impl FetchCache {
    /// Opens or makes the cache in a directory; entries live for `ttl` seconds.
    pub fn open(directory: &Path, ttl: u64) -> Self {
        let db = Self::on_disk(directory).or_else(|error| {
            crate::progress::debug(format_args!(
                "cannot use the fetcher cache in '{}': {error}",
                directory.display()
            ));
            Self::prepare(Connection::open_in_memory()?)
        });
        // SQLite in memory fails only without memory; an empty connection then answers with errors,
        // which count as "not cached".
        let db = db.unwrap_or_else(|_| Connection::open_in_memory().expect("memory for a cache"));
        FetchCache {
            db: Mutex::new(db),
            ttl,
        }
    }

    fn on_disk(directory: &Path) -> rusqlite::Result<Connection> {
        let file = directory.join(FILE);
        if std::fs::create_dir_all(directory).is_err() {
            return Err(rusqlite::Error::InvalidPath(file));
        }
        let db = Connection::open(&file)?;
        db.busy_timeout(Duration::from_secs(10))?;
        db.pragma_update(None, "journal_mode", "wal")?;
        db.pragma_update(None, "synchronous", "normal")?;
        Self::prepare(db)
    }

    fn prepare(db: Connection) -> rusqlite::Result<Connection> {
        db.execute_batch(SCHEMA)?;
        Ok(db)
    }

    /// Stores or replaces an entry.
    pub fn put(&self, domain: &str, key: &Attrs, value: &Attrs) {
        let (key, value) = (key.to_json().to_string(), value.to_json().to_string());
        let stored = self.db.lock().execute(
            "insert or replace into Cache(domain, key, value, timestamp) values (?1, ?2, ?3, ?4)",
            (domain, key, value, now() as i64),
        );
        if let Err(error) = stored {
            crate::progress::debug(format_args!("cannot write to the fetcher cache: {error}"));
        }
    }

    /// Finds an entry, however old.
    pub fn get(&self, domain: &str, key: &Attrs) -> Option<Cached> {
        let row: Option<(String, i64)> = self
            .db
            .lock()
            .query_row(
                "select value, timestamp from Cache where domain = ?1 and key = ?2",
                (domain, key.to_json().to_string()),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .ok()?;
        let (value, timestamp) = row?;
        let value = Attrs::from_json(&serde_json::from_str(&value).ok()?).ok()?;
        let age = now().saturating_sub(u64::try_from(timestamp).unwrap_or(0));
        Some(Cached {
            value,
            expired: self.ttl == 0 || age > self.ttl,
        })
    }

    /// The time to live in seconds.
    pub fn ttl(&self) -> u64 {
        self.ttl
    }
}

/// Where rx keeps other caches of its own: `~/.cache/rx` beside the reference's `~/.cache/nix`.
pub fn directory(places: &crate::settings::Places) -> PathBuf {
    if places.cache_dir.ends_with("nix") {
        places.cache_dir.with_file_name("rx")
    } else {
        places.cache_dir.join("rx")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_outlive_the_process_and_grow_stale() {
        let dir = tempfile::tempdir().unwrap();
        let (key, value) = (
            Attrs::new().with("url", "u"),
            Attrs::new().with("etag", "e"),
        );
        FetchCache::open(dir.path(), 3600).put("file", &key, &value);
        let fresh = FetchCache::open(dir.path(), 3600)
            .get("file", &key)
            .unwrap();
        assert_eq!(
            fresh,
            Cached {
                value: value.clone(),
                expired: false
            }
        );
        assert!(
            FetchCache::open(dir.path(), 0)
                .get("file", &key)
                .unwrap()
                .expired
        );
        assert_eq!(FetchCache::open(dir.path(), 3600).get("other", &key), None);
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_kept_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("file");
        std::fs::write(&blocked, "").unwrap();
        let cache = FetchCache::open(&blocked, 10);
        cache.put("d", &Attrs::new(), &Attrs::new().with("x", 1));
        assert_eq!(cache.get("d", &Attrs::new()).unwrap().value.int("x"), Ok(1));
    }

    #[test]
    fn damaged_files_do_not_stop_anything() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join(FILE),
            "this is no database, not at all, really",
        )
        .unwrap();
        let cache = FetchCache::open(dir.path(), 10);
        cache.put("d", &Attrs::new(), &Attrs::new());
        assert!(cache.get("d", &Attrs::new()).is_some());
    }
}
