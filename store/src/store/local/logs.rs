//! Build logs: `drvs/<first two digits>/<rest of the base name>.bz2`, or the same without compression.

use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::LocalStore;
use crate::path::StorePath;
use crate::store::api::Store;
use crate::store::error::StoreError;

impl LocalStore {
    /// Where a derivation's log is, without the suffix of compression.
    pub fn log_path(&self, drv: &StorePath) -> PathBuf {
        let name = drv.to_string();
        let (first, rest) = name.split_at(2);
        self.config.log_dir.join("drvs").join(first).join(rest)
    }

    pub(super) fn read_log(&self, path: &StorePath) -> Result<Option<Vec<u8>>, StoreError> {
        let deriver;
        let drv = if path.is_derivation() {
            path
        } else {
            match self
                .query_path_info(path)?
                .and_then(|info| info.deriver.clone())
            {
                Some(found) => {
                    deriver = found;
                    &deriver
                }
                None => return Ok(None),
            }
        };
        let plain = self.log_path(drv);
        match fs::read(&plain) {
            Ok(log) => return Ok(Some(log)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(StoreError::file("opening file", &plain, e)),
        }
        let mut packed = plain.into_os_string();
        packed.push(".bz2");
        let packed = PathBuf::from(packed);
        let file = match fs::File::open(&packed) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::file("opening file", &packed, e)),
        };
        let mut log = Vec::new();
        // A log of a build that was killed ends in the middle; what there is is shown.
        match bzip2::read::MultiBzDecoder::new(file).read_to_end(&mut log) {
            Ok(_) => Ok(Some(log)),
            Err(_) if !log.is_empty() => Ok(Some(log)),
            Err(e) => Err(StoreError::file("decompressing", &packed, e)),
        }
    }

    pub(super) fn write_log(&self, drv: &StorePath, log: &[u8]) -> Result<(), StoreError> {
        let mut packed = self.log_path(drv).into_os_string();
        packed.push(".bz2");
        let packed = PathBuf::from(packed);
        if packed.exists() {
            return Ok(());
        }
        let write = || -> io::Result<()> {
            if let Some(parent) = packed.parent() {
                fs::create_dir_all(parent)?;
            }
            let temp = packed.with_extension(format!("tmp.{}", std::process::id()));
            let mut out =
                bzip2::write::BzEncoder::new(fs::File::create(&temp)?, bzip2::Compression::best());
            out.write_all(log)?;
            out.finish()?;
            fs::rename(&temp, &packed)
        };
        write().map_err(|e| StoreError::file("writing log", &packed, e))
    }
}
