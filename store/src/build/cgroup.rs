//! A control group for a build (`use-cgroups`): what it may use can be limited from outside, what it has used is known, and
//! all of it can be ended at once.
//!
//! ```text
//! <cgroup2 file system>/<our own group>/nix-build-uid-<uid>        exclusive users: left-overs are found and ended
//!                                      /nix-build-pid-<pid>-<n>    others
//! ```

use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{Gid, Uid};

use super::sandbox::BuildUser;

/// Why a build has no group.
#[derive(Debug, thiserror::Error)]
pub(super) enum CgroupError {
    /// No such file system is mounted.
    #[error("cannot determine the cgroups file system")]
    NoFileSystem,
    /// This process is in no group of that file system, or in one that cannot be seen from here.
    #[error("expected cgroup directory '{}'", .0.display())]
    NoOwnGroup(PathBuf),
    /// A file or directory of the group.
    #[error("{0} cgroup '{path}': {error}", path = .1.display(), error = .2)]
    Io(&'static str, PathBuf, io::Error),
}

/// Time on processors that a build has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// In programs.
    pub(super) user: Duration,
    /// In the kernel for them.
    pub(super) system: Duration,
}

/// A group that is ended and removed when this is dropped.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
    gone: bool,
}

/// A builder owns its group and may divide it, but not without end.
const LIMITS: [(&str, &str); 2] = [
    ("cgroup.max.depth", "32"),
    ("cgroup.max.descendants", "4096"),
];

impl Cgroup {
    /// Makes a group below that of this process and gives it to the builder's user.
    pub(super) fn create(state: &Path, user: Option<&BuildUser>) -> Result<Self, CgroupError> {
        let parent = own_group()?;
        let path = match user.filter(|user| user.exclusive) {
            Some(user) => {
                let path = parent.join(format!("nix-build-uid-{}", user.uid));
                end_left_over(state, user.uid, &path)?;
                path
            }
            None => {
                static COUNTER: AtomicU64 = AtomicU64::new(0);
                let number = COUNTER.fetch_add(1, Ordering::Relaxed);
                parent.join(format!("nix-build-pid-{}-{number}", std::process::id()))
            }
        };
        fs::create_dir(&path).map_err(|error| CgroupError::Io("creating", path.clone(), error))?;
        let group = Cgroup { path, gone: false };
        for (file, limit) in LIMITS {
            // Kernels before 4.14 know no limits; then it is as with other implementations.
            let _ = fs::write(group.path.join(file), limit);
        }
        if let Some(user) = user {
            for file in ["", "cgroup.procs", "cgroup.threads"] {
                let file = group.path.join(file);
                let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
                rustix::fs::chown(&file, Some(uid), Some(gid))
                    .map_err(|error| CgroupError::Io("giving away", file, error.into()))?;
            }
        }
        Ok(group)
    }

    /// The file that takes the numbers of processes which enter.
    pub(super) fn entrance(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Ends whatever is left in it, removes it, and says what was used.
    pub(super) fn end(mut self) -> Result<Usage, CgroupError> {
        self.gone = true;
        let usage = kill(&self.path)?;
        remove(&self.path)?;
        Ok(usage)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if !self.gone {
            let _ = kill(&self.path).and_then(|_| remove(&self.path));
        }
    }
}

/// The directory of the group that this process is in.
fn own_group() -> Result<PathBuf, CgroupError> {
    let mounts = fs::read("/proc/self/mounts").unwrap_or_default();
    let root = file_system(&mounts).ok_or(CgroupError::NoFileSystem)?;
    let groups = fs::read("/proc/self/cgroup").unwrap_or_default();
    let own = groups
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"0::/"))
        .ok_or_else(|| CgroupError::NoOwnGroup(root.clone()))?;
    let path = root.join(PathBuf::from(std::ffi::OsString::from_vec(own.to_vec())));
    if path.is_dir() {
        Ok(path)
    } else {
        Err(CgroupError::NoOwnGroup(path))
    }
}

/// Where the file system of groups is, in a table of mounts.
fn file_system(mounts: &[u8]) -> Option<PathBuf> {
    mounts.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.split(|&byte| byte == b' ').skip(1);
        let (place, kind) = (fields.next()?, fields.next()?);
        (kind == b"cgroup2").then(|| PathBuf::from(std::ffi::OsString::from_vec(unescaped(place))))
    })
}

