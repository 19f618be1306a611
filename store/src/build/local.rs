//! Building for the store on this machine's disk: the [`Builder`] of a [`LocalStore`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::backend::{Backend, BackendError};
use super::cancel::Cancel;
use super::job::BuildContext;
use super::plan::Plan;
use super::scheduler::{Outcome, Target, realise};
use crate::cache::{CopyOptions, Fetched, copy_paths};
use crate::derivation::Derivation;
use crate::fetch::download::Downloader;
use crate::hash::{Algorithm, Hasher};
use crate::lock::PathLocks;
use crate::nar;
use crate::path::{StoreDir, StorePath};
use crate::progress::{self, Level};
use crate::settings::Settings;
use crate::store::closure::ClosureOptions;
use crate::store::drv_hash::drv_output;
use crate::store::signature::SecretKey;
use crate::store::{
    AddFlags, BuildMode, Builder, DerivedPath, DrvOutput, LocalStore, Missing, OutputsSpec,
    PathInfo, Realisation, Store, StoreError, Substitutable,
};

/// Where paths are fetched from.
pub trait Source: Send + Sync {
    /// What caches know of paths, as far as they have them.
    fn query(&self, paths: &BTreeSet<StorePath>) -> BTreeMap<StorePath, Substitutable>;

    /// Which of the paths are offered by places that may be asked about many, signed or not.
    fn query_existing(&self, paths: &BTreeSet<StorePath>) -> BTreeSet<StorePath> {
        self.query(paths).into_keys().collect()
    }

    /// Fetches a path whose references are valid.
    fn fetch(
        &self,
        path: &StorePath,
        store: &dyn Store,
        repair: bool,
    ) -> Result<Fetched, StoreError>;

    /// What an output was built to.
    fn realisation(&self, id: &DrvOutput) -> Option<Realisation>;

    /// Whether there is anybody to ask.
    fn has_caches(&self) -> bool {
        true
    }
}

/// No caches at all.
struct NoSource;

impl Source for NoSource {
    fn query(&self, _: &BTreeSet<StorePath>) -> BTreeMap<StorePath, Substitutable> {
        BTreeMap::new()
    }

    fn fetch(&self, _: &StorePath, _: &dyn Store, _: bool) -> Result<Fetched, StoreError> {
        Ok(Fetched::Nowhere)
    }

    fn realisation(&self, _: &DrvOutput) -> Option<Realisation> {
        None
    }

    fn has_caches(&self) -> bool {
        false
    }
}

/// Builds and fetches for a local store.
pub struct LocalBuilder {
    // The store owns its builder.
    store: Weak<LocalStore>,
    settings: Arc<Settings>,
    downloader: Downloader,
    source: Box<dyn Source>,
    eval_store: Mutex<Option<Arc<dyn Store>>>,
}

impl LocalBuilder {
    /// Gives a store its builder, without caches.
    pub fn attach(store: &Arc<LocalStore>, settings: Arc<Settings>) {
        let downloader = Downloader::from_settings(&settings);
        Self::attach_with(store, settings, downloader, Box::new(NoSource));
    }

    /// Gives a store its builder.
    pub fn attach_with(
        store: &Arc<LocalStore>,
        settings: Arc<Settings>,
        downloader: Downloader,
        source: Box<dyn Source>,
    ) {
        let builder = Self {
            store: Arc::downgrade(store),
            settings,
            downloader,
            source,
            eval_store: Mutex::default(),
        };
        store.set_builder(Arc::new(builder));
    }

    fn store(&self) -> Result<Arc<LocalStore>, StoreError> {
        self.store
            .upgrade()
            .ok_or(StoreError::Format("the store is closed"))
    }

    fn backend<'a>(&'a self, store: &'a Arc<LocalStore>) -> LocalBackend<'a> {
        let mut backend = LocalBackend::new(store, &self.settings, &*self.source);
        backend.eval_store.clone_from(&self.eval_store.lock());
        backend
    }

    /// Realises targets and says what became of each.
    pub fn run(&self, targets: &[Target], mode: BuildMode) -> Result<Outcome, StoreError> {
        let store = self.store()?;
        // What is waiting to be registered must be there for builders and other processes.
        store.flush()?;
        let backend = self.backend(&store);
        let cancel = Cancel::default();
        let context = BuildContext {
            store: &backend,
            settings: &self.settings,
            downloader: &self.downloader,
            cancel: &cancel,
        };
        Ok(realise(&context, targets, mode))
    }

