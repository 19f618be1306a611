//! The cache behind the interface of all stores.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::sync::Arc;

use super::BinaryCacheStore;
use crate::derivation::HashModulo;
use crate::fetch::download::Upload;
use crate::hash::{Algorithm, Hash};
use crate::nar::{Listing, ListingKind, Lookup, Reader};
use crate::path::{StoreDir, StorePath};
use crate::store::memory::compute_path;
use crate::store::signature::Signature;
use crate::store::{
    AddFlags, Addition, ArchiveInfo, Contents, DrvOutput, PathInfo, Realisation, Store, StoreError,
};

const MAX_LOG: u64 = 1 << 30;
const MAX_REALISATION: u64 = 1 << 20;

impl Store for BinaryCacheStore {
    fn dir(&self) -> &StoreDir {
        &self.dir
    }

    fn url(&self) -> String {
        self.transport.name().to_owned()
    }

    fn query_path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>, StoreError> {
        Ok(self
            .nar_info(path)?
            .map(|found| Arc::new(found.info.clone())))
    }

    fn archive_info(&self, path: &StorePath) -> Result<Option<ArchiveInfo>, StoreError> {
        Ok(self.nar_info(path)?.map(|found| ArchiveInfo {
            url: found.url.clone(),
            compression: found.compression.name(),
            hash: found.file_hash,
            size: found.file_size,
        }))
    }

    fn add_to_store(
        &self,
        what: Addition<'_>,
        contents: Contents<'_>,
    ) -> Result<StorePath, StoreError> {
        let mut spool = Self::spool(contents)?;
        let (nar_hash, nar_size) = Hash::of_reader(Algorithm::Sha256, &mut spool)?;
        spool.rewind()?;
        let mut reader = BufReader::new(&spool);
        let (path, address) = compute_path(&self.dir, what, Contents::Nar(&mut reader))?;
        let mut info = PathInfo::new(path.clone(), nar_hash, nar_size);
        info.references.clone_from(what.references);
        info.content_address = Some(address);
        spool.rewind()?;
        self.add_nar(&info, &mut BufReader::new(spool), what.flags)?;
        Ok(path)
    }

    fn add_nar(
        &self,
        info: &PathInfo,
        nar: &mut dyn BufRead,
        flags: AddFlags,
    ) -> Result<(), StoreError> {
        self.initialise()?;
        if !flags.repair && self.nar_info(&info.path)?.is_some() {
            return Ok(());
        }
        let uploaded = self.upload_nar(info, nar, flags.repair)?;
        self.publish(uploaded)
    }

    fn nar_from_path(&self, path: &StorePath, out: &mut dyn Write) -> Result<(), StoreError> {
        let info = self.nar_info(path)?.ok_or_else(|| self.missing(path))?;
        let Some(directory) = &self.options.local_archives else {
            return self.fetch_archive(&info, out);
        };
        let kept = directory.join(format!("{}.nar", path.hash_part().as_str()));
        let mut file = match File::open(&kept) {
            Ok(file) => file,
            Err(_) => {
                let fail = |e| StoreError::file("writing", &kept, e);
                std::fs::create_dir_all(directory).map_err(fail)?;
                let mut new = tempfile::NamedTempFile::new_in(directory).map_err(fail)?;
                self.fetch_archive(&info, &mut BufWriter::new(new.as_file_mut()))?;
                let mut file = new.persist(&kept).map_err(|e| fail(e.error))?;
                file.rewind()?;
                file
            }
        };
        io::copy(&mut file, out)?;
        Ok(())
    }

