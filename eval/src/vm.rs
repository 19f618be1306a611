//! One evaluator thread: its heap, its stack of variables, how deep it is, and what it shares with others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustc_hash::FxHashMap;
use rx_lang::symbol::{self, Symbol};

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::evaluator::Evaluator;
use crate::heap::{self, Heap, Stack};
use crate::source::Pos;
use crate::stats::Stats;
use crate::text::regex::Regex;
use crate::value::{Attrs, Function, List, PathValue, Str, Value};

/// A function of rx that a thunk runs on its captured words.
pub type NativeThunk = fn(&mut Vm, Captures) -> Result;

/// The captured words of a thunk.
#[derive(Clone, Copy, Debug)]
pub struct Captures(pub(crate) usize);

impl Captures {
    /// The word at `index`; which ones there are is between the maker of the thunk and its function.
    pub fn get(self, index: usize) -> Value {
        Value::from_word(heap::load(heap::word(self.0 + 8 * index))).peel()
    }
}

/// Bytes of native stack that must be left for what happens between two checks.
const RED_ZONE: usize = 256 * 1024;
/// Bytes of each further piece of native stack.
const STACK_PIECE: usize = 64 * 1024 * 1024;

/// The state of one evaluator thread.
pub struct Vm {
    /// Where values are allocated.
    pub heap: Heap,
    /// What all evaluator threads share.
    pub ev: &'static Evaluator,
    /// Counters for `NIX_SHOW_STATS`.
    pub stats: Stats,
    /// Where the call that a builtin serves stands; read it before calling anything else.
    pub call_pos: Pos,
    /// Whether values may depend on the contents of what must be built first.
    pub import_from_derivation: bool,
    pub(crate) stack: Stack,
    /// The first word of the stack that is free.
    pub(crate) sp: usize,
    pub(crate) depth: u32,
    pub(crate) max_depth: u32,
    /// This evaluator's number, for thunks that are busy.
    pub(crate) id: u32,
    native_limit: usize,
    /// The debugger, if there is one.
    pub(crate) debugging: Option<Box<crate::debug::Debugging>>,
    /// Who watches calls, if somebody does.
    pub(crate) watch: Option<Box<crate::watch::Watch>>,
    /// What values depend on, if somebody wants to know.
    pub(crate) tracker: Option<Box<crate::track::Tracker>>,
    /// Compiled regular expressions.
    pub(crate) regexes: FxHashMap<&'static [u8], Arc<Regex>>,
    /// The names of attributes as strings, by symbol; absent until somebody asks.
    names: Vec<Value>,
    /// Strings that were looked up as names, by the address of their bytes (a string never moves or changes).
    symbols: Box<[KnownSymbol]>,
}

/// A string and the name that it is.
#[derive(Clone, Copy)]
struct KnownSymbol {
    address: usize,
    len: u32,
    symbol: Symbol,
}

/// Entries of the table from strings to names.
const KNOWN_SYMBOLS: usize = 4096;

/// About where the native stack is now.
#[inline(always)]
fn native_position() -> usize {
    let here = 0u8;
    std::hint::black_box(&raw const here) as usize
}

impl Vm {
    /// A new evaluator thread.
    pub fn new(ev: &'static Evaluator) -> Vm {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let left = stacker::remaining_stack().unwrap_or(0);
        Vm {
            heap: Heap::new(ev.settings.max_heap),
            ev,
            stats: Stats::default(),
            call_pos: Pos::NONE,
            import_from_derivation: ev.settings.import_from_derivation,
            stack: Stack::default(),
            sp: 0,
            depth: 0,
            max_depth: ev.settings.max_call_depth,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            debugging: None,
            watch: None,
            tracker: None,
            names: Vec::new(),
            symbols: vec![
                KnownSymbol {
                    address: 0,
                    len: 0,
                    symbol: Symbol(0),
                };
                KNOWN_SYMBOLS
            ]
            .into(),
            regexes: FxHashMap::default(),
            native_limit: (native_position().saturating_sub(left)).saturating_add(RED_ZONE),
        }
    }

    /// Whether it is time to take another piece of native stack.
    #[inline(always)]
    pub(crate) fn native_stack_is_low(&self) -> bool {
        native_position() < self.native_limit
    }

