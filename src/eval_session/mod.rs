//! An evaluation set up from the settings and options of a command: what the commands that evaluate share.

mod args;
pub mod definition;
mod flake_config;
mod flakes;
mod stats;
mod watching;

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::{Arc, Mutex};

use rx_eval::io::{
    BackedStore, EvalIo, EvalStore, RestrictedIo, Restriction, SystemIo, resolve_expr_path,
};
use rx_eval::outside::{SearchEntry, is_url};
use rx_eval::track::{InputLog, TrackingIo};
use rx_eval::{EvalSettings, Evaluator, Origin, Value, Vm};
use rx_lang::Symbol;
use rx_store::path::StoreDir;
use rx_store::settings::Words;
use rx_store::store::{Store, StoreError};

use crate::cli::{EvalOptions, Invocation};
use crate::ui::{Failure, eval_failure};

/// Bytes of address space for the native stack of an evaluation. Only what is used takes memory.
const NATIVE_STACK: usize = 1 << 30;

/// A thread of evaluation with what the command line gave it.
pub struct EvalSession {
    /// The evaluator.
    pub vm: Vm,
    /// The arguments of `--arg` and its kin.
    pub auto_args: Vec<(Symbol, Value)>,
    /// What the command was called with.
    pub invocation: Invocation,
    store: SharedStore,
}

/// Runs something with an evaluation set up for it, on a stack that is large enough.
pub fn with_session<T>(
    invocation: &Invocation,
    options: &EvalOptions,
    read_only: bool,
    run: impl FnOnce(&mut EvalSession) -> Result<T, Failure>,
) -> Result<T, Failure> {
    run_session(invocation, options, read_only, None, run)
}

/// Like [`with_session`], for an evaluation that knows what its values depend on. It only reads.
pub fn with_tracking_session<T>(
    invocation: &Invocation,
    options: &EvalOptions,
    log: Arc<InputLog>,
    run: impl FnOnce(&mut EvalSession) -> Result<T, Failure>,
) -> Result<T, Failure> {
    run_session(invocation, options, true, Some(log), run)
}

fn run_session<T>(
    invocation: &Invocation,
    options: &EvalOptions,
    read_only: bool,
    log: Option<Arc<InputLog>>,
    run: impl FnOnce(&mut EvalSession) -> Result<T, Failure>,
) -> Result<T, Failure> {
    stacker::grow(NATIVE_STACK, || {
        let mut session = EvalSession::new(invocation, options, read_only, log)?;
        if session.vm.ev.settings.restricted {
            let allowed = session.vm.allow_search_path();
            session.check(allowed)?;
        }
        session.override_flakes(options)?;
        session.auto_args = args::values(&mut session, options)?;
        if options.debugger {
            let debugger = crate::commands::repl::debugger(&session);
            session.vm.set_debugger(debugger);
        }
        watching::begin(&mut session.vm, &invocation.settings)?;
        let evaluating = rx_store::evaluation::begin();
        let result = run(&mut session);
        drop(evaluating);
        let flushed = session.vm.ev.io.store().flush();
        stats::show(&session.vm);
        let profiled = watching::end(&mut session.vm, &invocation.settings);
        let value = result?;
        session.check(flushed)?;
        profiled?;
        Ok(value)
    })
}

impl EvalSession {
    fn new(
        invocation: &Invocation,
        options: &EvalOptions,
        read_only: bool,
        log: Option<Arc<InputLog>>,
    ) -> Result<EvalSession, Failure> {
        let settings = eval_settings(invocation, options)?;
        let store = SharedStore::new(invocation, options);
        let mut machine = SystemIo::new(eval_store(invocation, &store, read_only)?);
        for (name, value) in &options.variables {
            machine = machine.with_variable(name.clone().into(), value.clone().into());
        }
        let machine = Box::new(machine);
        let uris = settings.restricted.then(|| settings.allowed_uris.clone());
        let io: Box<dyn EvalIo> = match (settings.pure, settings.restricted) {
            (true, _) => Box::new(RestrictedIo::new(machine, Restriction::Pure, uris)),
            (false, true) => Box::new(RestrictedIo::new(machine, Restriction::Restricted, uris)),
            (false, false) => machine,
        };
        let io: Box<dyn EvalIo> = match &log {
            Some(log) => Box::new(TrackingIo::new(io, Arc::clone(log))),
            None => io,
        };
        let mut vm = Vm::new(Evaluator::new(settings, io, false));
        vm.remember_fetched(&invocation.flakes.fetched);
        if let Some(log) = log {
            vm.track_inputs(log);
        }
        Ok(EvalSession {
            vm,
            auto_args: Vec::new(),
            invocation: invocation.clone(),
            store,
        })
    }

