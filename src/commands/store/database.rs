//! The database as text: `--dump-db`, `--load-db`, `--register-validity`.
//!
//! ```text
//! entry = path "\n" [hash "\n" size "\n"] deriver "\n" count "\n" (reference "\n")*
//! ```

use std::io::{BufRead, Write};

use rx_store::canonical::{CanonicalOptions, InodesSeen, canonicalise};
use rx_store::hash::{Algorithm, Hash, Hasher};
use rx_store::path::StorePath;
use rx_store::store::{PathInfo, Store};

use super::{StoreCommand, local};
use crate::cli::Invocation;
use crate::store_session::{open_store, store_path};
use crate::ui::{self, Failure};

fn write_entry(store: &dyn Store, path: &StorePath, out: &mut impl Write) -> Result<(), Failure> {
    let dir = store.dir();
    let info = store.path_info(path)?;
    out.write_all(&dir.print(path))?;
    write!(out, "\n{}\n{}\n", info.nar_hash.base16(), info.nar_size)?;
    if let Some(deriver) = &info.deriver {
        out.write_all(&dir.print(deriver))?;
    }
    write!(out, "\n{}\n", info.references.len())?;
    for reference in &info.references {
        out.write_all(&dir.print(reference))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Reads the next entry; `None` at the end.
fn read_entry(
    store: &dyn Store,
    input: &mut impl BufRead,
    hash_given: bool,
) -> Result<Option<PathInfo>, Failure> {
    let mut line = || -> Result<Vec<u8>, Failure> {
        let mut text = Vec::new();
        input.read_until(b'\n', &mut text)?;
        if text.last() == Some(&b'\n') {
            text.pop();
        }
        Ok(text)
    };
    let path = line()?;
    if path.is_empty() {
        return Ok(None);
    }
    let number = |text: Vec<u8>| -> Result<u64, Failure> {
        String::from_utf8_lossy(&text)
            .trim()
            .parse()
            .map_err(|_| Failure::message("number expected"))
    };
    let mut info = PathInfo::new(store.dir().parse(&path)?, Hash::zero(Algorithm::Sha256), 0);
    if hash_given {
        info.nar_hash = Hash::parse_any(line()?, Some(Algorithm::Sha256))?;
        info.nar_size = number(line()?)?;
    }
    let deriver = line()?;
    if !deriver.is_empty() {
        info.deriver = Some(store.dir().parse(&deriver)?);
    }
    for _ in 0..number(line()?)? {
        info.references.insert(store.dir().parse(line()?)?);
    }
    Ok(Some(info))
}

impl StoreCommand {
    pub(super) fn dump_db(self, invocation: &Invocation) -> Result<(), Failure> {
        self.only(&[])?;
        let store = open_store(invocation)?;
        let mut out = ui::stdout();
        if self.arguments.is_empty() {
            for path in store.all_valid_paths()? {
                write_entry(&*store, &path, &mut out)?;
            }
        }
        for argument in &self.arguments {
            write_entry(&*store, &store_path(&*store, argument)?, &mut out)?;
        }
        out.flush()?;
        Ok(())
    }

    pub(super) fn load_db(self, invocation: &Invocation) -> Result<(), Failure> {
        self.only(&[])?;
        self.no_arguments()?;
        register(invocation, true, true, false)
    }

    pub(super) fn register_validity(self, invocation: &Invocation) -> Result<(), Failure> {
        self.only(&["--reregister", "--hash-given"])?;
        self.no_arguments()?;
        register(
            invocation,
            self.has("--reregister"),
            self.has("--hash-given"),
            true,
        )
    }
}

fn register(
    invocation: &Invocation,
    reregister: bool,
    hash_given: bool,
    make_canonical: bool,
) -> Result<(), Failure> {
    let store = local(invocation)?;
    let mut input = std::io::stdin().lock();
    let mut infos = Vec::new();
    while let Some(mut info) = read_entry(&*store, &mut input, hash_given)? {
        if !reregister && store.is_valid(&info.path)? {
            continue;
        }
        let place = store.physical(&info.path);
        if make_canonical {
            let options = CanonicalOptions {
                ignored_acls: store.config().ignored_acls.clone(),
                ..CanonicalOptions::default()
            };
            canonicalise(&place, &options, &mut InodesSeen::default())?;
        }
        if !hash_given {
            let hasher = rx_store::nar::dump(&place, Hasher::new(Algorithm::Sha256))?;
            info.nar_size = hasher.bytes();
            info.nar_hash = hasher.finish();
        }
        infos.push(info);
    }
    Ok(store.register_valid_paths(&infos)?)
}