    fn read_file(&self, path: &StorePath, inside: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut spool = tempfile::tempfile()?;
        self.nar_from_path(path, &mut BufWriter::new(&mut spool))?;
        spool.rewind()?;
        let listing = Listing::read(&mut Reader::new(BufReader::new(&spool)))?;
        match listing.lookup(inside) {
            Lookup::Found(Listing {
                kind: ListingKind::Regular { size, offset, .. },
            }) => {
                let mut data = vec![
                    0;
                    usize::try_from(*size)
                        .map_err(|_| StoreError::Format("file too large"))?
                ];
                spool.seek(io::SeekFrom::Start(*offset))?;
                spool.read_exact(&mut data)?;
                Ok(data)
            }
            _ => Err(io::Error::from(io::ErrorKind::NotFound).into()),
        }
    }

    fn all_valid_paths(&self) -> Result<BTreeSet<StorePath>, StoreError> {
        let Some(directory) = self.transport.directory() else {
            return Err(self.unsupported("queryAllValidPaths"));
        };
        let mut paths = BTreeSet::new();
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(paths),
            Err(error) => return Err(StoreError::file("reading directory", directory, error)),
        };
        for entry in entries {
            let name = entry?.file_name();
            if let Some(hash) = name.to_str().and_then(|name| name.strip_suffix(".narinfo"))
                && hash.len() == 32
                && let Some(found) = self.nar_info_by_hash(hash)?
            {
                paths.insert(found.info.path.clone());
            }
        }
        Ok(paths)
    }

    fn query_path_from_hash_part(&self, hash: &[u8]) -> Result<Option<StorePath>, StoreError> {
        match std::str::from_utf8(hash) {
            Ok(hash) if hash.len() == 32 && hash.bytes().all(|c| c.is_ascii_alphanumeric()) => {
                Ok(self
                    .nar_info_by_hash(hash)?
                    .map(|found| found.info.path.clone()))
            }
            _ => Ok(None),
        }
    }

    fn derivation_modulo(&self, drv: &StorePath) -> Result<HashModulo, StoreError> {
        crate::store::memory::modulo_of(self, drv, |path| self.modulos.lock().get(path).copied())
    }

    fn remember_modulo(&self, drv: &StorePath, modulo: HashModulo) {
        self.modulos.lock().insert(drv.clone(), modulo);
    }

    fn add_signatures(
        &self,
        path: &StorePath,
        signatures: &BTreeSet<Signature>,
    ) -> Result<(), StoreError> {
        let found = self.nar_info(path)?.ok_or_else(|| self.missing(path))?;
        let mut info = (*found).clone();
        info.info.signatures.extend(signatures.iter().cloned());
        self.write_nar_info(info)
    }

    fn query_realisation(&self, id: &DrvOutput) -> Result<Option<Realisation>, StoreError> {
        let Some(text) = self.transport.get(&realisation_file(id), MAX_REALISATION)? else {
            return Ok(None);
        };
        let json = serde_json::from_slice(&text)
            .map_err(|_| StoreError::Format("invalid JSON for a realisation"))?;
        Realisation::from_json(&json).map(Some)
    }

    fn register_realisation(
        &self,
        realisation: &Realisation,
        _check_signatures: bool,
    ) -> Result<(), StoreError> {
        self.initialise()?;
        let text = realisation.to_json().to_string().into_bytes();
        Ok(self
            .transport
            .put(&realisation_file(&realisation.id), Upload::Bytes(text))?)
    }

    fn build_log(&self, path: &StorePath) -> Result<Option<Vec<u8>>, StoreError> {
        let deriver = if path.is_derivation() {
            Some(path.clone())
        } else {
            self.query_path_info(path)?
                .and_then(|info| info.deriver.clone())
        };
        match deriver {
            Some(drv) => Ok(self
                .transport
                .get(&format!("log/{}", drv.base_name()), MAX_LOG)?),
            None => Ok(None),
        }
    }

    fn add_build_log(&self, drv: &StorePath, log: &[u8]) -> Result<(), StoreError> {
        self.initialise()?;
        Ok(self.transport.put(
            &format!("log/{}", drv.base_name()),
            Upload::Bytes(log.to_vec()),
        )?)
    }
}

fn realisation_file(id: &DrvOutput) -> String {
    format!("realisations/{id}.doi")
}