    fn run_to_end(&self, targets: &[Target], mode: BuildMode) -> Result<Outcome, StoreError> {
        let store = self.store()?;
        let outcome = self.run(targets, mode)?;
        let failed = outcome.targets.iter().any(|(_, result)| result.is_err());
        if !failed {
            return Ok(outcome);
        }
        let backend = self.backend(&store);
        let summary = outcome.summary(&backend);
        let result = outcome.into_result(&backend);
        if let Some(summary) = summary {
            progress::log(Level::Error, summary);
        }
        match result {
            Ok(()) => Err(StoreError::Format("build failed")),
            Err(error) if error.kind == super::FailureKind::Cancelled => {
                Err(StoreError::Interrupted)
            }
            Err(error) => Err(StoreError::layer(error)),
        }
    }
}

fn target(path: &DerivedPath) -> Target {
    let (drv, outputs) = match path {
        DerivedPath::Opaque(path) => return Target::Path(path.clone()),
        DerivedPath::Built { drv, outputs } => (drv, outputs),
    };
    let outputs = match outputs {
        OutputsSpec::All => None,
        OutputsSpec::Names(names) => Some(names.clone()),
    };
    let chain: Vec<String> = drv.outputs().into_iter().map(str::to_owned).collect();
    let base = drv.base().clone();
    if chain.is_empty() {
        Target::Outputs {
            derivation: base,
            outputs,
        }
    } else {
        Target::Dynamic {
            base,
            chain,
            outputs,
        }
    }
}

impl Builder for LocalBuilder {
    fn build_paths(&self, paths: &[DerivedPath], mode: BuildMode) -> Result<(), StoreError> {
        let targets: Vec<Target> = paths.iter().map(target).collect();
        self.run_to_end(&targets, mode).map(drop)
    }

    fn build_outputs(
        &self,
        paths: &[DerivedPath],
        mode: BuildMode,
    ) -> Result<Vec<BTreeMap<String, StorePath>>, StoreError> {
        let targets: Vec<Target> = paths.iter().map(target).collect();
        let outcome = self.run_to_end(&targets, mode)?;
        let made = outcome.targets.into_iter();
        Ok(made.map(|(_, made)| made.unwrap_or_default()).collect())
    }

    fn ensure_path(&self, path: &StorePath) -> Result<(), StoreError> {
        self.run_to_end(&[Target::Path(path.clone())], BuildMode::Normal)
            .map(drop)
    }

    fn repair_path(&self, path: &StorePath) -> Result<(), StoreError> {
        let store = self.store()?;
        let fetched = self.run(&[Target::Path(path.clone())], BuildMode::Repair)?;
        if fetched.targets.iter().all(|(_, result)| result.is_ok()) {
            return Ok(());
        }
        // No cache has it: build what it came from again.
        let deriver = store
            .query_path_info(path)?
            .and_then(|info| info.deriver.clone());
        match deriver {
            Some(deriver) if store.is_valid(&deriver)? => {
                let target = Target::Outputs {
                    derivation: deriver,
                    outputs: None,
                };
                self.run_to_end(&[target], BuildMode::Repair).map(drop)
            }
            _ => Err(StoreError::layer(super::BuildError::new(
                super::FailureKind::NoSubstituters,
                format!("cannot repair path '{}'", store.dir().display(path)),
            ))),
        }
    }

    fn query_missing(&self, paths: &[DerivedPath]) -> Result<Missing, StoreError> {
        let store = self.store()?;
        Plan::new(
            &store,
            &self.settings,
            &*self.source,
            self.eval_store.lock().clone(),
        )
        .run(paths)
    }

    fn query_substitutable(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeMap<StorePath, Substitutable>, StoreError> {
        Ok(self.source.query(paths))
    }

    fn query_substitutable_paths(
        &self,
        paths: &BTreeSet<StorePath>,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        Ok(self.source.query_existing(paths))
    }

    fn set_eval_store(&self, store: Arc<dyn Store>) {
        *self.eval_store.lock() = Some(store);
    }
}

/// The store that has a path: the first one, or the one that derivations come from.
pub(super) fn home_of<'a>(
    store: &'a LocalStore,
    eval_store: Option<&'a Arc<dyn Store>>,
    path: &StorePath,
) -> Result<Option<&'a dyn Store>, StoreError> {
    if store.is_valid(path)? {
        return Ok(Some(store));
    }
    match eval_store {
        Some(other) if other.is_valid(path)? => Ok(Some(&**other)),
        _ => Ok(None),
    }
}

/// Outputs that are in place and wait for their row in the database.
#[derive(Default)]
struct Pending {
    infos: FxHashMap<StorePath, Arc<PathInfo>>,
    /// In the order in which they were built, with the locks that keep other processes waiting.
    order: VecDeque<(Vec<PathInfo>, PathLocks)>,
    since: Option<Instant>,
}

/// How many builds wait for one transaction at most, and how long.
const BATCH: usize = 100;
const BATCH_TIME: Duration = Duration::from_millis(250);

