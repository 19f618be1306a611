//! Adding objects: contents in place first, the row last.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{self as rfs, FileType, Mode};

use super::gc::render_size;
use super::spool::{Spool, Spooled, TempDir};
use super::{BATCH, LocalStore, open_regular};
use crate::canonical::move_canonical;
use crate::content_address::{ContentAddress, Method, References};
use crate::crash;
use crate::derivation::Derivation;
use crate::git_hash;
use crate::hash::{Algorithm, Format, Hash, Hasher};
use crate::lock::PathLocks;
use crate::nar::{self, Reader, RestoreOptions, Writer};
use crate::parallel_hash::ParallelHasher;
use crate::path::StorePath;
use crate::progress;
use crate::remove::remove_tree_at;
use crate::rewriting::hash_modulo;
use crate::store::api::{AddFlags, Addition, Contents, Store};
use crate::store::error::StoreError;
use crate::store::info::PathInfo;
use crate::store::references::Tee;

/// Archives up to this size are kept in memory until their path is known.
const IN_MEMORY: usize = 16 << 20;

/// A stream whose bytes are hashed as they are consumed.
pub(super) struct HashingReader<R> {
    pub(super) input: R,
    pub(super) hasher: Hasher,
}

impl<R: BufRead> Read for HashingReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let data = self.fill_buf()?;
        let n = data.len().min(out.len());
        out[..n].copy_from_slice(&data[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl<R: BufRead> BufRead for HashingReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        if let Ok(data) = self.input.fill_buf() {
            let n = n.min(data.len());
            self.hasher.update(&data[..n]);
        }
        self.input.consume(n);
    }
}

impl LocalStore {
    pub(super) fn add(
        &self,
        what: Addition<'_>,
        contents: Contents<'_>,
    ) -> Result<StorePath, StoreError> {
        let from = match &contents {
            Contents::Path(path) | Contents::Filtered(path, _)
                if self.config.warn_large_path > 0 =>
            {
                Some(path.to_path_buf())
            }
            _ => None,
        };
        let path = self.add_unwatched(what, contents)?;
        if let Some(from) = from {
            let size = self.path_info(&path)?.nar_size;
            if size >= self.config.warn_large_path {
                progress::warn(format!(
                    "copied large path '{}' to the store ({})",
                    from.display(),
                    render_size(i64::try_from(size).unwrap_or(i64::MAX))
                ));
            }
        }
        Ok(path)
    }

    /// Adds without saying how large it was.
    fn add_unwatched(
        &self,
        what: Addition<'_>,
        contents: Contents<'_>,
    ) -> Result<StorePath, StoreError> {
        match (what.method, contents) {
            (Method::Text | Method::Flat, Contents::Bytes(bytes)) => self.add_bytes(what, bytes),
            (Method::Text | Method::Flat, Contents::Path(path)) => {
                let mut file = io::BufReader::new(open_regular(path)?);
                self.add_stream(what, &mut file)
            }
            (Method::Text | Method::Flat, Contents::Stream(input)) => self.add_stream(what, input),
            (_, contents) => self.add_tree(what, contents),
        }
    }

