//! tar: 512-byte headers, each followed by its data in whole blocks.
//!
//! ```text
//! name 100 | mode 8 | uid 8 | gid 8 | size 12 | mtime 12 | checksum 8 | type 1 | link 100 |
//! magic 6 "ustar" | version 2 | user 32 | group 32 | device 16 | prefix 155
//! ```
//!
//! Numbers are octal texts or, with the first bit set, big-endian binary. Long names stand in
//! pseudo members before the member they belong to: types `L` and `K` (GNU), or `x` with lines
//! `LENGTH key=value` (pax). The reader is our own because those pseudo members must be bounded:
//! an archive of a few kilobytes can announce a name of many gigabytes.

use std::io::{self, Read};

use super::filter::read_error;
use super::{TreeWriter, UnpackError};

const BLOCK: usize = 512;
/// Longest pseudo member.
const MAX_EXTENSION: u64 = 1 << 20;

const REGULAR: u32 = 0o100_000;

/// What pseudo members say of the next real one.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    mtime: Option<u64>,
    sparse: SparseInfo,
    pax: bool,
}

/// A sparse file in one of pax's spellings.
#[derive(Default)]
struct SparseInfo {
    real_size: Option<u64>,
    name: Option<Vec<u8>>,
    /// Offset and length of each piece (versions 0.0 and 0.1).
    map: Vec<(u64, u64)>,
    pending_offset: Option<u64>,
    /// Version 1.0 keeps the map at the head of the data.
    map_in_data: bool,
}

impl SparseInfo {
    fn is_sparse(&self) -> bool {
        self.map_in_data || !self.map.is_empty()
    }
}

/// Unpacks all members; returns the newest modification time.
pub(super) fn unpack(input: &mut dyn Read, writer: &mut TreeWriter) -> Result<u64, UnpackError> {
    let mut last_modified = 0;
    let mut extension = Extension::default();
    let mut first = true;
    loop {
        let mut header = [0; BLOCK];
        let got = read_full(input, &mut header)?;
        if got == 0 || header == [0; BLOCK] {
            // Some archives end without the two empty blocks; an empty file is no archive, though.
            return if first && got == 0 {
                Err(UnpackError::Unrecognized)
            } else {
                Ok(last_modified)
            };
        }
        if got < BLOCK || !checksum_is_right(&header) {
            return Err(if first {
                UnpackError::Unrecognized
            } else if got < BLOCK {
                UnpackError::Damaged("Truncated tar archive".into())
            } else {
                UnpackError::Damaged("Damaged tar archive (bad header checksum)".into())
            });
        }
        first = false;
        let size = number(&header[124..136])?;
        match header[156] {
            b'L' => extension.path = Some(trim_nul(extension_data(input, size)?)),
            b'K' => extension.link = Some(trim_nul(extension_data(input, size)?)),
            b'x' | b'X' => parse_pax(&extension_data(input, size)?, &mut extension)?,
            b'g' | b'V' | b'M' | b'N' => skip(input, padded(size)?)?,
            _ => {
                let mtime = member(input, &header, size, std::mem::take(&mut extension), writer)?;
                last_modified = last_modified.max(mtime);
            }
        }
    }
}

