//! What evaluator threads share: sources, settings, imported files, the outside.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use rx_lang::symbol::Symbol;
use rx_store::derivation::HashModulo;
use rx_store::fetch::input::{Fetched, Input, Provenance};
use rx_store::path::{StoreDir, StorePath};

use crate::compile::Rejected;
use crate::error::{Error, ErrorKind, Result};
use crate::heap::Word;
use crate::io::EvalIo;
use crate::source::{Origin, Pos, Source, Sources};
use crate::track::InputKind;
use crate::value::{Attrs, ContextElement, Value};
use crate::vm::Vm;

/// Settings that evaluation looks at.
#[derive(Clone, Debug)]
pub struct EvalSettings {
    /// `max-call-depth`
    pub max_call_depth: u32,
    /// Bytes that values of one evaluator thread may take.
    pub max_heap: usize,
    /// What programs may look like: experimental features and lints.
    pub syntax: rx_lang::ParseOptions<'static>,
    /// `pure-eval`
    pub pure: bool,
    /// `restrict-eval`
    pub restricted: bool,
    /// `allow-import-from-derivation`
    pub import_from_derivation: bool,
    /// `trace-verbose`
    pub trace_verbose: bool,
    /// `trace-import-from-derivation`
    pub trace_import_from_derivation: bool,
    /// `abort-on-warn`
    pub abort_on_warn: bool,
    /// `allowed-uris`
    pub allowed_uris: Vec<String>,
    /// What `builtins.currentSystem` says.
    pub system: String,
    /// Enabled experimental features.
    pub features: Vec<String>,
    /// Paths under `~/` in programs.
    pub home: Option<Vec<u8>>,
    /// `/nix/store` unless told otherwise.
    pub store_dir: Vec<u8>,
    /// What `<…>` looks through: `-I`, `NIX_PATH`, the setting `nix-path`.
    pub search_path: Vec<crate::outside::SearchEntry>,
    /// Whether exactly what the reference delays is delayed, for values that are printed unevaluated.
    pub exact: bool,
    /// `--debugger`: code is compiled so that a debugger can look into it.
    pub debugger: bool,
    /// `ignore-try`: nothing stops inside `builtins.tryEval`.
    pub ignore_try: bool,
    /// `debugger-on-trace`
    pub debugger_on_trace: bool,
    /// `debugger-on-warn`
    pub debugger_on_warn: bool,
    /// What relative elements of the search path are relative to.
    pub current_dir: Vec<u8>,
}

impl Default for EvalSettings {
    fn default() -> Self {
        EvalSettings {
            max_call_depth: 10_000,
            max_heap: crate::heap::DEFAULT_LIMIT,
            syntax: rx_lang::ParseOptions::default(),
            pure: false,
            restricted: false,
            import_from_derivation: true,
            trace_verbose: false,
            trace_import_from_derivation: false,
            abort_on_warn: false,
            allowed_uris: Vec::new(),
            system: "x86_64-linux".to_owned(),
            features: Vec::new(),
            home: None,
            store_dir: b"/nix/store".to_vec(),
            search_path: Vec::new(),
            exact: false,
            debugger: false,
            ignore_try: false,
            debugger_on_trace: false,
            debugger_on_warn: false,
            current_dir: b"/".to_vec(),
        }
    }
}

/// The shared state of an evaluation. It lives as long as the process, as the values do.
pub struct Evaluator {
    /// The files that have been read.
    pub sources: Sources,
    /// Settings.
    pub settings: EvalSettings,
    /// The outside.
    pub io: Box<dyn EvalIo>,
    /// Whether several threads evaluate.
    pub shared: bool,
    /// `/nix/store`, or where the store is.
    pub store_dir: StoreDir,
    pub(crate) waits: Waits,
    /// What stands for derivations in those that use them.
    pub(crate) drv_hashes: Mutex<FxHashMap<StorePath, HashModulo>>,
    /// The parsed store paths of context elements, by the address of the element.
    store_paths: Mutex<FxHashMap<usize, &'static StorePath>>,
    pub(crate) globals: OnceLock<FxHashMap<Symbol, Value>>,
    /// Paths that have been copied to the store, with what they became.
    pub(crate) copied: Mutex<FxHashMap<Vec<u8>, (Vec<u8>, crate::value::Context)>>,
    /// Elements of the search path, with where they are.
    pub(crate) search_roots: Mutex<FxHashMap<Vec<u8>, Option<Vec<u8>>>>,
    /// Where fetched trees came from, by their path in the store.
    pub(crate) trees: Mutex<BTreeMap<Vec<u8>, Provenance>>,
    /// Inputs that have been fetched.
    pub(crate) fetched: Mutex<BTreeMap<Input, Fetched>>,
    /// Imported files by canonical path.
    pub(crate) imports: Mutex<FxHashMap<Vec<u8>, &'static Word>>,
}

