//! A store that lies elsewhere, made visible at its logical place for this process and its children.
//!
//! ```text
//! unshare ─► is there a directory at the logical place?
//!              yes: mount over it (both stores together where the kernel can overlay them)
//!              no:  a new root in memory: everything of the old one, and the store
//! ```
//!
//! A user namespace can only be entered by a process with one thread, so this belongs at the very start
//! of a program.

use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::sys::{self, Errno, Sys};

/// Why a store cannot be made visible.
#[derive(Debug, thiserror::Error)]
#[error("cannot show the store in '{real}' at '{logical}': {step}: {source}")]
pub struct VisibleError {
    real: String,
    logical: String,
    step: &'static str,
    #[source]
    source: io::Error,
}

type Step<T> = Result<T, (&'static str, io::Error)>;

fn during<T>(step: &'static str, result: Sys<T>) -> Step<T> {
    result.map_err(|Errno(errno)| (step, io::Error::from_raw_os_error(errno)))
}

fn c_string(path: &Path) -> Step<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| ("reading a path", io::ErrorKind::InvalidInput.into()))
}

/// Shows the directory `real` at `logical` to this process and those that it starts. The working directory stays.
pub fn show_store(logical: &Path, real: &Path) -> Result<(), VisibleError> {
    show(logical, real).map_err(|(step, source)| VisibleError {
        real: real.display().to_string(),
        logical: logical.display().to_string(),
        step,
        source,
    })
}

fn show(logical: &Path, real: &Path) -> Step<()> {
    let directory = std::env::current_dir();
    enter_namespace()?;
    during(
        "leaving the host's mounts",
        sys::mount(c"none", c"/", c"", libc::MS_SLAVE | libc::MS_REC, None),
    )?;
    if logical.is_dir() {
        mount_over(logical, real)?;
    } else {
        new_root(logical, real)?;
    }
    match directory {
        Ok(directory) => {
            std::env::set_current_dir(directory).map_err(|e| ("going back to the directory", e))
        }
        // It was gone before.
        Err(_) => Ok(()),
    }
}

/// Root needs no user namespace, and keeps all its rights without one.
fn enter_namespace() -> Step<()> {
    let mounts = libc::CLONE_NEWNS;
    if rustix::process::geteuid().is_root() && sys::unshare(mounts).is_ok() {
        return Ok(());
    }
    let (user, group) = (
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw(),
    );
    during(
        "making a namespace",
        sys::unshare(mounts | libc::CLONE_NEWUSER),
    )?;
    let write = |file: &str, text: String| {
        fs::write(Path::new("/proc/self").join(file), text).map_err(|e| ("mapping the user", e))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{user} {user} 1"))?;
    write("gid_map", format!("{group} {group} 1"))
}

fn mount_over(logical: &Path, real: &Path) -> Step<()> {
    let target = c_string(logical)?;
    let lower = |path: &Path| {
        let mut escaped = Vec::new();
        for &byte in path.as_os_str().as_bytes() {
            if matches!(byte, b':' | b',' | b'\\') {
                escaped.push(b'\\');
            }
            escaped.push(byte);
        }
        escaped
    };
    let options = [&b"lowerdir="[..], &lower(logical), b":", &lower(real)].concat();
    if let Ok(options) = CString::new(options)
        && sys::mount(c"overlay", &target, c"overlay", 0, Some(&options)).is_ok()
    {
        return Ok(());
    }
    let source = c_string(real)?;
    during(
        "mounting the store",
        sys::mount(&source, &target, c"", libc::MS_BIND | libc::MS_REC, None),
    )
}

/// Something of the old root that the new one has, too.
enum Kept {
    Tree(PathBuf, std::os::fd::OwnedFd),
    Link(PathBuf, PathBuf),
}

/// Makes a root in memory with everything of the present one, and the store.
fn new_root(logical: &Path, real: &Path) -> Step<()> {
    let mut kept = Vec::new();
    // What lies beside each directory on the way to the store.
    let mut here = PathBuf::from("/");
    for component in logical.components().skip(1) {
        keep_others(&here, component.as_os_str(), &mut kept);
        here.push(component);
    }
    let tree = during("opening the store", sys::open_tree(&c_string(real)?))?;
    kept.push(Kept::Tree(logical.to_owned(), sys::own(tree)));

    let place = fs::File::open(real).map_err(|e| ("opening the store", e))?;
    let memory = during(
        "making a root",
        sys::new_memory_file_system(&[(c"mode", c"0755"), (c"size", c"1m")]),
    )?;
    let memory = sys::own(memory);
    during(
        "making a root",
        sys::move_mount(memory.as_raw_fd(), place.as_raw_fd()),
    )?;
    during("making a root", sys::change_to(memory.as_raw_fd()))?;
    let below = |path: &Path| path.strip_prefix("/").unwrap_or(path).to_owned();
    let failed = |e| ("filling the root", e);
    for item in kept {
        match item {
            Kept::Link(path, target) => {
                let path = below(&path);
                make_parent(&path).map_err(failed)?;
                std::os::unix::fs::symlink(target, path).map_err(failed)?;
            }
            Kept::Tree(path, tree) => {
                let path = below(&path);
                make_parent(&path).map_err(failed)?;
                let kind = during("filling the root", sys::file_type(tree.as_raw_fd()))?;
                if kind == libc::S_IFDIR {
                    fs::create_dir(&path).map_err(failed)?;
                } else {
                    fs::File::create(&path).map_err(failed)?;
                }
                let flags = libc::O_PATH | libc::O_NOFOLLOW;
                let at = sys::open_at(libc::AT_FDCWD, &c_string(&path)?, flags, 0);
                let at = sys::own(during("filling the root", at)?);
                during(
                    "filling the root",
                    sys::move_mount(tree.as_raw_fd(), at.as_raw_fd()),
                )?;
            }
        }
    }
    during("changing the root", sys::pivot_to_current_directory())
}

fn make_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::create_dir_all(parent),
        _ => Ok(()),
    }
}

/// Takes hold of everything in a directory but one name. What cannot be seen stays away.
fn keep_others(directory: &Path, except: &std::ffi::OsStr, kept: &mut Vec<Kept>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    for name in names.into_iter().filter(|name| name != except) {
        let path = directory.join(name);
        if let Ok(target) = fs::read_link(&path) {
            kept.push(Kept::Link(path, target));
        } else if let Ok(name) = c_string(&path)
            && let Ok(tree) = sys::open_tree(&name)
        {
            kept.push(Kept::Tree(path, sys::own(tree)));
        }
    }
}

/// Lets programs of a 32-bit system see a 32-bit machine.
pub fn adopt_personality(system: &str) {
    const LINUX_32: u64 = 0x8;
    let wanted = crate::build::layout::personality(system.as_bytes(), false) & LINUX_32;
    if wanted != 0 {
        // A kernel that cannot do it runs the programs anyway.
        let _ = sys::personality(wanted);
    }
}
