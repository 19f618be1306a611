//! The database of a local store: schema 10, as every Nix of the last ten years reads and writes it.
//!
//! ```text
//! ValidPaths          id, path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca
//! Refs                referrer → reference
//! DerivationOutputs   drv, output name → path
//! SchemaMigrations    names of later additions
//! Realisations        derivation hash, output name → id of a valid path      (an addition)
//! ```
//!
//! Rows can be damaged; a row that makes no sense is an error that names the path, never a panic.

mod graph;
mod realisations;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use rustc_hash::FxHashMap;

use crate::content_address::ContentAddress;
use crate::hash::{Format, Hash};
use crate::path::{StoreDir, StorePath};
use crate::store::error::StoreError;
use crate::store::info::PathInfo;
use crate::store::signature::Signature;
pub use graph::Graph;
use waiting::Opened;

/// The number in the file `schema`.
pub const SCHEMA: u64 = 10;

const TABLES: &str = "
create table if not exists ValidPaths (
    id integer primary key autoincrement not null,
    path text unique not null,
    hash text not null,
    registrationTime integer not null,
    deriver text,
    narSize integer,
    ultimate integer,
    sigs text,
    ca text
);
create table if not exists Refs (
    referrer integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
create index if not exists IndexReferrer on Refs(referrer);
create index if not exists IndexReference on Refs(reference);
create trigger if not exists DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end;
create table if not exists DerivationOutputs (
    drv integer not null,
    id text not null,
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);
create index if not exists IndexDerivationOutputs on DerivationOutputs(path);
";

const MIGRATIONS: &str =
    "create table if not exists SchemaMigrations (migration text primary key not null);";

const REALISATIONS: &str = "
create table if not exists Realisations (
    id integer primary key autoincrement not null,
    drvPath text not null,
    outputName text not null,
    outputPath integer not null,
    signatures text,
    foreign key (outputPath) references ValidPaths(id) on delete cascade
);
create index if not exists IndexRealisations on Realisations(drvPath, outputName);
create trigger if not exists DeleteSelfRefsViaRealisations before delete on ValidPaths
  begin
    delete from RealisationsRefs where realisationReference in (
      select id from Realisations where outputPath = old.id
    );
  end;
create table if not exists RealisationsRefs (
    referrer integer not null,
    realisationReference integer,
    foreign key (referrer) references Realisations(id) on delete cascade,
    foreign key (realisationReference) references Realisations(id) on delete restrict
);
create index if not exists IndexRealisationsRefsRealisationReference on RealisationsRefs(realisationReference);
create index if not exists IndexRealisationsRefs on RealisationsRefs(referrer);
create index if not exists IndexRealisationsRefsOnOutputPath on Realisations(outputPath);
insert or ignore into SchemaMigrations values ('20220326-ca-derivations');
";

/// How a database is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Made when it is missing.
    Create,
    /// Must exist.
    ReadWrite,
    /// Must exist, and nobody else may use it meanwhile: then nothing that is shared has to lie on the disk beside it.
    Alone,
    /// Must exist and is taken as unchanging: nothing is locked or written.
    Immutable,
}

/// An open database.
pub struct Database {
    conn: Connection,
    dir: StoreDir,
    file: PathBuf,
    _opened: Opened,
}