    /// The store that the evaluation writes to.
    pub fn store(&self) -> Result<Arc<dyn Store>, Failure> {
        Ok(self.store.get()?)
    }

    /// The failure that an evaluation error is.
    pub fn failure(&self, error: Box<rx_eval::Error>) -> Failure {
        eval_failure(self.vm.ev, &error)
    }

    /// Passes a result of the evaluator on.
    pub fn check<T>(&self, result: rx_eval::Result<T>) -> Result<T, Failure> {
        result.map_err(|error| self.failure(error))
    }

    /// The value of a text; relative paths in it are relative to the working directory.
    pub fn eval_text(&mut self, origin: Origin, text: &[u8]) -> Result<Value, Failure> {
        let base = self.vm.ev.settings.current_dir.clone();
        let value = self.vm.eval_text(origin, text, &base);
        self.check(value)
    }

    /// The value of the file that an argument names: a path, `<name>`, or `-` for standard input.
    pub fn eval_file(&mut self, argument: &OsStr) -> Result<Value, Failure> {
        let path = self.file_of(argument)?;
        let value = self.vm.eval_file(&path);
        self.check(value)
    }

    /// The file that an argument names, with `default.nix` added to a directory.
    pub fn file_of(&mut self, argument: &OsStr) -> Result<Vec<u8>, Failure> {
        file_of(&mut self.vm, argument)
    }

    /// The path that an argument names: `<name>` is looked up in the search path.
    pub fn lookup_argument(&mut self, argument: &OsStr) -> Result<Vec<u8>, Failure> {
        lookup_argument(&mut self.vm, argument)
    }

    /// What `<name>` means.
    pub fn lookup(&mut self, name: &[u8]) -> Result<Vec<u8>, Failure> {
        lookup(&mut self.vm, name)
    }

    /// The path from the root, without dots.
    pub fn absolute(&self, path: &[u8]) -> Vec<u8> {
        absolute(&self.vm, path)
    }

    /// What opens the store that the evaluation writes to, for who outlives the session.
    pub fn store_opener(&self) -> StoreOpener {
        StoreOpener(self.store.clone())
    }
}

/// Opens the store of a session, once.
#[derive(Clone)]
pub struct StoreOpener(SharedStore);

impl StoreOpener {
    /// The store.
    pub fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        self.0.get()
    }
}

fn checked<T>(vm: &Vm, result: rx_eval::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| eval_failure(vm.ev, &error))
}

/// The file that an argument names, with `default.nix` added to a directory.
pub fn file_of(vm: &mut Vm, argument: &OsStr) -> Result<Vec<u8>, Failure> {
    let path = lookup_argument(vm, argument)?;
    let file = resolve_expr_path(&*vm.ev.io, &path);
    checked(vm, file)
}

/// The path that an argument names: `<name>` is looked up in the search path.
pub fn lookup_argument(vm: &mut Vm, argument: &OsStr) -> Result<Vec<u8>, Failure> {
    let text = argument.as_bytes();
    if let Ok(url) = std::str::from_utf8(text) {
        if is_url(url) {
            let root = vm.fetch_search_root(url);
            return checked(vm, root);
        }
        if let Some(reference) = url.strip_prefix("flake:") {
            let root = vm.fetch_flake_root(reference);
            return checked(vm, root);
        }
    }
    if let [b'<', name @ .., b'>'] = text
        && !name.is_empty()
    {
        return lookup(vm, name);
    }
    Ok(absolute(vm, text))
}

/// What `<name>` means.
pub fn lookup(vm: &mut Vm, name: &[u8]) -> Result<Vec<u8>, Failure> {
    let entries = vm.ev.settings.search_path.clone();
    let found = vm.find_file(&entries, name, rx_eval::Pos::NONE);
    checked(vm, found)
}