    /// Runs something that may recurse, on a fresh piece of native stack when little is left.
    #[inline]
    pub fn deeper<T>(&mut self, run: impl FnOnce(&mut Vm) -> T) -> T {
        if self.native_stack_is_low() {
            self.on_new_stack(run)
        } else {
            run(self)
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn on_new_stack<T>(&mut self, run: impl FnOnce(&mut Vm) -> T) -> T {
        let old = self.native_limit;
        stacker::grow(STACK_PIECE, || {
            self.native_limit = native_position() - STACK_PIECE + RED_ZONE;
            let result = run(self);
            self.native_limit = old;
            result
        })
    }

    /// Runs something for a part of a value. Nesting counts as calls do: a value may be endless.
    #[inline]
    pub fn nested<T>(&mut self, run: impl FnOnce(&mut Vm) -> Result<T>) -> Result<T> {
        let depth = self.depth;
        let entered = self.enter_call();
        let result = entered.and_then(|()| self.deeper(run));
        self.depth = depth;
        result
    }

    /// Looks whether evaluation should end: Ctrl-C, or memory.
    #[inline(always)]
    pub fn check(&self) -> Result<()> {
        if rx_store::interrupt::is_set() || self.heap.exhausted() {
            Err(self.must_stop())
        } else {
            Ok(())
        }
    }

    #[cold]
    #[inline(never)]
    fn must_stop(&self) -> Box<Error> {
        if self.heap.exhausted() {
            Error::new(
                ErrorKind::Memory,
                "the evaluation needs more memory than it may have",
            )
        } else {
            Error::new(ErrorKind::Interrupted, "interrupted by the user")
        }
    }

    /// Fails when an object with `words` words would be too large.
    pub fn check_size(&self, words: usize) -> Result<()> {
        if self.heap.fits(words) {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Memory, "out of memory"))
        }
    }

    /// One call deeper.
    #[inline(always)]
    pub(crate) fn enter_call(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > self.max_depth {
            return Err(too_deep());
        }
        self.check()
    }

    /// A string without context.
    pub fn str(&mut self, bytes: &[u8]) -> Value {
        Str::new(&mut self.heap, bytes)
    }

    /// The name as a string; the same one every time.
    #[inline]
    pub fn name(&mut self, symbol: Symbol) -> Value {
        match self.names.get(symbol.index()) {
            Some(&name) if !name.is_absent() => name,
            _ => self.new_name(symbol),
        }
    }

    /// The name that a string's bytes are.
    #[inline]
    pub fn symbol(&mut self, text: &'static [u8]) -> Symbol {
        let address = text.as_ptr() as usize;
        // The bytes begin at a multiple of eight.
        let place = (address >> 3 ^ address >> 15) % KNOWN_SYMBOLS;
        let known = self.symbols[place];
        if known.address == address && known.len as usize == text.len() {
            return known.symbol;
        }
        let symbol = symbol::intern(text);
        self.symbols[place] = KnownSymbol {
            address,
            len: text.len() as u32,
            symbol,
        };
        symbol
    }

    #[cold]
    #[inline(never)]
    fn new_name(&mut self, symbol: Symbol) -> Value {
        if self.names.len() <= symbol.index() {
            let len = (symbol.index() + 1).next_power_of_two().max(4096);
            self.names.resize(len, Value::ABSENT);
        }
        let name = self.str(symbol.name());
        self.names[symbol.index()] = name;
        name
    }

    /// An integer.
    pub fn int(&mut self, n: i64) -> Value {
        Value::int(&mut self.heap, n)
    }

    /// A double.
    pub fn float(&mut self, f: f64) -> Value {
        Value::float(&mut self.heap, f)
    }

    /// A path; it must be canonical.
    pub fn path(&mut self, path: &[u8]) -> Value {
        PathValue::new(&mut self.heap, path)
    }

    /// A list.
    pub fn list(&mut self, elements: &[Value]) -> Value {
        List::new(&mut self.heap, elements)
    }

    // ---- forced values of a certain type -------------------------------------------------------------

