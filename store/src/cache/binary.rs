//! A binary cache as a store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::compression::{Compression, Encoder};
use super::info::CacheInfo;
use super::memo::LookupMemo;
use super::narinfo::{MAX_SIZE, NarInfo};
use super::transport::{CacheError, Transport};
use crate::content_address::Method;
use crate::derivation::HashModulo;
use crate::fetch::download::{Downloader, Upload};
use crate::fetch::url::Url;
use crate::hash::{Algorithm, Hash, Hasher};
use crate::nar::{self, Listing, ListingKind, Lookup, Reader, Writer};
use crate::path::{StoreDir, StorePath};
use crate::progress::{Activity, ActivityKind, Level};
use crate::store::memory::compute_path;
use crate::store::signature::{SecretKey, Signature};
use crate::store::{
    AddFlags, ArchiveInfo, Contents, DrvOutput, PathInfo, Realisation, Store, StoreError,
};

const MAX_LOG: u64 = 1 << 30;
const MAX_REALISATION: u64 = 1 << 20;

/// Parameters of a cache's address.
#[derive(Clone)]
pub struct CacheOptions {
    /// `compression`
    pub compression: Compression,
    /// `compression-level`; -1 is the compression's default.
    pub level: i32,
    /// `parallel-compression`
    pub parallel: bool,
    /// `write-nar-listing`
    pub write_listing: bool,
    /// `index-debug-info`
    pub index_debug_info: bool,
    /// `secret-key` and `secret-keys`: who signs what is added.
    pub keys: Vec<SecretKey>,
    /// `local-nar-cache`: a directory where archives that were looked into stay.
    pub local_archives: Option<PathBuf>,
    /// `trusted`: signatures of its paths are not checked.
    pub trusted: bool,
    /// `want-mass-query`, if not what the cache says.
    pub want_mass_query: Option<bool>,
    /// `priority`, if not what the cache says.
    pub priority: Option<i32>,
}

impl Default for CacheOptions {
    fn default() -> Self {
        CacheOptions {
            compression: Compression::Xz,
            level: -1,
            parallel: false,
            write_listing: false,
            index_debug_info: false,
            keys: Vec::new(),
            local_archives: None,
            trusted: false,
            want_mass_query: None,
            priority: None,
        }
    }
}

fn flag(value: &str) -> bool {
    matches!(value, "true" | "1" | "yes")
}

impl CacheOptions {
    /// Takes the parameters that it knows out of a query.
    pub fn take_from(query: &mut BTreeMap<String, String>) -> Result<Self, CacheError> {
        let mut options = Self::default();
        let mut take = |name: &str| query.remove(name);
        if let Some(name) = take("compression") {
            options.compression = Compression::from_name(&name).ok_or_else(|| {
                CacheError::Setting(format!(
                    "failed to initialize compression: there is no method '{name}' (but none, brotli, bzip2, gzip, xz, zstd)"
                ))
            })?;
            options.parallel = options.compression == Compression::Zstd;
        }
        let number = |name: &str, value: String| {
            value.parse().map_err(|_| {
                CacheError::Setting(format!("setting '{name}' has invalid value '{value}'"))
            })
        };
        if let Some(level) = take("compression-level") {
            options.level = number("compression-level", level)?;
        }
        if let Some(value) = take("parallel-compression") {
            options.parallel = flag(&value);
        }
        options.write_listing = take("write-nar-listing").is_some_and(|value| flag(&value));
        options.index_debug_info = take("index-debug-info").is_some_and(|value| flag(&value));
        options.local_archives = take("local-nar-cache")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        options.trusted = take("trusted").is_some_and(|value| flag(&value));
        options.want_mass_query = take("want-mass-query").map(|value| flag(&value));
        if let Some(priority) = take("priority") {
            options.priority = Some(number("priority", priority)?);
        }
        let files = [take("secret-key"), take("secret-keys")];
        for file in files
            .iter()
            .flatten()
            .flat_map(|files| files.split(','))
            .filter(|file| !file.is_empty())
        {
            let text = std::fs::read_to_string(file)
                .map_err(|e| CacheError::file("reading", std::path::Path::new(file), e))?;
            let key =
                SecretKey::parse(text.trim()).map_err(|e| CacheError::Setting(e.to_string()))?;
            options.keys.push(key);
        }
        // Settings of all stores, and of the reference's caches, that have no meaning here.
        for name in [
            "store",
            "path-info-cache-size",
            "system-features",
            "narinfo-compression",
            "ls-compression",
            "log-compression",
        ] {
            take(name);
        }
        Ok(options)
    }
}

