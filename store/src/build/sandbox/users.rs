//! Build users: the accounts that root runs builders as, each used by one build at a time.
//!
//! Either the members of `build-users-group`, locked by `userpool/<uid>` in the state directory, or
//! (`auto-allocate-uids`) ranges of numbers that belong to no account, locked by
//! `userpool2/slot-<n>`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::sys::{self, Errno, Forked};

/// A user that no other build has, until this is dropped.
#[derive(Debug)]
pub struct BuildUser {
    /// The user, or the first of the range.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// How many users the range has.
    pub count: u32,
    /// Other groups the account is in.
    pub groups: Vec<u32>,
    /// Whether whatever runs as this user belongs to a build of this store and may be killed.
    pub exclusive: bool,
    _lock: File,
}

/// Where build users come from.
#[derive(Clone, Debug)]
pub enum BuildUsers {
    /// The members of a group.
    Group(String),
    /// Numbers that belong to no account.
    Range {
        /// The first number.
        start: u32,
        /// How many there are.
        count: u32,
        /// Whether the administrator has set them aside for this store.
        exclusive: bool,
    },
}

/// Why there is no build user.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// No such group.
    #[error("the group '{0}' specified in 'build-users-group' does not exist")]
    NoGroup(String),
    /// The group is empty.
    #[error("the build users group '{0}' has no members")]
    NoMembers(String),
    /// A member has no account.
    #[error("the user '{0}' in the group '{1}' does not exist")]
    NoUser(String, String),
    /// The user who runs us would be used for builders.
    #[error("the build user should not be a member of '{0}'")]
    OwnUser(String),
    /// The range is smaller than one build needs.
    #[error("cannot auto-allocate {0} UIDs")]
    RangeTooSmall(u32),
    /// A lock file or account file.
    #[error("{0}: {1}")]
    Io(String, io::Error),
}

const SLOT: u32 = 1 << 16;

impl BuildUsers {
    /// Numbers for builds that nobody has provided users for, if this process can give files to them: inside of a container
    /// it may know few users. A builder that were root outside of its namespace could change whatever of the
    /// machine it sees.
    pub fn unaccounted(start: u32, count: u32) -> Option<Self> {
        let known = |file: &str| {
            fs::read_to_string(file).is_ok_and(|text| {
                text.lines().any(|line| {
                    let mut numbers = line.split_whitespace().map_while(|n| n.parse::<u64>().ok());
                    let (first, _, length) = (numbers.next(), numbers.next(), numbers.next());
                    let end = first.unwrap_or(0) + length.unwrap_or(0);
                    first.is_some_and(|first| first <= u64::from(start))
                        && u64::from(start) + u64::from(count) <= end
                })
            })
        };
        let all = ["/proc/self/uid_map", "/proc/self/gid_map"];
        (count >= SLOT && all.into_iter().all(known)).then_some(Self::Range {
            start,
            count,
            exclusive: false,
        })
    }

    /// Whether the system has a group of this name.
    pub fn group_exists(group: &str) -> bool {
        read_accounts("/etc/group")
            .is_ok_and(|groups| groups.iter().any(|fields| fields[0] == group))
    }

    /// Takes a free user, or says with `None` that all are at work. `count` users are wanted.
    pub fn acquire(&self, state: &Path, count: u32) -> Result<Option<BuildUser>, UsersError> {
        match self {
            Self::Group(group) => from_group(group, state),
            Self::Range {
                start,
                count: all,
                exclusive,
            } => Ok(
                from_range(*start, *all, state, count)?.map(|user| BuildUser {
                    exclusive: *exclusive,
                    ..user
                }),
            ),
        }
    }
}

