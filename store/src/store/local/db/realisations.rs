//! The table of realisations: what the outputs of derivations, named by the derivation's hash, turned out to be.

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::{Database, signatures_text};
use crate::hash::{Format, Hash};
use crate::store::error::StoreError;
use crate::store::realisation::{DrvOutput, Realisation};
use crate::store::signature::Signature;

impl Database {
    /// Reads a realisation.
    pub fn realisation(&self, id: &DrvOutput) -> Result<Option<Realisation>, StoreError> {
        if !self.has_table("Realisations")? {
            return Ok(None);
        }
        let hash = id.drv_hash.format(Format::Base16, true);
        let row: Option<(i64, String, Option<String>)> = self
            .conn
            .prepare_cached(
                "select r.id, v.path, r.signatures from Realisations r \
                 join ValidPaths v on v.id = r.outputPath where r.drvPath = ? and r.outputName = ?",
            )
            .and_then(|mut s| {
                s.query_row([&hash, &id.output], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()
            })
            .map_err(|e| self.failed(e))?;
        let Some((row, path, signatures)) = row else {
            return Ok(None);
        };
        let mut realisation = Realisation::new(id.clone(), self.path(&path)?);
        for text in signatures.iter().flat_map(|s| s.split_ascii_whitespace()) {
            realisation.signatures.insert(Signature::parse(text)?);
        }
        let dependent: Vec<(String, String, String)> = self
            .conn
            .prepare_cached(
                "select d.drvPath, d.outputName, v.path from RealisationsRefs \
                 join Realisations d on d.id = realisationReference \
                 join ValidPaths v on v.id = d.outputPath where referrer = ?",
            )
            .and_then(|mut s| {
                s.query_map([row], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                    .collect()
            })
            .map_err(|e| self.failed(e))?;
        for (hash, output, path) in dependent {
            let id = DrvOutput {
                drv_hash: Hash::parse_any_prefixed(hash)?,
                output,
            };
            realisation.dependent.insert(id, self.path(&path)?);
        }
        Ok(Some(realisation))
    }

    /// Registers a realisation, or adds signatures to the one that is known.
    pub fn register_realisation(&mut self, realisation: &Realisation) -> Result<(), StoreError> {
        self.enable_realisations()?;
        let known = self.realisation(&realisation.id)?;
        let file = self.file.display().to_string();
        let failed = |error| StoreError::Database {
            path: file.clone(),
            error,
        };
        let hash = realisation.id.drv_hash.format(Format::Base16, true);
        if let Some(known) = known {
            if known.out_path != realisation.out_path {
                return Err(StoreError::RealisationConflict {
                    id: realisation.id.to_string(),
                    local: self.text(&known.out_path),
                    remote: self.text(&realisation.out_path),
                });
            }
            let all = known
                .signatures
                .union(&realisation.signatures)
                .cloned()
                .collect();
            self.conn
                .execute(
                    "update Realisations set signatures = ? where drvPath = ? and outputName = ?",
                    params![signatures_text(&all), hash, realisation.id.output],
                )
                .map_err(failed)?;
            return Ok(());
        }
        let output = self.valid_id(&realisation.out_path)?;
        let transaction = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        transaction
            .execute(
                "insert into Realisations (drvPath, outputName, outputPath, signatures) \
                 values (?, ?, ?, ?)",
                params![
                    hash,
                    realisation.id.output,
                    output,
                    // Never null: the reference does not expect that here.
                    signatures_text(&realisation.signatures).unwrap_or_default()
                ],
            )
            .map_err(failed)?;
        let id = transaction.last_insert_rowid();
        for dependent in realisation.dependent.keys() {
            transaction
                .execute(
                    "insert into RealisationsRefs (referrer, realisationReference) \
                     select ?, id from Realisations where drvPath = ? and outputName = ?",
                    params![
                        id,
                        dependent.drv_hash.format(Format::Base16, true),
                        dependent.output
                    ],
                )
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }
}
