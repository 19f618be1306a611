//! A real store behind the evaluation: opened when it is first needed, written unless evaluation is read-only.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rx_store::content_address::{ContentAddress, References};
use rx_store::derivation::{Derivation, computed_output_placeholder, upstream_placeholder};
use rx_store::fetch::input::Fetcher;
use rx_store::path::{StoreDir, StorePath};
use rx_store::settings::Settings;
use rx_store::store::{
    AddFlags, Addition, BuildMode, Contents, DerivedPath, OutputsSpec, SingleDerivedPath, Store,
    StoreError,
};

use super::store::object_name;
use super::{ComputedStore, EvalStore, Realised, TreeSource, outside};
use crate::error::{Error, Result};
use crate::value::ContextElement;

/// Opens a store.
pub type OpenStore = Box<dyn Fn() -> std::result::Result<Arc<dyn Store>, StoreError> + Send + Sync>;

/// A [`Store`] as evaluation needs it.
pub struct BackedStore {
    open: OpenStore,
    store: OnceLock<std::result::Result<Arc<dyn Store>, (String, u8)>>,
    /// Where things would be, for an evaluation that writes nothing.
    computed: ComputedStore,
    read_only: bool,
    settings: Arc<Settings>,
    fetcher: OnceLock<Fetcher>,
    /// Where derivations are built when that is not this store.
    build: Option<OpenStore>,
}

impl BackedStore {
    /// The store that `open` opens; with `read_only` only paths are computed.
    pub fn new(
        dir: StoreDir,
        read_only: bool,
        settings: Arc<Settings>,
        open: OpenStore,
    ) -> BackedStore {
        BackedStore {
            open,
            store: OnceLock::new(),
            computed: ComputedStore::new(dir),
            read_only,
            settings,
            fetcher: OnceLock::new(),
            build: None,
        }
    }

    /// Builds what the evaluation needs in another store.
    pub fn building_in(mut self, open: OpenStore) -> BackedStore {
        self.build = Some(open);
        self
    }

    /// The store, opened.
    pub fn store(&self) -> Result<&Arc<dyn Store>> {
        let store = self
            .store
            .get_or_init(|| (self.open)().map_err(|error| (error.to_string(), 1)));
        store.as_ref().map_err(|(message, status)| {
            let mut error = outside(message);
            error.status = *status;
            error
        })
    }

    fn derived(&self, element: &ContextElement) -> Result<SingleDerivedPath> {
        Ok(match element {
            ContextElement::Opaque(path) | ContextElement::DrvDeep(path) => {
                SingleDerivedPath::Opaque(self.dir().parse(path).map_err(outside)?)
            }
            ContextElement::Built { drv, output } => SingleDerivedPath::Built {
                drv: Arc::new(self.derived(drv)?),
                output: String::from_utf8_lossy(output).into_owned(),
            },
        })
    }

    /// Notes where a built output is, and what stood for it if that was not known before.
    fn note_output(
        &self,
        drv: &SingleDerivedPath,
        output: &str,
        path: StorePath,
        realised: &mut Realised,
    ) -> Result<()> {
        let standing = if let SingleDerivedPath::Opaque(known) = drv {
            let derivation = self.store()?.read_derivation(known).map_err(failed)?;
            let written = derivation.output_paths(self.dir()).map_err(outside)?;
            let is_written = written
                .iter()
                .any(|(name, path)| *name == output && path.is_some());
            (!is_written).then(|| upstream_placeholder(known, output))
        } else {
            let mut outputs = drv.outputs();
            outputs.push(output);
            computed_output_placeholder(drv.base(), &outputs)
        };
        if let Some(standing) = standing {
            let printed = self.dir().print(&path);
            realised.rewrites.insert(standing.into_bytes(), printed);
        }
        realised.outputs.push(path);
        Ok(())
    }
}

/// The store's error as one of evaluation.
#[cold]
fn failed(error: StoreError) -> Box<Error> {
    outside(error)
}

