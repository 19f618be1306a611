//! Output made by one thread and written by another.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};

/// Pieces that can wait to be written.
const WAITING: usize = 32;

/// Takes what one thread makes.
pub struct Maker {
    made: SyncSender<Vec<u8>>,
    emptied: Receiver<Vec<u8>>,
}

/// What has been made.
pub struct Made {
    made: Receiver<Vec<u8>>,
    emptied: Sender<Vec<u8>>,
}

/// The two ends.
pub fn channel() -> (Maker, Made) {
    let (made, to_write) = mpsc::sync_channel(WAITING);
    let (written, emptied) = mpsc::channel();
    let maker = Maker { made, emptied };
    let made = Made {
        made: to_write,
        emptied: written,
    };
    (maker, made)
}

impl Maker {
    /// Takes a piece and leaves an empty buffer for it. Fails when nobody writes any more.
    pub fn give(&mut self, piece: &mut Vec<u8>) -> io::Result<()> {
        let empty = self.emptied.try_recv();
        let mut empty = empty.unwrap_or_else(|_| Vec::with_capacity(piece.capacity()));
        empty.clear();
        self.made
            .send(std::mem::replace(piece, empty))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Made {
    /// Writes all that is made, until its maker is gone.
    pub fn write_to(&mut self, out: &mut impl Write) -> io::Result<()> {
        while let Ok(piece) = self.made.recv() {
            out.write_all(&piece)?;
            // The maker needs no buffers once it is done.
            self.emptied.send(piece).ok();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_arrive_in_order() {
        let (mut maker, mut made) = channel();
        let making = std::thread::spawn(move || {
            for line in 0..1000 {
                let mut piece = format!("{line}\n").into_bytes();
                maker.give(&mut piece).expect("somebody reads");
                assert!(piece.is_empty());
            }
        });
        let mut out = Vec::new();
        made.write_to(&mut out).expect("memory");
        making.join().expect("no panic");
        let expected: String = (0..1000).map(|line| format!("{line}\n")).collect();
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }

    #[test]
    fn making_fails_when_nobody_reads() {
        let (mut maker, made) = channel();
        drop(made);
        assert!(maker.give(&mut b"x".to_vec()).is_err());
    }
}
