//! A process that brings an index up to date while nobody waits for it.
//!
//! It is the same command line once more, in a session of its own, with low priority and without a terminal; the
//! root comes on its standard input. There is one for each index: who finds its lock taken has nothing to do.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rx_store::lock::{LockKind, open_lock_file, try_lock};
use rx_store::progress;

use super::Searcher;
use super::roots::Root;
use super::wire::{self, Reader};
use crate::cli::{EvalOptions, Invocation};
use crate::ui::Failure;

/// Says that a process is for this. The root comes on its standard input.
const BACKGROUND: &str = "RX_SEARCH_BACKGROUND";
/// Added to the process's niceness.
const NICE: i32 = 5;
/// What changes while an index is brought up to date is looked at afterwards, so many times.
const ROUNDS: usize = 8;

/// Has an index brought up to date, unless somebody is at it.
pub(super) fn start(root: &Root, file: &Path) {
    let lock = file.with_extension("lock");
    if let Ok(lock) = open_lock_file(&lock)
        && !try_lock(&lock, LockKind::Write).unwrap_or(true)
    {
        return;
    }
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| "rx".into());
    let started = std::env::current_exe().and_then(|program| {
        let mut child = Command::new(program)
            .arg0(name)
            .args(args)
            .env(BACKGROUND, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut text = Vec::new();
        wire::put_root(&mut text, root);
        match child.stdin.take() {
            Some(mut stdin) => wire::write_frame(&mut stdin, &text),
            None => Ok(()),
        }
    });
    if let Err(error) = started {
        progress::warn(format_args!(
            "the index cannot be brought up to date in the background: {error}"
        ));
    }
}

/// If this process is to bring an index up to date, does so, and says so.
pub(super) fn serve(invocation: &Invocation, options: &EvalOptions) -> Result<bool, Failure> {
    if std::env::var_os(BACKGROUND).is_none() {
        return Ok(false);
    }
    // The terminal's Ctrl-C and its end are for others. Neither may fail the work.
    let _ = rustix::process::setsid();
    let _ = rustix::process::nice(NICE);
    let frame = wire::read_frame(&mut std::io::stdin().lock())?.unwrap_or_default();
    let Some(root) = wire::get_root(&mut Reader(&frame)) else {
        return Err(Failure::message("there is no root to search"));
    };
    let searcher = Searcher {
        invocation,
        options,
        roots: &[root],
    };
    let Some(file) = searcher.index_file(0)? else {
        return Ok(true);
    };
    let lock = open_lock_file(&file.with_extension("lock"))?;
    if try_lock(&lock, LockKind::Write)? {
        for _ in 0..ROUNDS {
            // An index is written under a new name, and only if something was to be done.
            let before = inode(&file);
            searcher.index_in_turn(0, &file)?;
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
