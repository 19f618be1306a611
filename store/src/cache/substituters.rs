//! All caches of the user together: who has a path, and fetching it.
//!
//! A cache that fails is never the end: the next one is asked, and in the end the caller builds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::binary::BinaryCacheStore;
use super::memo::LookupMemo;
use super::narinfo::NarInfo;
use super::transport::CacheError;
use crate::fetch::download::Downloader;
use crate::path::{StoreDir, StorePath};
use crate::progress::{self, Activity, ActivityKind, Level};
use crate::settings::Settings;
use crate::store::signature::PublicKeys;
use crate::store::{AddFlags, DrvOutput, PathInfo, Realisation, Store, StoreError, Substitutable};

/// Caches are asked about so many paths at the same time.
const QUESTIONS_AT_ONCE: usize = 16;

/// A place to fetch from.
#[derive(Clone)]
enum Source {
    Cache(Arc<BinaryCacheStore>),
    /// A store of another kind, with whether its paths are trusted without signature.
    Store(Arc<dyn Store>, bool),
}

impl Source {
    fn url(&self) -> String {
        match self {
            Source::Cache(cache) => cache.url(),
            Source::Store(store, _) => store.url(),
        }
    }

    fn is_resting(&self) -> bool {
        match self {
            Source::Cache(cache) => cache.transport().is_resting(),
            Source::Store(..) => false,
        }
    }

    fn is_trusted(&self) -> bool {
        match self {
            Source::Cache(cache) => cache.options().trusted,
            Source::Store(_, trusted) => *trusted,
        }
    }
}

/// A path that can be fetched.
#[derive(Clone)]
pub struct Available {
    source: Source,
    nar_info: Option<Arc<NarInfo>>,
    /// What the cache knows of it.
    pub info: Arc<PathInfo>,
}

impl Available {
    /// Bytes to download; 0 when not known.
    pub fn download_size(&self) -> u64 {
        self.nar_info.as_ref().map_or(0, |info| info.file_size)
    }

    /// The cache that has it.
    pub fn cache(&self) -> String {
        self.source.url()
    }

    /// The same as the store interface tells it.
    pub fn to_substitutable(&self) -> Substitutable {
        Substitutable {
            deriver: self.info.deriver.clone(),
            references: self.info.references.clone(),
            download_size: self.download_size(),
            nar_size: self.info.nar_size,
        }
    }
}

/// How the attempt to fetch a path ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The path is valid now.
    Done,
    /// No cache has it, or those that promised it have lost its archive, as collected caches do: it may be built.
    Nowhere,
    /// A cache has it and could not give it. What went wrong has been told.
    Failed,
}

/// Whether a cache promised an archive that it does not have.
fn is_gone(error: &StoreError) -> bool {
    matches!(error, StoreError::Layer(inner)
        if matches!(inner.downcast_ref(), Some(CacheError::NoSuchFile { .. })))
}

/// All caches of the user, the preferred first.
pub struct Substituters {
    dir: StoreDir,
    sources: Mutex<Vec<Source>>,
    sorted: Mutex<bool>,
    keys: PublicKeys,
    require_signatures: bool,
}

impl Substituters {
    /// The caches in the setting `substituters`. One that cannot be opened is left out with a warning.
    pub fn from_settings(settings: &Settings, dir: &StoreDir, downloader: &Downloader) -> Self {
        let memo = Arc::new(LookupMemo::from_settings(settings));
        let mut sources = Vec::new();
        let mut seen = BTreeSet::new();
        if settings.substitute {
            for url in settings.substituters.iter().filter(|url| !url.is_empty()) {
                match BinaryCacheStore::open(url, dir.clone(), downloader, Some(memo.clone())) {
                    Ok(cache) if seen.insert(cache.url()) => {
                        sources.push(Source::Cache(Arc::new(cache)))
                    }
                    Ok(_) => {}
                    Err(error) => {
                        progress::warn(format_args!("not using substituter '{url}': {error}"))
                    }
                }
            }
        }
        let keys = PublicKeys::parse(settings.trusted_public_keys.iter()).unwrap_or_else(|error| {
            progress::warn(format_args!("setting 'trusted-public-keys': {error}"));
            PublicKeys::default()
        });
        Substituters {
            dir: dir.clone(),
            sources: Mutex::new(sources),
            sorted: Mutex::new(false),
            keys,
            require_signatures: settings.require_sigs,
        }
    }

    /// Adds a store of another kind, behind the caches.
    pub fn add_store(&self, store: Arc<dyn Store>, trusted: bool) {
        self.sources.lock().push(Source::Store(store, trusted));
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.sources.lock().is_empty()
    }

