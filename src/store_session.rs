//! The store of one run: opened from settings, and paths on the command line turned into store paths.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rx_store::path::{PathError, StorePath};
use rx_store::store::address::{StoreAddress, Target};
use rx_store::store::{DerivedPath, LocalStore, OutputsSpec, SingleDerivedPath, Store};

use crate::cli::Invocation;
use crate::ui::Failure;

/// Opens the store that the settings name.
pub fn open_store(invocation: &Invocation) -> Result<Arc<dyn Store>, Failure> {
    open_named(invocation, &invocation.settings.store)
}

/// Opens a store by its address.
pub fn open_named(invocation: &Invocation, address: &str) -> Result<Arc<dyn Store>, Failure> {
    Ok(rx_store::open::open(&invocation.settings, address)?)
}

/// Opens the local store that the settings name; other kinds of stores are refused.
pub fn open_local(invocation: &Invocation) -> Result<Arc<LocalStore>, Failure> {
    let address = StoreAddress::parse(&invocation.settings.store)?;
    match &address.target {
        Target::Auto | Target::Local(_) => {
            Ok(rx_store::open::open_local(&invocation.settings, &address)?)
        }
        _ => Err(Failure::message(
            "you don't have sufficient rights to use this command",
        )),
    }
}

/// The path on the command line, absolute and without dots, with links into the store followed until it is inside.
pub fn follow_links(store: &dyn Store, path: &OsStr) -> Result<PathBuf, Failure> {
    let mut path = std::path::absolute(path)
        .map(|path| rx_store::settings::clean(&path))
        .unwrap_or_else(|_| PathBuf::from(path));
    // As many links as the kernel follows.
    for _ in 0..40 {
        if store.dir().contains(path.as_os_str().as_bytes()) {
            return Ok(path);
        }
        let Ok(target) = std::fs::read_link(&path) else {
            break;
        };
        let parent = path.parent().unwrap_or(Path::new("/"));
        path = rx_store::settings::clean(&parent.join(target));
    }
    Err(PathError::NotInStore(path.display().to_string()).into())
}

/// The store object that a path on the command line lies in or links to.
pub fn store_path(store: &dyn Store, path: &OsStr) -> Result<StorePath, Failure> {
    let path = follow_links(store, path)?;
    Ok(store.dir().split(path.as_os_str().as_bytes())?.0)
}

/// A store path with outputs after `separator` (`!` for classic commands, `^` for new ones).
pub fn path_with_outputs(
    store: &dyn Store,
    text: &OsStr,
    separator: char,
) -> Result<DerivedPath, Failure> {
    let bytes = text.as_bytes();
    if let Some(at) = bytes.iter().rposition(|&c| c == separator as u8) {
        let outputs = String::from_utf8_lossy(&bytes[at + 1..]).into_owned();
        let drv = OsStr::from_bytes(&bytes[..at]);
        let drv = if separator == '^' {
            single_path(store, drv)?
        } else {
            SingleDerivedPath::Opaque(store_path(store, drv)?)
        };
        return Ok(DerivedPath::Built {
            drv: Arc::new(drv),
            outputs: OutputsSpec::parse(&outputs)?,
        });
    }
    let path = store_path(store, text)?;
    Ok(if path.is_derivation() && separator == '!' {
        DerivedPath::built(path, OutputsSpec::All)
    } else {
        DerivedPath::Opaque(path)
    })
}

/// A store path, or an output of one (`PATH^OUTPUT^OUTPUT…`).
fn single_path(store: &dyn Store, text: &OsStr) -> Result<SingleDerivedPath, Failure> {
    let bytes = text.as_bytes();
    let mut parts = bytes.split(|&c| c == b'^');
    let base = parts.next().unwrap_or_default();
    let base = store_path(store, OsStr::from_bytes(base))?;
    let rest: Vec<_> = parts.map(String::from_utf8_lossy).collect();
    let mut text = store.dir().display(&base).to_string();
    for output in rest {
        text.push('^');
        text += &output;
    }
    Ok(SingleDerivedPath::parse(store.dir(), &text, '^')?)
}

/// The absolute name of a file without `.`, `..` and slashes at its end: a link named with one is still a link.
pub fn canonical_name(path: &Path) -> Result<PathBuf, Failure> {
    let absolute = std::path::absolute(path)?.into_os_string().into_vec();
    let name = rx_store::path::canonical(&absolute)?;
    Ok(PathBuf::from(OsString::from_vec(name)))
}

/// A store path as it is printed.
pub fn shown(store: &dyn Store, path: &StorePath) -> PathBuf {
    PathBuf::from(OsString::from_vec(store.dir().print(path)))
}

/// Lines of store paths, for standard output.
pub fn lines<'a>(store: &dyn Store, paths: impl IntoIterator<Item = &'a StorePath>) -> Vec<u8> {
    let mut out = Vec::new();
    for path in paths {
        out.extend_from_slice(&store.dir().print(path));
        out.push(b'\n');
    }
    out
}
