//! Answers of caches, remembered on disk: which paths they have, and which they do not.
//!
//! "Has it" is believed for `narinfo-cache-positive-ttl`, "does not" for
//! `narinfo-cache-negative-ttl`, what a cache says of itself for `narinfo-cache-meta-ttl`.

use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension};

use super::info::CacheInfo;
use crate::fetch::time::now;

const SCHEMA: &str = "
    create table if not exists Caches (
        url text primary key not null,
        timestamp integer not null,
        storeDir text not null,
        wantMassQuery integer not null,
        priority integer not null
    ) without rowid;
    create table if not exists Lookups (
        cache text not null,
        file text not null,
        timestamp integer not null,
        contents blob,
        primary key (cache, file)
    ) without rowid;
    create table if not exists LastPurge (value integer not null);
";

/// How long answers are believed, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// That a file is there.
    pub positive: u64,
    /// That it is not.
    pub negative: u64,
    /// What a cache says of itself.
    pub meta: u64,
}

/// The memory of what caches answered.
pub struct LookupMemo {
    db: Mutex<Connection>,
    lifetimes: Lifetimes,
}

impl LookupMemo {
    /// Opens or makes the memory in a directory.
    pub fn open(directory: &Path, lifetimes: Lifetimes) -> Self {
        let on_disk = || -> rusqlite::Result<Connection> {
            let file = directory.join("binary-caches-v1.sqlite");
            if std::fs::create_dir_all(directory).is_err() {
                return Err(rusqlite::Error::InvalidPath(file));
            }
            let db = Connection::open(&file)?;
            db.busy_timeout(Duration::from_secs(10))?;
            db.pragma_update(None, "journal_mode", "wal")?;
            db.pragma_update(None, "synchronous", "off")?;
            db.execute_batch(SCHEMA)?;
            Ok(db)
        };
        let in_memory = || -> rusqlite::Result<Connection> {
            let db = Connection::open_in_memory()?;
            db.execute_batch(SCHEMA)?;
            Ok(db)
        };
        let db = on_disk().or_else(|error| {
            crate::progress::debug(format_args!(
                "cannot remember answers of binary caches: {error}"
            ));
            in_memory()
        });
        let db = db.unwrap_or_else(|_| Connection::open_in_memory().expect("memory for a cache"));
        let memo = LookupMemo {
            db: Mutex::new(db),
            lifetimes,
        };
        memo.purge();
        memo
    }

    /// The memory that the user's settings describe.
    pub fn from_settings(settings: &crate::settings::Settings) -> Self {
        let lifetimes = Lifetimes {
            positive: settings.narinfo_cache_positive_ttl.into(),
            negative: settings.narinfo_cache_negative_ttl.into(),
            meta: settings.narinfo_cache_meta_ttl.into(),
        };
        Self::open(&crate::fetch::cache::directory(&settings.places), lifetimes)
    }

    /// Forgets once a day what nobody would believe any more.
    fn purge(&self) {
        const DAY: u64 = 86_400;
        let now = now();
        let db = self.db.lock();
        let last: i64 = db
            .query_row("select value from LastPurge", (), |row| row.get(0))
            .unwrap_or(0);
        if now.saturating_sub(last.max(0) as u64) < DAY {
            return;
        }
        let oldest = |ttl: u64| now.saturating_sub(ttl) as i64;
        // A memory that cannot be cleaned only stays larger.
        let _ = db.execute(
            "delete from Lookups where timestamp < ?1 or (contents is null and timestamp < ?2)",
            (
                oldest(self.lifetimes.positive),
                oldest(self.lifetimes.negative),
            ),
        );
        let _ = db.execute("delete from LastPurge", ());
        let _ = db.execute("insert into LastPurge (value) values (?1)", (now as i64,));
    }

    /// What a cache said of itself.
    pub fn info(&self, cache: &str) -> Option<CacheInfo> {
        let oldest = now().saturating_sub(self.lifetimes.meta) as i64;
        self.db
            .lock()
            .query_row(
                "select storeDir, wantMassQuery, priority from Caches where url = ?1 and timestamp > ?2",
                (cache, oldest),
                |row| Ok(CacheInfo { store_dir: row.get(0)?, want_mass_query: row.get(1)?, priority: row.get(2)? }),
            )
            .optional()
            .ok()
            .flatten()
    }

    /// Remembers what a cache said of itself.
    pub fn put_info(&self, cache: &str, info: &CacheInfo) {
        let _ = self.db.lock().execute(
            "insert or replace into Caches (url, timestamp, storeDir, wantMassQuery, priority) values (?1, ?2, ?3, ?4, ?5)",
            (cache, now() as i64, &info.store_dir, info.want_mass_query, info.priority),
        );
    }

    /// What a cache had under a name: `None` if not remembered, `Some(None)` if it had nothing.
    pub fn lookup(&self, cache: &str, file: &str) -> Option<Option<Vec<u8>>> {
        let now = now() as i64;
        let row: Option<(i64, Option<Vec<u8>>)> = self
            .db
            .lock()
            .query_row(
                "select timestamp, contents from Lookups where cache = ?1 and file = ?2",
                (cache, file),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .ok()?;
        let (timestamp, contents) = row?;
        let ttl = if contents.is_some() {
            self.lifetimes.positive
        } else {
            self.lifetimes.negative
        };
        (now.saturating_sub(timestamp) < ttl as i64).then_some(contents)
    }

    /// Remembers what a cache had, or that it had nothing.
    pub fn put(&self, cache: &str, file: &str, contents: Option<&[u8]>) {
        let _ = self.db.lock().execute(
            "insert or replace into Lookups (cache, file, timestamp, contents) values (?1, ?2, ?3, ?4)",
            (cache, file, now() as i64, contents),
        );
    }

    /// Forgets an answer that turned out to be wrong.
    pub fn forget(&self, cache: &str, file: &str) {
        let _ = self.db.lock().execute(
            "delete from Lookups where cache = ?1 and file = ?2",
            (cache, file),
        );
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn answers_are_remembered_as_long_as_they_are_believed() {
        let dir = tempfile::tempdir().unwrap();
        let lifetimes = Lifetimes {
            positive: 100,
            negative: 100,
            meta: 100,
        };
        let memo = LookupMemo::open(dir.path(), lifetimes);
        memo.put("c", "has", Some(b"text"));
        memo.put("c", "lacks", None);
        memo.put_info("c", &CacheInfo::new("/nix/store"));
        let again = LookupMemo::open(dir.path(), lifetimes);
        assert_eq!(again.lookup("c", "has"), Some(Some(b"text".to_vec())));
        assert_eq!(again.lookup("c", "lacks"), Some(None));
        assert_eq!(again.lookup("d", "has"), None);
        assert_eq!(again.info("c"), Some(CacheInfo::new("/nix/store")));
        let impatient = LookupMemo::open(
            dir.path(),
            Lifetimes {
                negative: 0,
                ..lifetimes
            },
        );
        assert_eq!(impatient.lookup("c", "lacks"), None);
        assert!(impatient.lookup("c", "has").is_some());
        memo.forget("c", "has");
        assert_eq!(again.lookup("c", "has"), None);
    }
}