/// The path from the root, without dots.
pub fn absolute(vm: &Vm, path: &[u8]) -> Vec<u8> {
    if path.first() == Some(&b'/') {
        rx_eval::compile::canonical(path)
    } else {
        let dir = &vm.ev.settings.current_dir;
        rx_eval::compile::canonical(&[dir, &b"/"[..], path].concat())
    }
}

/// The store of a run, opened when it is first needed.
#[derive(Clone)]
struct SharedStore {
    /// `--eval-store`
    address: Option<String>,
    settings: Arc<rx_store::settings::Settings>,
    opened: Arc<Mutex<Option<Arc<dyn Store>>>>,
}

impl SharedStore {
    fn new(invocation: &Invocation, options: &EvalOptions) -> SharedStore {
        let address = options.eval_store.as_ref();
        SharedStore {
            address: address.map(|address| address.to_string_lossy().into_owned()),
            settings: invocation.settings.clone(),
            opened: Arc::default(),
        }
    }

    fn get(&self) -> Result<Arc<dyn Store>, StoreError> {
        let mut opened = self
            .opened
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(store) = &*opened {
            return Ok(Arc::clone(store));
        }
        let address = self.address.as_ref().unwrap_or(&self.settings.store);
        let store = rx_store::open::open(&self.settings, address)?;
        *opened = Some(Arc::clone(&store));
        Ok(store)
    }
}

fn eval_store(
    invocation: &Invocation,
    store: &SharedStore,
    read_only: bool,
) -> Result<Box<dyn EvalStore>, Failure> {
    let dir = StoreDir::new(store_dir(&invocation.settings))?;
    let elsewhere = store.address.is_some();
    let store = store.clone();
    let open = Box::new(move || store.get());
    let mut backed = BackedStore::new(dir, read_only, invocation.settings.clone(), open);
    if elsewhere {
        let settings = invocation.settings.clone();
        backed = backed.building_in(Box::new(move || rx_store::open::open_default(&settings)));
    }
    Ok(Box::new(backed))
}

/// The directory of store paths: the store's own, if its address names one.
fn store_dir(settings: &rx_store::settings::Settings) -> Vec<u8> {
    rx_store::store::address::StoreAddress::parse(&settings.store)
        .ok()
        .and_then(|address| address.params.get("store").cloned())
        .map_or_else(
            || settings.places.store_dir.as_os_str().as_bytes().to_vec(),
            String::into_bytes,
        )
}

fn eval_settings(invocation: &Invocation, options: &EvalOptions) -> Result<EvalSettings, Failure> {
    let settings = &invocation.settings;
    let mut search_path = Vec::new();
    if !settings.pure_eval {
        let channels = if settings.restrict_eval {
            Words::default()
        } else {
            settings.places.default_nix_path()
        };
        let words = options
            .include
            .iter()
            .chain(&settings.nix_path.0)
            .chain(&channels.0);
        search_path.extend(words.map(|word| SearchEntry::parse(word.as_bytes())));
    }
    Ok(EvalSettings {
        max_call_depth: settings.max_call_depth,
        syntax: crate::commands::parse::parse_options(settings),
        pure: settings.pure_eval,
        restricted: settings.restrict_eval,
        import_from_derivation: settings.allow_import_from_derivation,
        trace_verbose: settings.trace_verbose,
        trace_import_from_derivation: settings.trace_import_from_derivation,
        abort_on_warn: settings.abort_on_warn,
        allowed_uris: settings.allowed_uris.clone(),
        system: settings.current_system().to_owned(),
        features: settings
            .experimental_features
            .iter()
            .map(|feature| feature.name().to_owned())
            .collect(),
        // What is pure cannot depend on whose home it is.
        home: (!settings.pure_eval).then(|| settings.places.home.as_os_str().as_bytes().to_vec()),
        store_dir: store_dir(settings),
        search_path,
        exact: options.exact,
        debugger: options.debugger,
        ignore_try: settings.ignore_try,
        debugger_on_trace: settings.debugger_on_trace,
        debugger_on_warn: settings.debugger_on_warn,
        current_dir: match options.base_dir.as_ref().or(invocation.base_dir.as_ref()) {
            Some(directory) => directory.clone(),
            None => std::env::current_dir()?,
        }
        .into_os_string()
        .into_vec(),
        ..EvalSettings::default()
    })
}
