//! How evaluators on several threads agree on who evaluates a thunk, and how its value comes to the others.
//!
//! ```text
//! take     suspended → busy, by one of those who try
//! publish  busy → finished; everything written before is seen by whoever sees the new state
//! look     the state, with everything that was written before it was published
//! ```
//!
//! The functions are generic over the atomic word, so that a model checker can run the very same code with its own:
//! `eval/model` compiles this file alone, with `--cfg rx_loom` or under Miri.

use std::sync::atomic::{AtomicU64, Ordering};

/// An atomic word.
pub(crate) trait StateWord {
    /// Reads, with all that was written before the value was published.
    fn load_acquire(&self) -> u64;
    /// Writes something that nobody else can see yet.
    fn store_relaxed(&self, value: u64);
    /// Writes, and publishes all that was written before.
    fn store_release(&self, value: u64);
    /// Replaces a value if it is there; says what is there otherwise.
    fn exchange(&self, from: u64, to: u64) -> Result<u64, u64>;
}

impl StateWord for AtomicU64 {
    #[inline(always)]
    fn load_acquire(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    #[inline(always)]
    fn store_relaxed(&self, value: u64) {
        self.store(value, Ordering::Relaxed);
    }

    #[inline(always)]
    fn store_release(&self, value: u64) {
        self.store(value, Ordering::Release);
    }

    #[inline(always)]
    fn exchange(&self, from: u64, to: u64) -> Result<u64, u64> {
        self.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }
}

/// Takes a thunk for evaluation; when somebody was faster, the state that they left. With `shared` false there is
/// only one evaluator, which needs no agreement.
#[inline(always)]
pub(crate) fn take(
    word: &impl StateWord,
    suspended: u64,
    busy: u64,
    shared: bool,
) -> Result<(), u64> {
    if !shared {
        word.store_relaxed(busy);
        return Ok(());
    }
    word.exchange(suspended, busy).map(|_| ())
}

/// Leaves a state for others to see: a value, an error, or suspended again.
#[inline(always)]
pub(crate) fn publish(word: &impl StateWord, state: u64) {
    word.store_release(state);
}

/// The state, with what it refers to.
#[inline(always)]
pub(crate) fn look(word: &impl StateWord) -> u64 {
    word.load_acquire()
}

#[cfg(all(test, not(rx_loom)))]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn threads_that_force_one_thunk_see_one_evaluation() {
        const SUSPENDED: u64 = 1;
        const BUSY: u64 = 100;
        const DONE: u64 = 2;
        let rounds = if cfg!(miri) { 20 } else { 2000 };
        for _ in 0..rounds {
            let thunk = AtomicU64::new(SUSPENDED);
            let (object, evaluations) = (AtomicU64::new(0), AtomicU64::new(0));
            std::thread::scope(|scope| {
                for owner in 0..3 {
                    let (thunk, object, evaluations) = (&thunk, &object, &evaluations);
                    scope.spawn(move || {
                        if take(thunk, SUSPENDED, BUSY + owner, true).is_ok() {
                            evaluations.fetch_add(1, Ordering::Relaxed);
                            object.store(42, Ordering::Relaxed);
                            publish(thunk, DONE);
                        }
                        while look(thunk) != DONE {
                            std::thread::yield_now();
                        }
                        assert_eq!(object.load(Ordering::Relaxed), 42);
                    });
                }
            });
            assert_eq!(evaluations.into_inner(), 1);
        }
    }
}

/// All interleavings of a few threads.
#[cfg(all(test, rx_loom))]
mod model {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU64, Ordering};
    use loom::thread;

    use super::*;

    impl StateWord for AtomicU64 {
        fn load_acquire(&self) -> u64 {
            self.load(Ordering::Acquire)
        }

        fn store_relaxed(&self, value: u64) {
            self.store(value, Ordering::Relaxed);
        }

        fn store_release(&self, value: u64) {
            self.store(value, Ordering::Release);
        }

        fn exchange(&self, from: u64, to: u64) -> Result<u64, u64> {
            self.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
        }
    }

    const SUSPENDED: u64 = 1;
    const BUSY: u64 = 100;
    const DONE: u64 = 2;
    const FAILED: u64 = 3;

    /// A thunk, the object that its value refers to, how often it was evaluated, and a word of a list that holds it.
    #[derive(Default)]
    struct Heap {
        thunk: AtomicU64,
        object: AtomicU64,
        evaluations: AtomicU64,
        element: AtomicU64,
    }

    impl Heap {
        fn new() -> Arc<Heap> {
            let heap = Heap::default();
            heap.thunk.store(SUSPENDED, Ordering::Relaxed);
            Arc::new(heap)
        }

        /// As `Vm::force_thunk` does: evaluates the thunk, or waits for who does.
        fn force(&self, owner: u64, end: u64) -> u64 {
            loop {
                match look(&self.thunk) {
                    SUSPENDED if take(&self.thunk, SUSPENDED, BUSY + owner, true).is_ok() => {
                        self.evaluations.fetch_add(1, Ordering::Relaxed);
                        self.object.store(42, Ordering::Relaxed);
                        publish(&self.thunk, end);
                        return end;
                    }
                    done @ (DONE | FAILED) => return done,
                    _ => thread::yield_now(),
                }
            }
        }

        /// As `Vm::force_word` does: leaves the value where the thunk was.
        fn force_element(&self, owner: u64) -> u64 {
            let word = look(&self.element);
            if word == DONE {
                return word;
            }
            let value = self.force(owner, DONE);
            publish(&self.element, value);
            value
        }
    }

    fn bounded(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    #[test]
    fn a_thunk_is_evaluated_once_and_all_see_its_value() {
        bounded(|| {
            let heap = Heap::new();
            let others: Vec<_> = (0..2)
                .map(|owner| {
                    let heap = Arc::clone(&heap);
                    thread::spawn(move || {
                        assert_eq!(heap.force(owner, DONE), DONE);
                        assert_eq!(heap.object.load(Ordering::Relaxed), 42);
                    })
                })
                .collect();
            for other in others {
                other.join().unwrap();
            }
            assert_eq!(heap.evaluations.load(Ordering::Relaxed), 1);
        });
    }

    #[test]
    fn whoever_sees_a_value_in_a_list_sees_what_it_refers_to() {
        bounded(|| {
            let heap = Heap::new();
            let other = Arc::clone(&heap);
            let other = thread::spawn(move || {
                assert_eq!(other.force_element(1), DONE);
                assert_eq!(other.object.load(Ordering::Relaxed), 42);
            });
            assert_eq!(heap.force_element(2), DONE);
            assert_eq!(heap.object.load(Ordering::Relaxed), 42);
            other.join().unwrap();
        });
    }

    #[test]
    fn an_error_stays_and_an_interrupted_thunk_can_be_taken_again() {
        bounded(|| {
            let heap = Heap::new();
            let other = Arc::clone(&heap);
            let other = thread::spawn(move || {
                // The first evaluation may be interrupted: the thunk is as it was.
                if take(&other.thunk, SUSPENDED, BUSY + 1, true).is_ok() {
                    publish(&other.thunk, SUSPENDED);
                }
                assert_eq!(other.force(1, FAILED), FAILED);
            });
            assert_eq!(heap.force(2, FAILED), FAILED);
            other.join().unwrap();
            assert_eq!(heap.evaluations.load(Ordering::Relaxed), 1);
            assert_eq!(look(&heap.thunk), FAILED);
        });
    }
}