/// A binary cache as a store.
pub struct BinaryCacheStore {
    dir: StoreDir,
    transport: Transport,
    options: CacheOptions,
    memo: Option<Arc<LookupMemo>>,
    info: Mutex<Option<CacheInfo>>,
    known: Mutex<FxHashMap<String, Option<Arc<NarInfo>>>>,
    modulos: Mutex<FxHashMap<StorePath, HashModulo>>,
}

impl std::fmt::Debug for BinaryCacheStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BinaryCacheStore")
            .field("url", &self.transport.name())
            .finish_non_exhaustive()
    }
}

impl BinaryCacheStore {
    /// Opens the cache at a URL whose parameters are those of [`CacheOptions`]. Nothing is asked yet.
    pub fn open(
        url: &str,
        dir: StoreDir,
        downloader: &Downloader,
        memo: Option<Arc<LookupMemo>>,
    ) -> Result<Self, CacheError> {
        let mut url = Url::parse(url)?;
        let options = CacheOptions::take_from(&mut url.query)?;
        if url.scheme != "s3" {
            url.query.clear();
        }
        // One spelling for one cache: what is remembered is found again.
        while url.path.len() > 1 && url.path.last().is_some_and(String::is_empty) {
            url.path.pop();
        }
        let transport = Transport::open(&url, downloader)?;
        let memo = memo.filter(|_| transport.directory().is_none());
        Ok(BinaryCacheStore {
            dir,
            transport,
            options,
            memo,
            info: Mutex::new(None),
            known: Mutex::default(),
            modulos: Mutex::default(),
        })
    }

    /// The files of the cache.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Its parameters.
    pub fn options(&self) -> &CacheOptions {
        &self.options
    }

    /// What the cache says of itself; an error if it is for another store directory or no cache.
    pub fn info(&self) -> Result<CacheInfo, CacheError> {
        let mut known = self.info.lock();
        if let Some(info) = &*known {
            return Ok(info.clone());
        }
        let name = self.transport.name();
        let ours = String::from_utf8_lossy(self.dir.as_bytes()).into_owned();
        let remembered = self.memo.as_ref().and_then(|memo| memo.info(name));
        let info = match remembered {
            Some(info) => info,
            None => {
                let info = match self.transport.get("nix-cache-info", 1 << 16)? {
                    Some(text) => CacheInfo::parse(&String::from_utf8_lossy(&text), &ours),
                    None if self.transport.directory().is_some() => CacheInfo::new(&ours),
                    None => {
                        return Err(CacheError::NoCache(name.to_owned()));
                    }
                };
                if let Some(memo) = &self.memo {
                    memo.put_info(name, &info);
                }
                info
            }
        };
        if info.store_dir != ours {
            return Err(CacheError::OtherStore {
                cache: name.to_owned(),
                theirs: info.store_dir,
                ours,
            });
        }
        *known = Some(info.clone());
        Ok(info)
    }

    /// Whether it may be asked about very many paths.
    pub fn wants_mass_query(&self) -> Result<bool, CacheError> {
        match self.options.want_mass_query {
            Some(wants) => Ok(wants),
            None => self.info().map(|info| info.want_mass_query),
        }
    }

    /// Its place in the order of caches.
    pub fn priority(&self) -> Result<i32, CacheError> {
        match self.options.priority {
            Some(priority) => Ok(priority),
            None => self.info().map(|info| info.priority),
        }
    }

    /// Makes a cache out of an empty directory or server.
    fn initialise(&self) -> Result<(), CacheError> {
        if let Some(directory) = self.transport.directory() {
            for name in ["nar", "realisations", "log"] {
                let path = directory.join(name);
                std::fs::create_dir_all(&path)
                    .map_err(|e| CacheError::file("creating directory", &path, e))?;
            }
        }
        if self.transport.exists("nix-cache-info")? {
            return self.info().map(drop);
        }
        let info = CacheInfo::new(&String::from_utf8_lossy(self.dir.as_bytes()));
        self.transport.put(
            "nix-cache-info",
            Upload::Bytes(info.to_string().into_bytes()),
        )?;
        *self.info.lock() = Some(info);
        Ok(())
    }

    /// What the cache knows of a path; `None` if it does not have it.
    pub fn nar_info(&self, path: &StorePath) -> Result<Option<Arc<NarInfo>>, CacheError> {
        let found = self.nar_info_by_hash(path.hash_part().as_str())?;
        // Whoever answers with another path has not got this one.
        Ok(found.filter(|found| found.info.path == *path))
    }

