//! A process that brings an index up to date while nobody waits for it.
//!
//! It is the same command line once more, in a session of its own, with low priority and without a terminal; the
//! environment names the root. There is one for each index: who finds its lock taken has nothing to do.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rx_store::lock::{LockKind, open_lock_file, try_lock};
use rx_store::progress;

use super::Searcher;
use crate::ui::Failure;

/// Names the root.
const ROOT: &str = "RX_SEARCH_BACKGROUND";
/// Added to the process's niceness.
const NICE: i32 = 5;
/// What changes while an index is brought up to date is looked at afterwards, so many times.
const ROUNDS: usize = 8;

/// Has an index brought up to date, unless somebody is at it.
pub(super) fn start(root: usize, file: &Path) {
    let lock = file.with_extension("lock");
    if let Ok(lock) = open_lock_file(&lock)
        && !try_lock(&lock, LockKind::Write).unwrap_or(true)
    {
        return;
    }
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| "rx".into());
    let started = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .arg0(name)
            .args(args)
            .env(ROOT, root.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    });
    if let Err(error) = started {
        progress::warn(format_args!(
            "the index cannot be brought up to date in the background: {error}"
        ));
    }
}

/// If this process is to bring an index up to date, does so, and says so.
pub(super) fn serve(searcher: &Searcher<'_>) -> Result<bool, Failure> {
    let Some(root) = std::env::var_os(ROOT) else {
        return Ok(false);
    };
    // The terminal's Ctrl-C and its end are for others. Neither may fail the work.
    let _ = rustix::process::setsid();
    let _ = rustix::process::nice(NICE);
    let root = root.to_str().and_then(|root| root.parse::<usize>().ok());
    let Some(root) = root.filter(|&root| root < searcher.roots.len()) else {
        return Err(Failure::message("there is no such root in this search"));
    };
    let Some(file) = searcher.index_file(root)? else {
        return Ok(true);
    };
    let lock = open_lock_file(&file.with_extension("lock"))?;
    if try_lock(&lock, LockKind::Write)? {
        for _ in 0..ROUNDS {
            // An index is written under a new name, and only if something was to be done.
            let before = inode(&file);
            searcher.index_in_turn(root, &file)?;
            if before == inode(&file) {
                break;
            }
        }
    }
    Ok(true)
}

fn inode(file: &Path) -> Option<u64> {
    file.metadata().ok().map(|meta| meta.ino())
}
