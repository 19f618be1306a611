//! What is added to a cache: the archive first, then the `.narinfo` that makes it known.

use std::io::{self, BufRead, BufWriter, Read, Seek, Write};
use std::sync::Arc;

use super::super::compression::Encoder;
use super::super::narinfo::NarInfo;
use super::super::transport::CacheError;
use super::BinaryCacheStore;
use crate::fetch::download::Upload;
use crate::hash::{Algorithm, Hasher};
use crate::nar::{self, Listing, ListingKind, Lookup, Reader, Writer};
use crate::store::{Contents, PathInfo, StoreError};

impl BinaryCacheStore {
    /// Compresses an archive into the cache; the `.narinfo` is not written yet.
    pub(super) fn upload_nar(
        &self,
        info: &PathInfo,
        nar: &mut dyn BufRead,
        repair: bool,
    ) -> Result<NarInfo, StoreError> {
        let temporary = self.transport.temporary()?;
        let fail = |e| StoreError::from(CacheError::file("writing", temporary.path(), e));
        let out = HashingWriter {
            out: BufWriter::new(temporary.reopen().map_err(fail)?),
            hasher: Hasher::new(Algorithm::Sha256),
        };
        let encoder = self
            .options
            .compression
            .encode(out, self.options.level, self.options.parallel)
            .map_err(fail)?;
        let mut tee = Tee {
            input: nar,
            encoder,
            hasher: Hasher::new(Algorithm::Sha256),
            error: None,
        };
        let listing = Listing::read(&mut Reader::new(&mut tee));
        if let Some(error) = tee.error.take() {
            return Err(fail(error));
        }
        let listing = listing?;
        let nar_size = tee.hasher.bytes();
        let nar_hash = tee.hasher.finish();
        let mut written = tee.encoder.finish().map_err(fail)?;
        written.flush().map_err(fail)?;
        let shown = self.dir.display(&info.path).to_string();
        if nar_hash != info.nar_hash {
            return Err(StoreError::HashMismatch {
                path: shown,
                specified: info.nar_hash.format(crate::hash::Format::Nix32, true),
                found: nar_hash.format(crate::hash::Format::Nix32, true),
            });
        }
        if info.nar_size != 0 && info.nar_size != nar_size {
            return Err(StoreError::SizeMismatch {
                path: shown,
                specified: info.nar_size,
                found: nar_size,
            });
        }
        let file_size = written.hasher.bytes();
        let file_hash = written.hasher.finish();
        let url = format!(
            "nar/{}.nar{}",
            file_hash.nix32(),
            self.options.compression.suffix()
        );
        let mut info = info.clone();
        info.nar_size = nar_size;
        info.ultimate = false;
        let hash_part = info.path.hash_part();
        if self.options.write_listing {
            let json = serde_json::json!({ "root": listing.to_json(true), "version": 1 });
            self.transport.put(
                &format!("{}.ls", hash_part.as_str()),
                Upload::Bytes(json.to_string().into_bytes()),
            )?;
        }
        if self.options.index_debug_info {
            self.index_debug_info(&listing, &url)?;
        }
        if repair || !self.transport.exists(&url)? {
            self.transport.put_temporary(&url, temporary)?;
        }
        Ok(NarInfo {
            info,
            url,
            compression: self.options.compression,
            file_hash: Some(file_hash),
            file_size,
        })
    }