impl Database {
    /// Opens the file.
    pub fn open(
        file: &Path,
        dir: &StoreDir,
        mode: Mode,
        fsync: bool,
        wal: bool,
    ) -> Result<Self, StoreError> {
        let failed = |error| StoreError::Database {
            path: file.display().to_string(),
            error,
        };
        let Some(opened) = Opened::new(file, mode == Mode::Alone) else {
            return Err(failed(full()));
        };
        let flags = match mode {
            Mode::Create => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            Mode::ReadWrite | Mode::Alone => OpenFlags::SQLITE_OPEN_READ_WRITE,
            Mode::Immutable => OpenFlags::SQLITE_OPEN_READ_ONLY,
        } | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let uri = uri(file, mode == Mode::Immutable);
        let conn = if wal {
            Connection::open_with_flags(uri, flags)
        } else {
            // Network file systems have no working byte-range locks.
            Connection::open_with_flags_and_vfs(uri, flags, c"unix-dotfile")
        }
        .map_err(failed)?;
        conn.busy_handler(Some(waiting::wait)).map_err(failed)?;
        conn.set_prepared_statement_cache_capacity(64);
        let db = Database {
            conn,
            dir: dir.clone(),
            file: file.to_owned(),
            _opened: opened,
        };
        db.batch("pragma foreign_keys = 1; pragma temp_store = memory;")?;
        if mode == Mode::Immutable {
            return Ok(db);
        }
        if mode == Mode::Alone {
            db.rows("pragma locking_mode = exclusive")?;
        }
        db.batch(if fsync {
            "pragma synchronous = normal"
        } else {
            "pragma synchronous = off"
        })?;
        let journal: String = db
            .conn
            .query_row("pragma main.journal_mode", [], |row| row.get(0))
            .map_err(|e| db.failed(e))?;
        let wanted = if wal { "wal" } else { "truncate" };
        if journal != wanted {
            db.conn
                .query_row(&format!("pragma main.journal_mode = {wanted}"), [], |_| {
                    Ok(())
                })
                .map_err(|e| db.failed(e))?;
        }
        if wal {
            // Large enough that instantiating a whole system is one checkpoint.
            db.rows("pragma wal_autocheckpoint = 40000")?;
            db.rows("pragma main.journal_size_limit = 1099511627776")?;
        }
        if mode == Mode::Create {
            db.batch(&format!("begin immediate; {TABLES} commit;"))?;
        }
        if !db.has_table("SchemaMigrations")? {
            db.batch(&format!("begin immediate; {MIGRATIONS} commit;"))?;
        }
        Ok(db)
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Database {
            path: self.file.display().to_string(),
            error,
        }
    }

    fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.conn.execute_batch(sql).map_err(|e| self.failed(e))
    }

    /// Runs a statement whose rows do not matter.
    fn rows(&self, sql: &str) -> Result<(), StoreError> {
        let mut statement = self.conn.prepare(sql).map_err(|e| self.failed(e))?;
        let mut rows = statement.query([]).map_err(|e| self.failed(e))?;
        while rows.next().map_err(|e| self.failed(e))?.is_some() {}
        Ok(())
    }

    fn has_table(&self, name: &str) -> Result<bool, StoreError> {
        self.conn
            .prepare_cached("select 1 from sqlite_master where type = 'table' and name = ?")
            .and_then(|mut s| s.exists([name]))
            .map_err(|e| self.failed(e))
    }

    /// Makes the tables of realisations if they are missing.
    pub fn enable_realisations(&self) -> Result<(), StoreError> {
        if self.has_table("Realisations")? {
            return Ok(());
        }
        self.batch(&format!("begin immediate; {REALISATIONS} commit;"))
    }

    fn text(&self, path: &StorePath) -> String {
        self.dir.display(path).to_string()
    }

    fn path(&self, text: &str) -> Result<StorePath, StoreError> {
        self.dir.parse(text).map_err(|error| StoreError::BadRow {
            path: text.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Whether the path has a row.
    pub fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
        self.conn
            .prepare_cached("select 1 from ValidPaths where path = ?")
            .and_then(|mut s| s.exists([self.text(path)]))
            .map_err(|e| self.failed(e))
    }

    fn id(&self, path: &StorePath) -> Result<Option<i64>, StoreError> {
        self.conn
            .prepare_cached("select id from ValidPaths where path = ?")
            .and_then(|mut s| s.query_row([self.text(path)], |row| row.get(0)).optional())
            .map_err(|e| self.failed(e))
    }

    fn valid_id(&self, path: &StorePath) -> Result<i64, StoreError> {
        self.id(path)?
            .ok_or_else(|| StoreError::InvalidPath(self.text(path)))
    }

    /// Everything about a path.
    pub fn info(&self, path: &StorePath) -> Result<Option<PathInfo>, StoreError> {
        type Row = (
            i64,
            String,
            i64,
            Option<String>,
            Option<i64>,
            Option<i64>,
            Option<String>,
            Option<String>,
        );
        let text = self.text(path);
        let row: Option<Row> = self
            .conn
            .prepare_cached(
                "select id, hash, registrationTime, deriver, narSize, ultimate, sigs, ca \
                 from ValidPaths where path = ?",
            )
            .and_then(|mut s| {
                s.query_row([&text], |row| {
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                        row.get(5)?,
                        row.get(6)?,
                        row.get(7)?,
                    ))
                })
                .optional()
            })
            .map_err(|e| self.failed(e))?;
        let Some((id, hash, time, deriver, size, ultimate, sigs, ca)) = row else {
            return Ok(None);
        };
        let bad = |reason: String| StoreError::BadRow {
            path: text.clone(),
            reason,
        };
        let nar_hash = Hash::parse_any_prefixed(&hash).map_err(|e| bad(e.to_string()))?;
        let mut info = PathInfo::new(
            path.clone(),
            nar_hash,
            u64::try_from(size.unwrap_or(0)).unwrap_or(0),
        );
        info.registration_time = time;
        info.ultimate = ultimate == Some(1);
        if let Some(deriver) = deriver.filter(|d| !d.is_empty()) {
            info.deriver = Some(self.path(&deriver)?);
        }
        for signature in sigs.iter().flat_map(|s| s.split_ascii_whitespace()) {
            info.signatures
                .insert(Signature::parse(signature).map_err(|e| bad(e.to_string()))?);
        }
        if let Some(ca) = ca {
            info.content_address =
                ContentAddress::parse_optional(ca.as_bytes()).map_err(|e| bad(e.to_string()))?;
        }
        for reference in self.texts(
            "select path from Refs join ValidPaths on reference = id where referrer = ?",
            id,
        )? {
            info.references.insert(self.path(&reference)?);
        }
        Ok(Some(info))
    }

    fn texts(&self, sql: &str, parameter: impl rusqlite::ToSql) -> Result<Vec<String>, StoreError> {
        self.conn
            .prepare_cached(sql)
            .and_then(|mut s| s.query_map([parameter], |row| row.get(0))?.collect())
            .map_err(|e| self.failed(e))
    }

    fn paths(
        &self,
        sql: &str,
        parameter: impl rusqlite::ToSql,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        self.texts(sql, parameter)?
            .iter()
            .map(|text| self.path(text))
            .collect()
    }

    /// Objects that refer to this one.
    pub fn referrers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        self.paths(
            "select path from Refs join ValidPaths on referrer = id \
             where reference = (select id from ValidPaths where path = ?)",
            self.text(path),
        )
    }

    /// Valid derivations with this output.
    pub fn valid_derivers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        self.paths(
            "select v.path from DerivationOutputs d join ValidPaths v on d.drv = v.id where d.path = ?",
            self.text(path),
        )
    }

    /// A valid derivation's outputs as registered.
    pub fn derivation_outputs(
        &self,
        drv: &StorePath,
    ) -> Result<BTreeMap<String, StorePath>, StoreError> {
        let id = self.valid_id(drv)?;
        let rows: Vec<(String, String)> = self
            .conn
            .prepare_cached("select id, path from DerivationOutputs where drv = ?")
            .and_then(|mut s| {
                s.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect()
            })
            .map_err(|e| self.failed(e))?;
        rows.into_iter()
            .map(|(name, path)| Ok((name, self.path(&path)?)))
            .collect()
    }

    /// The path with these digits.
    pub fn path_from_hash_part(&self, hash: &str) -> Result<Option<StorePath>, StoreError> {
        let prefix = format!("{}/{hash}", self.dir);
        let text: Option<String> = self
            .conn
            .prepare_cached("select path from ValidPaths where path >= ? limit 1")
            .and_then(|mut s| s.query_row([&prefix], |row| row.get(0)).optional())
            .map_err(|e| self.failed(e))?;
        text.filter(|text| text.starts_with(&prefix))
            .map(|text| self.path(&text))
            .transpose()
    }

    /// All valid paths. Rows that are no paths of this store are left out: `verify` reports them.
    pub fn all_paths(&self) -> Result<Vec<StorePath>, StoreError> {
        let texts: Vec<String> = self.all_path_texts()?;
        Ok(texts
            .iter()
            .filter_map(|text| self.dir.parse(text).ok())
            .collect())
    }

    /// The column as it is.
    pub fn all_path_texts(&self) -> Result<Vec<String>, StoreError> {
        self.conn
            .prepare_cached("select path from ValidPaths")
            .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
            .map_err(|e| self.failed(e))
    }

    /// Number of valid paths, about: the highest row number.
    pub fn approximate_count(&self) -> Result<u64, StoreError> {
        self.conn
            .query_row("select max(id) from ValidPaths", [], |row| {
                row.get::<_, Option<i64>>(0)
            })
            .map(|n| n.unwrap_or(0).max(0) as u64)
            .map_err(|e| self.failed(e))
    }

    /// The sizes of all objects as archives.
    pub fn sizes(&self) -> Result<Vec<(StorePath, u64)>, StoreError> {
        let mut statement = self
            .conn
            .prepare("select path, narSize from ValidPaths")
            .map_err(|e| self.failed(e))?;
        let mut rows = statement.query([]).map_err(|e| self.failed(e))?;
        let mut sizes = Vec::new();
        while let Some(row) = rows.next().map_err(|e| self.failed(e))? {
            let text = row.get_ref(0).map_err(|e| self.failed(e))?;
            let size: Option<i64> = row.get(1).map_err(|e| self.failed(e))?;
            if let Ok(path) = self.dir.parse(text.as_bytes().unwrap_or_default()) {
                sizes.push((path, u64::try_from(size.unwrap_or(0)).unwrap_or(0)));
            }
        }
        Ok(sizes)
    }

    /// Derivers and outputs, for garbage collection: every row of DerivationOutputs, and every registered deriver.
    pub fn derivation_edges(
        &self,
    ) -> Result<(Vec<(StorePath, StorePath)>, Vec<(StorePath, StorePath)>), StoreError> {
        let pairs = |sql: &str| -> Result<Vec<(String, String)>, StoreError> {
            self.conn
                .prepare(sql)
                .and_then(|mut s| {
                    s.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                        .collect()
                })
                .map_err(|e| self.failed(e))
        };
        let parse = |rows: Vec<(String, String)>| -> Vec<(StorePath, StorePath)> {
            rows.iter()
                .filter_map(|(a, b)| Some((self.dir.parse(a).ok()?, self.dir.parse(b).ok()?)))
                .collect()
        };
        let outputs = parse(pairs(
            "select v.path, d.path from DerivationOutputs d join ValidPaths v on d.drv = v.id",
        )?);
        let derivers = parse(pairs(
            "select path, deriver from ValidPaths where deriver is not null",
        )?);
        Ok((outputs, derivers))
    }

    /// References of a row, as rows; for walking without building paths.
    pub fn reference_ids(&self, id: i64, reverse: bool) -> Result<Vec<i64>, StoreError> {
        let sql = if reverse {
            "select referrer from Refs where reference = ?"
        } else {
            "select reference from Refs where referrer = ?"
        };
        self.conn
            .prepare_cached(sql)
            .and_then(|mut s| s.query_map([id], |row| row.get(0))?.collect())
            .map_err(|e| self.failed(e))
    }

    /// The row of a valid path.
    pub fn row_of(&self, path: &StorePath) -> Result<i64, StoreError> {
        self.valid_id(path)
    }

    /// The path of a row.
    pub fn path_of_row(&self, id: i64) -> Result<StorePath, StoreError> {
        let text: String = self
            .conn
            .prepare_cached("select path from ValidPaths where id = ?")
            .and_then(|mut s| s.query_row([id], |row| row.get(0)))
            .map_err(|e| self.failed(e))?;
        self.path(&text)
    }

    /// Registers objects in one transaction; those that are valid already are updated. `outputs` tells what a
    /// derivation's outputs are, and may refuse.
    pub fn register(
        &mut self,
        infos: &[PathInfo],
        outputs: &mut dyn FnMut(&StorePath) -> Result<Vec<(String, StorePath)>, StoreError>,
    ) -> Result<(), StoreError> {
        // Read before the transaction, so that it is short.
        let mut derivations = Vec::new();
        for info in infos.iter().filter(|info| info.path.is_derivation()) {
            derivations.push((&info.path, outputs(&info.path)?));
        }
        let file = self.file.display().to_string();
        let failed = |error| StoreError::Database {
            path: file.clone(),
            error,
        };
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |d| d.as_secs() as i64);
        let dir = self.dir.clone();
        let text = |path: &StorePath| dir.display(path).to_string();
        let transaction = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let mut ids: FxHashMap<&StorePath, i64> = FxHashMap::default();
        {
            let mut find = transaction
                .prepare_cached("select id from ValidPaths where path = ?")
                .map_err(failed)?;
            let mut insert = transaction
                .prepare_cached(
                    "insert into ValidPaths \
                     (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca) \
                     values (?, ?, ?, ?, ?, ?, ?, ?)",
                )
                .map_err(failed)?;
            let mut update = transaction
                .prepare_cached(
                    "update ValidPaths set narSize = ?, hash = ?, ultimate = ?, sigs = ?, ca = ? \
                     where id = ?",
                )
                .map_err(failed)?;
            let mut add_output = transaction
                .prepare_cached(
                    "insert or replace into DerivationOutputs (drv, id, path) values (?, ?, ?)",
                )
                .map_err(failed)?;
            let mut add_reference = transaction
                .prepare_cached("insert or replace into Refs (referrer, reference) values (?, ?)")
                .map_err(failed)?;
            for info in infos {
                let path = text(&info.path);
                let hash = info.nar_hash.format(Format::Base16, true);
                let size = (info.nar_size != 0).then_some(info.nar_size as i64);
                let ultimate = info.ultimate.then_some(1);
                let sigs = signatures_text(&info.signatures);
                let ca = info.content_address.map(|ca| ca.to_string());
                let known: Option<i64> = find
                    .query_row([&path], |row| row.get(0))
                    .optional()
                    .map_err(failed)?;
                let id = if let Some(id) = known {
                    update
                        .execute(params![size, hash, ultimate, sigs, ca, id])
                        .map_err(failed)?;
                    id
                } else {
                    let time = if info.registration_time == 0 {
                        now
                    } else {
                        info.registration_time
                    };
                    let deriver = info.deriver.as_ref().map(text);
                    insert
                        .insert(params![path, hash, time, deriver, size, ultimate, sigs, ca])
                        .map_err(failed)?
                };
                ids.insert(&info.path, id);
            }
            for (drv, outputs) in &derivations {
                let Some(id) = ids.get(drv) else { continue };
                for (name, path) in outputs {
                    add_output
                        .execute(params![id, name, text(path)])
                        .map_err(failed)?;
                }
            }
            for info in infos {
                let Some(&referrer) = ids.get(&info.path) else {
                    continue;
                };
                for reference in &info.references {
                    let reference_id = match ids.get(reference) {
                        Some(&id) => id,
                        None => find
                            .query_row([text(reference)], |row| row.get(0))
                            .optional()
                            .map_err(failed)?
                            .ok_or_else(|| StoreError::InvalidPath(text(reference)))?,
                    };
                    add_reference
                        .execute([referrer, reference_id])
                        .map_err(failed)?;
                }
            }
        }
        crate::crash::point("register:before-commit");
        transaction.commit().map_err(failed)?;
        crate::crash::point("register:after-commit");
        Ok(())
    }

    /// Changes what is known of a valid path, without touching references.
    pub fn update(&self, info: &PathInfo) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(
                "update ValidPaths set narSize = ?, hash = ?, ultimate = ?, sigs = ?, ca = ? \
                 where path = ?",
            )
            .and_then(|mut s| {
                s.execute(params![
                    (info.nar_size != 0).then_some(info.nar_size as i64),
                    info.nar_hash.format(Format::Base16, true),
                    info.ultimate.then_some(1),
                    signatures_text(&info.signatures),
                    info.content_address.map(|ca| ca.to_string()),
                    self.text(&info.path),
                ])
            })
            .map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// Forgets a path. Fails when others refer to it.
    pub fn invalidate(&mut self, path: &StorePath) -> Result<(), StoreError> {
        let text = self.text(path);
        let mut by: Vec<String> = self
            .referrers(path)?
            .iter()
            .filter(|p| *p != path)
            .map(|p| self.text(p))
            .collect();
        if !by.is_empty() {
            by.sort();
            return Err(StoreError::InUse { path: text, by });
        }
        self.forget(path)
    }

    /// Forgets a path; SQLite refuses when others refer to it.
    pub fn forget(&self, path: &StorePath) -> Result<(), StoreError> {
        self.forget_text(&self.text(path))
    }

    /// Forgets the row with this text, whatever it says.
    pub fn forget_text(&self, text: &str) -> Result<(), StoreError> {
        self.conn
            .prepare_cached("delete from ValidPaths where path = ?")
            .and_then(|mut s| s.execute([text]))
            .map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// Forgets many paths in one transaction, in the given order: referrers first.
    pub fn forget_all(&mut self, paths: &[StorePath]) -> Result<(), StoreError> {
        let file = self.file.display().to_string();
        let failed = |error| StoreError::Database {
            path: file.clone(),
            error,
        };
        let dir = self.dir.clone();
        let transaction = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        {
            let mut delete = transaction
                .prepare_cached("delete from ValidPaths where path = ?")
                .map_err(failed)?;
            for path in paths {
                delete
                    .execute([dir.display(path).to_string()])
                    .map_err(failed)?;
            }
        }
        crate::crash::point("gc:before-commit");
        transaction.commit().map_err(failed)
    }

    /// Takes more memory for pages while much is changed, so that they are neither read nor written twice.
    pub fn expect_much_work(&self, much: bool) -> Result<(), StoreError> {
        self.batch(if much {
            "pragma cache_size = -65536"
        } else {
            "pragma cache_size = -2000; pragma shrink_memory"
        })
    }

    /// Asks SQLite whether the file is sound.
    pub fn integrity(&self) -> Result<Vec<String>, StoreError> {
        let lines: Vec<String> = self
            .conn
            .prepare("pragma integrity_check")
            .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
            .map_err(|e| self.failed(e))?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    /// Writes the log back into the file, as far as nobody else is in the way.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.rows("pragma wal_checkpoint(truncate)")
    }

    /// Makes the file as small as it can be.
    pub fn vacuum(&self) -> Result<(), StoreError> {
        self.batch("vacuum")
    }
}

/// The error of a disk without room.
fn full() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None)
}

fn signatures_text(signatures: &BTreeSet<Signature>) -> Option<String> {
    if signatures.is_empty() {
        return None;
    }
    Some(
        signatures
            .iter()
            .map(Signature::to_string)
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// SQLite's name of a file: percent signs, question marks and hashes are escaped.
fn uri(file: &Path, immutable: bool) -> PathBuf {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut out = b"file:".to_vec();
    for &c in file.as_os_str().as_bytes() {
        match c {
            b'%' | b'?' | b'#' => out.extend_from_slice(format!("%{c:02x}").as_bytes()),
            c => out.push(c),
        }
    }
    if immutable {
        out.extend_from_slice(b"?immutable=1");
    }
    OsString::from_vec(out).into()
}
