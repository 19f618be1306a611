//! Output made by one thread and written by another.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};

/// Pieces that can wait to be written.
const WAITING: usize = 32;

/// Takes what one thread makes; every write is a piece.
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

impl Write for Maker {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut piece = self.emptied.try_recv().unwrap_or_default();
        piece.clear();
        piece.extend_from_slice(bytes);
        match self.made.send(piece) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
                writeln!(maker, "{line}").expect("somebody reads");
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
        assert!(maker.write_all(b"x").is_err());
    }
}