    #[cold]
    #[inline(never)]
    fn wrong_type(&mut self, wanted: &str, value: Value, pos: Pos, what: &str) -> Box<Error> {
        let found = self.describe(value);
        let mut message =
            format!("expected {wanted} but found {}: ", value.type_phrase()).into_bytes();
        message.extend(found);
        let error = Error::new(ErrorKind::Type, message).at(pos);
        if what.is_empty() {
            error
        } else {
            error.frame(pos, what)
        }
    }

    /// The forced value as a set; `what` says what it is needed for (`while …`).
    #[inline]
    pub fn expect_attrs(&mut self, value: Value, pos: Pos, what: &str) -> Result<Attrs> {
        let value = self.force(value).context(pos, || what)?;
        value
            .as_attrs()
            .ok_or_else(|| self.wrong_type("a set", value, pos, what))
    }

    /// The forced value as a list.
    #[inline]
    pub fn expect_list(&mut self, value: Value, pos: Pos, what: &str) -> Result<List> {
        let value = self.force(value).context(pos, || what)?;
        value
            .as_list()
            .ok_or_else(|| self.wrong_type("a list", value, pos, what))
    }

    /// The forced value as a string (with its context).
    #[inline]
    pub fn expect_str(&mut self, value: Value, pos: Pos, what: &str) -> Result<Str> {
        let value = self.force(value).context(pos, || what)?;
        value
            .as_str()
            .ok_or_else(|| self.wrong_type("a string", value, pos, what))
    }

    /// The forced value as a string that must not refer to store paths.
    pub fn expect_plain_str(
        &mut self,
        value: Value,
        pos: Pos,
        what: &str,
    ) -> Result<&'static [u8]> {
        let text = self.expect_str(value, pos, what)?;
        match text.context().elements().first() {
            None => Ok(text.as_bytes()),
            Some(element) => {
                let mut message = b"the string '".to_vec();
                message.extend_from_slice(text.as_bytes());
                message.extend_from_slice(b"' is not allowed to refer to a store path (such as '");
                message.extend_from_slice(&self.ev.show_context(element));
                message.extend_from_slice(b"')");
                let error = Error::other(message).at(pos);
                Err(if what.is_empty() {
                    error
                } else {
                    error.frame(pos, what)
                })
            }
        }
    }

    /// The forced value as an integer.
    #[inline]
    pub fn expect_int(&mut self, value: Value, pos: Pos, what: &str) -> Result<i64> {
        let value = self.force(value).context(pos, || what)?;
        value
            .as_int()
            .ok_or_else(|| self.wrong_type("an integer", value, pos, what))
    }

    /// The forced value as a number.
    pub fn expect_float(&mut self, value: Value, pos: Pos, what: &str) -> Result<f64> {
        let value = self.force(value).context(pos, || what)?;
        match value.as_int() {
            Some(n) => Ok(n as f64),
            None => value
                .as_float()
                .ok_or_else(|| self.wrong_type("a float", value, pos, what)),
        }
    }

    /// The forced value as a truth value.
    #[inline]
    pub fn expect_bool(&mut self, value: Value, pos: Pos, what: &str) -> Result<bool> {
        let value = self.force(value).context(pos, || what)?;
        value
            .as_bool()
            .ok_or_else(|| self.wrong_type("a Boolean", value, pos, what))
    }

    /// The forced value as something that can be called: a function, or a set with `__functor`.
    pub fn expect_function(&mut self, value: Value, pos: Pos, what: &str) -> Result<Value> {
        let value = self.force(value).context(pos, || what)?;
        let callable = value.as_function().is_some()
            || value
                .as_attrs()
                .is_some_and(|a| a.get(rx_lang::symbol::known::FUNCTOR).is_some());
        if callable {
            Ok(value)
        } else {
            Err(self.wrong_type("a function", value, pos, what))
        }
    }

    /// The function, if the forced value is one.
    pub fn as_function(&mut self, value: Value) -> Result<Option<Function>> {
        Ok(self.force(value)?.as_function())
    }
}

#[cold]
#[inline(never)]
fn too_deep() -> Box<Error> {
    Error::new(
        ErrorKind::CallDepth,
        "stack overflow; max-call-depth exceeded",
    )
}
