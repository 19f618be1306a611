//! How far the evaluation of this process is, for whoever shows it: counters that cost the evaluator next to nothing.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

static FILES: AtomicU64 = AtomicU64::new(0);
static DERIVATIONS: AtomicU64 = AtomicU64::new(0);
static CURRENT: Mutex<Current> = Mutex::new(Current {
    since: None,
    file: Vec::new(),
});

struct Current {
    /// When the outermost evaluation began.
    since: Option<Instant>,
    file: Vec<u8>,
}

/// What an evaluation has done so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Files that were read as programs.
    pub files: u64,
    /// Derivations that were made.
    pub derivations: u64,
    /// Bytes of memory that the process has.
    pub memory: u64,
    /// How long it has been running.
    pub elapsed: Duration,
    /// The last file.
    pub file: Vec<u8>,
}

/// An evaluation that is under way.
#[derive(Debug)]
pub struct Evaluating {
    outermost: bool,
}

/// Says that an evaluation begins; it lasts as long as the guard.
pub fn begin() -> Evaluating {
    let Ok(mut current) = CURRENT.lock() else {
        return Evaluating { outermost: false };
    };
    let outermost = current.since.is_none();
    if outermost {
        current.since = Some(Instant::now());
        FILES.store(0, Ordering::Relaxed);
        DERIVATIONS.store(0, Ordering::Relaxed);
    }
    Evaluating { outermost }
}

impl Drop for Evaluating {
    fn drop(&mut self) {
        if self.outermost
            && let Ok(mut current) = CURRENT.lock()
        {
            current.since = None;
            current.file.clear();
        }
    }
}

/// Counts from here on, if an evaluation is under way: a session evaluates one thing after the other.
pub fn restart() {
    if let Ok(mut current) = CURRENT.lock()
        && current.since.is_some()
    {
        current.since = Some(Instant::now());
        current.file.clear();
        FILES.store(0, Ordering::Relaxed);
        DERIVATIONS.store(0, Ordering::Relaxed);
    }
}

/// A file is read as a program.
pub fn file(path: &[u8]) {
    FILES.fetch_add(1, Ordering::Relaxed);
    if let Ok(mut current) = CURRENT.try_lock() {
        current.file.clear();
        current.file.extend_from_slice(path);
    }
}

/// A derivation is made.
pub fn derivation() {
    DERIVATIONS.fetch_add(1, Ordering::Relaxed);
}

/// How far the evaluation is; nothing when there is none.
pub fn counts() -> Option<Counts> {
    let current = CURRENT.lock().ok()?;
    Some(Counts {
        files: FILES.load(Ordering::Relaxed),
        derivations: DERIVATIONS.load(Ordering::Relaxed),
        memory: resident(),
        elapsed: current.since?.elapsed(),
        file: current.file.clone(),
    })
}

/// Bytes of memory that this process has now; 0 when the system does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_evaluation_counts() {
        let outer = begin();
        file(b"/a.nix");
        {
            let _inner = begin();
            file(b"/b.nix");
            derivation();
        }
        let seen = counts().unwrap();
        assert_eq!((seen.files, seen.derivations), (2, 1));
        assert_eq!(seen.file, b"/b.nix");
        restart();
        assert_eq!(counts().unwrap().files, 0);
        drop(outer);
        assert_eq!(counts(), None);
    }
}
