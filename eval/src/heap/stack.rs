//! The stack of variables: arguments and `let` bindings of the calls that are under way.
//!
//! A call takes a *frame*, a run of words; code addresses them by number. Nothing points into the stack
//! (closures and thunks copy what they use), so it can be moved when it grows.

use super::{Word, load, store};
use crate::value::Value;

/// Words that are there before the first growth.
const FIRST_SIZE: usize = 16 * 1024;

/// Frames of variables, addressed by word number from the bottom.
#[derive(Debug)]
pub struct Stack {
    words: Box<[Word]>,
}

impl Default for Stack {
    fn default() -> Self {
        Stack {
            words: (0..FIRST_SIZE).map(|_| Word::new(0)).collect(),
        }
    }
}

impl Stack {
    /// Makes room for words up to (not including) `top`.
    #[inline(always)]
    pub(crate) fn ensure(&mut self, top: usize) {
        if top > self.words.len() {
            self.grow(top);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, top: usize) {
        let size = (self.words.len() * 2).max(top + FIRST_SIZE);
        let old = std::mem::take(&mut self.words);
        self.words = old
            .iter()
            .map(|w| Word::new(load(w)))
            .chain(std::iter::repeat_with(|| Word::new(0)))
            .take(size)
            .collect();
    }

    /// The variable at word `at`.
    #[inline(always)]
    pub(crate) fn get(&self, at: usize) -> Value {
        debug_assert!(at < self.words.len());
        // SAFETY: frames are made by `ensure` with the size that the compiler computed for their code, and
        // code only addresses words of its own frame.
        Value::from_word(load(unsafe { self.words.get_unchecked(at) }))
    }

    /// Sets the variable at word `at`.
    #[inline(always)]
    pub(crate) fn set(&self, at: usize, value: Value) {
        debug_assert!(at < self.words.len());
        // SAFETY: as for `get`.
        store(unsafe { self.words.get_unchecked(at) }, value.word());
    }
}