/// `\040` stands for a space, and so on.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = (byte == b'\\')
            .then(|| std::str::from_utf8(after.get(..3)?).ok())
            .flatten();
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(escaped) => {
                plain.push(escaped);
                rest = &after[3..];
            }
            None => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    plain
}

/// A process that was killed in the middle of a build has left its group behind; its user's next build finds it by a note.
fn end_left_over(state: &Path, uid: u32, path: &Path) -> Result<(), CgroupError> {
    use std::os::unix::ffi::OsStrExt;
    let notes = state.join("cgroups");
    let note = notes.join(uid.to_string());
    let failed = |error| CgroupError::Io("noting", note.clone(), error);
    fs::create_dir_all(&notes).map_err(failed)?;
    let before = fs::read(&note)
        .ok()
        .map(|text| PathBuf::from(std::ffi::OsString::from_vec(text)));
    for left in [before.as_deref(), Some(path)].into_iter().flatten() {
        // Only what is a group: a damaged note must not lead to other directories.
        if left.join("cgroup.procs").is_file() {
            kill(left)?;
            remove(left)?;
        }
    }
    fs::write(&note, path.as_os_str().as_bytes()).map_err(failed)
}

fn directories_below(path: &Path) -> Vec<PathBuf> {
    fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Ends every process in a group and below.
fn kill(path: &Path) -> Result<Usage, CgroupError> {
    let switch = path.join("cgroup.kill");
    if switch.exists() {
        fs::write(&switch, "1").map_err(|error| CgroupError::Io("killing", switch, error))?;
    } else {
        let mut groups = vec![path.to_owned()];
        while let Some(group) = groups.pop() {
            let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            for member in members.lines().filter_map(|line| line.parse().ok()) {
                if let Some(process) = rustix::process::Pid::from_raw(member) {
                    let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
                }
            }
            groups.extend(directories_below(&group));
        }
    }
    Ok(usage(
        &fs::read_to_string(path.join("cpu.stat")).unwrap_or_default(),
    ))
}

fn usage(statistics: &str) -> Usage {
    let field = |name: &str| {
        statistics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
            .map_or(Duration::ZERO, Duration::from_micros)
    };
    Usage {
        user: field("user_usec "),
        system: field("system_usec "),
    }
}

/// Removes a group whose processes are about to be gone, inner ones first.
fn remove(path: &Path) -> Result<(), CgroupError> {
    const ATTEMPTS: u32 = 100;
    let mut groups = vec![path.to_owned()];
    let mut next = 0;
    while next < groups.len() {
        let below = directories_below(&groups[next]);
        groups.extend(below);
        next += 1;
    }
    for group in groups.iter().rev() {
        let mut attempt = 0;
        while let Err(error) = fs::remove_dir(group) {
            if error.kind() == io::ErrorKind::NotFound {
                break;
            }
            // Busy for as long as a killed process has not ended.
            attempt += 1;
            if attempt == ATTEMPTS {
                return Err(CgroupError::Io("deleting", group.clone(), error));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_found_in_the_table_of_mounts() {
        let table = b"proc /proc proc rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n\
            cgroup2 /a\\040place\\134x cgroup2 rw 0 0\n";
        assert_eq!(file_system(table), Some(PathBuf::from("/a place\\x")));
        assert_eq!(file_system(b"proc /proc proc rw 0 0\n"), None);
        assert_eq!(file_system(b"\n cgroup2\nx"), None);
    }

    #[test]
    fn what_was_used_is_read_from_the_statistics() {
        let text = "usage_usec 30\nuser_usec 1500000\nsystem_usec 20\nnr_periods 0\n";
        let found = usage(text);
        assert_eq!(found.user, Duration::from_millis(1500));
        assert_eq!(found.system, Duration::from_micros(20));
        assert_eq!(usage("nothing"), Usage::default());
    }

    #[test]
    fn a_group_is_ended_with_all_that_is_in_it() {
        let group = match Cgroup::create(Path::new("/nonexistent"), None) {
            Ok(group) => group,
            Err(error) => return println!("{error}: no group is made"),
        };
        let path = group.path.clone();
        let inner = path.join("inner");
        fs::create_dir(&inner).unwrap();
        let mut sleeper = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        fs::write(inner.join("cgroup.procs"), sleeper.id().to_string()).unwrap();
        // The process is reaped here, or its group would be busy for ever.
        let reaper = std::thread::spawn(move || sleeper.wait().unwrap());
        group.end().unwrap();
        assert!(!reaper.join().unwrap().success());
        assert!(!path.exists());
    }
}
