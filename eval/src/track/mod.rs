//! Which parts of the outside a value depends on.
//!
//! An evaluator that tracks ([`Vm::track_inputs`]) knows for every finished thunk the set of *inputs* that its value
//! depends on: files, listings, variables that were looked at while it was computed, or while a thunk was computed
//! that it looked at. So the question "what must be computed again now that this file has changed" has an answer for
//! each attribute of a package set, although they share most of what they are made of.
//!
//! ```text
//! TrackingIo ──notes what is looked at──► InputLog ──drained at the borders of thunks──► the running thunk's set
//!                                                                                               │
//! a thunk that looks at another gets its set too ◄── kept in the finished thunk ◄───────────────┘
//! ```
//!
//! It is sound because whoever has a value got it through the thunks that made it: a finished thunk with inputs is
//! not skipped as others are (its state says so, and nobody writes its value over a reference to it), so each
//! look is seen. Inputs of the *base* are not tracked: what nearly everything depends on would be in every set. Thunks
//! that depend on the base alone are ordinary thunks.

mod input;
mod io;
mod sets;

pub use input::{Check, Input, InputKind, Near, State, check};
pub use io::{InputLog, TrackingIo};

use std::sync::Arc;

use sets::{InputSets, SetId};

use crate::vm::Vm;

/// What had been looked at when something began.
#[derive(Debug)]
pub struct Outer(SetId);

/// What a tracking evaluator knows.
#[derive(Debug)]
pub(crate) struct Tracker {
    log: Arc<InputLog>,
    sets: InputSets,
    /// What the running thunk has looked at so far.
    current: SetId,
}

impl Tracker {
    /// Moves what was looked at since the last time into the running thunk's set.
    fn drain(&mut self) {
        if self.log.has_pending() {
            let new = self.log.take_pending();
            self.current = self.sets.with(self.current, &new);
        }
    }
}

impl Vm {
    /// Begins to track inputs, which a [`TrackingIo`] with the same log notes.
    pub fn track_inputs(&mut self, log: Arc<InputLog>) {
        self.tracker = Some(Box::new(Tracker {
            log,
            sets: InputSets::default(),
            current: SetId::EMPTY,
        }));
    }

    /// Runs something, and says on which inputs beyond the base its result depends, in ascending order. For
    /// whatever is around it, the inputs do not count.
    pub fn with_inputs<T>(&mut self, run: impl FnOnce(&mut Vm) -> T) -> (T, Vec<u32>) {
        let outer = self.begin_tracking();
        let result = run(self);
        (result, self.end_tracking(outer))
    }

    /// What [`Vm::with_inputs`] does before it runs something.
    pub fn begin_tracking(&mut self) -> Outer {
        Outer(self.begin_inputs())
    }

    /// What [`Vm::with_inputs`] does afterwards: gives the inputs.
    pub fn end_tracking(&mut self, outer: Outer) -> Vec<u32> {
        match &mut self.tracker {
            Some(tracker) => {
                tracker.drain();
                let own = std::mem::replace(&mut tracker.current, outer.0);
                tracker.sets.get(own).to_vec()
            }
            None => Vec::new(),
        }
    }

    /// The border into a thunk: what was looked at before belongs to the one around it.
    pub(crate) fn begin_inputs(&mut self) -> SetId {
        match &mut self.tracker {
            Some(tracker) => {
                tracker.drain();
                std::mem::replace(&mut tracker.current, SetId::EMPTY)
            }
            None => SetId::EMPTY,
        }
    }

    /// The border out of a thunk: gives its set, which the one around it depends on, too.
    pub(crate) fn end_inputs(&mut self, outer: SetId) -> SetId {
        match &mut self.tracker {
            Some(tracker) => {
                tracker.drain();
                let own = tracker.current;
                tracker.current = tracker.sets.union(outer, own);
                own
            }
            None => SetId::EMPTY,
        }
    }

    /// The running thunk looks at something that depends on this set.
    pub(crate) fn depend(&mut self, set: SetId) {
        if let Some(tracker) = &mut self.tracker
            && tracker.current != set
        {
            tracker.current = tracker.sets.union(tracker.current, set);
        }
    }

    /// The running thunk's value is not determined by what was looked at.
    #[cold]
    pub(crate) fn depend_on_circumstances(&mut self) {
        if let Some(tracker) = &self.tracker {
            tracker.log.note_volatile();
        }
    }
}

pub(crate) use sets::SetId as InputSet;