fn member(
    input: &mut dyn Read,
    header: &[u8; BLOCK],
    header_size: u64,
    extension: Extension,
    writer: &mut TreeWriter,
) -> Result<u64, UnpackError> {
    let name = extension
        .sparse
        .name
        .clone()
        .or(extension.path)
        .unwrap_or_else(|| header_name(header));
    let link = extension
        .link
        .unwrap_or_else(|| until_nul(&header[157..257]).to_vec());
    let mtime = extension
        .mtime
        .map_or_else(|| number(&header[136..148]), Ok)
        .unwrap_or(0);
    let executable = number(&header[100..108]).unwrap_or(0) & 0o100 != 0;
    let size = extension.size.unwrap_or(header_size);
    let unsupported = |kind| UnpackError::UnsupportedType {
        path: String::from_utf8_lossy(&name).into_owned(),
        kind,
    };
    match header[156] {
        b'1' => {
            writer.hard_link(&name, &link)?;
            // Only pax archives repeat the contents after a link.
            skip(input, if extension.pax { padded(size)? } else { 0 })?;
        }
        b'2' => {
            writer.symlink(&name, &link)?;
            skip(input, padded(size)?)?;
        }
        b'3' => return Err(unsupported(0o020_000)),
        b'4' => return Err(unsupported(0o060_000)),
        b'6' => return Err(unsupported(0o010_000)),
        b'5' | b'D' => {
            writer.directory(&name)?;
            skip(input, padded(size)?)?;
        }
        b'0' | 0 if name.ends_with(b"/") => {
            writer.directory(&name)?;
            skip(input, padded(size)?)?;
        }
        b'S' => {
            let (map, real) = old_sparse_map(input, header)?;
            let mut data = Exactly { input, left: size };
            let mut sparse = Sparse::new(&mut data, map, real)?;
            writer.file(&name, executable, &mut sparse)?;
            finish(input, size)?;
        }
        _ if extension.sparse.is_sparse() => {
            let mut info = extension.sparse;
            let mut data = Exactly { input, left: size };
            if info.map_in_data {
                info.map = sparse_map_in_data(&mut data)?;
            }
            let real = info
                .real_size
                .ok_or_else(|| UnpackError::Damaged("sparse file without a size".into()))?;
            let mut sparse = Sparse::new(&mut data, info.map, real)?;
            writer.file(&name, executable, &mut sparse)?;
            finish(input, size)?;
        }
        kind if kind.is_ascii_control() && kind != 0 => return Err(unsupported(REGULAR)),
        _ => {
            let mut data = Exactly { input, left: size };
            writer.file(&name, executable, &mut data)?;
            finish(input, size)?;
        }
    }
    Ok(mtime)
}

/// Skips the padding after data of this size that has been read completely.
fn finish(input: &mut dyn Read, size: u64) -> Result<(), UnpackError> {
    skip(input, padded(size)? - size)
}

fn header_name(header: &[u8; BLOCK]) -> Vec<u8> {
    let name = until_nul(&header[..100]);
    let prefix = until_nul(&header[345..500]);
    // GNU's magic has a blank where ustar's has a NUL; GNU keeps other things in the prefix.
    if &header[257..263] == b"ustar\0" && !prefix.is_empty() {
        [prefix, b"/", name].concat()
    } else {
        name.to_vec()
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&c| c == 0).unwrap_or(field.len());
    &field[..end]
}

fn trim_nul(mut text: Vec<u8>) -> Vec<u8> {
    let end = until_nul(&text).len();
    text.truncate(end);
    text
}

fn checksum_is_right(header: &[u8; BLOCK]) -> bool {
    let Ok(want) = number(&header[148..156]) else {
        return false;
    };
    let unsigned: u64 = header
        .iter()
        .enumerate()
        .map(|(i, &b)| {
            if (148..156).contains(&i) {
                32
            } else {
                u64::from(b)
            }
        })
        .sum();
    let signed: i64 = header
        .iter()
        .enumerate()
        .map(|(i, &b)| {
            if (148..156).contains(&i) {
                32
            } else {
                i64::from(b as i8)
            }
        })
        .sum();
    want == unsigned || want as i64 == signed
}

