//! `rx nar …`: makes archives and looks into them, without a store.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rx_store::nar::{self, Listing, ListingKind, Lookup, Reader};
use serde_json::{Map, Value, json};

use crate::cli::{Category, Invocation, JsonOptions, Subcommand};
use crate::store_session::canonical_name;
use crate::ui::{self, Failure, UsageError};

/// A path is not there.
#[derive(Debug, thiserror::Error)]
#[error("path '{}' does not exist", .0.display())]
struct NoPath(PathBuf);

/// A path in an archive is no file.
#[derive(Debug, thiserror::Error)]
#[error("NAR does not contain regular file '{}'", .0.display())]
struct NoFile(PathBuf);

fn write_archive(path: &Path) -> Result<(), Failure> {
    let path = &canonical_name(path)?;
    if path.symlink_metadata().is_err() {
        return Err(NoPath(path.clone()).into());
    }
    nar::dump(path, ui::stdout())?.flush()?;
    Ok(())
}

macro_rules! packers {
    ($($type:ident $path:literal $about:literal;)*) => { $(
        #[doc = $about]
        #[derive(clap::Args)]
        pub struct $type {
            /// The file or directory.
            path: PathBuf,
        }

        impl Subcommand for $type {
            const PATH: &'static str = $path;
            const ABOUT: &'static str = $about;
            const CATEGORY: Category = Category::Utility;

            fn run(self, _: &Invocation) -> Result<(), Failure> {
                write_archive(Path::new(&self.path))
            }
        }
    )* };
}

packers! {
    NarPack "nar pack" "Write a file or tree as an archive to standard output";
    NarDumpPath "nar dump-path" "Old name of 'rx nar pack'";
}

fn open(archive: &Path) -> Result<File, Failure> {
    File::open(archive).map_err(|error| {
        let error = rx_store::store::StoreError::from(error);
        Failure::message(format!(
            "opening NAR file \"{}\": {error}",
            archive.display()
        ))
    })
}

fn read_listing(archive: &Path) -> Result<Listing, Failure> {
    Ok(Listing::read(&mut Reader::new(BufReader::new(open(
        archive,
    )?)))?)
}

/// How files are listed; also for `rx store ls`.
#[derive(clap::Args, Clone, Debug)]
pub struct ListArgs {
    /// List what is in directories, too.
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Show kinds and sizes.
    #[arg(short = 'l', long)]
    long: bool,
    /// Show directories themselves, not what is in them.
    #[arg(short = 'd', long)]
    directory: bool,
    #[command(flatten)]
    json: JsonOptions,
}

impl ListArgs {
    /// Lists what stands at `path`; `whole` is how the tree is called.
    pub fn print(&self, listing: &Listing, path: &Path, whole: &str) -> Result<(), Failure> {
        if self.json.json && self.directory {
            return Err(UsageError::new("'--directory' is useless with '--json'").into());
        }
        if self.json.json && self.long {
            return Err(UsageError::new("'--long' is useless with '--json'").into());
        }
        let Lookup::Found(found) = listing.lookup(path.as_os_str().as_bytes()) else {
            let mut missing = OsString::from(whole);
            missing.push(path);
            return Err(NoPath(missing.into()).into());
        };
        if self.json.json {
            return self
                .json
                .print(&to_json(found, Depth::Here, self.recursive));
        }
        let mut text = Vec::new();
        match &found.kind {
            ListingKind::Directory(_) if !self.directory => self.list(found, b".", &mut text),
            kind => {
                // A file that is the whole archive has no name.
                let name = match kind {
                    ListingKind::Directory(_) => b".".as_slice(),
                    _ => path.file_name().unwrap_or_default().as_bytes(),
                };
                self.line(kind, name, &mut text);
                if self.recursive {
                    self.list(found, name, &mut text);
                }
            }
        }
        ui::print_bytes(&text)
    }

