//! Ends what hangs: a test whose place is older than any test needs loses all its processes, so that it fails where it
//! waits for them; a test that stays nevertheless ends the whole program. `RX_TEST_PATIENCE` gives other seconds.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use super::processes;

/// A test whose place exists.
struct Watched {
    number: u64,
    test: String,
    dir: PathBuf,
    begun: Instant,
    is_overdue: bool,
}

/// All of them, and how many there ever were.
static WATCHED: Mutex<(Vec<Watched>, u64)> = Mutex::new((Vec::new(), 0));

fn watched() -> MutexGuard<'static, (Vec<Watched>, u64)> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Is watched while it exists.
pub struct Watch(u64);

impl Watch {
    /// Begins to watch the test that calls it.
    pub fn new(dir: &Path) -> Watch {
        static WATCHER: Once = Once::new();
        WATCHER.call_once(|| {
            std::thread::spawn(watch);
        });
        let mut watched = watched();
        watched.1 += 1;
        let number = watched.1;
        let test = std::thread::current().name().unwrap_or("?").to_owned();
        watched.0.push(Watched {
            number,
            test,
            dir: dir.to_owned(),
            begun: Instant::now(),
            is_overdue: false,
        });
        Watch(number)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let was_overdue = {
            let mut watched = watched();
            let at = watched.0.iter().position(|entry| entry.number == self.0);
            at.is_some_and(|at| watched.0.swap_remove(at).is_overdue)
        };
        assert!(
            !was_overdue || std::thread::panicking(),
            "the test hung, and its processes were killed"
        );
    }
}

/// How long a place may exist.
fn patience() -> Duration {
    let told = std::env::var("RX_TEST_PATIENCE")
        .ok()
        .and_then(|text| text.parse().ok());
    // Comparisons with another program are long.
    let usual = if std::env::var_os("RX_REFERENCE").is_some() {
        7200
    } else {
        900
    };
    Duration::from_secs(told.unwrap_or(usual))
}

/// Past the test harness, which keeps what tests print.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn watch() {
    let patience = patience();
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let mut overdue = Vec::new();
        for entry in &mut watched().0 {
            let age = entry.begun.elapsed();
            if age < patience {
                continue;
            }
            if !entry.is_overdue {
                say(&format!(
                    "\nthe test {} hangs: it has run for {} seconds in {}",
                    entry.test,
                    age.as_secs(),
                    entry.dir.display()
                ));
            }
            entry.is_overdue = true;
            overdue.push((entry.test.clone(), entry.dir.clone(), age));
        }
        for (test, dir, age) in overdue {
            for number in processes::of_directory(&dir) {
                say(&format!(
                    "  killing {number}: {}",
                    processes::line_of(number)
                ));
                processes::kill(number);
            }
            if age > patience + Duration::from_secs(120) {
                say(&format!(
                    "the test {test} hangs, though it has no processes any more: the program ends here"
                ));
                std::process::exit(101);
            }
        }
    }
}
