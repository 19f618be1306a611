//! A sandbox compiled to what its first process needs: C strings and numbers, nothing to allocate.

use std::cell::Cell;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::sys::{Instruction, Pointers};
use super::{BindMount, Isolation, Network, SandboxError, SandboxSpec, seccomp};

/// All that happens between `clone3` and `execve`.
pub(super) struct Plan {
    pub(super) isolation: Option<RootPlan>,
    pub(super) identity: Identity,
    pub(super) program: CString,
    pub(super) arguments: Pointers,
    pub(super) environment: Pointers,
    pub(super) directory: CString,
    pub(super) personality: Option<u64>,
    pub(super) no_new_privileges: bool,
    pub(super) filter: Option<Vec<Instruction>>,
    /// Whether its control group looks like the outermost one to the builder.
    pub(super) own_control_group: bool,
}

/// Who the builder runs as.
pub(super) enum Identity {
    /// As the caller.
    Unchanged,
    /// As this user and group, as the process itself sees them. `groups` are set first if they can.
    Switch {
        uid: u32,
        gid: u32,
        groups: Vec<u32>,
        may_keep_groups: bool,
    },
}

/// The file system of an isolated builder.
pub(super) struct RootPlan {
    pub(super) in_user_namespace: bool,
    pub(super) private_network: bool,
    /// An empty directory where the new root is mounted, in this process's mount namespace only.
    pub(super) root: CString,
    /// Directories to make, in order, relative to the root.
    pub(super) directories: Vec<(CString, u32)>,
    pub(super) files: Vec<(CString, Vec<u8>)>,
    pub(super) links: Vec<(CString, CString)>,
    pub(super) binds: Vec<BindPlan>,
    pub(super) own_devices: bool,
    pub(super) shared_memory_options: Option<CString>,
    pub(super) system_information: bool,
    /// Modes to set when all is in place.
    pub(super) modes: Vec<(CString, u32)>,
}

/// One thing of the host that is visible inside.
pub(super) struct BindPlan {
    pub(super) source: CString,
    /// The components of the place below the root.
    pub(super) target: Vec<CString>,
    pub(super) ends_with_slash: bool,
    pub(super) optional: bool,
    pub(super) attributes: u64,
    /// Opened while the process is still who the caller is.
    pub(super) opened_early: bool,
    /// The descriptor that it then has.
    pub(super) early: Cell<Option<i32>>,
}

impl Plan {
    pub(super) fn new(spec: &SandboxSpec) -> Result<Self, SandboxError> {
        Ok(Self {
            isolation: spec.isolation.as_ref().map(RootPlan::new).transpose()?,
            identity: match &spec.user {
                None => Identity::Unchanged,
                Some(user) => Identity::Switch {
                    uid: user.inside_uid,
                    gid: user.inside_gid,
                    groups: user.groups.clone(),
                    may_keep_groups: user.may_keep_groups,
                },
            },
            program: c_string(&spec.program)?,
            arguments: Pointers::new(c_strings(&spec.arguments)?),
            environment: Pointers::new(
                spec.environment
                    .iter()
                    .map(|(name, value)| c_string(&[name.as_slice(), b"=", value].concat()))
                    .collect::<Result<_, _>>()?,
            ),
            directory: c_path(&spec.directory)?,
            personality: spec.personality,
            no_new_privileges: !spec.allow_new_privileges,
            filter: spec.filter_system_calls.then(seccomp::program),
            own_control_group: spec.control_group.is_some() && spec.isolation.is_some(),
        })
    }
}

impl RootPlan {
    fn new(isolation: &Isolation) -> Result<Self, SandboxError> {
        let mut directories = vec![(c_string(b"etc")?, 0o755), (c_string(b"proc")?, 0o555)];
        let mut links = Vec::new();
        if isolation.own_devices {
            for (path, mode) in [("dev", 0o755), ("dev/shm", 0o1777), ("dev/pts", 0o755)] {
                directories.push((c_string(path.as_bytes())?, mode));
            }
            for (path, target) in [
                ("dev/fd", "/proc/self/fd"),
                ("dev/stdin", "/proc/self/fd/0"),
                ("dev/stdout", "/proc/self/fd/1"),
                ("dev/stderr", "/proc/self/fd/2"),
                ("dev/ptmx", "pts/ptmx"),
            ] {
                links.push((c_string(path.as_bytes())?, c_string(target.as_bytes())?));
            }
        }
        if isolation.system_information {
            directories.push((c_string(b"sys")?, 0o555));
        }
        Ok(Self {
            in_user_namespace: isolation.user_namespace,
            private_network: isolation.network == Network::Private,
            root: c_path(&isolation.root)?,
            directories,
            files: isolation
                .files
                .iter()
                .map(|(path, content)| {
                    Ok((
                        c_path(path.strip_prefix("/").unwrap_or(path))?,
                        content.clone(),
                    ))
                })
                .collect::<Result<_, SandboxError>>()?,
            links,
            binds: isolation
                .binds
                .iter()
                .map(BindPlan::new)
                .collect::<Result<_, _>>()?,
            own_devices: isolation.own_devices,
            shared_memory_options: isolation
                .own_devices
                .then(|| {
                    c_string(
                        &[b"mode=1777,size=", isolation.shared_memory_size.as_bytes()].concat(),
                    )
                })
                .transpose()?,
            system_information: isolation.system_information,
            modes: if isolation.writable_etc {
                Vec::new()
            } else {
                vec![(c_string(b"etc")?, 0o555)]
            },
        })
    }
}

impl BindPlan {
    fn new(bind: &BindMount) -> Result<Self, SandboxError> {
        let text = bind.target.as_os_str().as_bytes();
        let shown = || bind.target.display().to_string();
        let leaf = text.rsplit(|&b| b == b'/').next().unwrap_or_default();
        if leaf == b"." || leaf == b".." {
            return Err(SandboxError::InvalidTargetName(shown()));
        }
        let mut target = Vec::new();
        for component in text.split(|&b| b == b'/') {
            match component {
                b"" | b"." => {}
                b".." => {
                    target
                        .pop()
                        .ok_or_else(|| SandboxError::TargetEscapes(shown()))?;
                }
                name => target.push(c_string(name)?),
            }
        }
        Ok(Self {
            source: c_path(&bind.source)?,
            target,
            ends_with_slash: leaf.is_empty(),
            optional: bind.optional,
            attributes: bind.attributes(),
            opened_early: bind.private,
            early: Cell::new(None),
        })
    }
}

fn c_string(bytes: &[u8]) -> Result<CString, SandboxError> {
    CString::new(bytes).map_err(|_| {
        SandboxError::ContainsNul(String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into())
    })
}

fn c_path(path: &Path) -> Result<CString, SandboxError> {
    c_string(OsStr::as_bytes(path.as_os_str()))
}

fn c_strings(strings: &[Vec<u8>]) -> Result<Vec<CString>, SandboxError> {
    strings.iter().map(|s| c_string(s)).collect()
}
