//! Temporary roots: objects that a process is using keep from being collected while it lives.
//!
//! Each process has a file `temproots/<pid>` of paths ended by NUL, on which it holds a lock; a file without lock is
//! stale. While a collection runs, its process holds `gc.lock` alone, and new roots are sent to it through
//! `gc-socket/socket`: a path and a line feed, answered by `1` once it is safe.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use super::config::LocalConfig;
use crate::lock::{LockKind, lock, open_lock_file, try_lock};
use crate::path::StorePath;
use crate::store::error::StoreError;

/// This process's temporary roots in one store.
pub(super) struct TempRoots {
    state: Mutex<State>,
    file_path: PathBuf,
    gc_lock_path: PathBuf,
    socket_path: PathBuf,
}

#[derive(Default)]
struct State {
    file: Option<File>,
    gc_lock: Option<File>,
    socket: Option<UnixStream>,
    known: FxHashSet<StorePath>,
    pid: u32,
}

impl TempRoots {
    pub(super) fn new(config: &LocalConfig) -> Self {
        TempRoots {
            state: Mutex::default(),
            file_path: config
                .state_dir
                .join("temproots")
                .join(std::process::id().to_string()),
            gc_lock_path: config.state_dir.join("gc.lock"),
            socket_path: config.state_dir.join("gc-socket/socket"),
        }
    }

    /// Adds a root; when this returns, no collection deletes the object any more.
    pub(super) fn add(&self, config: &LocalConfig, path: &StorePath) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.pid == std::process::id() && state.known.contains(path) {
            return Ok(());
        }
        let failed = |e| StoreError::file("writing temporary root", &self.file_path, e);
        self.open(&mut state).map_err(failed)?;
        let text = config.dir.print(path);
        loop {
            crate::interrupt::check()?;
            let Some(gc_lock) = &state.gc_lock else {
                continue;
            };
            if try_lock(gc_lock, LockKind::Read).map_err(failed)? {
                break;
            }
            if self.tell_collector(&mut state, &text).map_err(failed)? {
                break;
            }
        }
        let mut line = text;
        line.push(0);
        if let Some(file) = &mut state.file {
            file.write_all(&line).map_err(failed)?;
        }
        if let Some(gc_lock) = &state.gc_lock {
            try_lock(gc_lock, LockKind::None).map_err(failed)?;
        }
        state.known.insert(path.clone());
        Ok(())
    }

    fn open(&self, state: &mut State) -> io::Result<()> {
        let pid = std::process::id();
        if state.file.is_some() && state.pid == pid {
            return Ok(());
        }
        *state = State {
            pid,
            ..State::default()
        };
        loop {
            // A file of our number is a dead process's.
            match std::fs::remove_file(&self.file_path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let file = open_lock_file(&self.file_path)?;
            lock(&file, LockKind::Write)?;
            // A collector that found the file without lock wrote into it and removed it.
            if file.metadata()?.len() == 0 {
                state.file = Some(file);
                break;
            }
        }
        state.gc_lock = Some(open_lock_file(&self.gc_lock_path)?);
        Ok(())
    }

    /// Sends the root to the collector; false when it is gone or not ready, and everything must be tried again.
    fn tell_collector(&self, state: &mut State, text: &[u8]) -> io::Result<bool> {
        let retry = |e: &io::Error| {
            matches!(
                e.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::NotFound
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::UnexpectedEof
            )
        };
        let socket = match state.socket.take() {
            Some(socket) => Ok(socket),
            None => UnixStream::connect(&self.socket_path),
        };
        let mut socket = match socket {
            Ok(socket) => socket,
            Err(e) if retry(&e) => {
                std::thread::sleep(Duration::from_millis(20));
                return Ok(false);
            }
            Err(e) => return Err(e),
        };
        let mut line = text.to_vec();
        line.push(b'\n');
        let mut answer = [0];
        match socket
            .write_all(&line)
            .and_then(|()| socket.read_exact(&mut answer))
        {
            Ok(()) => {
                state.socket = Some(socket);
                Ok(answer == *b"1")
            }
            Err(e) if retry(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl Drop for TempRoots {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if state.file.is_some() && state.pid == std::process::id() {
            // A file that stays is stale and will be removed by the next collection.
            let _ = std::fs::remove_file(&self.file_path);
        }
    }
}