fn os(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

impl EvalStore for BackedStore {
    fn dir(&self) -> &StoreDir {
        self.computed.dir()
    }

    fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath> {
        if self.read_only {
            return self.computed.add_text(name, text, references);
        }
        let flags = AddFlags::default();
        self.store()?
            .add_text(name, text, references, flags)
            .map_err(failed)
    }

    fn write_derivation(&self, derivation: &Derivation, _: &StorePath, _: &[u8]) -> Result<()> {
        if !self.read_only {
            self.store()?
                .write_derivation(derivation, AddFlags::default())
                .map_err(failed)?;
        }
        Ok(())
    }

    fn read_derivation(&self, path: &StorePath) -> Result<Derivation> {
        let store = self.store()?;
        store.read_derivation(path).map_err(|error| {
            if !matches!(store.is_valid(path), Ok(false)) {
                return failed(error);
            }
            let shown = self.dir().display(path);
            outside(format!("path '{shown}' is not a valid store path"))
        })
    }

    fn add_tree(&self, source: &mut TreeSource<'_>) -> Result<StorePath> {
        let name = object_name(source.name)?;
        if let Some(hash) = source.expected {
            let address = ContentAddress {
                method: source.method,
                hash,
            };
            let path = self
                .dir()
                .make_content_path(name, &address, &References::to(source.references.clone()))
                .map_err(outside)?;
            if self.is_valid(&path).unwrap_or(false) {
                return Ok(path);
            }
        }
        if self.read_only {
            return self.computed.add_tree(source);
        }
        let (method, algorithm) = (source.method, source.algorithm);
        let references = std::mem::take(&mut source.references);
        let store = self.store()?;
        let path = os(source.path);
        let add = |contents: Contents<'_>| {
            store.add_to_store(
                Addition {
                    references: &references,
                    ..Addition::new(name, method, algorithm)
                },
                contents,
            )
        };
        let Some(filter) = source.filter.take() else {
            return add(Contents::Path(path)).map_err(failed);
        };
        let mut failure = None;
        let result = add(Contents::Filtered(path, &mut |path, kind| match filter(
            path.as_os_str().as_bytes(),
            kind.into(),
        ) {
            Ok(keep) => Some(keep),
            Err(error) => {
                failure = Some(error);
                None
            }
        }));
        match failure {
            Some(error) => Err(error),
            None => result.map_err(failed),
        }
    }

    fn ensure(&self, path: &StorePath) -> Result<()> {
        if self.read_only {
            return Ok(());
        }
        self.store()?.ensure_path(path).map_err(failed)
    }

    fn is_valid(&self, path: &StorePath) -> Result<bool> {
        self.store()?.is_valid(path).map_err(failed)
    }

    fn references(&self, path: &StorePath) -> Result<BTreeSet<StorePath>> {
        let info = self.store()?.path_info(path).map_err(failed)?;
        Ok(info.references.clone())
    }

    fn closure(&self, path: &StorePath) -> Result<BTreeSet<StorePath>> {
        self.store()?
            .closure(&BTreeSet::from([path.clone()]), Default::default())
            .map_err(failed)
    }

    fn realise(&self, elements: &[&ContextElement]) -> Result<Realised> {
        let store = self.store()?;
        let mut wanted = Vec::new();
        for element in elements {
            let base = self.dir().parse(element.store_path()).map_err(outside)?;
            let known = (self.read_only && self.computed.knows(&base))
                || store.is_valid(&base).map_err(failed)?;
            if !known {
                return Err(outside(format_args!(
                    "path '{}' is not valid",
                    self.dir().display(&base)
                )));
            }
            if let ContextElement::Built { drv, output } = element {
                let output = String::from_utf8_lossy(output).into_owned();
                wanted.push(DerivedPath::Built {
                    drv: Arc::new(self.derived(drv)?),
                    outputs: OutputsSpec::Names(BTreeSet::from([output])),
                });
            }
        }
        let mut realised = Realised::default();
        if wanted.is_empty() {
            return Ok(realised);
        }
        store.flush().map_err(failed)?;
        let build_store = match &self.build {
            None => Arc::clone(store),
            Some(open) => {
                let build_store = open().map_err(failed)?;
                if let Some(builder) = build_store.builder() {
                    builder.set_eval_store(Arc::clone(store));
                }
                build_store
            }
        };
        let made = build_store
            .build_outputs(&wanted, BuildMode::Normal)
            .map_err(failed)?;
        for (wanted, made) in wanted.iter().zip(made) {
            let DerivedPath::Built { drv, .. } = wanted else {
                continue;
            };
            for (output, path) in made {
                self.note_output(drv, &output, path, &mut realised)?;
            }
        }
        Ok(realised)
    }

    fn fetcher(&self) -> Result<&Fetcher> {
        let store = self.store()?;
        Ok(self
            .fetcher
            .get_or_init(|| Fetcher::new(store.clone(), self.settings.clone())))
    }

    fn real_path(&self, path: &[u8]) -> Option<Vec<u8>> {
        let (object, rest) = self.dir().split(path).ok()?;
        let mut real = self
            .store()
            .ok()?
            .real_path(&object)?
            .into_os_string()
            .into_vec();
        use std::os::unix::ffi::OsStrExt;
        real.extend_from_slice(&rest);
        // What is only at the logical place, being of another store, is read there.
        let there = std::path::Path::new(std::ffi::OsStr::from_bytes(&real))
            .symlink_metadata()
            .is_ok();
        (real != path && there).then_some(real)
    }

    fn flush(&self) -> Result<()> {
        match self.store.get() {
            Some(Ok(store)) => store.flush().map_err(failed),
            _ => Ok(()),
        }
    }
}
