//! Roots: what keeps objects from being collected, and making them.
//!
//! Roots are links below `gcroots` and `profiles`; links in `gcroots/auto` that point to links elsewhere (indirect
//! roots); temporary roots; and whatever running processes have open, mapped, or in their environment.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use super::LocalStore;
use crate::hash::{Algorithm, Hash};
use crate::lock::{LockKind, try_lock};
use crate::path::StorePath;
use crate::progress;
use crate::store::api::{Roots, Store};
use crate::store::error::StoreError;
use crate::store::references::store_paths_in;

/// What is shown instead of a process's details to users who may not know them.
const CENSORED: &[u8] = b"{censored}";

/// Makes or replaces a symbolic link in one step.
pub(super) fn replace_symlink(link: &Path, target: &Path) -> io::Result<()> {
    let parent = link.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent)?;
    for n in 0.. {
        let mut name = std::ffi::OsString::from(format!(".{n}_"));
        name.push(link.file_name().unwrap_or_default());
        let temp = parent.join(name);
        match std::os::unix::fs::symlink(target, &temp) {
            Ok(()) => {
                return fs::rename(&temp, link).inspect_err(|_| {
                    let _ = fs::remove_file(&temp);
                });
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && n < 1000 => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

impl LocalStore {
    pub(super) fn make_indirect_root(&self, link: &Path) -> Result<(), StoreError> {
        let hash = Hash::of(Algorithm::Sha1, link.as_os_str().as_bytes()).nix32();
        let place = self.config.state_dir.join("gcroots/auto").join(hash);
        replace_symlink(&place, link).map_err(|e| StoreError::file("creating symlink", &place, e))
    }

    pub(super) fn make_permanent_root(
        &self,
        path: &StorePath,
        link: &Path,
    ) -> Result<PathBuf, StoreError> {
        let link = std::path::absolute(link)
            .map(|link| crate::settings::clean(&link))
            .map_err(|e| StoreError::file("resolving", link, e))?;
        let shown = link.display().to_string();
        if self.config.dir.contains(link.as_os_str().as_bytes()) {
            return Err(StoreError::layer(RootError::InStore(shown)));
        }
        self.add_temp_root(path)?;
        if let Ok(stat) = fs::symlink_metadata(&link) {
            let ours = stat.file_type().is_symlink()
                && fs::read_link(&link)
                    .is_ok_and(|to| self.config.dir.contains(to.as_os_str().as_bytes()));
            if !ours {
                return Err(StoreError::layer(RootError::Exists(shown)));
            }
        }
        // A root that shows an object which is not registered yet would show nothing to others.
        self.register_pending()?;
        let target = PathBuf::from(std::ffi::OsString::from_vec(self.config.dir.print(path)));
        replace_symlink(&link, &target)
            .map_err(|e| StoreError::file("creating symlink", &link, e))?;
        self.make_indirect_root(&link)?;
        Ok(link)
    }

    pub(super) fn all_roots(&self, censor: bool) -> Result<Roots, StoreError> {
        let mut roots = self.lasting_roots(censor)?;
        self.find_temp_roots(&mut roots, censor)?;
        Ok(roots)
    }

    /// Roots other than temporary ones.
    pub(super) fn lasting_roots(&self, censor: bool) -> Result<Roots, StoreError> {
        let mut roots = Roots::new();
        for dir in ["gcroots", "profiles"] {
            self.find_links(&self.config.state_dir.join(dir), &mut roots)?;
        }
        for (path, sources) in self.runtime_roots()? {
            if !self.is_valid(&path)? {
                continue;
            }
            let entry = roots.entry(path).or_default();
            if censor {
                entry.insert(CENSORED.to_vec());
            } else {
                entry.extend(sources);
            }
        }
        Ok(roots)
    }

    /// Looks through a directory of links, without recursion: its depth is somebody else's choice.
    fn find_links(&self, start: &Path, roots: &mut Roots) -> Result<(), StoreError> {
        let mut todo = vec![start.to_owned()];
        while let Some(path) = todo.pop() {
            crate::interrupt::check()?;
            let result = fs::symlink_metadata(&path).and_then(|stat| {
                let kind = stat.file_type();
                if kind.is_dir() {
                    for entry in fs::read_dir(&path)? {
                        todo.push(entry?.path());
                    }
                } else if kind.is_symlink() {
                    let target = fs::read_link(&path)?;
                    return Ok(Some((target, false)));
                } else if kind.is_file() {
                    return Ok(Some((path.clone(), true)));
                }
                Ok(None)
            });
            match result {
                Ok(None) => {}
                Ok(Some((file, true))) => {
                    let name = file.file_name().unwrap_or_default().as_bytes();
                    if let Ok(found) = StorePath::parse(name)
                        && self.is_valid(&found)?
                    {
                        roots
                            .entry(found)
                            .or_default()
                            .insert(path.as_os_str().as_bytes().to_vec());
                    }
                }
                Ok(Some((target, false))) => self.follow_link(&path, &target, roots)?,
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::NotFound
                            | io::ErrorKind::PermissionDenied
                            | io::ErrorKind::NotADirectory
                    ) =>
                {
                    progress::info(format!("cannot read potential root '{}'", path.display()));
                }
                Err(e) => return Err(StoreError::file("finding GC roots in", &path, e)),
            }
        }
        Ok(())
    }

    fn follow_link(&self, link: &Path, target: &Path, roots: &mut Roots) -> Result<(), StoreError> {
        let dir = &self.config.dir;
        if dir.contains(target.as_os_str().as_bytes()) {
            return self.found_root(link, target, roots);
        }
        let target = crate::settings::clean(&link.parent().unwrap_or(link).join(target));
        match fs::symlink_metadata(&target) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if link.starts_with(self.config.state_dir.join("gcroots/auto")) {
                    progress::info(format!(
                        "removing stale link from '{}' to '{}'",
                        link.display(),
                        target.display()
                    ));
                    let _ = fs::remove_file(link);
                }
                Ok(())
            }
            Ok(stat) if stat.file_type().is_symlink() => match fs::read_link(&target) {
                Ok(second) if dir.contains(second.as_os_str().as_bytes()) => {
                    self.found_root(&target, &second, roots)
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn found_root(&self, link: &Path, target: &Path, roots: &mut Roots) -> Result<(), StoreError> {
        let Ok((path, _)) = self.config.dir.split(target.as_os_str().as_bytes()) else {
            return Ok(());
        };
        if self.is_valid(&path)? {
            roots
                .entry(path)
                .or_default()
                .insert(link.as_os_str().as_bytes().to_vec());
        } else {
            progress::info(format!(
                "skipping invalid root from '{}' to '{}'",
                link.display(),
                target.display()
            ));
        }
        Ok(())
    }

    /// Reads the files of all processes; files of dead ones are removed.
    pub(super) fn find_temp_roots(
        &self,
        roots: &mut Roots,
        censor: bool,
    ) -> Result<(), StoreError> {
        let dir = self.config.state_dir.join("temproots");
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(StoreError::file("reading directory", &dir, e)),
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            let failed = |e| StoreError::file("opening temporary roots file", &path, e);
            let mut file = match fs::OpenOptions::new().read(true).write(true).open(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(failed(e)),
            };
            let own = name.to_str() == Some(std::process::id().to_string().as_str());
            if !own && try_lock(&file, LockKind::Write).map_err(failed)? {
                progress::info(format!(
                    "removing stale temporary roots file '{}'",
                    path.display()
                ));
                let _ = fs::remove_file(&path);
                let _ = file.write_all(b"d");
                continue;
            }
            let mut contents = Vec::new();
            file.read_to_end(&mut contents).map_err(failed)?;
            let source = if censor {
                CENSORED.to_vec()
            } else {
                [b"{temp:", name.as_bytes(), b"}"].concat()
            };
            // What follows the last NUL is a root that is just being written, and whose writer waits for us.
            let mut rest = contents.as_slice();
            while let Some(end) = memchr::memchr(0, rest) {
                if let Ok(root) = self.config.dir.parse(&rest[..end]) {
                    roots.entry(root).or_default().insert(source.clone());
                }
                rest = &rest[end + 1..];
            }
        }
        Ok(())
    }

    /// What running processes have open, mapped, or in their environment.
    fn runtime_roots(&self) -> Result<FxHashMap<StorePath, BTreeSet<Vec<u8>>>, StoreError> {
        let dir = &self.config.dir;
        let mut found: FxHashMap<StorePath, BTreeSet<Vec<u8>>> = FxHashMap::default();
        let mut add = |target: &[u8], source: &Path| {
            if dir.contains(target)
                && let Ok((path, _)) = dir.split(target)
            {
                found
                    .entry(path)
                    .or_default()
                    .insert(source.as_os_str().as_bytes().to_vec());
            }
        };
        let Ok(processes) = fs::read_dir("/proc") else {
            return Ok(found);
        };
        for process in processes.flatten() {
            if !process
                .file_name()
                .as_bytes()
                .iter()
                .all(u8::is_ascii_digit)
            {
                continue;
            }
            crate::interrupt::check()?;
            let process = process.path();
            // A process may end or not be ours to look at: then it simply has nothing.
            for link in ["exe", "cwd"] {
                let link = process.join(link);
                if let Ok(target) = fs::read_link(&link) {
                    add(target.as_os_str().as_bytes(), &link);
                }
            }
            for fd in fs::read_dir(process.join("fd"))
                .into_iter()
                .flatten()
                .flatten()
            {
                if let Ok(target) = fs::read_link(fd.path()) {
                    add(target.as_os_str().as_bytes(), &fd.path());
                }
            }
            let maps = process.join("maps");
            if let Ok(text) = fs::read(&maps) {
                for line in text.split(|&c| c == b'\n') {
                    let field = line
                        .split(u8::is_ascii_whitespace)
                        .filter(|field| !field.is_empty())
                        .nth(5);
                    if let Some(target) = field {
                        add(target, &maps);
                    }
                }
            }
            let environ = process.join("environ");
            if let Ok(text) = fs::read(&environ) {
                for path in store_paths_in(dir, &text) {
                    add(&dir.print(&path), &environ);
                }
            }
        }
        for file in ["modprobe", "fbsplash", "poweroff_cmd"] {
            let file = Path::new("/proc/sys/kernel").join(file);
            if let Ok(text) = fs::read(&file) {
                add(text.trim_ascii(), &file);
            }
        }
        Ok(found)
    }
}

/// Why a root could not be made.
#[derive(Debug, thiserror::Error)]
enum RootError {
    #[error(
        "creating a garbage collector root ({0}) in the Nix store is forbidden \
         (are you running nix-build inside the store?)"
    )]
    InStore(String),
    #[error("cannot create symlink '{0}'; already exists")]
    Exists(String),
}