/// Which evaluator waits for which, to see when they wait for each other.
#[derive(Debug, Default)]
pub(crate) struct Waits(Mutex<FxHashMap<u32, u32>>);

impl Waits {
    /// Notes that `waiter` waits for `owner`; true when that closes a circle.
    pub(crate) fn would_deadlock(&self, waiter: u32, owner: u32) -> bool {
        let mut waits = self.0.lock();
        waits.insert(waiter, owner);
        let mut at = owner;
        for _ in 0..waits.len() {
            match waits.get(&at) {
                Some(&next) if next == waiter => {
                    waits.remove(&waiter);
                    return true;
                }
                Some(&next) => at = next,
                None => return false,
            }
        }
        false
    }

    pub(crate) fn done(&self, waiter: u32) {
        self.0.lock().remove(&waiter);
    }
}

impl Evaluator {
    /// A new evaluation.
    pub fn new(settings: EvalSettings, io: Box<dyn EvalIo>, shared: bool) -> &'static Evaluator {
        let store_dir = StoreDir::new(&settings.store_dir).unwrap_or_default();
        Box::leak(Box::new(Evaluator {
            store_dir,
            drv_hashes: Mutex::default(),
            store_paths: Mutex::default(),
            sources: Sources::default(),
            settings,
            io,
            shared,
            waits: Waits::default(),
            globals: OnceLock::new(),
            copied: Mutex::default(),
            search_roots: Mutex::default(),
            trees: Mutex::default(),
            fetched: Mutex::default(),
            imports: Mutex::default(),
        }))
    }

    /// What stands for a derivation in those that use it.
    pub(crate) fn hash_modulo(&self, path: &StorePath) -> Result<HashModulo> {
        if let Some(&known) = self.drv_hashes.lock().get(path) {
            return Ok(known);
        }
        let derivation = self.io.store().read_derivation(path)?;
        let hash = derivation
            .hash_modulo::<LookupError>(&self.store_dir, &mut |path| {
                self.hash_modulo(path).map_err(LookupError)
            })
            .map_err(|e| e.0)?;
        self.drv_hashes.lock().insert(path.clone(), hash);
        Ok(hash)
    }

    /// The store path at the root of a context element.
    pub(crate) fn store_path_of(
        &self,
        element: &'static ContextElement,
    ) -> Result<&'static StorePath> {
        let key = crate::heap::address_of(element);
        if let Some(&known) = self.store_paths.lock().get(&key) {
            return Ok(known);
        }
        let path = self
            .store_dir
            .parse(element.store_path())
            .map_err(|e| Error::other(e.to_string()))?;
        let path: &'static StorePath = Box::leak(Box::new(path));
        self.store_paths.lock().insert(key, path);
        Ok(path)
    }

    /// Forgets what was read from files, so that it is read again: they may have changed.
    pub fn forget_files(&self) {
        self.imports.lock().clear();
        self.copied.lock().clear();
        self.fetched.lock().clear();
        self.search_roots.lock().clear();
        self.io.forget_files();
    }

    /// Warns the user.
    pub fn warn(&self, message: &str) {
        self.io.warn(message);
    }

    /// Whether an experimental feature is enabled.
    pub fn has_feature(&self, name: &str) -> bool {
        self.settings.features.iter().any(|f| f == name)
    }

    /// A context element as `builtins.getContext` users write it: a path, `=drv`, `!output!drv`.
    pub fn describe_context(&self, element: &ContextElement) -> Vec<u8> {
        match element {
            ContextElement::Opaque(path) => path.to_vec(),
            ContextElement::DrvDeep(path) => [b"=", &**path].concat(),
            ContextElement::Built { drv, output } => {
                [b"!", &**output, b"!", &self.describe_context(drv)].concat()
            }
        }
    }

    /// A context element as messages show it: a path, `drv^output`, `drv (deep)`.
    pub fn show_context(&self, element: &ContextElement) -> Vec<u8> {
        match element {
            ContextElement::Opaque(path) => path.to_vec(),
            ContextElement::DrvDeep(path) => [&**path, b" (deep)"].concat(),
            ContextElement::Built { drv, output } => {
                [&self.show_context(drv), &b"^"[..], output].concat()
            }
        }
    }

    /// Where the tree came from that a path is in, and the rest of the path, without a slash before it.
    pub fn provenance<'a>(&self, path: &'a [u8]) -> Option<(Provenance, &'a [u8])> {
        let (object, rest) = self.store_dir.split(path).ok()?;
        let trees = self.trees.lock();
        let tree = trees.get(&self.store_dir.print(&object))?;
        let rest = &path[path.len() - rest.len()..];
        Some((tree.clone(), rest.strip_prefix(b"/").unwrap_or(rest)))
    }

    /// A path as people know it: files of a fetched tree where they came from.
    pub fn shown_path(&self, path: &[u8]) -> Vec<u8> {
        match self.provenance(path) {
            Some((tree, [])) => tree.shown.into_bytes(),
            Some((tree, rest)) => [tree.shown.as_bytes(), b"/", rest].concat(),
            None => path.to_vec(),
        }
    }

    /// `FILE:LINE:COLUMN`, as messages name places.
    pub fn describe_pos(&self, pos: Pos) -> Vec<u8> {
        let Some(at) = self.sources.locate(pos) else {
            return b"undefined position".to_vec();
        };
        let mut text = match &at.source.origin {
            Origin::File(path) => self.shown_path(path),
            Origin::String => "«string»".as_bytes().to_vec(),
            Origin::Stdin => "«stdin»".as_bytes().to_vec(),
            Origin::Internal(name) => format!("«nix-internal»/{name}").into_bytes(),
        };
        text.extend(format!(":{}:{}", at.line, at.column).into_bytes());
        text
    }
}

