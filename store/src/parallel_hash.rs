//! Hashing in a thread of its own, so that reading goes on meanwhile.
//!
//! Little data is hashed at once; the thread starts when there is much. Buffers go there and come back. SHA-256 is a chain of
//! steps that processors do at some 2 GB/s, so no arrangement hashes an archive faster than that.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use crate::hash::{Algorithm, Hasher};
use crate::nar::Sink;

/// Bytes handed over at once.
const BLOCK: usize = 1 << 19;

/// Blocks on their way.
const BLOCKS: usize = 4;

/// A [`ParallelHasher`] that is given whole blocks to keep, so that nothing is copied.
pub struct HashedBlocks(pub ParallelHasher);

impl Sink for HashedBlocks {
    const BLOCK: usize = BLOCK;

    fn take(&mut self, block: &mut Vec<u8>) -> io::Result<()> {
        let hasher = &mut self.0;
        if matches!(hasher.state, State::Here(_)) && block.len() < BLOCK / 2 {
            // The end of something small, most likely.
            return hasher.write_all(block).map(|()| block.clear());
        }
        if !hasher.block.is_empty() {
            hasher.pass_on()?;
        }
        std::mem::swap(&mut hasher.block, block);
        hasher.pass_on()?;
        // What came back is ours to fill; the hasher itself needs none.
        std::mem::swap(&mut hasher.block, block);
        Ok(())
    }
}

/// A sink that becomes a [`Hasher`].
pub struct ParallelHasher {
    block: Vec<u8>,
    state: State,
}

enum State {
    /// Little has come so far.
    Here(Hasher),
    /// A thread hashes.
    There {
        full: SyncSender<Vec<u8>>,
        empty: Receiver<Vec<u8>>,
        thread: JoinHandle<Hasher>,
    },
    /// The thread could not be joined, or never was.
    Gone,
}

impl ParallelHasher {
    /// Starts with no input.
    pub fn new(algorithm: Algorithm) -> Self {
        ParallelHasher {
            block: Vec::new(),
            state: State::Here(Hasher::new(algorithm)),
        }
    }

    /// The hasher that has seen everything.
    pub fn finish(mut self) -> io::Result<Hasher> {
        let gone = || io::Error::other("the thread that hashes has ended");
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Here(mut hasher) => {
                hasher.update(&self.block);
                Ok(hasher)
            }
            State::There { full, thread, .. } => {
                let sent = full.send(std::mem::take(&mut self.block));
                drop(full);
                let hasher = thread.join().map_err(|_| gone())?;
                sent.map(|()| hasher).map_err(|_| gone())
            }
            State::Gone => Err(gone()),
        }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        if let State::Here(hasher) = &self.state {
            let mut hasher = hasher.clone();
            let (full, arriving) = sync_channel::<Vec<u8>>(BLOCKS);
            let (back, empty) = channel();
            let thread = std::thread::Builder::new()
                .name("hash".into())
                .spawn(move || {
                    for mut block in arriving {
                        hasher.update(&block);
                        block.clear();
                        // Nobody may want it any more.
                        let _ = back.send(block);
                    }
                    hasher
                })?;
            self.state = State::There {
                full,
                empty,
                thread,
            };
        }
        let State::There { full, empty, .. } = &self.state else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let next = empty
            .try_recv()
            .unwrap_or_else(|_| Vec::with_capacity(BLOCK));
        full.send(std::mem::replace(&mut self.block, next))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for ParallelHasher {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(BLOCK - self.block.len().min(BLOCK));
        self.block.extend_from_slice(&data[..taken]);
        if self.block.len() >= BLOCK {
            self.pass_on()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;

    #[test]
    fn the_hash_is_the_same_whatever_the_amount() {
        for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 10 * BLOCK + 7] {
            let data: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let mut hasher = ParallelHasher::new(Algorithm::Sha256);
            for piece in data.chunks(100_003) {
                hasher.write_all(piece).unwrap();
            }
            let hasher = hasher.finish().unwrap();
            assert_eq!(hasher.bytes(), size as u64);
            assert_eq!(hasher.finish(), Hash::of(Algorithm::Sha256, &data));
        }
    }

    #[test]
    fn blocks_that_are_kept_hash_like_bytes_that_are_copied() {
        for sizes in [
            &[][..],
            &[1],
            &[10, 20],
            &[BLOCK],
            &[10, BLOCK, 10],
            &[
                BLOCK,
                BLOCK / 2,
                7,
                BLOCK,
                BLOCK,
                BLOCK,
                BLOCK,
                BLOCK,
                BLOCK,
                3,
            ],
        ] {
            let mut sink = HashedBlocks(ParallelHasher::new(Algorithm::Sha256));
            let mut all = Vec::new();
            let mut block = Vec::with_capacity(BLOCK);
            for (number, &size) in sizes.iter().enumerate() {
                block.resize(size, number as u8);
                all.extend_from_slice(&block);
                sink.take(&mut block).unwrap();
                assert!(block.is_empty());
            }
            let hasher = sink.0.finish().unwrap();
            assert_eq!(hasher.finish(), Hash::of(Algorithm::Sha256, &all));
        }
    }
}