    fn list(&self, listing: &Listing, prefix: &[u8], text: &mut Vec<u8>) {
        let ListingKind::Directory(entries) = &listing.kind else {
            return;
        };
        // Archives nest at most 64 levels.
        for (name, child) in entries {
            let path = [prefix, b"/", name].concat();
            self.line(&child.kind, &path, text);
            if self.recursive {
                self.list(child, &path, text);
            }
        }
    }

    fn line(&self, kind: &ListingKind, name: &[u8], text: &mut Vec<u8>) {
        if self.long {
            let (mode, size) = match kind {
                ListingKind::Regular {
                    executable: true,
                    size,
                    ..
                } => ("-r-xr-xr-x", *size),
                ListingKind::Regular { size, .. } => ("-r--r--r--", *size),
                ListingKind::Symlink(_) => ("lrwxrwxrwx", 0),
                ListingKind::Directory(_) => ("dr-xr-xr-x", 0),
            };
            text.extend(format!("{mode} {size:>20} ").bytes());
        }
        text.extend(name);
        if let (true, ListingKind::Symlink(target)) = (self.long, kind) {
            text.extend(b" -> ");
            text.extend(target);
        }
        text.push(b'\n');
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Here,
    Below,
}

/// Without `deep`, what is in a directory is named and not described.
fn to_json(listing: &Listing, depth: Depth, deep: bool) -> Value {
    if depth == Depth::Below && !deep {
        return json!({});
    }
    let mut object = Map::new();
    match &listing.kind {
        ListingKind::Regular {
            executable,
            size,
            offset,
        } => {
            if *executable {
                object.insert("executable".into(), json!(true));
            }
            if *offset != 0 {
                object.insert("narOffset".into(), json!(offset));
            }
            object.insert("size".into(), json!(size));
            object.insert("type".into(), json!("regular"));
        }
        ListingKind::Symlink(target) => {
            object.insert("target".into(), json!(String::from_utf8_lossy(target)));
            object.insert("type".into(), json!("symlink"));
        }
        ListingKind::Directory(entries) => {
            let entries: Map<String, Value> = entries
                .iter()
                .map(|(name, child)| {
                    (
                        String::from_utf8_lossy(name).into_owned(),
                        to_json(child, Depth::Below, deep),
                    )
                })
                .collect();
            object.insert("entries".into(), entries.into());
            object.insert("type".into(), json!("directory"));
        }
    }
    object.into()
}

/// Arguments of `rx nar ls`.
#[derive(clap::Args)]
pub struct NarLs {
    #[command(flatten)]
    list: ListArgs,
    /// The archive.
    nar: PathBuf,
    /// The path inside of it.
    #[arg(value_parser = clap::builder::ValueParser::os_string())]
    path: std::ffi::OsString,
}

impl Subcommand for NarLs {
    const PATH: &'static str = "nar ls";
    const ABOUT: &'static str = "List what is at a path in an archive";
    const CATEGORY: Category = Category::Utility;

    fn run(self, _: &Invocation) -> Result<(), Failure> {
        self.list
            .print(&read_listing(&self.nar)?, Path::new(&self.path), "")
    }
}

/// Arguments of `rx nar cat`.
#[derive(clap::Args)]
pub struct NarCat {
    /// The archive.
    nar: PathBuf,
    /// The file inside of it.
    #[arg(value_parser = clap::builder::ValueParser::os_string())]
    path: std::ffi::OsString,
}

impl Subcommand for NarCat {
    const PATH: &'static str = "nar cat";
    const ABOUT: &'static str = "Print a file that is in an archive";
    const CATEGORY: Category = Category::Utility;

    fn run(self, _: &Invocation) -> Result<(), Failure> {
        let listing = read_listing(&self.nar)?;
        let (offset, size) = match listing.lookup(self.path.as_os_str().as_bytes()) {
            Lookup::Found(Listing {
                kind: ListingKind::Regular { offset, size, .. },
            }) => (*offset, *size),
            Lookup::Found(_) | Lookup::Missing => return Err(NoFile(self.path.into()).into()),
        };
        let mut file = open(&self.nar)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut out = ui::stdout();
        std::io::copy(&mut file.take(size), &mut out)?;
        out.flush()?;
        Ok(())
    }
}