impl Vm {
    /// Parses and compiles a text, giving code that has not run yet.
    pub fn compile(
        &mut self,
        origin: Origin,
        text: Arc<[u8]>,
        base_dir: &[u8],
        extra: Option<&FxHashMap<Symbol, &'static Word>>,
    ) -> Result<crate::compile::Unit> {
        let source = self
            .ev
            .sources
            .add(origin, text)
            .ok_or_else(|| Error::other("more than 4 GiB of source text"))?;
        self.compile_source(&source, base_dir, extra)
    }

    /// Compiles a source that has its positions.
    pub(crate) fn compile_source(
        &mut self,
        source: &Source,
        base_dir: &[u8],
        extra: Option<&FxHashMap<Symbol, &'static Word>>,
    ) -> Result<crate::compile::Unit> {
        let start = std::time::Instant::now();
        let options = rx_lang::ParseOptions {
            interrupted: Some(&rx_store::interrupt::is_set),
            ..self.ev.settings.syntax
        };
        let ast = rx_lang::parse(&source.text, &options)
            .map_err(|failure| syntax_error(source, failure))?;
        for warning in ast.warnings() {
            let (line, column) = source.line_column(warning.range.start);
            self.ev.io.warn(&format!(
                "at {}:{line}:{column}: {}",
                source.origin, warning.message
            ));
        }
        let ev = self.ev;
        let globals = ev.globals.get_or_init(|| crate::builtins::globals(self));
        let environment = crate::compile::Environment {
            globals,
            extra,
            base_dir,
            home: ev.settings.home.as_deref(),
            exact: ev.settings.exact,
            debugger: ev.settings.debugger,
        };
        let parsed = start.elapsed().as_micros() as u64;
        let unit = crate::compile::compile(&ast, source, &environment, &mut self.heap)
            .map_err(rejected)?;
        self.stats.compile_micros += start.elapsed().as_micros() as u64 - parsed;
        self.stats.expressions += ast.len() as u64;
        self.stats.files += 1;
        self.stats.parsed_bytes += source.text.len() as u64;
        self.stats.parse_micros += start.elapsed().as_micros() as u64;
        Ok(unit)
    }

