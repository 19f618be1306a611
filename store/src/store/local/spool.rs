//! Archives of unknown size on their way into the store.
//!
//! Small ones are kept in memory, because their path is known only after the last byte and the object is often there
//! already. Large ones are unpacked meanwhile, by a second thread, in a private directory of the store.

use std::ffi::CString;
use std::io::{self, BufRead, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::nar::{self, NarError, Reader, RestoreOptions};
use crate::store::error::StoreError;

/// Bytes handed over at once.
const BLOCK: usize = 1 << 18;

/// Blocks on their way between the threads.
const BLOCKS: usize = 8;

/// A directory `tmp-<pid>-<n>` in the store, locked so that no collection touches it, removed when dropped.
pub(super) struct TempDir {
    pub(super) path: PathBuf,
    pub(super) fd: OwnedFd,
    name: CString,
    parent: OwnedFd,
}

impl TempDir {
    pub(super) fn new(store: &super::LocalStore) -> Result<Self, StoreError> {
        use rustix::fs::{self as rfs, Mode, OFlags};
        use std::sync::atomic::Ordering;
        loop {
            let n = store.temp_counter.fetch_add(1, Ordering::Relaxed);
            let name = format!("tmp-{}-{n}", std::process::id());
            let path = store.config.real_store_dir.join(&name);
            let failed = |e| StoreError::file("creating directory", &path, e);
            let c_name = CString::new(name).map_err(|e| failed(e.into()))?;
            match rfs::mkdirat(&store.store_fd, &c_name, Mode::from_raw_mode(0o700)) {
                Ok(()) => {}
                Err(rustix::io::Errno::EXIST) => continue,
                Err(e) => return Err(failed(e.into())),
            }
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
            let Ok(fd) = rfs::openat(&store.store_fd, &c_name, flags, Mode::empty()) else {
                // A collection was faster than our lock.
                continue;
            };
            let file = std::fs::File::from(fd);
            if !crate::lock::try_lock(&file, crate::lock::LockKind::Write).map_err(failed)?
                || !path.exists()
            {
                continue;
            }
            let parent = store.store_fd.try_clone().map_err(failed)?;
            return Ok(TempDir {
                path,
                fd: file.into(),
                name: c_name,
                parent,
            });
        }
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What stays is unlocked once we are gone, and the next collection removes it.
        let _ = crate::remove::remove_tree_at(self.parent.as_fd(), &self.name);
    }
}

/// Where an archive went.
pub(super) enum Spooled {
    /// Into memory.
    Memory(Vec<u8>),
    /// Unpacked as `x` in this directory.
    Restored(TempDir),
}

/// A sink that keeps little and unpacks much.
pub(super) struct Spool<'s> {
    store: &'s super::LocalStore,
    limit: usize,
    block: Vec<u8>,
    unpacking: Option<Unpacking>,
}

struct Unpacking {
    dir: TempDir,
    sender: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<Result<(), NarError>>>,
}

impl<'s> Spool<'s> {
    pub(super) fn new(store: &'s super::LocalStore, limit: usize) -> Self {
        Spool {
            store,
            limit,
            block: Vec::new(),
            unpacking: None,
        }
    }

    fn start(&mut self) -> Result<(), StoreError> {
        let dir = TempDir::new(self.store)?;
        let (sender, receiver) = sync_channel(BLOCKS);
        let parent = dir
            .fd
            .try_clone()
            .map_err(|e| StoreError::file("opening directory", &dir.path, e))?;
        let shown = dir.path.join("x");
        let thread = std::thread::Builder::new()
            .name("unpack".into())
            .spawn(move || {
                let mut reader = Reader::new(ChannelReader {
                    receiver,
                    block: Vec::new(),
                    at: 0,
                });
                let options = RestoreOptions {
                    canonical: true,
                    ..RestoreOptions::default()
                };
                nar::restore_events(
                    &mut reader,
                    parent.as_fd(),
                    &c"x".to_owned(),
                    &shown,
                    options,
                )
            })
            .map_err(StoreError::Io)?;
        let first = std::mem::take(&mut self.block);
        // Fails only when the thread has given up, which `finish` tells.
        let _ = sender.send(first);
        self.unpacking = Some(Unpacking {
            dir,
            sender: Some(sender),
            thread: Some(thread),
        });
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        match self.unpacking.as_ref().and_then(|u| u.sender.as_ref()) {
            Some(sender) if sender.send(block).is_ok() => Ok(()),
            _ => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
        }
    }

    /// Waits until everything is unpacked.
    pub(super) fn finish(mut self) -> Result<Spooled, StoreError> {
        if self.unpacking.is_none() {
            return Ok(Spooled::Memory(std::mem::take(&mut self.block)));
        }
        if !self.block.is_empty() {
            let _ = self.send();
        }
        match self.unpacking.take() {
            Some(mut unpacking) => {
                drop(unpacking.sender.take());
                match unpacking.thread.take().map(JoinHandle::join) {
                    Some(Ok(result)) => result?,
                    _ => return Err(StoreError::Format("unpacking failed")),
                }
                Ok(Spooled::Restored(unpacking.dir))
            }
            None => Err(StoreError::Format("unpacking failed")),
        }
    }

    /// The error that made the other thread give up, if one did: it says more than a broken pipe.
    pub(super) fn into_error(mut self, error: StoreError) -> StoreError {
        if let Some(mut unpacking) = self.unpacking.take() {
            drop(unpacking.sender.take());
            if let Some(Ok(Err(inner))) = unpacking.thread.take().map(JoinHandle::join)
                && !matches!(inner, NarError::Eof)
            {
                return inner.into();
            }
        }
        error
    }
}

impl Write for Spool<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.block.extend_from_slice(data);
        if self.unpacking.is_none() {
            if self.block.len() > self.limit {
                self.start().map_err(io::Error::other)?;
            }
        } else if self.block.len() >= BLOCK {
            self.send()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Spool<'_> {
    fn drop(&mut self) {
        if let Some(unpacking) = &mut self.unpacking {
            drop(unpacking.sender.take());
            if let Some(thread) = unpacking.thread.take() {
                // The directory must not vanish under the thread.
                let _ = thread.join();
            }
        }
    }
}

/// The receiving end as a stream.
struct ChannelReader {
    receiver: Receiver<Vec<u8>>,
    block: Vec<u8>,
    at: usize,
}

impl Read for ChannelReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let data = self.fill_buf()?;
        let n = data.len().min(out.len());
        out[..n].copy_from_slice(&data[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for ChannelReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.block.len() {
            match self.receiver.recv() {
                Ok(block) => {
                    self.block = block;
                    self.at = 0;
                }
                Err(_) => return Ok(&[]),
            }
        }
        Ok(&self.block[self.at..])
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
    }
}