/// An octal or binary number; negative ones count as zero.
fn number(field: &[u8]) -> Result<u64, UnpackError> {
    let damaged = || UnpackError::Damaged("Damaged tar archive (bad number)".into());
    if field[0] & 0x80 != 0 {
        if field[0] & 0x40 != 0 {
            return Ok(0);
        }
        let (high, low) = field.split_at(field.len() - 8);
        if field.len() > 8
            && high
                .iter()
                .enumerate()
                .any(|(i, &b)| b != if i == 0 { 0x80 } else { 0 })
        {
            return Err(damaged());
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(low);
        bytes[0] &= if field.len() == 8 { 0x7f } else { 0xff };
        return i64::try_from(u64::from_be_bytes(bytes))
            .map(|n| n as u64)
            .map_err(|_| damaged());
    }
    let mut value: u64 = 0;
    let digits = field
        .iter()
        .skip_while(|&&c| c == b' ')
        .take_while(|&&c| c != b' ' && c != 0);
    for &c in digits {
        if !(b'0'..=b'7').contains(&c) {
            return Err(damaged());
        }
        value = value
            .checked_mul(8)
            .and_then(|v| v.checked_add(u64::from(c - b'0')))
            .ok_or_else(damaged)?;
    }
    Ok(value)
}

/// Size with padding to whole blocks.
fn padded(size: u64) -> Result<u64, UnpackError> {
    size.checked_next_multiple_of(BLOCK as u64)
        .ok_or_else(|| UnpackError::Damaged("Damaged tar archive (size out of range)".into()))
}

fn read_full(input: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, UnpackError> {
    let mut got = 0;
    while got < buffer.len() {
        match input.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(read_error(e)),
        }
    }
    Ok(got)
}

fn skip(input: &mut dyn Read, count: u64) -> Result<(), UnpackError> {
    let skipped = io::copy(&mut input.take(count), &mut io::sink()).map_err(read_error)?;
    // The padding of the last member is sometimes missing.
    if skipped < count && count >= BLOCK as u64 {
        return Err(UnpackError::Damaged("Truncated tar archive".into()));
    }
    Ok(())
}

fn extension_data(input: &mut dyn Read, size: u64) -> Result<Vec<u8>, UnpackError> {
    if size > MAX_EXTENSION {
        return Err(UnpackError::Damaged(
            "Damaged tar archive (extended header too long)".into(),
        ));
    }
    let mut data = vec![0; size as usize];
    if read_full(input, &mut data)? < data.len() {
        return Err(UnpackError::Damaged("Truncated tar archive".into()));
    }
    finish(input, size)?;
    Ok(data)
}

fn parse_pax(mut data: &[u8], extension: &mut Extension) -> Result<(), UnpackError> {
    let damaged = || UnpackError::Damaged("Damaged tar archive (bad pax header)".into());
    extension.pax = true;
    while !data.is_empty() && data[0] != 0 {
        let blank = data
            .iter()
            .position(|&c| c == b' ')
            .filter(|&at| at < 20)
            .ok_or_else(damaged)?;
        let length: usize = std::str::from_utf8(&data[..blank])
            .ok()
            .and_then(|t| t.parse().ok())
            .ok_or_else(damaged)?;
        if length > data.len() || length < blank + 3 || data[length - 1] != b'\n' {
            return Err(damaged());
        }
        let record = &data[blank + 1..length - 1];
        data = &data[length..];
        let equals = record.iter().position(|&c| c == b'=').ok_or_else(damaged)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let whole = || {
            let text = std::str::from_utf8(value).ok()?;
            if text.starts_with('-') {
                Some(0)
            } else {
                text.split('.').next()?.parse::<u64>().ok()
            }
        };
        match key {
            b"path" => extension.path = Some(value.to_vec()),
            b"linkpath" => extension.link = Some(value.to_vec()),
            b"size" => {
                extension.size = Some(
                    whole()
                        .filter(|n| i64::try_from(*n).is_ok())
                        .ok_or_else(damaged)?,
                )
            }
            b"mtime" => extension.mtime = whole(),
            b"GNU.sparse.major" => extension.sparse.map_in_data = value == b"1",
            b"GNU.sparse.name" => extension.sparse.name = Some(value.to_vec()),
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => {
                extension.sparse.real_size = Some(whole().ok_or_else(damaged)?);
            }
            b"GNU.sparse.offset" => {
                extension.sparse.pending_offset = Some(whole().ok_or_else(damaged)?)
            }
            b"GNU.sparse.numbytes" => {
                let offset = extension.sparse.pending_offset.take().ok_or_else(damaged)?;
                extension
                    .sparse
                    .map
                    .push((offset, whole().ok_or_else(damaged)?));
            }
            b"GNU.sparse.map" => {
                let text = std::str::from_utf8(value).map_err(|_| damaged())?;
                let numbers: Vec<u64> = text
                    .split(',')
                    .map(|n| n.parse().map_err(|_| damaged()))
                    .collect::<Result<_, _>>()?;
                extension.sparse.map = numbers
                    .chunks_exact(2)
                    .map(|pair| (pair[0], pair[1]))
                    .collect();
            }
            _ => {}
        }
    }
    Ok(())
}

/// The map of an old GNU sparse member: four pieces in the header, more in blocks after it.
fn old_sparse_map(
    input: &mut dyn Read,
    header: &[u8; BLOCK],
) -> Result<(Vec<(u64, u64)>, u64), UnpackError> {
    let mut map = Vec::new();
    let pieces = |field: &[u8], map: &mut Vec<(u64, u64)>| -> Result<(), UnpackError> {
        for piece in field.chunks_exact(24) {
            if piece[0] != 0 {
                map.push((number(&piece[..12])?, number(&piece[12..])?));
            }
        }
        Ok(())
    };
    pieces(&header[386..482], &mut map)?;
    let mut more = header[482] != 0;
    while more {
        let mut block = [0; BLOCK];
        if read_full(input, &mut block)? < BLOCK || map.len() > 1 << 20 {
            return Err(UnpackError::Damaged(
                "Damaged tar archive (sparse map)".into(),
            ));
        }
        pieces(&block[..504], &mut map)?;
        more = block[504] != 0;
    }
    Ok((map, number(&header[483..495])?))
}

/// The map of pax version 1.0: decimal lines, padded to a whole block.
fn sparse_map_in_data(data: &mut Exactly<'_>) -> Result<Vec<(u64, u64)>, UnpackError> {
    let damaged = || UnpackError::Damaged("Damaged tar archive (sparse map)".into());
    let mut consumed: u64 = 0;
    let mut line = || -> Result<u64, UnpackError> {
        let mut value: u64 = 0;
        loop {
            let mut byte = [0];
            if read_full(data, &mut byte)? == 0 {
                return Err(damaged());
            }
            consumed += 1;
            match byte[0] {
                b'\n' => return Ok(value),
                c @ b'0'..=b'9' => {
                    value = value
                        .checked_mul(10)
                        .and_then(|v| v.checked_add(u64::from(c - b'0')))
                        .ok_or_else(damaged)?;
                }
                _ => return Err(damaged()),
            }
        }
    };
    let count = line()?;
    if count > 1 << 20 {
        return Err(damaged());
    }
    let mut map = Vec::new();
    for _ in 0..count {
        map.push((line()?, line()?));
    }
    let rest = padded(consumed)? - consumed;
    skip(data, rest)?;
    Ok(map)
}

/// Exactly so many bytes; an earlier end is an error.
struct Exactly<'a> {
    input: &'a mut dyn Read,
    left: u64,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        match self.input.read(&mut buffer[..want])? {
            0 => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "Truncated tar archive",
            )),
            n => {
                self.left -= n as u64;
                Ok(n)
            }
        }
    }
}