    /// Runs compiled code.
    pub fn run_unit(&mut self, unit: crate::compile::Unit) -> Result {
        let fp = self.sp;
        self.sp += unit.frame as usize;
        self.stack.ensure(self.sp);
        let result = self.eval_from(unit.body, crate::interp::Env { fp, captures: 0 }, fp);
        self.sp = fp;
        result.map_err(|error| match error.kind {
            // What needs itself stands there alone, as a variable.
            ErrorKind::InfiniteRecursion => error.at(unit.pos),
            _ => error,
        })
    }

    /// Code as a value that is computed when it is needed.
    pub fn delay_unit(&mut self, unit: crate::compile::Unit) -> Value {
        let code: &'static crate::code::ThunkCode =
            Box::leak(Box::new(crate::code::ThunkCode::Eval {
                body: unit.body,
                frame: unit.frame,
            }));
        self.delay_native(code, &[])
    }

    /// The value of an expression given as text.
    pub fn eval_text(&mut self, origin: Origin, text: &[u8], base_dir: &[u8]) -> Result {
        let unit = self.compile(origin, text.into(), base_dir, None)?;
        self.run_unit(unit)
    }

    /// The value of the file at a canonical path that is a file; evaluated once.
    pub fn eval_file(&mut self, path: &[u8]) -> Result {
        let known = self.ev.imports.lock().get(path).copied();
        if let Some(word) = known {
            self.ev.io.used(InputKind::Contents, path);
            return self.force_word(word);
        }
        // What cannot be read or is no program has not been evaluated yet.
        let unit = self.compile_file(path)?;
        self.imported(path, unit)
            .map_err(|error| in_file(error, path))
    }

    fn compile_file(&mut self, path: &[u8]) -> Result<crate::compile::Unit> {
        rx_store::evaluation::file(path);
        let text = self.ev.io.read_file(path)?;
        let dir = path
            .iter()
            .rposition(|&b| b == b'/')
            .map_or(&b"/"[..], |slash| &path[..slash.max(1)]);
        self.compile(Origin::File(path.into()), text.into(), dir, None)
    }

    /// The set that is written down in a file; nothing else may stand there.
    pub(crate) fn eval_set_file(&mut self, path: &[u8]) -> Result<Attrs> {
        let no_set = || {
            let shown = String::from_utf8_lossy(path);
            Error::other(format!("file '{shown}' must be an attribute set"))
        };
        let known = self.ev.imports.lock().get(path).copied();
        let value = match known {
            Some(word) => {
                self.ev.io.used(InputKind::Contents, path);
                self.force_word(word)?
            }
            None => {
                let unit = self.compile_file(path)?;
                if !unit.body.is_set_literal() {
                    return Err(no_set());
                }
                self.imported(path, unit)?
            }
        };
        value.as_attrs().ok_or_else(no_set)
    }

    /// The value of a file's code, which all who import it share.
    fn imported(&mut self, path: &[u8], unit: crate::compile::Unit) -> Result {
        let thunk = self.delay_unit(unit);
        let word: &'static Word = Box::leak(Box::new(Word::new(thunk.word())));
        let word = *self.ev.imports.lock().entry(path.to_vec()).or_insert(word);
        self.force_word(word)
    }
}

#[cold]
fn in_file(error: Box<Error>, path: &[u8]) -> Box<Error> {
    let text = [b"while evaluating the file '".as_slice(), path, b"':"];
    error.frame(Pos::NONE, text.concat())
}

struct LookupError(Box<Error>);

impl From<rx_store::derivation::DerivationError> for LookupError {
    fn from(error: rx_store::derivation::DerivationError) -> Self {
        LookupError(Error::other(error.to_string()))
    }
}