fn from_group(group: &str, state: &Path) -> Result<Option<BuildUser>, UsersError> {
    let directory = lock_directory(state, "userpool")?;
    let groups = read_accounts("/etc/group")?;
    let users = read_accounts("/etc/passwd")?;
    let line = groups
        .iter()
        .find(|fields| fields[0] == group)
        .ok_or_else(|| UsersError::NoGroup(group.to_owned()))?;
    let gid: u32 = number(line, 2);
    let members: Vec<&str> = line
        .get(3)
        .map(|list| list.split(',').filter(|name| !name.is_empty()).collect())
        .unwrap_or_default();
    if members.is_empty() {
        return Err(UsersError::NoMembers(group.to_owned()));
    }
    for name in members {
        let user = users
            .iter()
            .find(|fields| fields[0] == name)
            .ok_or_else(|| UsersError::NoUser(name.to_owned(), group.to_owned()))?;
        let uid = number(user, 2);
        if uid == 0 || uid == rustix::process::getuid().as_raw() {
            return Err(UsersError::OwnUser(group.to_owned()));
        }
        if let Some(lock) = try_lock(&directory.join(uid.to_string()))? {
            let others = groups
                .iter()
                .filter(|fields| {
                    fields
                        .get(3)
                        .is_some_and(|list| list.split(',').any(|member| member == name))
                })
                .map(|fields| number(fields, 2))
                .collect();
            return Ok(Some(BuildUser {
                uid,
                gid,
                count: 1,
                groups: others,
                exclusive: true,
                _lock: lock,
            }));
        }
    }
    Ok(None)
}

fn from_range(
    start: u32,
    all: u32,
    state: &Path,
    count: u32,
) -> Result<Option<BuildUser>, UsersError> {
    if count > SLOT || all < SLOT {
        return Err(UsersError::RangeTooSmall(count));
    }
    let directory = lock_directory(state, "userpool2")?;
    for slot in 0..all / SLOT {
        if let Some(lock) = try_lock(&directory.join(format!("slot-{slot}")))? {
            let uid = start + slot * SLOT;
            return Ok(Some(BuildUser {
                uid,
                gid: uid,
                count,
                groups: Vec::new(),
                exclusive: true,
                _lock: lock,
            }));
        }
    }
    Ok(None)
}

fn lock_directory(state: &Path, name: &str) -> Result<PathBuf, UsersError> {
    let directory = state.join(name);
    fs::create_dir_all(&directory)
        .map_err(|error| UsersError::Io(directory.display().to_string(), error))?;
    Ok(directory)
}

fn try_lock(path: &Path) -> Result<Option<File>, UsersError> {
    let failed = |error| UsersError::Io(path.display().to_string(), error);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(failed(error.into())),
    }
}

/// The lines of an account file that have their fields.
fn read_accounts(path: &str) -> Result<Vec<Vec<String>>, UsersError> {
    let text = fs::read(path).map_err(|error| UsersError::Io(path.to_owned(), error))?;
    Ok(String::from_utf8_lossy(&text)
        .lines()
        .map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>())
        .filter(|fields| fields.len() >= 3 && fields[2].parse::<u32>().is_ok())
        .collect())
}

fn number(fields: &[String], at: usize) -> u32 {
    fields
        .get(at)
        .and_then(|field| field.parse().ok())
        .unwrap_or(u32::MAX)
}

/// Ends every process of a user other than the caller. Only root can.
pub fn kill_processes_of(uid: u32) -> io::Result<()> {
    if uid == 0 || uid == u32::MAX || uid == rustix::process::getuid().as_raw() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let failed = |Errno(errno)| io::Error::from_raw_os_error(errno);
    match sys::fork_into(0).map_err(failed)? {
        Forked::Child => {
            // Becoming the user lets the kernel pick exactly its processes.
            let done = sys::set_ids(uid, uid).and_then(|()| sys::kill_everything());
            sys::exit(i32::from(done.is_err()))
        }
        Forked::Parent { pid, pidfd } => {
            sys::close(pidfd);
            match sys::wait(pid).map_err(failed)? {
                0 => Ok(()),
                _ => Err(io::ErrorKind::PermissionDenied.into()),
            }
        }
    }
}
