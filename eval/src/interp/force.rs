//! Forcing thunks.

use std::time::Duration;

use crate::code::ThunkCode;
use crate::error::{Error, ErrorKind, Result};
use crate::heap::{self, Word};
use crate::interp::Env;
use crate::track::InputSet;
use crate::value::thunk::State;
use crate::value::{Thunk, Value};
use crate::vm::{Captures, Vm};

impl Vm {
    /// The value, evaluated to its outermost constructor.
    #[inline(always)]
    pub fn force(&mut self, value: Value) -> Result {
        if value.is_thunk() {
            self.force_thunk(value)
        } else {
            Ok(value)
        }
    }

    /// Forces the value in a word and leaves the result there.
    #[inline(always)]
    pub(crate) fn force_word(&mut self, word: &'static Word) -> Result {
        let value = Value::from_word(heap::load(word));
        if !value.is_thunk() {
            return Ok(value);
        }
        let result = self.force_thunk(value)?;
        self.keep(word, value, result);
        Ok(result)
    }

    /// Leaves what a thunk gave in the word that refers to the thunk. All that write forced values over thunks which others
    /// may look at do it through this.
    #[inline(always)]
    pub(crate) fn keep(&self, word: &'static Word, thunk: Value, result: Value) {
        if self.tracker.is_none() {
            heap::store(word, result.word());
        } else {
            // A tracked thunk stays, so that whoever looks next is noted.
            heap::store(word, thunk.peel().word());
        }
    }

    /// Forces a thunk that may be finished.
    pub(crate) fn force_thunk(&mut self, value: Value) -> Result {
        let Some(thunk) = value.as_thunk() else {
            return Ok(value);
        };
        match thunk.state() {
            State::Done(value) => Ok(value),
            State::Suspended(code) => self.run_thunk(thunk, code),
            State::Busy(owner) if owner == self.id => {
                // What the thunk has looked at is not known yet, so this depends on more than can be said.
                self.depend_on_circumstances();
                Err(infinite_recursion())
            }
            State::Busy(owner) => self.wait_for(thunk, owner),
            State::Failed(error) => Err(Box::new(error.clone())),
            State::Tracked(value, inputs) => {
                self.depend(inputs);
                Ok(value)
            }
            State::Lost(error, inputs) => {
                self.depend(inputs);
                Err(Box::new(error.clone()))
            }
        }
    }

    fn run_thunk(&mut self, thunk: Thunk, code: &'static ThunkCode) -> Result {
        if let Err(state) = thunk.start(code, self.id, self.ev.shared) {
            return match state {
                State::Done(value) => Ok(value),
                _ => self.force_thunk_again(thunk),
            };
        }
        let outer = self.tracker.is_some().then(|| self.begin_inputs());
        let result = match code {
            ThunkCode::Eval { body, frame } => {
                let fp = self.sp;
                self.sp += *frame as usize;
                self.stack.ensure(self.sp);
                let result = self.eval_from(
                    *body,
                    Env {
                        fp,
                        captures: thunk.captures(),
                    },
                    fp,
                );
                self.sp = fp;
                result
            }
            ThunkCode::Apply { arguments } => {
                self.deeper(|vm| vm.run_apply(thunk, *arguments as usize))
            }
            ThunkCode::Native { run, .. } => self.deeper(|vm| run(vm, Captures(thunk.captures()))),
        };
        let inputs = match outer {
            Some(outer) => self.end_inputs(outer),
            None => InputSet::EMPTY,
        };
        match result {
            Ok(mut value) => {
                if let Some(function) = value.as_function()
                    && !code.is_alias()
                {
                    value = function.copy(&mut self.heap);
                }
                if inputs == InputSet::EMPTY {
                    thunk.finish(value);
                } else {
                    thunk.finish_tracked(&mut self.heap, value, inputs);
                }
                Ok(value)
            }
            Err(error) => Err(self.give_up(thunk, code, error, inputs)),
        }
    }

    /// Leaves a thunk that failed: with its error, or as it was if the error may not come again.
    #[cold]
    #[inline(never)]
    fn give_up(
        &mut self,
        thunk: Thunk,
        code: &'static ThunkCode,
        mut error: Box<Error>,
        inputs: InputSet,
    ) -> Box<Error> {
        if let ThunkCode::Eval { body, .. } = code {
            error = error.circle_at(body.place());
        }
        if error.is_passing() {
            thunk.restore(code);
            return error;
        }
        // One copy serves all the thunks that the error passes on its way out.
        let kept = match error.kept {
            Some(kept) => kept,
            None => &*Box::leak(Box::new((*error).clone())),
        };
        error.kept = Some(kept);
        if inputs == InputSet::EMPTY {
            thunk.fail(kept);
        } else {
            thunk.fail_tracked(&mut self.heap, kept, inputs);
        }
        error
    }

    fn run_apply(&mut self, thunk: Thunk, arguments: usize) -> Result {
        let captures = Captures(thunk.captures());
        let values = (0..=arguments)
            .map(|i| captures.get(i))
            .collect::<smallvec::SmallVec<[Value; 4]>>();
        self.call(values[0], &values[1..])
    }

    #[cold]
    #[inline(never)]
    fn force_thunk_again(&mut self, thunk: Thunk) -> Result {
        match thunk.state() {
            State::Done(value) => Ok(value),
            State::Busy(owner) if owner != self.id => self.wait_for(thunk, owner),
            State::Busy(_) => Err(infinite_recursion()),
            State::Failed(error) => Err(Box::new(error.clone())),
            State::Suspended(code) => self.run_thunk(thunk, code),
            State::Tracked(..) | State::Lost(..) => self.force_thunk(Value::of_thunk(thunk)),
        }
    }

    /// Waits until another evaluator is done with the thunk.
    #[cold]
    #[inline(never)]
    fn wait_for(&mut self, thunk: Thunk, mut owner: u32) -> Result {
        let mut rounds = 0u32;
        loop {
            // Two evaluators that wait for each other are one infinite recursion.
            if self.ev.waits.would_deadlock(self.id, owner) {
                return Err(infinite_recursion());
            }
            self.check().inspect_err(|_| self.ev.waits.done(self.id))?;
            if rounds < 64 {
                std::thread::yield_now()
            } else {
                std::thread::sleep(Duration::from_micros(50))
            }
            rounds += 1;
            match thunk.state() {
                State::Busy(now) => owner = now,
                _ => {
                    self.ev.waits.done(self.id);
                    return self.force_thunk_again(thunk);
                }
            }
        }
    }
}

#[cold]
#[inline(never)]
fn infinite_recursion() -> Box<Error> {
    Error::new(
        ErrorKind::InfiniteRecursion,
        "infinite recursion encountered",
    )
}
