//! Events to bytes.

use std::io::{self, Write};
use std::os::fd::BorrowedFd;

use rustix::buffer::spare_capacity;

use super::{MAGIC, MAX_DEPTH, NarError, check_entry_name, padding};

/// Where an archive goes, in blocks: files are read into them, so what is only hashed is never copied.
pub trait Sink {
    /// About how much is handed over at once.
    const BLOCK: usize;

    /// Takes what a block holds and leaves an empty one there, the same or another.
    fn take(&mut self, block: &mut Vec<u8>) -> io::Result<()>;
}

impl<W: Write> Sink for W {
    const BLOCK: usize = 1 << 17;

    fn take(&mut self, block: &mut Vec<u8>) -> io::Result<()> {
        self.write_all(block)?;
        block.clear();
        Ok(())
    }
}

/// Writes one archive, event after event, and refuses what a reader would refuse.
pub struct Writer<W: Sink> {
    out: W,
    buffer: Vec<u8>,
    /// The last name in every open directory.
    open: Vec<Vec<u8>>,
    /// Contents still owed for the current file, and its padding.
    owed: u64,
    pad: usize,
    in_file: bool,
    done: bool,
}

/// Less room than this is not worth a call, unless the rest of a file fits into it.
const ROOM: usize = 1 << 16;

impl<W: Sink> Writer<W> {
    /// Begins an archive.
    pub fn new(out: W) -> Self {
        let mut writer = Writer {
            out,
            buffer: Vec::with_capacity(W::BLOCK),
            open: Vec::new(),
            owed: 0,
            pad: 0,
            in_file: false,
            done: false,
        };
        writer.word(MAGIC);
        writer
    }

    fn word(&mut self, word: &[u8]) {
        self.buffer
            .extend_from_slice(&(word.len() as u64).to_le_bytes());
        self.buffer.extend_from_slice(word);
        self.buffer
            .extend_from_slice(&[0; 8][..padding(word.len() as u64)]);
    }

    fn words(&mut self, words: &[&str]) {
        for word in words {
            self.word(word.as_bytes());
        }
    }

    fn flush_buffer(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            Ok(())
        } else {
            self.out.take(&mut self.buffer)
        }
    }

    fn begin(&mut self, name: &[u8]) -> Result<(), NarError> {
        if self.done || self.in_file {
            return Err(NarError::Order);
        }
        if let Some(last) = self.open.last_mut() {
            check_entry_name(name)?;
            if *last.as_slice() >= *name {
                return Err(NarError::NotSorted);
            }
            name.clone_into(last);
            self.words(&["entry", "(", "name"]);
            self.word(name);
            self.words(&["node"]);
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(NarError::TooDeep);
        }
        self.words(&["(", "type"]);
        Ok(())
    }

    fn end(&mut self) -> Result<(), NarError> {
        self.words(&[")"]);
        if self.open.is_empty() {
            self.done = true;
        } else {
            self.words(&[")"]);
        }
        if self.buffer.len() >= W::BLOCK - W::BLOCK / 8 {
            self.flush_buffer()?;
        }
        Ok(())
    }

    /// Begins a directory; `name` is ignored for the root.
    pub fn directory(&mut self, name: &[u8]) -> Result<(), NarError> {
        self.begin(name)?;
        self.words(&["directory"]);
        self.open.push(Vec::new());
        Ok(())
    }

    /// Ends the innermost directory.
    pub fn end_directory(&mut self) -> Result<(), NarError> {
        if self.in_file || self.open.pop().is_none() {
            return Err(NarError::Order);
        }
        self.end()
    }

    /// A symbolic link.
    pub fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), NarError> {
        self.begin(name)?;
        self.words(&["symlink", "target"]);
        self.word(target);
        self.end()
    }

    /// Begins a regular file of `size` bytes, which must follow through [`Writer::contents`].
    pub fn file(&mut self, name: &[u8], executable: bool, size: u64) -> Result<(), NarError> {
        self.begin(name)?;
        self.words(&["regular"]);
        if executable {
            self.words(&["executable", ""]);
        }
        self.words(&["contents"]);
        self.buffer.extend_from_slice(&size.to_le_bytes());
        self.owed = size;
        self.pad = padding(size);
        self.in_file = true;
        if size == 0 { self.end_file() } else { Ok(()) }
    }

    /// Adds contents to the current file; the file ends with its last byte.
    pub fn contents(&mut self, data: &[u8]) -> Result<(), NarError> {
        if data.is_empty() {
            return Ok(());
        }
        if !self.in_file || data.len() as u64 > self.owed {
            return Err(NarError::Order);
        }
        let mut rest = data;
        while !rest.is_empty() {
            let room = W::BLOCK.saturating_sub(self.buffer.len());
            if room == 0 {
                self.flush_buffer()?;
                continue;
            }
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
        }
        self.owed -= data.len() as u64;
        if self.owed == 0 {
            self.end_file()
        } else {
            Ok(())
        }
    }

    /// Adds contents that a file gives, as much as one call reads; 0 at its end.
    pub(super) fn contents_of(&mut self, file: BorrowedFd<'_>) -> Result<usize, NarError> {
        if !self.in_file {
            return Err(NarError::Order);
        }
        let wanted = usize::try_from(self.owed).unwrap_or(usize::MAX);
        let room = self.buffer.capacity() - self.buffer.len();
        if room < wanted.min(ROOM) {
            self.flush_buffer()?;
            self.buffer.reserve(W::BLOCK);
        }
        let before = self.buffer.len();
        let read = loop {
            match rustix::io::read(file, spare_capacity(&mut self.buffer)) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(NarError::Io(error.into())),
                Ok(read) => break read.min(wanted),
            }
        };
        // A file that has grown meanwhile ends where its size said.
        self.buffer.truncate(before + read);
        self.owed -= read as u64;
        if self.owed == 0 {
            self.end_file()?;
        }
        Ok(read)
    }

    fn end_file(&mut self) -> Result<(), NarError> {
        self.buffer.extend_from_slice(&[0; 8][..self.pad]);
        self.in_file = false;
        self.end()
    }

    /// Writes out what is buffered and gives the destination back; an error when the archive is not complete.
    pub fn finish(mut self) -> Result<W, NarError> {
        if !self.done {
            return Err(NarError::Order);
        }
        self.flush_buffer()?;
        Ok(self.out)
    }
}
