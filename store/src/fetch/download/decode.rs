//! `Content-Encoding`: the compressions that a server may put around a body for the transfer.

use std::io::{BufReader, Read};

/// Stacks decoders for the encodings (in the order in which the server applied them).
///
/// # Errors
/// The name of an encoding that is unknown.
pub(super) fn decoder(
    encodings: &[String],
    body: impl Read + Send + 'static,
) -> Result<Box<dyn Read + Send>, String> {
    let mut reader: Box<dyn Read + Send> = Box::new(body);
    for encoding in encodings.iter().rev() {
        reader = match encoding.as_str() {
            "identity" | "" => reader,
            "gzip" | "x-gzip" => Box::new(flate2::read::MultiGzDecoder::new(reader)),
            "deflate" => Box::new(flate2::read::ZlibDecoder::new(reader)),
            "br" => Box::new(brotli::Decompressor::new(reader, 64 * 1024)),
            "zstd" => match zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(
                64 * 1024,
                reader,
            )) {
                Ok(decoder) => Box::new(decoder),
                Err(_) => return Err(encoding.clone()),
            },
            "xz" => Box::new(liblzma::read::XzDecoder::new_multi_decoder(reader)),
            "bzip2" => Box::new(bzip2::read::MultiBzDecoder::new(reader)),
            _ => return Err(encoding.clone()),
        };
    }
    Ok(reader)
}
