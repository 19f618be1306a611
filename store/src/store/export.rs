//! The stream of `--export` and `--import`.
//!
//! ```text
//! stream = (1 archive magic path references deriver 0)* 0      numbers are 64-bit little-endian, magic is "NIXE"
//! ```

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};

use super::api::{AddFlags, Store};
use super::error::StoreError;
use super::info::PathInfo;
use super::references::Tee;
use crate::hash::{Algorithm, Format, Hash, Hasher};
use crate::path::StorePath;

const MAGIC: u64 = 0x4558_494e;

/// The longest string of a well-formed stream: a path.
const MAX_STRING: u64 = 1 << 16;

/// References of one object; more than any store has.
const MAX_REFERENCES: u64 = 10_000_000;

fn write_number(out: &mut dyn Write, n: u64) -> io::Result<()> {
    out.write_all(&n.to_le_bytes())
}

fn write_string(out: &mut dyn Write, text: &[u8]) -> io::Result<()> {
    write_number(out, text.len() as u64)?;
    out.write_all(text)?;
    out.write_all(&[0; 8][..crate::nar::padding(text.len() as u64)])
}

/// Writes the objects, referenced ones first.
pub fn export_paths<S: Store + ?Sized>(
    store: &S,
    paths: &BTreeSet<StorePath>,
    out: &mut dyn Write,
) -> Result<(), StoreError> {
    let mut order = super::closure::topological_paths(store, paths)?;
    order.reverse();
    for path in &order {
        write_number(out, 1)?;
        export_path(store, path, out)?;
    }
    write_number(out, 0)?;
    out.flush()?;
    Ok(())
}

fn export_path<S: Store + ?Sized>(
    store: &S,
    path: &StorePath,
    out: &mut dyn Write,
) -> Result<(), StoreError> {
    let info = store.path_info(path)?;
    let mut tee = Tee(Hasher::new(Algorithm::Sha256), &mut *out);
    store.nar_from_path(path, &mut tee)?;
    let found = tee.0.finish();
    // Damage must not spread to other machines.
    if found != info.nar_hash && info.nar_hash != Hash::zero(Algorithm::Sha256) {
        return Err(StoreError::Changed {
            path: store.dir().display(path).to_string(),
            expected: info.nar_hash.format(Format::Nix32, true),
            found: found.format(Format::Nix32, true),
        });
    }
    write_number(out, MAGIC)?;
    write_string(out, &store.dir().print(path))?;
    write_number(out, info.references.len() as u64)?;
    for reference in &info.references {
        write_string(out, &store.dir().print(reference))?;
    }
    let deriver = info
        .deriver
        .as_ref()
        .map(|d| store.dir().print(d))
        .unwrap_or_default();
    write_string(out, &deriver)?;
    write_number(out, 0)?;
    Ok(())
}

struct Input<'a>(&'a mut dyn BufRead);

impl Input<'_> {
    fn number(&mut self) -> Result<u64, StoreError> {
        let mut bytes = [0; 8];
        self.0.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn string(&mut self) -> Result<Vec<u8>, StoreError> {
        let len = self.number()?;
        if len > MAX_STRING {
            return Err(StoreError::Format("string is too long"));
        }
        let mut text = vec![0; len as usize];
        self.0.read_exact(&mut text)?;
        let mut pad = [0; 8];
        self.0.read_exact(&mut pad[..crate::nar::padding(len)])?;
        if pad != [0; 8] {
            return Err(StoreError::Format("non-zero padding"));
        }
        Ok(text)
    }
}

/// Adds all objects of a stream; returns them in its order.
pub fn import_paths<S: Store + ?Sized>(
    store: &S,
    input: &mut dyn BufRead,
    check_signatures: bool,
) -> Result<Vec<StorePath>, StoreError> {
    let mut input = Input(input);
    let mut imported = Vec::new();
    loop {
        match input.number()? {
            0 => return Ok(imported),
            1 => {}
            _ => {
                return Err(StoreError::Format(
                    "input doesn't look like something created by 'nix-store --export'",
                ));
            }
        }
        // What the archive is comes after it, so it waits in a file without name.
        let mut archive = io::BufWriter::new(tempfile::tempfile()?);
        let mut tee = Tee(Hasher::new(Algorithm::Sha256), &mut archive);
        super::memory::copy_nar(&mut *input.0, &mut tee)?;
        let size = tee.0.bytes();
        let hash = tee.0.finish();
        if input.number()? != MAGIC {
            return Err(StoreError::Format(
                "Nix archive cannot be imported; wrong format",
            ));
        }
        let path = store.dir().parse(input.string()?)?;
        let mut info = PathInfo::new(path, hash, size);
        let count = input.number()?;
        if count > MAX_REFERENCES {
            return Err(StoreError::Format("too many references"));
        }
        for _ in 0..count {
            info.references.insert(store.dir().parse(input.string()?)?);
        }
        let deriver = input.string()?;
        if !deriver.is_empty() {
            info.deriver = Some(store.dir().parse(&deriver)?);
        }
        // A signature of old times; nobody looks at it.
        if input.number()? == 1 {
            input.string()?;
        }
        let mut file = archive
            .into_inner()
            .map_err(|e| StoreError::Io(io::Error::from(e.error().kind())))?;
        io::Seek::rewind(&mut file)?;
        let flags = AddFlags {
            repair: false,
            check_signatures,
        };
        store.add_nar(
            &info,
            &mut io::BufReader::with_capacity(1 << 16, &mut file),
            flags,
        )?;
        imported.push(info.path);
    }
}