/// A local store as building sees it.
struct LocalBackend<'a> {
    store: &'a Arc<LocalStore>,
    source: &'a dyn Source,
    keys: Vec<SecretKey>,
    pending: Mutex<Pending>,
    flushing: Mutex<()>,
    good: Mutex<FxHashMap<StorePath, bool>>,
    eval_store: Option<Arc<dyn Store>>,
}

impl<'a> LocalBackend<'a> {
    fn new(store: &'a Arc<LocalStore>, settings: &Settings, source: &'a dyn Source) -> Self {
        let keys = settings
            .secret_key_files
            .iter()
            .filter_map(|file| match std::fs::read_to_string(file) {
                Ok(text) => SecretKey::parse(text.trim()).ok(),
                Err(error) => {
                    progress::warn(format!("cannot read secret key file '{file}': {error}"));
                    None
                }
            })
            .collect();
        Self {
            store,
            source,
            keys,
            pending: Mutex::default(),
            flushing: Mutex::default(),
            good: Mutex::default(),
            eval_store: None,
        }
    }

    /// The store that has a derivation, or the one that is built in.
    fn home_of(&self, path: &StorePath) -> Result<&dyn Store, StoreError> {
        let home = home_of(self.store, self.eval_store.as_ref(), path)?;
        Ok(home.unwrap_or(&**self.store))
    }

    fn signed(&self, info: &PathInfo) -> PathInfo {
        let mut info = info.clone();
        info.ultimate = true;
        for key in &self.keys {
            info.sign(self.store.dir(), key);
        }
        info
    }

    fn pending_info(&self, path: &StorePath) -> Option<Arc<PathInfo>> {
        self.pending.lock().infos.get(path).cloned()
    }
}

