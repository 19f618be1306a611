//! Looking whether the inputs of an index are as they were.

use rx_eval::track::{Check, InputKind, Near, check};

use super::Index;
use super::index::{NONE, u32_at};

impl Index {
    /// Looks at all inputs, on several threads, and says which are not as they were.
    pub(super) fn check_inputs(&self) -> Vec<(usize, Check)> {
        let count = self.input_count();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.min(8).min(count / 1000 + 1);
        let next = std::sync::atomic::AtomicUsize::new(0);
        let near = self.root_dir();
        const PIECE: usize = 512;
        let work = || {
            let mut found = Vec::new();
            loop {
                let start = next.fetch_add(PIECE, std::sync::atomic::Ordering::Relaxed);
                if start >= count || rx_store::interrupt::is_set() {
                    return found;
                }
                for at in start..(start + PIECE).min(count) {
                    match self.check_input(at, near.as_ref()) {
                        Check::Same => {}
                        other => found.push((at, other)),
                    }
                }
            }
        };
        let mut all = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut all = work();
            for other in others {
                all.extend(other.join().unwrap_or_default());
            }
            all
        });
        all.sort_unstable_by_key(|(at, _)| *at);
        // What seemed implied has to be looked at after all.
        let changed: Vec<u32> = all.iter().map(|(at, _)| *at as u32).collect();
        if !changed.is_empty() {
            for at in 0..count {
                let by = u32_at(self.input_record(at), 24);
                if by != NONE
                    && changed.binary_search(&by).is_ok()
                    && let Some((kind, path, state)) = self.input_parts(at)
                {
                    match check(kind, path, state, None) {
                        Check::Same => {}
                        other => all.push((at, other)),
                    }
                }
            }
            all.sort_unstable_by_key(|(at, _)| *at);
        }
        all
    }

    /// The directory that most inputs are in, opened: finding a file from there is shorter.
    fn root_dir(&self) -> Option<Near> {
        let (_, path, _) = (0..self.input_count())
            .filter_map(|at| self.input_parts(at))
            .find(|(kind, ..)| *kind == InputKind::Contents)?;
        let dir = &path[..path.iter().rposition(|&b| b == b'/')?];
        Near::open(dir)
    }

    fn check_input(&self, at: usize, near: Option<&Near>) -> Check {
        if u32_at(self.input_record(at), 24) != NONE {
            return Check::Same;
        }
        match self.input_parts(at) {
            Some((kind, path, state)) => check(kind, path, state, near),
            None => Check::Changed,
        }
    }
}
