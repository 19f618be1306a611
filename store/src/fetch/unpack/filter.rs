//! Compression around archives, recognised by its first bytes.

use std::io::{self, Cursor, Read};

use liblzma::stream::{CONCATENATED, Stream};

use super::UnpackError;

/// Compressions inside each other; more than a few are an attack.
const MAX_LAYERS: usize = 4;
/// Memory that an xz or lzma stream may claim for its dictionary.
const MEMORY_LIMIT: u64 = 1 << 30;

/// A reader whose next bytes can be looked at.
pub(super) struct Input<'a> {
    ahead: Cursor<Vec<u8>>,
    rest: Box<dyn Read + 'a>,
}

impl Input<'_> {
    /// The next bytes: as many as asked for, fewer only at the end.
    pub(super) fn peek(&mut self, count: usize) -> Result<&[u8], UnpackError> {
        let at = self.ahead.position() as usize;
        self.ahead.get_mut().drain(..at);
        self.ahead.set_position(0);
        while self.ahead.get_ref().len() < count {
            let mut buffer = [0; 512];
            let want = count - self.ahead.get_ref().len();
            match self.rest.read(&mut buffer[..want.min(512)]) {
                Ok(0) => break,
                Ok(n) => self.ahead.get_mut().extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(read_error(e)),
            }
        }
        Ok(self.ahead.get_ref())
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.ahead.read(buffer)? {
            0 => self.rest.read(buffer),
            n => Ok(n),
        }
    }
}

/// Sorts errors of decoders (damage) from those of what is below them (a download that failed).
pub(super) fn read_error(error: io::Error) -> UnpackError {
    if error
        .get_ref()
        .is_some_and(|inner| inner.is::<crate::fetch::download::DownloadError>())
    {
        return UnpackError::Read(error);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => UnpackError::Damaged("truncated input".into()),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            UnpackError::Damaged(error.to_string())
        }
        _ => UnpackError::Read(error),
    }
}

/// Takes compression off until something else begins.
pub(super) fn open<'a>(archive: Box<dyn Read + 'a>) -> Result<Input<'a>, UnpackError> {
    let mut input = Input {
        ahead: Cursor::default(),
        rest: archive,
    };
    for _ in 0..MAX_LAYERS {
        let magic = input.peek(13)?.to_vec();
        if magic.is_empty() {
            return Err(UnpackError::Empty);
        }
        let lzma = |stream: Result<Stream, _>| {
            stream.map_err(|e: liblzma::stream::Error| UnpackError::Damaged(e.to_string()))
        };
        let rest: Box<dyn Read + 'a> = match magic.as_slice() {
            [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(input)),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
                Box::new(liblzma::read::XzDecoder::new_stream(
                    input,
                    lzma(Stream::new_stream_decoder(MEMORY_LIMIT, CONCATENATED))?,
                ))
            }
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => {
                Box::new(bzip2::read::MultiBzDecoder::new(input))
            }
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(
                zstd::stream::read::Decoder::new(input)
                    .map_err(|e| UnpackError::Damaged(e.to_string()))?,
            ),
            [b'L', b'Z', b'I', b'P', ..] => Box::new(liblzma::read::XzDecoder::new_stream(
                input,
                lzma(Stream::new_lzip_decoder(MEMORY_LIMIT, CONCATENATED))?,
            )),
            other if is_lzma(other) => Box::new(liblzma::read::XzDecoder::new_stream(
                input,
                lzma(Stream::new_lzma_decoder(MEMORY_LIMIT))?,
            )),
            _ => return Ok(input),
        };
        input = Input {
            ahead: Cursor::default(),
            rest,
        };
    }
    Err(UnpackError::Unrecognized)
}

/// The old lzma format has no magic: properties, a dictionary size that is a power of two (or the
/// sum of two), and the length or all ones.
fn is_lzma(head: &[u8]) -> bool {
    let [0x5d, a, b, c, d, size @ ..] = head else {
        return false;
    };
    let dictionary = u32::from_le_bytes([*a, *b, *c, *d]);
    let Ok(size) = <[u8; 8]>::try_from(size) else {
        return false;
    };
    let size = u64::from_le_bytes(size);
    dictionary >= 4096 && dictionary.count_ones() <= 2 && (size == u64::MAX || size < 1 << 40)
}

/// A reader that takes off whatever usual compression it finds; plain data passes unchanged.
pub fn decompress<'a>(data: impl Read + 'a) -> Result<Box<dyn Read + 'a>, UnpackError> {
    Ok(Box::new(open(Box::new(data))?))
}
