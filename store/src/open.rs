//! Opening the store that a text names, with everything it needs to build and fetch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::build::{LocalBuilder, Source};
use crate::cache::{BinaryCacheStore, Fetched, Substituters};
use crate::fetch::download::Downloader;
use crate::path::{StoreDir, StorePath};
use crate::settings::Settings;
use crate::store::address::{AddressError, StoreAddress, Target};
use crate::store::{
    DrvOutput, LocalConfig, LocalStore, MemoryStore, Realisation, Store, StoreError, Substitutable,
};

/// Opens the store of the setting `store`.
pub fn open_default(settings: &Arc<Settings>) -> Result<Arc<dyn Store>, StoreError> {
    open(settings, &settings.store)
}

/// Opens the store that `text` names: `auto`, `local`, a directory, or a binary cache.
pub fn open(settings: &Arc<Settings>, text: &str) -> Result<Arc<dyn Store>, StoreError> {
    let address = StoreAddress::parse(text)?;
    match &address.target {
        Target::Auto | Target::Local(_) => Ok(open_local(settings, &address)?),
        Target::Scheme { scheme, .. }
            if matches!(scheme.as_str(), "file" | "http" | "https" | "s3") =>
        {
            use std::os::unix::ffi::OsStrExt;
            let dir = StoreDir::new(settings.places.store_dir.as_os_str().as_bytes())?;
            let downloader = Downloader::from_settings(settings);
            let cache = BinaryCacheStore::open(text, dir, &downloader, None)?;
            Ok(Arc::new(cache))
        }
        Target::Scheme { scheme, .. } if scheme == "dummy" => {
            use std::os::unix::ffi::OsStrExt;
            let dir = settings.places.store_dir.as_os_str().as_bytes();
            Ok(Arc::new(MemoryStore::dummy(StoreDir::new(dir)?, &address)?))
        }
        Target::Daemon(_) | Target::Scheme { .. } => {
            Err(AddressError::Unknown(text.to_owned()).into())
        }
    }
}

/// Opens a store on this machine's disk; it can build and fetch.
pub fn open_local(
    settings: &Arc<Settings>,
    address: &StoreAddress,
) -> Result<Arc<LocalStore>, StoreError> {
    let store = Arc::new(LocalStore::open(LocalConfig::from_settings(
        settings, address,
    )?)?);
    let downloader = Downloader::from_settings(settings);
    let source = LazySource {
        settings: Arc::clone(settings),
        dir: store.dir().clone(),
        downloader: downloader.clone(),
        opened: std::sync::OnceLock::new(),
    };
    LocalBuilder::attach_with(&store, Arc::clone(settings), downloader, Box::new(source));
    Ok(store)
}

/// The user's caches, opened when the first path is missing: most runs need none.
struct LazySource {
    settings: Arc<Settings>,
    dir: StoreDir,
    downloader: Downloader,
    opened: std::sync::OnceLock<Substituters>,
}

impl LazySource {
    fn caches(&self) -> &Substituters {
        self.opened.get_or_init(|| {
            Substituters::from_settings(&self.settings, &self.dir, &self.downloader)
        })
    }
}

impl Source for LazySource {
    fn query(&self, paths: &BTreeSet<StorePath>) -> BTreeMap<StorePath, Substitutable> {
        self.caches()
            .query(paths)
            .into_iter()
            .map(|(path, available)| (path, available.to_substitutable()))
            .collect()
    }

    fn query_existing(&self, paths: &BTreeSet<StorePath>) -> BTreeSet<StorePath> {
        self.caches().query_existing(paths)
    }

    fn fetch(
        &self,
        path: &StorePath,
        store: &dyn Store,
        repair: bool,
    ) -> Result<Fetched, StoreError> {
        self.caches().fetch(path, store, repair)
    }

    fn realisation(&self, id: &DrvOutput) -> Option<Realisation> {
        self.caches().query_realisation(id)
    }

    fn has_caches(&self) -> bool {
        let mut urls = self.settings.substituters.iter();
        self.settings.substitute && urls.any(|url| !url.is_empty())
    }
}
