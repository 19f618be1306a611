//! Waiting for a database that another process writes to, and telling the user whom it waits for.
//!
//! SQLite calls [`wait`] again and again while it is kept out. It does not say of which file, so the files that this
//! process has open are remembered here, each for as long as its [`Opened`] lives.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::{interrupt, progress};

/// Attempts that follow each other quickly: most writers are done by then.
const QUICK: i32 = 20;
const QUICK_PAUSE: Duration = Duration::from_millis(2);
const PAUSE: Duration = Duration::from_millis(20);

/// The attempt after which the user is told: about a second has passed.
const TELL: i32 = QUICK + 50;

/// An hour, as long as the reference waits.
const LAST: i32 = 180_000;

/// How long nothing more is said after the user has been told: much work is many short waits.
const QUIET: Duration = Duration::from_secs(30);

/// The files that this process has for itself.
static ALONE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
static OPEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
static TOLD: Mutex<Option<Instant>> = Mutex::new(None);

/// A database file that this process has open.
pub(super) struct Opened(PathBuf);

impl Opened {
    /// Nothing if this process would wait for itself: it has the file open, and now or before nobody else may have it.
    pub(super) fn new(file: &Path, alone: bool) -> Option<Self> {
        let mut open = OPEN.lock();
        let mut kept = ALONE.lock();
        if kept.iter().any(|one| one == file) || alone && open.iter().any(|one| one == file) {
            return None;
        }
        open.push(file.to_owned());
        if alone {
            kept.push(file.to_owned());
        }
        Some(Self(file.to_owned()))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut open = OPEN.lock();
        if let Some(at) = open.iter().position(|file| *file == self.0) {
            open.swap_remove(at);
        }
        drop(open);
        ALONE.lock().retain(|file| *file != self.0);
    }
}

/// Called while another process holds the database: true to go on waiting.
pub(super) fn wait(attempts: i32) -> bool {
    std::thread::sleep(if attempts < QUICK { QUICK_PAUSE } else { PAUSE });
    if attempts == TELL {
        tell();
    }
    !interrupt::is_set() && attempts < LAST
}

fn tell() {
    let mut told = TOLD.lock();
    if told.is_some_and(|at| at.elapsed() < QUIET) {
        return;
    }
    *told = Some(Instant::now());
    drop(told);
    let files = OPEN.lock().clone();
    let holder = files
        .iter()
        .find_map(|file| writer(file).map(|holder| (file, holder)));
    match (holder, files.as_slice()) {
        (Some((file, holder)), _) => progress::info(format!(
            "waiting for the database '{}', which {holder} is using...",
            file.display()
        )),
        (None, [file]) => progress::info(format!(
            "waiting for the database '{}', which another process is using...",
            file.display()
        )),
        (None, _) => progress::info("waiting for a database, which another process is using..."),
    }
}

/// The process that keeps others from writing, if the system tells.
fn writer(file: &Path) -> Option<String> {
    // Who writes locks a byte of the shared index, or, without one, of the database itself.
    let mut index = file.as_os_str().to_owned();
    index.push("-shm");
    let locked: Vec<(u64, u64)> = [Path::new(&index), file]
        .iter()
        .filter_map(|file| fs::metadata(file).ok())
        .map(|status| (status.dev(), status.ino()))
        .collect();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let us = std::process::id();
    let process = locks
        .lines()
        .filter_map(parse_lock)
        .find(|lock| locked.contains(&lock.file) && lock.process != us)?
        .process;
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    Some(match name.trim_end() {
        "" => format!("process {process}"),
        name => format!("process {process} ({name})"),
    })
}

/// A lock for writing that somebody has.
#[derive(Debug, PartialEq)]
struct Lock {
    process: u32,
    /// Device and inode.
    file: (u64, u64),
}

/// Reads a line as in `1: POSIX  ADVISORY  WRITE 4711 fe:00:1234 120 120`.
fn parse_lock(line: &str) -> Option<Lock> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (kind, _, access) = (fields.next()?, fields.next()?, fields.next()?);
    // Who waits for a lock himself is marked by `->` in the place of the kind.
    if !matches!(kind, "POSIX" | "OFDLCK") || access != "WRITE" {
        return None;
    }
    let process = fields.next()?.parse().ok()?;
    let mut file = fields.next()?.split(':');
    let major = u32::from_str_radix(file.next()?, 16).ok()?;
    let minor = u32::from_str_radix(file.next()?, 16).ok()?;
    let inode = file.next()?.parse().ok()?;
    Some(Lock {
        process,
        file: (rustix::fs::makedev(major, minor), inode),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_for_writing_are_read_and_others_are_not() {
        let line = "3: POSIX  ADVISORY  WRITE 4711 fe:0a:1234 120 120";
        let lock = Lock {
            process: 4711,
            file: (rustix::fs::makedev(0xfe, 0x0a), 1234),
        };
        assert_eq!(parse_lock(line), Some(lock));
        for other in [
            "3: POSIX  ADVISORY  READ 4711 fe:0a:1234 120 120",
            "3: -> POSIX  ADVISORY  WRITE 4711 fe:0a:1234 120 120",
            "3: FLOCK  ADVISORY  WRITE 4711 fe:0a:1234 0 EOF",
            "3: OFDLCK ADVISORY  WRITE -1 fe:0a:1234 0 EOF",
            "3: POSIX  ADVISORY  WRITE 4711 fe:0a",
            "",
        ] {
            assert_eq!(parse_lock(other), None, "{other}");
        }
    }
}
