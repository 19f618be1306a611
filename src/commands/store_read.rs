//! `rx store cat`, `ls`, `dump-path`, `path-from-hash-part`: contents of store paths.

use std::ffi::OsString;
use std::io::{BufReader, BufWriter, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rx_store::nar::{Listing, Reader};
use rx_store::store::Store;

use super::nar::ListArgs;
use crate::cli::{Category, Invocation, Subcommand};
use crate::operands::PathArgs;
use crate::store_session::{follow_links, lines, open_store};
use crate::ui::{self, Failure, UsageError};

/// A store path and a place inside.
fn inside(
    store: &dyn Store,
    path: &OsString,
) -> Result<(rx_store::path::StorePath, Vec<u8>), Failure> {
    let path = follow_links(store, path)?;
    Ok(store.dir().split(path.as_os_str().as_encoded_bytes())?)
}

/// Arguments of `rx store cat`.
#[derive(clap::Args)]
pub struct StoreCat {
    /// A file in the store.
    path: OsString,
}

impl Subcommand for StoreCat {
    const PATH: &'static str = "store cat";
    const ABOUT: &'static str = "Print a file of the store";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let store = open_store(invocation)?;
        let (path, place) = inside(&*store, &self.path)?;
        store.path_info(&path)?;
        ui::print_bytes(&store.read_file(&path, &place)?)
    }
}

/// Arguments of `rx store ls`.
#[derive(clap::Args)]
pub struct StoreLs {
    #[command(flatten)]
    list: ListArgs,
    /// A file or directory in the store.
    path: OsString,
}

impl Subcommand for StoreLs {
    const PATH: &'static str = "store ls";
    const ABOUT: &'static str = "List a directory of the store";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let store = open_store(invocation)?;
        let (path, place) = inside(&*store, &self.path)?;
        store.path_info(&path)?;
        let listing = match store.real_path(&path) {
            Some(real) => Listing::of_path(&real)?,
            None => {
                let mut archive = tempfile::tempfile()?;
                let mut out = BufWriter::new(&mut archive);
                store.nar_from_path(&path, &mut out)?;
                out.flush()?;
                drop(out);
                archive.rewind()?;
                Listing::read(&mut Reader::new(BufReader::new(archive)))?
            }
        };
        let place = std::ffi::OsStr::from_bytes(&place);
        let whole = store.dir().display(&path).to_string();
        self.list.print(&listing, Path::new(place), &whole)
    }
}

/// Arguments of `rx store dump-path`.
#[derive(clap::Args)]
pub struct StoreDumpPath {
    #[command(flatten)]
    paths: PathArgs,
}

impl Subcommand for StoreDumpPath {
    const PATH: &'static str = "store dump-path";
    const ABOUT: &'static str = "Write the archive of a store path to standard output";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (store, paths) = self.paths.find(invocation, false)?;
        let [path] = paths.as_slice() else {
            return Err(UsageError::new("this command requires exactly one store path").into());
        };
        let mut out = ui::stdout();
        store.nar_from_path(path, &mut out)?;
        out.flush()?;
        Ok(())
    }
}

/// Arguments of `rx store path-from-hash-part`.
#[derive(clap::Args)]
pub struct PathFromHashPart {
    /// The 32 characters after the store directory.
    hash_part: String,
}

impl Subcommand for PathFromHashPart {
    const PATH: &'static str = "store path-from-hash-part";
    const ABOUT: &'static str = "Print the store path with these 32 characters";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let store = open_store(invocation)?;
        match store.query_path_from_hash_part(self.hash_part.as_bytes())? {
            Some(path) => ui::print_bytes(&lines(&*store, [&path])),
            None => Err(Failure::message(format!(
                "there is no store path corresponding to '{}'",
                self.hash_part
            ))),
        }
    }
}
