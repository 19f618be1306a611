//! The outside, with a note of all that is looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use rx_store::path::StorePath;

use super::input::{self, Input, InputKind, State};
use crate::error::Result;
use crate::io::{EvalIo, EvalStore, FileKind, Listing, TreeSource, is_internal};

/// What was looked at, with numbers for the inputs in the order in which they came up.
#[derive(Debug, Default)]
pub struct InputLog {
    has_pending: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    numbers: FxHashMap<Input, u32>,
    inputs: Vec<(Input, State)>,
    /// Inputs that are in the base; they get numbers but are not reported.
    base: FxHashSet<Input>,
    in_base: Vec<bool>,
    pending: Vec<u32>,
}

impl InputLog {
    /// A log that does not report inputs of the base.
    pub fn new(base: impl IntoIterator<Item = Input>) -> Arc<InputLog> {
        let log = InputLog::default();
        log.inner.lock().base.extend(base);
        Arc::new(log)
    }

    /// Counts more inputs to the base from now on.
    pub fn extend_base(&self, numbers: &[u32]) {
        let mut inner = self.inner.lock();
        for &number in numbers {
            inner.in_base[number as usize] = true;
        }
    }

    /// The inputs from number `from` on, with whether they are in the base.
    pub fn inputs_from(&self, from: usize) -> Vec<(Input, State, bool)> {
        let inner = self.inner.lock();
        let all = inner.inputs.iter().zip(&inner.in_base).skip(from);
        all.map(|((input, state), base)| (input.clone(), *state, *base))
            .collect()
    }

    #[inline]
    pub(super) fn has_pending(&self) -> bool {
        self.has_pending.load(Ordering::Relaxed)
    }

    pub(super) fn take_pending(&self) -> Vec<u32> {
        self.has_pending.store(false, Ordering::Relaxed);
        std::mem::take(&mut self.inner.lock().pending)
    }

    /// Notes that something was looked at whose state is known; the first state counts.
    fn note(&self, kind: InputKind, path: &[u8], state: impl FnOnce(&Input) -> State) {
        let input = Input::new(kind, path);
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let number = match inner.numbers.get(&input) {
            Some(&number) => number,
            None => {
                let number = inner.inputs.len() as u32;
                let state = state(&input);
                inner.in_base.push(inner.base.contains(&input));
                inner.inputs.push((input.clone(), state));
                inner.numbers.insert(input, number);
                number
            }
        };
        if !inner.in_base[number as usize] {
            inner.pending.push(number);
            self.has_pending.store(true, Ordering::Relaxed);
        }
    }

    fn note_quick(&self, kind: InputKind, path: &[u8]) {
        self.note(kind, path, |input| State {
            quick: input.quick(),
            contents: 0,
        });
    }

    pub(super) fn note_volatile(&self) {
        self.note(InputKind::Volatile, b"", |_| State::default());
    }
}

/// Another outside; what is looked at goes into a log. The store does not change, so it is not noted.
pub struct TrackingIo {
    inner: Box<dyn EvalIo>,
    log: Arc<InputLog>,
    /// The store directory with a slash.
    store_prefix: Vec<u8>,
}

impl TrackingIo {
    /// `inner` with notes in `log`.
    pub fn new(inner: Box<dyn EvalIo>, log: Arc<InputLog>) -> TrackingIo {
        let store_prefix = [inner.store().dir().as_bytes(), b"/"].concat();
        TrackingIo {
            inner,
            log,
            store_prefix,
        }
    }

    fn is_fixed(&self, path: &[u8]) -> bool {
        path.starts_with(&self.store_prefix) || is_internal(path)
    }

    /// Notes that a path leads where it says because the directories on it are no links.
    fn note_directories(&self, path: &[u8]) {
        let mut at = path;
        while let Some(slash) = memchr::memrchr(b'/', at).filter(|slash| *slash > 0) {
            at = &at[..slash];
            self.log.note_quick(InputKind::Kind, at);
        }
    }
}

impl EvalIo for TrackingIo {
    fn read_file(&self, path: &[u8]) -> Result<Vec<u8>> {
        if self.is_fixed(path) {
            return self.inner.read_file(path);
        }
        // What is said about the file is older than what is read of it: a change in between shows.
        let quick = Input::new(InputKind::Contents, path).quick();
        let result = self.inner.read_file(path);
        self.log.note(InputKind::Contents, path, |_| State {
            quick,
            contents: result.as_deref().map_or(0, input::hash_contents),
        });
        result
    }

    fn read_dir(&self, path: &[u8]) -> Result<Arc<Listing>> {
        if self.is_fixed(path) {
            return self.inner.read_dir(path);
        }
        let quick = Input::new(InputKind::Listing, path).quick();
        let result = self.inner.read_dir(path);
        self.log.note(InputKind::Listing, path, |_| State {
            quick,
            contents: result
                .as_ref()
                .map_or(0, |listing| input::hash_listing(listing)),
        });
        result
    }

    fn kind(&self, path: &[u8]) -> Result<Option<FileKind>> {
        let result = self.inner.kind(path);
        if !self.is_fixed(path)
            && let Ok(kind) = &result
        {
            self.log.note(InputKind::Kind, path, |_| State {
                quick: input::quick_of_kind(*kind),
                contents: 0,
            });
        }
        result
    }

    fn resolve(&self, path: &[u8]) -> Result<Vec<u8>> {
        let result = self.inner.resolve(path);
        if self.is_fixed(path) {
            return result;
        }
        match &result {
            Ok(found) if found == path => self.note_directories(path),
            _ => self.log.note_quick(InputKind::Link, path),
        }
        result
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        if !self.is_fixed(path) {
            self.log.note_quick(InputKind::Tree, path);
        }
        self.inner.read_link(path)
    }

    fn env(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.log.note_quick(InputKind::Variable, name);
        self.inner.env(name)
    }

    fn now(&self) -> i64 {
        // The clock is no input: whoever asks for the time of the evaluation does not ask for another every second.
        self.inner.now()
    }

    fn warn(&self, message: &str) {
        self.inner.warn(message);
    }

    fn store(&self) -> &dyn EvalStore {
        self.inner.store()
    }

    fn check_access(&self, path: &[u8]) -> Result<()> {
        self.inner.check_access(path)
    }

    fn check_uri(&self, uri: &str) -> Result<()> {
        self.inner.check_uri(uri)
    }

    fn allow(&self, path: &[u8]) {
        self.inner.allow(path);
    }

    fn add_tree(&self, source: &mut TreeSource<'_>) -> Result<StorePath> {
        self.used(InputKind::Tree, source.path);
        self.inner.add_tree(source)
    }

    fn used(&self, kind: InputKind, path: &[u8]) {
        match kind {
            InputKind::Volatile => self.log.note_volatile(),
            // It has been read before, or its evaluation would not be remembered.
            _ if self.is_fixed(path) => {}
            _ => self.log.note_quick(kind, path),
        }
    }
}