    /// The caches by priority; those that cannot be used are left out.
    fn sources(&self) -> Vec<Source> {
        let mut sorted = self.sorted.lock();
        if !*sorted {
            let sources = self.sources.lock().clone();
            let priorities: Vec<Option<i32>> = std::thread::scope(|scope| {
                let threads: Vec<_> = sources
                    .iter()
                    .map(|source| {
                        scope.spawn(move || match source {
                            Source::Cache(cache) => match cache.priority() {
                                Ok(priority) => Some(priority),
                                Err(error) => {
                                    if !cache.transport().is_resting() {
                                        progress::warn(format_args!(
                                            "not using substituter '{}': {error}",
                                            source.url()
                                        ));
                                    }
                                    None
                                }
                            },
                            Source::Store(..) => Some(super::info::DEFAULT_PRIORITY),
                        })
                    })
                    .collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or(None))
                    .collect()
            });
            let mut usable: Vec<(i32, Source)> = priorities
                .into_iter()
                .zip(sources)
                .filter_map(|(priority, source)| priority.map(|priority| (priority, source)))
                .collect();
            usable.sort_by_key(|(priority, _)| *priority);
            *self.sources.lock() = usable.into_iter().map(|(_, source)| source).collect();
            *sorted = true;
        }
        self.sources.lock().clone()
    }

    fn ask(&self, source: &Source, path: &StorePath) -> Option<Available> {
        let found = match source {
            Source::Cache(cache) => cache
                .nar_info(path)
                .map_err(StoreError::from)
                .map(|found| found.map(|found| (Arc::new(found.info.clone()), Some(found)))),
            Source::Store(store, _) => store
                .query_path_info(path)
                .map(|found| found.map(|info| (info, None))),
        };
        match found {
            Ok(None) => None,
            Ok(Some((info, nar_info))) => {
                if self.is_acceptable(source, &info) {
                    return Some(Available {
                        source: source.clone(),
                        nar_info,
                        info,
                    });
                }
                progress::warn(format_args!(
                    "ignoring substitute for '{}' from '{}', as it's not signed by any of the keys in 'trusted-public-keys'",
                    self.dir.display(path),
                    source.url()
                ));
                None
            }
            Err(error) => {
                // A cache that has just been given up has said so already.
                if !source.is_resting() {
                    progress::warn(format_args!("{error}"));
                }
                None
            }
        }
    }

    fn is_acceptable(&self, source: &Source, info: &PathInfo) -> bool {
        !self.require_signatures
            || source.is_trusted()
            || info.count_valid_signatures(&self.dir, &self.keys) > 0
    }

    /// The first cache that has a path.
    pub fn find(&self, path: &StorePath) -> Option<Available> {
        self.sources().iter().find_map(|source| {
            if source.is_resting() {
                None
            } else {
                self.ask(source, path)
            }
        })
    }

    /// Which of the paths caches have. Many are asked for at the same time.
    pub fn query(&self, paths: &BTreeSet<StorePath>) -> BTreeMap<StorePath, Available> {
        let sources = self.sources();
        if sources.is_empty() {
            return BTreeMap::new();
        }
        let paths: Vec<&StorePath> = paths.iter().collect();
        let next = AtomicUsize::new(0);
        let found = Mutex::new(BTreeMap::new());
        let parent = progress::current_activity();
        let work = || {
            let _ = parent;
            while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                if crate::interrupt::is_set() {
                    break;
                }
                if let Some(available) = self.find(path) {
                    found.lock().insert((*path).clone(), available);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..paths.len().min(QUESTIONS_AT_ONCE) {
                scope.spawn(work);
            }
            work();
        });
        found.into_inner()
    }

    /// Which of the paths caches have, by those that may be asked about many. Whether they are signed does not matter: this
    /// is for lists of what there is.
    pub fn query_existing(&self, paths: &BTreeSet<StorePath>) -> BTreeSet<StorePath> {
        let mut missing = paths.clone();
        for source in self.sources() {
            let asked = match &source {
                Source::Cache(cache) => cache.wants_mass_query().unwrap_or(false),
                Source::Store(..) => true,
            };
            if !asked || source.is_resting() || missing.is_empty() {
                continue;
            }
            let left: Vec<&StorePath> = missing.iter().collect();
            let next = AtomicUsize::new(0);
            let found = Mutex::new(Vec::new());
            let work = || {
                while let Some(path) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if crate::interrupt::is_set() || source.is_resting() {
                        break;
                    }
                    let there = match &source {
                        Source::Cache(cache) => {
                            cache.nar_info(path).is_ok_and(|info| info.is_some())
                        }
                        Source::Store(store, _) => store.is_valid(path).unwrap_or(false),
                    };
                    if there {
                        found.lock().push((*path).clone());
                    }
                }
            };
            std::thread::scope(|scope| {
                for _ in 1..left.len().min(QUESTIONS_AT_ONCE) {
                    scope.spawn(work);
                }
                work();
            });
            for path in found.into_inner() {
                missing.remove(&path);
            }
        }
        paths.difference(&missing).cloned().collect()
    }

    /// The paths with all they refer to, as far as caches have them and `store` does not.
    pub fn query_closure(
        &self,
        store: &dyn Store,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, Available>, StoreError> {
        let mut all = BTreeMap::new();
        let mut asked: BTreeSet<StorePath> = BTreeSet::new();
        let mut todo = paths.clone();
        while !todo.is_empty() {
            crate::interrupt::check()?;
            let valid = store.query_valid(&todo)?;
            let wanted: BTreeSet<StorePath> = todo.difference(&valid).cloned().collect();
            asked.extend(std::mem::take(&mut todo));
            for (path, available) in self.query(&wanted) {
                todo.extend(
                    available
                        .info
                        .references
                        .iter()
                        .filter(|path| !asked.contains(path))
                        .cloned(),
                );
                all.insert(path, available);
            }
        }
        Ok(all)
    }

    /// Fetches one path, whose references are valid in `store`, from the first cache that manages.
    /// What went wrong is told.
    pub fn fetch(
        &self,
        path: &StorePath,
        store: &dyn Store,
        repair: bool,
    ) -> Result<Fetched, StoreError> {
        let mut failed = false;
        for source in self.sources() {
            crate::interrupt::check()?;
            if source.is_resting() {
                continue;
            }
            let Some(available) = self.ask(&source, path) else {
                continue;
            };
            match self.fetch_from(&available, store, repair) {
                Ok(()) => return Ok(Fetched::Done),
                Err(StoreError::Interrupted) => return Err(StoreError::Interrupted),
                Err(error) => {
                    if let Source::Cache(cache) = &source {
                        cache.forget(path);
                    }
                    crate::interrupt::check()?;
                    if is_gone(&error) {
                        progress::warn(format_args!("{error}"));
                        continue;
                    }
                    failed = true;
                    progress::error(&format!(
                        "fetching '{}' from '{}' failed: {error}",
                        self.dir.display(path),
                        source.url()
                    ));
                }
            }
        }
        Ok(if failed {
            Fetched::Failed
        } else {
            Fetched::Nowhere
        })
    }

    /// Fetches a path, whose references are valid in `store`, from where it was found.
    pub fn fetch_from(
        &self,
        available: &Available,
        store: &dyn Store,
        repair: bool,
    ) -> Result<(), StoreError> {
        let shown = self.dir.display(&available.info.path).to_string();
        let url = available.source.url();
        let activity = Activity::start(
            Level::Info,
            ActivityKind::CopyPath,
            format!("copying path '{shown}' from '{url}'"),
            &[
                shown.as_str().into(),
                url.as_str().into(),
                store.url().into(),
            ],
        );
        let _inside = activity.enter();
        let flags = AddFlags {
            repair,
            check_signatures: self.require_signatures && !available.source.is_trusted(),
        };
        let mut info = (*available.info).clone();
        info.ultimate = false;
        match (&available.source, &available.nar_info) {
            (Source::Cache(cache), Some(nar_info)) => {
                let nar = cache.open_nar(nar_info)?;
                let mut nar = super::copy::Metered::new(nar, info.nar_size);
                store.add_nar(&info, &mut nar, flags)
            }
            (Source::Cache(cache), None) => super::copy::copy_path(&**cache, store, &info, flags),
            (Source::Store(from, _), _) => super::copy::copy_path(&**from, store, &info, flags),
        }
    }

    /// What an output was built to, according to a cache.
    pub fn query_realisation(&self, id: &DrvOutput) -> Option<Realisation> {
        self.sources()
            .iter()
            .filter(|source| !source.is_resting())
            .find_map(|source| {
                let answer = match source {
                    Source::Cache(cache) => cache.query_realisation(id),
                    Source::Store(store, _) => store.query_realisation(id),
                };
                let realisation = answer.unwrap_or_else(|error| {
                    progress::warn(format_args!("{error}"));
                    None
                })?;
                let trusted = !self.require_signatures
                    || source.is_trusted()
                    || realisation.is_trusted(&self.keys);
                (trusted && realisation.id == *id).then_some(realisation)
            })
    }

    /// The build log of a derivation or path, from the first cache that has it.
    pub fn build_log(&self, path: &StorePath) -> Option<Vec<u8>> {
        self.sources()
            .iter()
            .filter(|source| !source.is_resting())
            .find_map(|source| {
                let log = match source {
                    Source::Cache(cache) => cache.build_log(path),
                    Source::Store(store, _) => store.build_log(path),
                };
                log.unwrap_or(None)
            })
    }
}