/// The pieces of a sparse file with zeros between them.
struct Sparse<'a, 'b> {
    data: &'a mut Exactly<'b>,
    map: std::vec::IntoIter<(u64, u64)>,
    piece: (u64, u64),
    position: u64,
    size: u64,
}

impl<'a, 'b> Sparse<'a, 'b> {
    fn new(
        data: &'a mut Exactly<'b>,
        map: Vec<(u64, u64)>,
        size: u64,
    ) -> Result<Self, UnpackError> {
        let mut end = 0;
        for &(offset, length) in &map {
            let next = offset
                .checked_add(length)
                .filter(|next| offset >= end && *next <= size);
            end = next
                .ok_or_else(|| UnpackError::Damaged("Damaged tar archive (sparse map)".into()))?;
        }
        let mut map = map.into_iter();
        let piece = map.next().unwrap_or((size, 0));
        Ok(Sparse {
            data,
            map,
            piece,
            position: 0,
            size,
        })
    }
}

impl Read for Sparse<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let (offset, length) = self.piece;
            if self.position >= offset + length && self.position < self.size {
                if let Some(next) = self.map.next() {
                    self.piece = next;
                    continue;
                }
                self.piece = (self.size, 0);
            }
            let (offset, length) = self.piece;
            let fit = |count: u64| {
                buffer
                    .len()
                    .min(usize::try_from(count).unwrap_or(usize::MAX))
            };
            let n = if self.position >= self.size {
                // What follows the last piece belongs to nobody but must be consumed.
                io::copy(self.data, &mut io::sink())?;
                return Ok(0);
            } else if self.position < offset {
                let n = fit(offset - self.position);
                buffer[..n].fill(0);
                n
            } else {
                let n = fit(offset + length - self.position);
                self.data.read(&mut buffer[..n])?
            };
            self.position += n as u64;
            return Ok(n);
        }
    }
}