    fn nar_info_by_hash(&self, hash: &str) -> Result<Option<Arc<NarInfo>>, CacheError> {
        if let Some(known) = self.known.lock().get(hash) {
            return Ok(known.clone());
        }
        match self.info() {
            Ok(_) => {}
            // It may become one when something is added.
            Err(CacheError::NoCache(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        let file = format!("{hash}.narinfo");
        let name = self.transport.name();
        let remembered = self.memo.as_ref().and_then(|memo| memo.lookup(name, &file));
        let text = match remembered {
            Some(text) => text,
            None => {
                let asked = self.dir.to_string() + "/" + hash;
                let _activity = Activity::start(
                    Level::Talkative,
                    ActivityKind::QueryPathInfo,
                    format!("querying info about '{asked}' on '{name}'"),
                    &[asked.as_str().into(), name.into()],
                );
                let text = self.transport.get(&file, MAX_SIZE)?;
                if let Some(memo) = &self.memo {
                    memo.put(name, &file, text.as_deref());
                }
                text
            }
        };
        let parsed = match text {
            None => None,
            Some(text) => match NarInfo::parse(&self.dir, &text, &file) {
                Ok(info) if info.info.path.hash_part().as_str() == hash => Some(Arc::new(info)),
                Ok(_) => None,
                Err(error) => {
                    if let Some(memo) = &self.memo {
                        memo.forget(name, &file);
                    }
                    return Err(error.into());
                }
            },
        };
        self.known.lock().insert(hash.to_owned(), parsed.clone());
        Ok(parsed)
    }

    /// Forgets what is known of a path, because it turned out to be wrong.
    pub fn forget(&self, path: &StorePath) {
        let hash = path.hash_part();
        self.known.lock().remove(hash.as_str());
        if let Some(memo) = &self.memo {
            memo.forget(self.transport.name(), &format!("{}.narinfo", hash.as_str()));
        }
    }

    /// Opens the archive of a path, decompressed while it is read. Not more than its announced size
    /// is given, however much comes.
    pub fn open_nar(&self, info: &NarInfo) -> Result<Box<dyn BufRead + Send>, CacheError> {
        let Some(file) = self.transport.open_file(&info.url)? else {
            self.forget(&info.info.path);
            return Err(CacheError::NoSuchFile {
                file: info.url.clone(),
                cache: self.transport.name().to_owned(),
            });
        };
        let decoded = info
            .compression
            .decode(file)
            .map_err(|e| CacheError::file("decompressing", std::path::Path::new(&info.url), e))?;
        Ok(Box::new(BufReader::with_capacity(
            128 * 1024,
            decoded.take(info.info.nar_size),
        )))
    }

    /// Writes the archive of a path, which must have the hash that is announced.
    fn fetch_archive(&self, info: &NarInfo, out: &mut dyn Write) -> Result<(), StoreError> {
        let mut nar = self.open_nar(info)?;
        let mut hasher = Hasher::new(Algorithm::Sha256);
        loop {
            let data = nar.fill_buf()?;
            if data.is_empty() {
                break;
            }
            hasher.update(data);
            out.write_all(data)?;
            let n = data.len();
            nar.consume(n);
        }
        let found = hasher.finish();
        if found != info.info.nar_hash {
            return Err(StoreError::HashMismatch {
                path: self.dir.display(&info.info.path).to_string(),
                specified: info.info.nar_hash.format(crate::hash::Format::Nix32, true),
                found: found.format(crate::hash::Format::Nix32, true),
            });
        }
        Ok(())
    }

    /// Compresses an archive into the cache; the `.narinfo` is not written yet.
    fn upload_nar(
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

    fn publish(&self, mut info: NarInfo) -> Result<(), StoreError> {
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

    fn write_nar_info(&self, info: NarInfo) -> Result<(), StoreError> {
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
    fn spool(contents: Contents<'_>) -> Result<std::fs::File, StoreError> {
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

    fn missing(&self, path: &StorePath) -> StoreError {
        StoreError::InvalidPath(self.dir.display(path).to_string())
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
        name: &str,
        contents: Contents<'_>,
        method: Method,
        algorithm: Algorithm,
        references: &BTreeSet<StorePath>,
        flags: AddFlags,
    ) -> Result<StorePath, StoreError> {
        let mut spool = Self::spool(contents)?;
        let (nar_hash, nar_size) = Hash::of_reader(Algorithm::Sha256, &mut spool)?;
        spool.rewind()?;
        let mut reader = BufReader::new(&spool);
        let (path, address) = compute_path(
            &self.dir,
            name,
            Contents::Nar(&mut reader),
            method,
            algorithm,
            references,
        )?;
        let mut info = PathInfo::new(path.clone(), nar_hash, nar_size);
        info.references.clone_from(references);
        info.content_address = Some(address);
        spool.rewind()?;
        self.add_nar(&info, &mut BufReader::new(spool), flags)?;
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
