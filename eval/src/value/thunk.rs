//! Thunks: computations that are done when somebody looks, at most once.
//!
//! ```text
//! [state][captured words …]
//!
//! state   suspended   address of the code << 8 | 0 << 3 | thunk tag
//!         busy        evaluator's number  << 8 | 1 << 3 | thunk tag
//!         failed      address of the error << 8 | 2 << 3 | thunk tag
//!         done        the value (never a thunk, so the tag tells)
//!         tracked     address of [the value, what it depends on] << 8 | 3 << 3 | thunk tag
//!         lost        address of [the error, what it depends on] << 8 | 4 << 3 | thunk tag
//!
//! suspended --start--> busy --finish--> done
//!     ^                 |  `----fail--> failed
//!     `-----restore-----'
//! ```
//!
//! The state is changed by atomic operations, so that several evaluators can share thunks: `start` is a
//! compare-and-swap when they do, and `finish` publishes what the value refers to.
//!
//! A finished thunk that is tracked (see `crate::track`) is not skipped as others are: who looks must be noted.

use super::{Tag, Value, protocol};
use crate::code::ThunkCode;
use crate::error::Error;
use crate::heap::{self, Heap, Word};
use crate::track::InputSet;

const SUSPENDED: u64 = 0;
const BUSY: u64 = 1;
const FAILED: u64 = 2;
const TRACKED: u64 = 3;
const LOST: u64 = 4;

/// A computation, finished or not.
#[derive(Clone, Copy, Debug)]
pub struct Thunk(usize);

/// What state a thunk is in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    Suspended(&'static ThunkCode),
    Busy(u32),
    Failed(&'static Error),
    Done(Value),
    Tracked(Value, InputSet),
    Lost(&'static Error, InputSet),
}

const fn state_word(kind: u64, payload: u64) -> u64 {
    payload << 8 | kind << 3 | Tag::Thunk as u64
}

impl Thunk {
    #[inline(always)]
    pub(super) fn at(address: usize) -> Thunk {
        Thunk(address)
    }

    /// A suspended thunk whose captured words are still to be set.
    #[inline(always)]
    pub(crate) fn suspend(
        heap: &mut Heap,
        code: &'static ThunkCode,
        captures: usize,
    ) -> (Value, &'static [Word]) {
        let object = heap.alloc(1 + captures);
        heap::store(
            &object[0],
            state_word(SUSPENDED, heap::address_of(code) as u64),
        );
        (
            Value::tagged(heap::address_of(object), Tag::Thunk),
            &object[1..],
        )
    }

    /// Where it is.
    pub(super) fn address(self) -> usize {
        self.0
    }

    #[inline(always)]
    fn word(self) -> &'static Word {
        heap::word(self.0)
    }

    /// The value, when the thunk is done.
    #[inline(always)]
    pub fn value(self) -> Option<Value> {
        let value = Value::from_word(protocol::look(self.word()));
        (!value.is_thunk()).then_some(value)
    }

    #[inline(always)]
    pub(crate) fn state(self) -> State {
        decode(protocol::look(self.word()))
    }

    /// Whether forcing it only makes what is written down: a list, a function or a set.
    pub(crate) fn is_literal(self) -> bool {
        matches!(self.state(), State::Suspended(ThunkCode::Eval { body, .. }) if body.is_literal())
    }

    /// Takes the thunk for evaluation; when somebody was faster, the state that they left.
    #[inline(always)]
    pub(crate) fn start(
        self,
        code: &'static ThunkCode,
        owner: u32,
        shared: bool,
    ) -> Result<(), State> {
        let busy = state_word(BUSY, u64::from(owner));
        let suspended = state_word(SUSPENDED, heap::address_of(code) as u64);
        protocol::take(self.word(), suspended, busy, shared).map_err(decode)
    }

    /// Publishes the value.
    #[inline(always)]
    pub(crate) fn finish(self, value: Value) {
        debug_assert!(!value.is_thunk() && !value.is_absent());
        protocol::publish(self.word(), value.word());
    }

    /// Publishes the error; whoever asks again gets it again.
    pub(crate) fn fail(self, error: &'static Error) {
        let state = state_word(FAILED, heap::address_of(error) as u64);
        protocol::publish(self.word(), state);
    }

    /// Publishes the value with what it depends on.
    pub(crate) fn finish_tracked(self, heap: &mut Heap, value: Value, inputs: InputSet) {
        debug_assert!(!value.is_thunk() && !value.is_absent());
        self.publish_pair(heap, TRACKED, value.word(), inputs);
    }

    /// Publishes the error with what it depends on.
    pub(crate) fn fail_tracked(self, heap: &mut Heap, error: &'static Error, inputs: InputSet) {
        self.publish_pair(heap, LOST, heap::address_of(error) as u64, inputs);
    }

    fn publish_pair(self, heap: &mut Heap, kind: u64, first: u64, inputs: InputSet) {
        let pair = heap.alloc(2);
        heap::store(&pair[0], first);
        heap::store(&pair[1], u64::from(inputs.0));
        let state = state_word(kind, heap::address_of(pair) as u64);
        protocol::publish(self.word(), state);
    }

    /// Makes the thunk as if it had never been started, for errors that may not come again (an interrupt).
    pub(crate) fn restore(self, code: &'static ThunkCode) {
        let state = state_word(SUSPENDED, heap::address_of(code) as u64);
        protocol::publish(self.word(), state);
    }

    /// Where the captured words are.
    #[inline(always)]
    pub(crate) fn captures(self) -> usize {
        self.0 + 8
    }
}

#[inline(always)]
fn decode(word: u64) -> State {
    let value = Value::from_word(word);
    if !value.is_thunk() {
        return State::Done(value);
    }
    let payload = (word >> 8) as usize;
    match word >> 3 & 31 {
        SUSPENDED => State::Suspended(heap::permanent(payload)),
        BUSY => State::Busy(payload as u32),
        FAILED => State::Failed(heap::permanent(payload)),
        kind => {
            let pair = heap::words(payload, 2);
            let inputs = InputSet(heap::load(&pair[1]) as u32);
            if kind == TRACKED {
                State::Tracked(Value::from_word(heap::load(&pair[0])), inputs)
            } else {
                let error = heap::load(&pair[0]) as usize;
                State::Lost(heap::permanent(error), inputs)
            }
        }
    }
}