#[cold]
fn syntax_error(source: &Source, failure: rx_lang::ParseFailure) -> Box<Error> {
    match failure {
        rx_lang::ParseFailure::Interrupted => {
            Error::new(ErrorKind::Interrupted, "interrupted by the user")
        }
        rx_lang::ParseFailure::Errors(diagnostics) => {
            let first = diagnostics
                .iter()
                .find(|d| d.severity == rx_lang::diagnostic::Severity::Error)
                .or(diagnostics.first());
            let message = first.map_or_else(String::new, |d| {
                d.full_message(|offset| {
                    let (line, column) = source.line_column(offset);
                    format!("{}:{line}:{column}", source.origin)
                })
            });
            let pos = first.map_or(Pos::NONE, |d| source.pos(d.range.start));
            let mut error = Error::new(ErrorKind::Syntax, message).at(pos);
            error.diagnostics = diagnostics
                .into_iter()
                .map(|d| (source.pos(d.range.start), d))
                .collect();
            error
        }
    }
}

#[cold]
fn rejected(why: Rejected) -> Box<Error> {
    let first = match &why {
        Rejected::TooManyVariables => return Error::other("too many variables"),
        Rejected::Undefined(all) => match all.first() {
            Some(first) => first,
            None => return Error::other("undefined variable"),
        },
    };
    let name = rx_lang::symbol::name(first.name);
    if name == b"~" {
        return Error::other("home-relative paths are not allowed here").at(first.pos);
    }
    Error::new(
        ErrorKind::UndefinedVariable,
        [b"undefined variable '", name, b"'"].concat(),
    )
    .at(first.pos)
    .suggest(first.similar.clone())
}

impl Vm {
    /// The store path of a copy of a file or tree under another name than its own.
    pub fn copy_path_as(&mut self, path: &[u8], name: &[u8]) -> Result<Vec<u8>> {
        let (real, _) = self.real_place(path)?;
        let io = &self.ev.io;
        let added = io.add_tree(&mut crate::io::TreeSource::plain(name, &real))?;
        Ok(self.ev.store_dir.print(&added))
    }

    /// Where something is, links on the way followed but not itself, and its name.
    fn real_place<'a>(&mut self, path: &'a [u8]) -> Result<(Vec<u8>, &'a [u8])> {
        let (parent, name) = match path.iter().rposition(|&b| b == b'/') {
            Some(slash) if slash + 1 < path.len() => (&path[..slash.max(1)], &path[slash + 1..]),
            _ => (path, &b"source"[..]),
        };
        let mut real = self.ev.io.resolve(parent)?;
        if parent.len() < path.len() {
            real = crate::compile::canonical(&[&real, &b"/"[..], name].concat());
        }
        self.must_exist(&real)?;
        Ok((real, name))
    }

    /// Fails for the store's directory: a copy of all in it is not what anybody wants.
    pub(crate) fn not_the_store(&self, path: &[u8]) -> Result<()> {
        if path != self.ev.settings.store_dir.as_slice() {
            return Ok(());
        }
        let message = [b"path '".as_slice(), path, b"/' is not in the Nix store"];
        Err(Error::other(message.concat()))
    }

    /// The store path that a path becomes when it is used in a string, with its context.
    pub fn copy_path_to_store(&mut self, path: &[u8]) -> Result<(Vec<u8>, crate::value::Context)> {
        if let Some(known) = self.ev.copied.lock().get(path) {
            self.ev.io.used(InputKind::Tree, path);
            return Ok(known.clone());
        }
        if path.ends_with(b".drv") {
            return Err(Error::other("file names are not allowed to end in '.drv'"));
        }
        self.not_the_store(path)?;
        let (real, name) = self.real_place(path)?;
        let io = &self.ev.io;
        let added = io.add_tree(&mut crate::io::TreeSource::plain(name, &real))?;
        let store_path = self.ev.store_dir.print(&added);
        io.allow(&store_path);
        let context = crate::value::Context::of(ContextElement::Opaque(store_path.clone().into()));
        self.ev
            .copied
            .lock()
            .insert(path.to_vec(), (store_path.clone(), context));
        Ok((store_path, context))
    }
}
