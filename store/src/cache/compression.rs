//! Compressions of archives in caches.

use std::io::{self, BufReader, Read, Write};

use liblzma::stream::{CONCATENATED, LzmaOptions, MtStreamBuilder, Stream};

/// Memory that a compressed archive may claim for its dictionary.
const MEMORY_LIMIT: u64 = 1 << 30;

/// A way to compress archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Brotli.
    Brotli,
    /// bzip2, which a `.narinfo` means if it names nothing.
    Bzip2,
    /// gzip.
    Gzip,
    /// lzip; can be read only.
    Lzip,
    /// The old lzma format.
    Lzma,
    /// xz, the default.
    Xz,
    /// Zstandard.
    Zstd,
}

impl Compression {
    const ALL: [Compression; 8] = [
        Compression::None,
        Compression::Brotli,
        Compression::Bzip2,
        Compression::Gzip,
        Compression::Lzip,
        Compression::Lzma,
        Compression::Xz,
        Compression::Zstd,
    ];

    /// Its name in a `.narinfo`.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Brotli => "br",
            Compression::Bzip2 => "bzip2",
            Compression::Gzip => "gzip",
            Compression::Lzip => "lzip",
            Compression::Lzma => "lzma",
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
        }
    }

    /// The compression of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|compression| compression.name() == name)
    }

    /// What the names of such archives end in.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::Xz => ".xz",
            Compression::Bzip2 => ".bz2",
            Compression::Zstd => ".zst",
            Compression::Lzip => ".lzip",
            Compression::Brotli => ".br",
            Compression::None | Compression::Gzip | Compression::Lzma => "",
        }
    }

    /// Reads what was compressed.
    pub fn decode<'a>(self, data: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        let data = BufReader::with_capacity(64 * 1024, data);
        let lzma = |stream: Result<Stream, liblzma::stream::Error>| stream.map_err(io::Error::from);
        Ok(match self {
            Compression::None => Box::new(data),
            Compression::Brotli => Box::new(brotli::Decompressor::new(data, 64 * 1024)),
            Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(data)),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(data)),
            Compression::Lzip => Box::new(liblzma::bufread::XzDecoder::new_stream(
                data,
                lzma(Stream::new_lzip_decoder(MEMORY_LIMIT, CONCATENATED))?,
            )),
            Compression::Lzma => Box::new(liblzma::bufread::XzDecoder::new_stream(
                data,
                lzma(Stream::new_lzma_decoder(MEMORY_LIMIT))?,
            )),
            Compression::Xz => Box::new(liblzma::bufread::XzDecoder::new_stream(
                data,
                lzma(Stream::new_stream_decoder(MEMORY_LIMIT, CONCATENATED))?,
            )),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(data)?),
        })
    }

    /// Compresses into `out`. Level -1 is the compression's own default.
    pub fn encode<W: Write + Send + 'static>(
        self,
        out: W,
        level: i32,
        parallel: bool,
    ) -> io::Result<Encoder<W>> {
        let level_or =
            |default: u32, most: u32| u32::try_from(level).map_or(default, |level| level.min(most));
        Ok(match self {
            Compression::None => Encoder::Plain(out),
            Compression::Brotli => Encoder::Brotli(Box::new(brotli::CompressorWriter::new(
                out,
                64 * 1024,
                level_or(11, 11),
                22,
            ))),
            Compression::Bzip2 => Encoder::Bzip2(bzip2::write::BzEncoder::new(
                out,
                bzip2::Compression::new(level_or(9, 9).max(1)),
            )),
            Compression::Gzip => Encoder::Gzip(flate2::write::GzEncoder::new(
                out,
                flate2::Compression::new(level_or(6, 9)),
            )),
            Compression::Lzip => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "failed to initialize compression: lzip can be read but not written",
                ));
            }
            Compression::Lzma => {
                let options = LzmaOptions::new_preset(level_or(6, 9)).map_err(io::Error::from)?;
                let stream = Stream::new_lzma_encoder(&options).map_err(io::Error::from)?;
                Encoder::Xz(liblzma::write::XzEncoder::new_stream(out, stream))
            }
            Compression::Xz if parallel => {
                let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
                let stream = MtStreamBuilder::new()
                    .preset(level_or(6, 9))
                    .threads(threads)
                    .check(liblzma::stream::Check::Crc64)
                    .encoder()
                    .map_err(io::Error::from)?;
                Encoder::Xz(liblzma::write::XzEncoder::new_stream(out, stream))
            }
            Compression::Xz => Encoder::Xz(liblzma::write::XzEncoder::new(out, level_or(6, 9))),
            Compression::Zstd => {
                let level = if level < 0 {
                    zstd::DEFAULT_COMPRESSION_LEVEL
                } else {
                    level.min(22)
                };
                Encoder::Zstd(zstd::stream::write::Encoder::new(out, level)?)
            }
        })
    }
}

/// A compressing writer. It must be finished, or the end is missing.
pub enum Encoder<W: Write> {
    /// No compression.
    Plain(W),
    /// Brotli.
    Brotli(Box<brotli::CompressorWriter<W>>),
    /// bzip2.
    Bzip2(bzip2::write::BzEncoder<W>),
    /// gzip.
    Gzip(flate2::write::GzEncoder<W>),
    /// xz and lzma.
    Xz(liblzma::write::XzEncoder<W>),
    /// Zstandard.
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// Writes the end and gives the output back.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Encoder::Plain(out) => Ok(out),
            Encoder::Brotli(encoder) => Ok(encoder.into_inner()),
            Encoder::Bzip2(encoder) => encoder.finish(),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Xz(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Encoder::Plain(out) => out.write(data),
            Encoder::Brotli(encoder) => encoder.write(data),
            Encoder::Bzip2(encoder) => encoder.write(data),
            Encoder::Gzip(encoder) => encoder.write(data),
            Encoder::Xz(encoder) => encoder.write(data),
            Encoder::Zstd(encoder) => encoder.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Encoder::Plain(out) => out.flush(),
            Encoder::Brotli(encoder) => encoder.flush(),
            Encoder::Bzip2(encoder) => encoder.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
            Encoder::Xz(encoder) => encoder.flush(),
            Encoder::Zstd(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn what_is_compressed_can_be_read_again() {
        let data: Vec<u8> = (0..200_000u32).map(|i| (i / 7 % 251) as u8).collect();
        for compression in Compression::ALL {
            if compression == Compression::Lzip {
                continue;
            }
            for parallel in [false, true] {
                let mut encoder = compression.encode(Vec::new(), 1, parallel).unwrap();
                encoder.write_all(&data).unwrap();
                let packed = encoder.finish().unwrap();
                let mut out = Vec::new();
                compression
                    .decode(&packed[..])
                    .unwrap()
                    .read_to_end(&mut out)
                    .unwrap();
                assert!(out == data, "{}", compression.name());
            }
        }
    }

    #[test]
    fn names_are_those_of_narinfo_files() {
        for compression in Compression::ALL {
            assert_eq!(
                Compression::from_name(compression.name()),
                Some(compression)
            );
        }
        assert_eq!(Compression::from_name("rot13"), None);
    }
}
