//! A moment after which an evaluation in this process ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use rx_store::interrupt;

/// While this lives, evaluations are interrupted at its deadline, as by Ctrl-C.
pub(super) struct Budget {
    over: Arc<AtomicBool>,
    done: Option<Sender<()>>,
    watch: Option<JoinHandle<()>>,
}

impl Budget {
    /// Begins to watch the time.
    pub(super) fn until(deadline: Instant) -> Budget {
        let over = Arc::new(AtomicBool::new(false));
        if deadline <= Instant::now() && !interrupt::is_set() {
            over.store(true, Ordering::SeqCst);
            interrupt::trigger();
            return Budget {
                over,
                done: None,
                watch: None,
            };
        }
        let (done, wait) = channel();
        let flag = Arc::clone(&over);
        let watch = std::thread::Builder::new().spawn(move || {
            let left = deadline.saturating_duration_since(Instant::now());
            if wait.recv_timeout(left) == Err(RecvTimeoutError::Timeout) && !interrupt::is_set() {
                flag.store(true, Ordering::SeqCst);
                interrupt::trigger();
            }
        });
        Budget {
            over,
            done: Some(done),
            watch: watch.ok(),
        }
    }

    /// Whether the time has run out: then what fails has not failed for a reason of its own.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
        // An interrupt by the user stays.
        if self.is_over() {
            interrupt::clear();
        }
    }
}
