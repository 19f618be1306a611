//! A binary cache as a store.
//!
//! | file | what |
//! |---|---|
//! | `options` | parameters of its address |
//! | `upload` | adding to it |
//! | `as_store` | the interface of all stores |

mod as_store;
mod options;
mod upload;

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

pub use self::options::CacheOptions;
use super::info::CacheInfo;
use super::memo::LookupMemo;
use super::narinfo::{MAX_SIZE, NarInfo};
use super::transport::{CacheError, Transport};
use crate::derivation::HashModulo;
use crate::fetch::download::{Downloader, Upload};
use crate::fetch::url::Url;
use crate::hash::{Algorithm, Hasher};
use crate::path::{StoreDir, StorePath};
use crate::progress::{Activity, ActivityKind, Level};
use crate::store::StoreError;

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

    fn missing(&self, path: &StorePath) -> StoreError {
        StoreError::InvalidPath(self.dir.display(path).to_string())
    }
}
