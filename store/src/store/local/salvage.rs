//! A damaged database: set aside, replaced by a new one, and read as far as it can still be read.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::db::{Database, Mode};
use super::{LocalConfig, LocalStore};
use crate::path::StoreDir;
use crate::progress;
use crate::store::error::StoreError;
use crate::store::info::PathInfo;

/// The files of a database, and the one that tells its schema.
const FILES: [&str; 4] = ["db.sqlite", "db.sqlite-wal", "db.sqlite-shm", "schema"];

/// Rows that may be missing in a row before the rest is given up: numbers of deleted rows are not used again.
const GAP: i64 = 1_000_000;

impl LocalStore {
    /// Opens a store whose database may be damaged. Then that one is moved to a directory beside it, the store begins with
    /// an empty one, and what could be read of the old one is returned: claims that contents must prove.
    pub fn open_damaged(config: LocalConfig) -> Result<(Self, Vec<PathInfo>), StoreError> {
        let db_dir = config.state_dir.join("db");
        let lost = !db_dir.join("db.sqlite").exists() && db_dir.join("schema").exists();
        if !lost {
            match LocalStore::open(config.clone()) {
                Ok(store) if store.database_is_sound() => return Ok((store, Vec::new())),
                Ok(_) | Err(StoreError::Database { .. } | StoreError::SchemaFile(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let aside = set_aside(&db_dir)?;
        progress::warn(format_args!(
            "the database is damaged; it is kept in '{}'",
            aside.display()
        ));
        let salvaged = salvage(&aside.join(FILES[0]), &config.dir);
        Ok((LocalStore::open(config)?, salvaged))
    }

    fn database_is_sound(&self) -> bool {
        let database = self.db.lock();
        database
            .integrity()
            .is_ok_and(|problems| problems.is_empty())
            && database
                .all_paths()
                .is_ok_and(|paths| paths.iter().all(|path| database.info(path).is_ok()))
    }
}

fn set_aside(db_dir: &Path) -> Result<std::path::PathBuf, StoreError> {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let mut number = 0;
    let aside = loop {
        let name = match number {
            0 => format!("damaged-{seconds}"),
            n => format!("damaged-{seconds}-{n}"),
        };
        let aside = db_dir.join(name);
        match fs::create_dir(&aside) {
            Ok(()) => break aside,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(StoreError::file("creating directory", &aside, error)),
        }
    };
    for name in FILES {
        match fs::rename(db_dir.join(name), aside.join(name)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::file("renaming", &db_dir.join(name), error)),
        }
    }
    Ok(aside)
}

/// Rows of a database that may fail anywhere; each is read by itself, so that a damaged page costs only its own.
fn salvage(file: &Path, dir: &StoreDir) -> Vec<PathInfo> {
    let open = |mode| Database::open(file, dir, mode, false, true);
    let Ok(database) = open(Mode::ReadWrite).or_else(|_| open(Mode::Immutable)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut missing = 0;
    for row in 1.. {
        match database.path_of_row(row) {
            Ok(path) => {
                missing = 0;
                if let Ok(Some(info)) = database.info(&path) {
                    found.push(info);
                }
            }
            Err(_) => missing += 1,
        }
        if missing > GAP.min(1000 + row) {
            break;
        }
    }
    found
}