impl Backend for LocalBackend<'_> {
    fn dir(&self) -> &StoreDir {
        self.store.dir()
    }

    fn real_dir(&self) -> &Path {
        &self.store.config().real_store_dir
    }

    fn state_dir(&self) -> &Path {
        &self.store.config().state_dir
    }

    fn log_dir(&self) -> &Path {
        &self.store.config().log_dir
    }

    fn is_valid(&self, path: &StorePath) -> Result<bool, BackendError> {
        Ok(self.pending_info(path).is_some() || self.store.is_valid(path)?)
    }

    fn info(&self, path: &StorePath) -> Result<Arc<PathInfo>, BackendError> {
        match self.pending_info(path) {
            Some(info) => Ok(info),
            None => Ok(self.store.path_info(path)?),
        }
    }

    fn closure(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, BackendError> {
        let mut closure = BTreeSet::new();
        let mut registered = BTreeSet::new();
        let mut waiting: Vec<StorePath> = paths.iter().cloned().collect();
        {
            let pending = self.pending.lock();
            while let Some(path) = waiting.pop() {
                match pending.infos.get(&path) {
                    Some(info) => {
                        if closure.insert(path) {
                            waiting.extend(info.references.iter().cloned());
                        }
                    }
                    None => {
                        registered.insert(path);
                    }
                }
            }
        }
        if !registered.is_empty() {
            closure.extend(self.store.closure(&registered, ClosureOptions::default())?);
        }
        Ok(closure)
    }

    fn derivation(&self, path: &StorePath) -> Result<Option<Derivation>, BackendError> {
        if self.pending_info(path).is_some() {
            return Ok(Some(self.store.read_derivation(path)?));
        }
        match home_of(self.store, self.eval_store.as_ref(), path)? {
            Some(home) => Ok(Some(home.read_derivation(path)?)),
            None => Ok(None),
        }
    }

    fn bring(&self, path: &StorePath) -> Result<bool, BackendError> {
        let Some(from) = &self.eval_store else {
            return Ok(false);
        };
        if !from.is_valid(path)? {
            return Ok(false);
        }
        let paths = from.closure(&BTreeSet::from([path.clone()]), ClosureOptions::default())?;
        let options = CopyOptions {
            check_signatures: false,
            ..CopyOptions::default()
        };
        let store: &LocalStore = self.store;
        copy_paths(&**from, store, &paths, options)?;
        Ok(true)
    }

    fn write_derivation(&self, derivation: &Derivation) -> Result<StorePath, BackendError> {
        let path = self
            .store
            .write_derivation(derivation, AddFlags::default())?;
        self.store.flush()?;
        Ok(path)
    }

    fn register(&self, paths: &[PathInfo]) -> Result<(), BackendError> {
        // What these refer to may itself still wait.
        self.flush()?;
        let paths: Vec<PathInfo> = paths.iter().map(|info| self.signed(info)).collect();
        self.store.register_valid_paths(&paths)?;
        let mut good = self.good.lock();
        for info in &paths {
            good.insert(info.path.clone(), true);
        }
        Ok(())
    }

    fn register_later(&self, paths: Vec<PathInfo>, locks: PathLocks) -> Result<(), BackendError> {
        let mut pending = self.pending.lock();
        for info in &paths {
            pending
                .infos
                .insert(info.path.clone(), Arc::new(info.clone()));
        }
        pending.order.push_back((paths, locks));
        pending.since.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn flush(&self) -> Result<(), BackendError> {
        // One at a time: whoever waits here finds its paths registered by the other.
        let _flushing = self.flushing.lock();
        let batch = {
            let mut pending = self.pending.lock();
            pending.since = None;
            std::mem::take(&mut pending.order)
        };
        if batch.is_empty() {
            return Ok(());
        }
        let infos: Vec<PathInfo> = batch
            .iter()
            .flat_map(|(infos, _)| infos)
            .map(|info| self.signed(info))
            .collect();
        let result = self.store.register_valid_paths(&infos);
        let mut pending = self.pending.lock();
        for info in &infos {
            pending.infos.remove(&info.path);
        }
        result?;
        Ok(())
    }

    fn collection_is_due(&self) -> bool {
        self.store.auto_gc_is_due()
    }

    fn collect_garbage(&self) {
        if let Err(error) = self.store.auto_gc() {
            progress::warn(format!("automatic garbage collection failed: {error}"));
        }
    }

    fn flush_is_due(&self) -> bool {
        let pending = self.pending.lock();
        pending.order.len() >= BATCH
            || pending
                .since
                .is_some_and(|since| since.elapsed() >= BATCH_TIME)
    }

    fn add_temporary_root(&self, path: &StorePath) -> Result<(), BackendError> {
        Ok(self.store.add_temp_root(path)?)
    }

    fn optimise(&self, path: &StorePath) -> Result<(), BackendError> {
        if self.store.config().auto_optimise {
            self.store.optimise_new_path(&self.store.physical(path))?;
        }
        Ok(())
    }

    fn realisation(
        &self,
        derivation: &StorePath,
        output: &str,
    ) -> Result<Option<StorePath>, BackendError> {
        if !self.store.config().ca_derivations {
            return Ok(None);
        }
        let id = drv_output(self.home_of(derivation)?, derivation, output)?;
        Ok(self
            .store
            .query_realisation(&id)?
            .map(|realisation| realisation.out_path))
    }

    fn register_realisation(
        &self,
        derivation: &StorePath,
        output: &str,
        path: &StorePath,
    ) -> Result<(), BackendError> {
        if !self.store.config().ca_derivations {
            return Ok(());
        }
        self.flush()?;
        let id = drv_output(self.home_of(derivation)?, derivation, output)?;
        let mut realisation = Realisation::new(id, path.clone());
        for key in &self.keys {
            realisation.sign(key);
        }
        Ok(self.store.register_realisation(&realisation, false)?)
    }

    fn contents_are_good(&self, path: &StorePath) -> Result<bool, BackendError> {
        if let Some(&good) = self.good.lock().get(path) {
            return Ok(good);
        }
        let shown = self.store.dir().display(path).to_string();
        progress::info(format!("checking path '{shown}'..."));
        let info = self.info(path)?;
        let good = nar::dump(&self.store.physical(path), HashWriter::new())
            .is_ok_and(|writer| writer.0.finish() == info.nar_hash);
        if !good {
            progress::log(
                Level::Error,
                format!("path '{shown}' is corrupted or missing!"),
            );
        }
        self.good.lock().insert(path.clone(), good);
        Ok(good)
    }

    fn has_caches(&self) -> bool {
        self.source.has_caches()
    }

    fn find_substitute(
        &self,
        path: &StorePath,
    ) -> Result<Option<BTreeSet<StorePath>>, BackendError> {
        Ok(self
            .source
            .query(&BTreeSet::from([path.clone()]))
            .remove(path)
            .map(|known| known.references))
    }

    fn substitute(&self, path: &StorePath, repair: bool) -> Result<Fetched, BackendError> {
        let store: &LocalStore = self.store;
        let fetched = self.source.fetch(path, store, repair)?;
        if fetched == Fetched::Done {
            self.good.lock().insert(path.clone(), true);
        }
        Ok(fetched)
    }

    fn find_realisation(
        &self,
        derivation: &StorePath,
        output: &str,
    ) -> Result<Option<StorePath>, BackendError> {
        let id = drv_output(self.home_of(derivation)?, derivation, output)?;
        Ok(self
            .source
            .realisation(&id)
            .map(|realisation| realisation.out_path))
    }
}

struct HashWriter(Hasher);

impl HashWriter {
    fn new() -> Self {
        Self(Hasher::new(Algorithm::Sha256))
    }
}

impl Write for HashWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