    /// Notes which archive has the debug information of which build id.
    fn index_debug_info(&self, listing: &Listing, url: &str) -> Result<(), CacheError> {
        let hexadecimal = |text: &[u8], length: usize| {
            text.len() == length
                && text
                    .iter()
                    .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(c))
        };
        let Lookup::Found(Listing {
            kind: ListingKind::Directory(directories),
        }) = listing.lookup(b"lib/debug/.build-id")
        else {
            return Ok(());
        };
        for (first, entry) in directories.iter().filter(|(name, _)| hexadecimal(name, 2)) {
            let ListingKind::Directory(files) = &entry.kind else {
                continue;
            };
            for (second, file) in files {
                let id = second
                    .strip_suffix(b".debug")
                    .filter(|id| hexadecimal(id, 38));
                if id.is_none() || !matches!(file.kind, ListingKind::Regular { .. }) {
                    continue;
                }
                let (first, second) = (
                    String::from_utf8_lossy(first),
                    String::from_utf8_lossy(second),
                );
                let key = format!("debuginfo/{first}{second}");
                if !self.transport.exists(&key)? {
                    let member = format!("lib/debug/.build-id/{first}/{second}");
                    let json =
                        serde_json::json!({ "archive": format!("../{url}"), "member": member });
                    self.transport
                        .put(&key, Upload::Bytes(json.to_string().into_bytes()))?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn publish(&self, mut info: NarInfo) -> Result<(), StoreError> {
        for reference in &info.info.references {
            if *reference != info.info.path && self.nar_info(reference)?.is_none() {
                return Err(CacheError::MissingReference {
                    path: self.dir.display(&info.info.path).to_string(),
                    reference: self.dir.display(reference).to_string(),
                }
                .into());
            }
        }
        for key in &self.options.keys {
            info.info.sign(&self.dir, key);
        }
        self.write_nar_info(info)
    }

    pub(super) fn write_nar_info(&self, info: NarInfo) -> Result<(), StoreError> {
        let hash = info.info.path.hash_part();
        let file = format!("{}.narinfo", hash.as_str());
        let text = info.to_text(&self.dir).into_bytes();
        if let Some(memo) = &self.memo {
            memo.put(self.transport.name(), &file, Some(&text));
        }
        self.transport.put(&file, Upload::Bytes(text))?;
        self.known
            .lock()
            .insert(hash.as_str().to_owned(), Some(Arc::new(info)));
        Ok(())
    }

    /// Makes an archive of contents in a temporary file.
    pub(super) fn spool(contents: Contents<'_>) -> Result<std::fs::File, StoreError> {
        let mut file = tempfile::tempfile()?;
        let mut out = BufWriter::new(&mut file);
        match contents {
            Contents::Bytes(bytes) => write_file(bytes.len() as u64, &mut &*bytes, &mut out)?,
            Contents::Path(path) => drop(nar::dump(path, &mut out)?),
            Contents::Filtered(path, filter) => drop(nar::dump_filtered(path, &mut out, filter)?),
            Contents::Nar(input) => {
                let mut copy = TeePlain {
                    input,
                    out: &mut out,
                    error: None,
                };
                Listing::read(&mut Reader::new(&mut copy))?;
                if let Some(error) = copy.error {
                    return Err(error.into());
                }
            }
            Contents::Stream(input) => {
                let mut flat = tempfile::tempfile()?;
                let size = io::copy(input, &mut flat)?;
                flat.rewind()?;
                write_file(size, &mut flat, &mut out)?;
            }
        }
        out.flush()?;
        drop(out);
        file.rewind()?;
        Ok(file)
    }
}

fn write_file(size: u64, data: &mut dyn Read, out: &mut dyn Write) -> Result<(), StoreError> {
    let mut writer = Writer::new(out);
    writer.file(b"", false, size)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match data.read(&mut buffer)? {
            0 => break,
            n => writer.contents(&buffer[..n])?,
        }
    }
    writer.finish()?;
    Ok(())
}

struct HashingWriter<W> {
    out: W,
    hasher: Hasher,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let n = self.out.write(data)?;
        self.hasher.update(&data[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Passes on exactly what is consumed: to the compressor and the hash. Nothing beyond the archive is
/// taken from the input.
struct Tee<'a, W: Write> {
    input: &'a mut dyn BufRead,
    encoder: Encoder<W>,
    hasher: Hasher,
    error: Option<io::Error>,
}

impl<W: Write> Read for Tee<'_, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl<W: Write> BufRead for Tee<'_, W> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.error.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        self.input.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        if let Ok(data) = self.input.fill_buf() {
            let data = &data[..n.min(data.len())];
            self.hasher.update(data);
            if let Err(error) = self.encoder.write_all(data) {
                self.error.get_or_insert(error);
            }
        }
        self.input.consume(n);
    }
}

/// The same without compressing.
struct TeePlain<'a> {
    input: &'a mut dyn BufRead,
    out: &'a mut dyn Write,
    error: Option<io::Error>,
}

impl Read for TeePlain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for TeePlain<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        if let Ok(data) = self.input.fill_buf()
            && let Err(error) = self.out.write_all(&data[..n.min(data.len())])
        {
            self.error.get_or_insert(error);
        }
        self.input.consume(n);
    }
}