    /// Adds a regular file that is not in memory, by way of its archive.
    fn add_stream(
        &self,
        what: Addition<'_>,
        input: &mut dyn BufRead,
    ) -> Result<StorePath, StoreError> {
        let mut bytes = Vec::new();
        (&mut *input)
            .take(IN_MEMORY as u64 + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() <= IN_MEMORY {
            return self.add_bytes(what, &bytes);
        }
        // Too large for memory: written beside its place under a private name, then moved.
        let temp = TempDir::new(self)?;
        let target = temp.path.join("x");
        let failed = |e: io::Error| StoreError::file("writing to file", &target, e);
        let mut out = File::create_new(&target).map_err(failed)?;
        let mut hasher = Hasher::new(what.algorithm);
        hasher.update(&bytes);
        out.write_all(&bytes).map_err(failed)?;
        drop(bytes);
        loop {
            let data = input.fill_buf()?;
            if data.is_empty() {
                break;
            }
            hasher.update(data);
            out.write_all(data).map_err(failed)?;
            let n = data.len();
            input.consume(n);
        }
        make_canonical_file(&out).map_err(failed)?;
        drop(out);
        let address = ContentAddress {
            method: what.method,
            hash: hasher.finish(),
        };
        let path = self.content_path(what, &address)?;
        self.install(&path, what.flags, |place| {
            let hash = move_into_place(&temp, place)?;
            Ok(content_info(&path, hash, address, what.references))
        })?;
        Ok(path)
    }

    fn content_path(
        &self,
        what: Addition<'_>,
        address: &ContentAddress,
    ) -> Result<StorePath, StoreError> {
        let references = References::to(what.references.clone());
        Ok(self
            .config
            .dir
            .make_content_path(what.name, address, &references)?)
    }

    fn add_bytes(&self, what: Addition<'_>, bytes: &[u8]) -> Result<StorePath, StoreError> {
        let address = ContentAddress {
            method: what.method,
            hash: Hash::of(what.algorithm, bytes),
        };
        let path = self.content_path(what, &address)?;
        if path.is_derivation() && what.method == Method::Text {
            // Its outputs are checked before anybody relies on it.
            let derivation = Derivation::parse(&self.config.dir, bytes, path.derivation_name()?)
                .map_err(|error| StoreError::ParseDerivation {
                    path: self.shown(&path),
                    error,
                })?;
            self.add_temp_root(&path)?;
            if what.flags.repair || !self.is_valid(&path)? {
                self.check_derivation(&path, &derivation)?;
                self.place_derivation(&path, &derivation, bytes, address, what.flags)?;
            }
            return Ok(path);
        }
        self.install(&path, what.flags, |place| {
            write_flat(place, bytes)?;
            Ok(content_info(
                &path,
                flat_nar_hash(bytes)?,
                address,
                what.references,
            ))
        })?;
        Ok(path)
    }

    /// Adds a `.drv` file of a derivation whose output paths the caller has just computed.
    pub(super) fn add_derivation(
        &self,
        derivation: &Derivation,
        flags: AddFlags,
    ) -> Result<StorePath, StoreError> {
        let text = derivation.to_aterm(&self.config.dir);
        let path = derivation.path_of(&self.config.dir, &text)?;
        self.add_temp_root(&path)?;
        if flags.repair || !self.is_valid(&path)? {
            let hash = Hash::of(Algorithm::Sha256, &text);
            let address = ContentAddress {
                method: Method::Text,
                hash,
            };
            self.place_derivation(&path, derivation, &text, address, flags)?;
        }
        Ok(path)
    }

    fn place_derivation(
        &self,
        path: &StorePath,
        derivation: &Derivation,
        text: &[u8],
        address: ContentAddress,
        flags: AddFlags,
    ) -> Result<(), StoreError> {
        let references = derivation.references();
        for reference in &references {
            if !self.is_valid(reference)? {
                return Err(StoreError::InvalidPath(self.shown(reference)));
            }
        }
        let outputs = self.known_outputs(derivation)?;
        let mut info = None;
        // Another process may have written it and be about to register it: then it must not vanish for a moment.
        let there = std::cell::Cell::new(false);
        let same = |place: &Path| {
            there.set(holds_exactly(place, text));
            there.get()
        };
        self.in_place(path, flags, same, |place| {
            if !there.get() {
                write_flat(place, text)?;
            }
            info = Some(content_info(
                path,
                flat_nar_hash(text)?,
                address,
                &references,
            ));
            Ok(())
        })?;
        let Some(info) = info else { return Ok(()) };
        if flags.repair && self.is_valid(path)? {
            return Ok(());
        }
        let full = {
            let mut pending = self.pending.lock();
            if pending.paths.insert(path.clone()) {
                pending.outputs.insert(path.clone(), outputs);
                pending.infos.push(info);
            }
            pending.infos.len() >= BATCH
        };
        if full {
            self.register_pending()
        } else {
            Ok(())
        }
    }

    /// Adds a tree, or a file that is hashed as a tree.
    fn add_tree(
        &self,
        what: Addition<'_>,
        contents: Contents<'_>,
    ) -> Result<StorePath, StoreError> {
        let mut spool = Spool::new(self, IN_MEMORY);
        // The archive's SHA-256 is registered whatever the address is made of, and most often they are the same.
        let mut tee = Tee(ParallelHasher::new(Algorithm::Sha256), &mut spool);
        let mut second = (what.method == Method::NixArchive && what.algorithm != Algorithm::Sha256)
            .then(|| Hasher::new(what.algorithm));
        let written = match &mut second {
            None => write_nar(contents, &mut tee),
            Some(second) => write_nar(contents, &mut Tee(second, &mut tee)),
        };
        let Tee(hasher, _) = tee;
        if let Err(error) = written {
            return Err(spool.into_error(error));
        }
        let hasher = hasher.finish()?;
        let nar_size = hasher.bytes();
        let nar_hash = hasher.finish();
        let spooled = spool.finish()?;
        let hash = match what.method {
            Method::NixArchive => second.map_or(nar_hash, Hasher::finish),
            Method::Flat | Method::Text => hash_flat(&spooled, what.algorithm)?,
            Method::Git => match &spooled {
                Spooled::Memory(nar) => git_hash::hash_archive(what.algorithm, nar)?,
                Spooled::Restored(dir) => git_hash::hash_path(what.algorithm, &dir.path.join("x"))?,
            },
        };
        let address = ContentAddress {
            method: what.method,
            hash,
        };
        let path = self.content_path(what, &address)?;
        self.install(&path, what.flags, |place| {
            match &spooled {
                Spooled::Memory(nar) => {
                    let mut reader = Reader::new(&nar[..]);
                    nar::restore_at(
                        &mut reader,
                        place,
                        RestoreOptions {
                            canonical: true,
                            ..RestoreOptions::default()
                        },
                    )?;
                }
                Spooled::Restored(dir) => rename_canonical(dir, place)?,
            }
            Ok(content_info(
                &path,
                (nar_hash, nar_size),
                address,
                what.references,
            ))
        })?;
        Ok(path)
    }

    /// Adds an archive under a given path.
    pub(super) fn add_archive(
        &self,
        info: &PathInfo,
        input: &mut dyn BufRead,
        flags: AddFlags,
    ) -> Result<(), StoreError> {
        let dir = &self.config.dir;
        if flags.check_signatures
            && self.config.require_signatures
            && info.count_valid_signatures(dir, &self.config.trusted_keys) == 0
        {
            return Err(StoreError::Unsigned(self.shown(&info.path)));
        }
        if info.content_address.is_some() && !info.is_content_addressed(dir)? {
            return Err(StoreError::FalseAddress(self.shown(&info.path)));
        }
        self.install(&info.path, flags, |place| {
            let temp = TempDir::new(self)?;
            let hashing = HashingReader {
                input,
                hasher: Hasher::new(Algorithm::Sha256),
            };
            let mut reader = Reader::new(hashing);
            let options = RestoreOptions {
                canonical: true,
                ..RestoreOptions::default()
            };
            nar::restore_events(
                &mut reader,
                temp.fd.as_fd(),
                &c"x".to_owned(),
                &temp.path.join("x"),
                options,
            )?;
            let hasher = reader.into_inner().hasher;
            let found_size = hasher.bytes();
            let found = hasher.finish();
            if found != info.nar_hash {
                return Err(StoreError::HashMismatch {
                    path: self.shown(&info.path),
                    specified: info.nar_hash.format(Format::Nix32, true),
                    found: found.format(Format::Nix32, true),
                });
            }
            if info.nar_size != 0 && found_size != info.nar_size {
                return Err(StoreError::SizeMismatch {
                    path: self.shown(&info.path),
                    specified: info.nar_size,
                    found: found_size,
                });
            }
            if let Some(address) = &info.content_address {
                let algorithm = address.hash.algorithm();
                let found = hash_modulo(
                    &temp.path.join("x"),
                    address.method,
                    algorithm,
                    Some(&info.path),
                )?;
                if found != address.hash {
                    return Err(StoreError::AddressMismatch {
                        path: self.shown(&info.path),
                        specified: address.hash.format(crate::hash::Format::Nix32, true),
                        found: found.format(crate::hash::Format::Nix32, true),
                    });
                }
            }
            rename_canonical(&temp, place)?;
            let mut info = info.clone();
            info.nar_size = found_size;
            Ok(info)
        })
    }

    /// Puts contents in place with `make` unless the path is valid, and registers what it returns.
    fn install(
        &self,
        path: &StorePath,
        flags: AddFlags,
        make: impl FnOnce(&Path) -> Result<PathInfo, StoreError>,
    ) -> Result<(), StoreError> {
        self.add_temp_root(path)?;
        if !flags.repair && self.is_valid(path)? {
            return Ok(());
        }
        self.auto_gc()?;
        let mut info = None;
        self.in_place(
            path,
            flags,
            |_| false,
            |place| {
                info = Some(make(place)?);
                crash::point("add:in-place");
                if self.config.auto_optimise {
                    self.optimise_path(place, flags.repair)?;
                }
                if let Some(info) = &info {
                    self.register(std::slice::from_ref(info))?;
                }
                Ok(())
            },
        )?;
        self.forget_cached(path);
        Ok(())
    }

    /// Locks the path, and when it is still not valid removes what is in its place, unless it `stays`,
    /// and runs `make`.
    fn in_place(
        &self,
        path: &StorePath,
        flags: AddFlags,
        stays: impl FnOnce(&Path) -> bool,
        make: impl FnOnce(&Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let place = self.physical(path);
        let failed = |e| StoreError::file("locking", &place, e);
        let mut locks = if self.locks_held.read().contains(path) {
            PathLocks::default()
        } else {
            PathLocks::acquire([place.clone()], &mut |_| {
                crate::progress::info(format!("waiting for lock on '{}'...", self.shown(path)));
            })
            .map_err(failed)?
        };
        crash::point("add:locked");
        // Somebody else may have made it while we waited.
        let wanted = flags.repair || !self.is_valid_uncached(path)?;
        if wanted && stays(&place) {
            make(&place)?;
        } else if wanted {
            let name = CString::new(path.to_string()).map_err(|e| failed(e.into()))?;
            remove_tree_at(self.store_fd.as_fd(), &name)
                .map_err(|e| StoreError::file("removing", &place, e))?;
            if let Err(error) = make(&place) {
                // Nothing half made stays behind; the row was not written.
                if !self.is_valid_uncached(path).unwrap_or(true) {
                    let _ = remove_tree_at(self.store_fd.as_fd(), &name);
                }
                locks.set_deletion(true);
                return Err(error);
            }
        }
        locks.set_deletion(true);
        Ok(())
    }
}

fn content_info(
    path: &StorePath,
    (nar_hash, nar_size): (Hash, u64),
    address: ContentAddress,
    references: &BTreeSet<StorePath>,
) -> PathInfo {
    let mut info = PathInfo::new(path.clone(), nar_hash, nar_size);
    info.references.clone_from(references);
    info.content_address = Some(address);
    info
}

/// Hash and size of the archive of one file that may not be executed.
fn flat_nar_hash(bytes: &[u8]) -> Result<(Hash, u64), StoreError> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut writer = Writer::new(&mut hasher);
    writer.file(b"", false, bytes.len() as u64)?;
    writer.contents(bytes)?;
    writer.finish()?;
    let size = hasher.bytes();
    Ok((hasher.finish(), size))
}

fn make_canonical_file(file: &File) -> io::Result<()> {
    rfs::fchmod(file, Mode::from_raw_mode(0o444))?;
    rfs::futimens(file, &nar::STORE_TIME)?;
    Ok(())
}

/// Whether a file is there, canonical and with these contents.
fn holds_exactly(place: &Path, bytes: &[u8]) -> bool {
    let canonical = rfs::lstat(place).is_ok_and(|stat| {
        stat.st_mode == (FileType::RegularFile.as_raw_mode() | 0o444)
            && (stat.st_mtime, stat.st_mtime_nsec) == (1, 0)
            && stat.st_uid == rustix::process::geteuid().as_raw()
    });
    canonical && std::fs::read(place).is_ok_and(|found| found == bytes)
}

fn write_flat(place: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || -> io::Result<()> {
        let mut file = File::create_new(place)?;
        crash::point("add:created");
        file.write_all(bytes)?;
        make_canonical_file(&file)
    };
    write().map_err(|e| StoreError::file("writing to file", place, e))
}

/// Moves `x` of a private directory to its place in the store, whole and canonical.
fn rename_canonical(temp: &TempDir, place: &Path) -> Result<(), StoreError> {
    move_canonical(temp.fd.as_fd(), Path::new("x"), place)
        .map_err(|e| StoreError::file("renaming to", place, e))
}

fn move_into_place(temp: &TempDir, place: &Path) -> Result<(Hash, u64), StoreError> {
    rename_canonical(temp, place)?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    nar::dump(place, &mut hasher)?;
    let size = hasher.bytes();
    Ok((hasher.finish(), size))
}

fn write_nar(contents: Contents<'_>, mut out: &mut dyn Write) -> Result<(), StoreError> {
    match contents {
        Contents::Path(path) => {
            nar::dump(path, &mut out)?;
            Ok(())
        }
        Contents::Filtered(path, filter) => {
            nar::dump_filtered(path, &mut out, filter)?;
            Ok(())
        }
        Contents::Nar(input) => crate::store::memory::copy_nar(input, out),
        Contents::Bytes(bytes) => {
            let mut writer = Writer::new(&mut out);
            writer.file(b"", false, bytes.len() as u64)?;
            writer.contents(bytes)?;
            writer.finish()?;
            Ok(())
        }
        Contents::Stream(input) => {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes)?;
            write_nar(Contents::Bytes(&bytes), out)
        }
    }
}

fn hash_flat(spooled: &Spooled, algorithm: Algorithm) -> Result<Hash, StoreError> {
    match spooled {
        Spooled::Memory(nar) => {
            let flat = crate::store::memory::flat_contents(nar)?
                .ok_or(StoreError::Format("a flat hash needs a regular file"))?;
            Ok(Hash::of(algorithm, &flat))
        }
        Spooled::Restored(dir) => {
            Ok(Hash::of_reader(algorithm, open_regular(&dir.path.join("x"))?)?.0)
        }
    }
}
