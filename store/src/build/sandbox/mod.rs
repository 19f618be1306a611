//! The sandbox: a builder in namespaces of its own, described by plain data.
//!
//! ```text
//! SandboxSpec --compile--> Plan --clone3--> first process --mounts, identity, filter--> builder
//!                                  |                                                      |
//!                                  +-- pidfd, terminal (the log), status pipe <-----------+
//! ```
//!
//! What holds the builder:
//!
//! - *mounts*: a fresh root on memory with only the wanted things of the host in it, inputs read-only;
//!   it vanishes with the builder, whatever happens to us;
//! - *processes*: it is process 1 of its own namespace, so when it ends, all it started has ended;
//! - *network*: a namespace with nothing but loopback, except for builds whose output hash is known;
//! - *privileges*: one user of a user namespace, no way to gain more, a filter on system calls;
//! - *descriptors*: 0, 1 and 2 only.
//!
//! All `unsafe` code of this crate is in `sys`.

mod child;
mod plan;
mod probe;
mod seccomp;
pub mod shell;
mod sys;
mod users;
mod visible;

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use child::{Channels, Step};
use plan::Plan;
pub use probe::namespaces_supported;
pub use users::{BuildUser, BuildUsers, UsersError, kill_processes_of};
pub use visible::{VisibleError, adopt_personality, show_store};

/// A build's process and everything around it.
#[derive(Clone, Debug)]
pub struct SandboxSpec {
    /// The program, by its path inside.
    pub program: Vec<u8>,
    /// All arguments, the program's name first.
    pub arguments: Vec<Vec<u8>>,
    /// The whole environment.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where it starts, by the path inside.
    pub directory: PathBuf,
    /// Own namespaces and root; without it, the builder runs on the host as it is.
    pub isolation: Option<Isolation>,
    /// Whom it runs as; nobody named means as the caller.
    pub user: Option<SandboxUser>,
    /// The argument of personality(2), as for 32-bit builds.
    pub personality: Option<u64>,
    /// Whether setuid programs may give it privileges.
    pub allow_new_privileges: bool,
    /// Whether to filter system calls.
    pub filter_system_calls: bool,
    /// The `cgroup.procs` of a control group that it enters before anything of it runs.
    pub control_group: Option<PathBuf>,
}

/// The identity inside, and to what it corresponds outside.
#[derive(Clone, Debug)]
pub struct SandboxUser {
    /// User as the builder sees it.
    pub inside_uid: u32,
    /// Group as the builder sees it.
    pub inside_gid: u32,
    /// User on the host.
    pub outside_uid: u32,
    /// Group on the host.
    pub outside_gid: u32,
    /// How many users from these on are mapped.
    pub count: u32,
    /// Supplementary groups, where the host lets us set them.
    pub groups: Vec<u32>,
    /// Whether the caller's supplementary groups may stay where the host does not let us set others.
    pub may_keep_groups: bool,
}

/// Which network a builder has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Loopback only.
    Private,
    /// The host's.
    Host,
}

/// Own namespaces and an own root.
#[derive(Clone, Debug)]
pub struct Isolation {
    /// An empty directory; the root is mounted there, unseen by the host.
    pub root: PathBuf,
    /// Which network it has.
    pub network: Network,
    /// Whether to use a user namespace (an ordinary user must).
    pub user_namespace: bool,
    /// Small files to write (below `/etc`, mostly).
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// What of the host is visible, outer places before inner ones.
    pub binds: Vec<BindMount>,
    /// A minimal `/dev` (devices among the binds); otherwise a bind brings one.
    pub own_devices: bool,
    /// Size of `/dev/shm`, as the mount option has it.
    pub shared_memory_size: String,
    /// Whether `/sys` is there (builds with a range of users).
    pub system_information: bool,
    /// Whether the builder may write to `/etc`.
    pub writable_etc: bool,
}

/// One thing of the host that is visible inside.
#[derive(Clone, Debug)]
pub struct BindMount {
    /// On the host; a link is copied, not followed.
    pub source: PathBuf,
    /// Inside.
    pub target: PathBuf,
    /// Whether the builder may write there.
    pub access: Access,
    /// Whether it may be missing on the host.
    pub optional: bool,
    /// Whether only the caller may enter it, so that it must be opened as the caller.
    pub private: bool,
}

/// What a builder may do with a bind mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only, no devices.
    Read,
    /// Write, no devices.
    Write,
    /// As it is on the host (devices, and what the user has named).
    AsOnHost,
}

impl BindMount {
    /// Something to read.
    pub fn read_only(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            access: Access::Read,
            optional: false,
            private: false,
        }
    }

    /// A directory of ours that the builder fills.
    pub fn writable(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self {
            access: Access::Write,
            private: true,
            ..Self::read_only(source, target)
        }
    }

    /// Something of the host as it is.
    pub fn host(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self {
            access: Access::AsOnHost,
            ..Self::read_only(source, target)
        }
    }

    fn attributes(&self) -> u64 {
        match self.access {
            Access::Read => sys::MOUNT_READ_ONLY | sys::MOUNT_NO_SUID | sys::MOUNT_NO_DEV,
            Access::Write => sys::MOUNT_NO_SUID | sys::MOUNT_NO_DEV,
            Access::AsOnHost => sys::MOUNT_NO_SUID,
        }
    }
}

/// Why a builder did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel gave no new process.
    #[error("cannot start the builder's process: {0}")]
    Fork(io::Error),
    /// The kernel refuses the namespaces.
    #[error(
        "this system does not support the kernel namespaces that are required for sandboxing; use '--no-sandbox' to disable sandboxing"
    )]
    NoNamespaces,
    /// A string cannot be given to the kernel.
    #[error("'{0}' contains a NUL byte")]
    ContainsNul(String),
    /// `.` or `..` as the last part of a place inside.
    #[error("sandbox path to bind mount in the chroot has an invalid filename: '{0}'")]
    InvalidTargetName(String),
    /// More `..` than directories in a place inside.
    #[error("sandbox path '{0}' escapes the chroot")]
    TargetEscapes(String),
    /// A terminal, pipe or file for the builder could not be made.
    #[error("cannot make {0} for the builder: {1}")]
    Channel(&'static str, io::Error),
    /// The builder's user could not be mapped.
    #[error("cannot set the user mapping of the builder: {0}")]
    Mapping(io::Error),
    /// A step of the first process failed.
    #[error("{doing}: {error}")]
    Setup {
        /// What it did.
        doing: String,
        /// Why it failed.
        error: io::Error,
    },
    /// The program could not be executed; everything else is ready.
    #[error("executing '{program}': {}", reason(.error))]
    Execute {
        /// The program.
        program: String,
        /// Why not.
        error: io::Error,
    },
}

/// What the system says of an error, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

/// A running builder. Dropping it kills it.
#[derive(Debug)]
pub struct Builder {
    pid: i32,
    pidfd: OwnedFd,
    /// The master side of its terminal; ends (or fails with EIO) when all its processes have.
    output: OwnedFd,
    isolated: bool,
    outside_uid: Option<u32>,
    ended: Option<ExitStatus>,
}

/// How a builder ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// With this code.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
}

impl ExitStatus {
    /// Whether it succeeded.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    fn from_raw(status: i32) -> Self {
        let signal = status & 0x7f;
        if signal == 0 {
            Self::Code((status >> 8) & 0xff)
        } else {
            Self::Signal(signal)
        }
    }
}

impl std::fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(0) => f.write_str("succeeded"),
            Self::Code(code) => write!(f, "failed with exit code {code}"),
            Self::Signal(signal) => match signal_description(*signal) {
                Some(name) => write!(f, "failed due to signal {signal} ({name})"),
                None => write!(f, "failed due to signal {signal}"),
            },
        }
    }
}

/// The usual words for a signal.
fn signal_description(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "Hangup",
        libc::SIGINT => "Interrupt",
        libc::SIGQUIT => "Quit",
        libc::SIGILL => "Illegal instruction",
        libc::SIGTRAP => "Trace/breakpoint trap",
        libc::SIGABRT => "Aborted",
        libc::SIGBUS => "Bus error",
        libc::SIGFPE => "Floating point exception",
        libc::SIGKILL => "Killed",
        libc::SIGUSR1 => "User defined signal 1",
        libc::SIGSEGV => "Segmentation fault",
        libc::SIGUSR2 => "User defined signal 2",
        libc::SIGPIPE => "Broken pipe",
        libc::SIGALRM => "Alarm clock",
        libc::SIGTERM => "Terminated",
        libc::SIGXCPU => "CPU time limit exceeded",
        libc::SIGXFSZ => "File size limit exceeded",
        libc::SIGSYS => "Bad system call",
        _ => return None,
    })
}

/// Starts a builder. Returns when it has been executed, or with the step that failed.
pub fn spawn(spec: &SandboxSpec) -> Result<Builder, SandboxError> {
    let plan = Plan::new(spec)?;
    let (output, terminal) = open_terminal(spec)?;
    let input = open_null()?;
    let (start_read, start_write) = pipe("a pipe")?;
    let (status_read, status_write) = pipe("a pipe")?;
    let channels = Channels {
        input: input.as_raw_fd(),
        output: terminal.as_raw_fd(),
        start: start_read.as_raw_fd(),
        status: status_write.as_raw_fd(),
    };
    let (pid, pidfd) = match sys::fork_into(namespaces(spec)) {
        Ok(sys::Forked::Child) => {
            // Our copy of the writing end would keep the wait below from ending with the caller.
            sys::close(start_write.as_raw_fd());
            child::run(&plan, &channels)
        }
        Ok(sys::Forked::Parent { pid, pidfd }) => (pid, sys::own(pidfd)),
        Err(sys::Errno(libc::EPERM | libc::ENOSYS | libc::EINVAL | libc::ENOSPC))
            if spec.isolation.is_some() =>
        {
            return Err(SandboxError::NoNamespaces);
        }
        Err(sys::Errno(errno)) => {
            return Err(SandboxError::Fork(io::Error::from_raw_os_error(errno)));
        }
    };
    let mut builder = Builder {
        pid,
        pidfd,
        output,
        isolated: spec.isolation.is_some(),
        outside_uid: spec
            .user
            .as_ref()
            .map(|user| user.outside_uid)
            // With a namespace of processes, nothing of it survives that needs to be looked for; and the same number
            // may belong to a build of another store.
            .filter(|&uid| spec.isolation.is_none() && uid != rustix::process::getuid().as_raw()),
        ended: None,
    };
    drop((terminal, status_write, start_read));
    if let (Some(isolation), Some(user)) = (&spec.isolation, &spec.user)
        && isolation.user_namespace
    {
        map_user(pid, user).map_err(SandboxError::Mapping)?;
    }
    if let Some(entrance) = &spec.control_group {
        std::fs::write(entrance, pid.to_string())
            .map_err(|error| SandboxError::Channel("a place in the control group", error))?;
    }
    rustix::io::write(&start_write, b"1")
        .map_err(|error| SandboxError::Channel("a start signal", error.into()))?;
    drop(start_write);
    let mut message = [0u8; 4];
    match std::fs::File::from(status_read).read(&mut message) {
        Ok(0) => Ok(builder),
        Ok(4) => {
            builder.kill();
            Err(describe(spec, &plan, message))
        }
        Ok(_) | Err(_) => {
            builder.kill();
            Err(SandboxError::Channel(
                "a status pipe",
                io::ErrorKind::InvalidData.into(),
            ))
        }
    }
}

impl Builder {
    /// Where its output arrives.
    pub fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    /// Becomes readable when it ends.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Its process, as the host numbers it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Kills it and everything it has started, and waits until that is done.
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            let _ = sys::kill(self.pid, libc::SIGKILL);
            if !self.isolated {
                let _ = sys::kill(-self.pid, libc::SIGKILL);
            }
        }
        self.wait();
    }

    /// Ends it, now that its output is over: kills it if it goes on running, and gives its status if it
    /// was about to end by itself.
    pub fn end(&mut self) -> ExitStatus {
        if self.ended.is_none() {
            // Many programs close their output as the last thing that they do, and then need a moment.
            let moment = rustix::event::Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            };
            let mut ends = [rustix::event::PollFd::new(
                &self.pidfd,
                rustix::event::PollFlags::IN,
            )];
            let _ = rustix::event::poll(&mut ends, Some(&moment));
            // A process that has begun to exit keeps its own status.
            let _ = sys::kill(self.pid, libc::SIGKILL);
        }
        self.wait()
    }

    /// Waits for its end; whatever it left behind is gone afterwards.
    pub fn wait(&mut self) -> ExitStatus {
        if let Some(status) = self.ended {
            return status;
        }
        // The first process of a PID namespace ends after all the others there.
        let status = sys::wait(self.pid).map_or(ExitStatus::Code(1), ExitStatus::from_raw);
        self.ended = Some(status);
        if !self.isolated {
            let _ = sys::kill(-self.pid, libc::SIGKILL);
        }
        if let Some(uid) = self.outside_uid {
            let _ = users::kill_processes_of(uid);
        }
        status
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        self.kill();
    }
}

fn namespaces(spec: &SandboxSpec) -> u64 {
    let Some(isolation) = &spec.isolation else {
        return 0;
    };
    let mut flags =
        libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    if isolation.network == Network::Private {
        flags |= libc::CLONE_NEWNET;
    }
    if isolation.user_namespace {
        flags |= libc::CLONE_NEWUSER;
    }
    flags as u64
}

/// A terminal for the builder's output, since programs behave differently on a pipe.
fn open_terminal(spec: &SandboxSpec) -> Result<(OwnedFd, OwnedFd), SandboxError> {
    use rustix::pty::{self, OpenptFlags};
    let failed = |error: rustix::io::Errno| SandboxError::Channel("a terminal", error.into());
    let master = pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .map_err(failed)?;
    pty::unlockpt(&master).map_err(failed)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = pty::ioctl_tiocgptpeer(&master, flags).map_err(failed)?;
    if let Some(user) = &spec.user
        && user.outside_uid != rustix::process::geteuid().as_raw()
    {
        rustix::fs::fchmod(&slave, rustix::fs::Mode::from_raw_mode(0o600)).map_err(failed)?;
        rustix::fs::fchown(
            &slave,
            Some(rustix::fs::Uid::from_raw(user.outside_uid)),
            None,
        )
        .map_err(failed)?;
    }
    sys::make_raw(slave.as_raw_fd())
        .map_err(|sys::Errno(errno)| failed(rustix::io::Errno::from_raw_os_error(errno)))?;
    Ok((master, slave))
}

fn open_null() -> Result<OwnedFd, SandboxError> {
    rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(|error| SandboxError::Channel("an empty input", error.into()))
}

fn pipe(what: &'static str) -> Result<(OwnedFd, OwnedFd), SandboxError> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|error| SandboxError::Channel(what, error.into()))
}

/// Writes the user and group mapping of a process that waits for it.
fn map_user(pid: i32, user: &SandboxUser) -> io::Result<()> {
    let process = Path::new("/proc").join(pid.to_string());
    std::fs::write(
        process.join("uid_map"),
        format!("{} {} {}", user.inside_uid, user.outside_uid, user.count),
    )?;
    // Without privileges a group mapping is only allowed to those who cannot drop groups.
    let privileged = rustix::process::geteuid().is_root();
    if !privileged && user.count == 1 {
        std::fs::write(process.join("setgroups"), "deny")?;
    }
    std::fs::write(
        process.join("gid_map"),
        format!("{} {} {}", user.inside_gid, user.outside_gid, user.count),
    )
}

/// The error that the first process has told.
fn describe(spec: &SandboxSpec, plan: &Plan, message: [u8; 4]) -> SandboxError {
    let error = io::Error::from_raw_os_error(i32::from(message[3]));
    let number = usize::from(u16::from_le_bytes([message[1], message[2]]));
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let bind = || {
        spec.isolation
            .as_ref()
            .and_then(|isolation| isolation.binds.get(number))
    };
    let source = || bind().map_or_else(String::new, |b| b.source.display().to_string());
    let target = || bind().map_or_else(String::new, |b| b.target.display().to_string());
    let root = plan.isolation.as_ref();
    let named = |list: Option<&(std::ffi::CString, _)>| {
        list.map_or_else(String::new, |(path, _)| lossy(path.as_bytes()))
    };
    let Some(step) = Step::from_number(message[0]) else {
        return SandboxError::Channel("a status pipe", io::ErrorKind::InvalidData.into());
    };
    let doing = match step {
        Step::Execute => {
            return SandboxError::Execute {
                program: lossy(&spec.program),
                error,
            };
        }
        Step::BindEscapes => return SandboxError::TargetEscapes(target()),
        Step::Session => "starting a session".to_owned(),
        Step::Output => "connecting the builder's output".to_owned(),
        Step::Parent => "waiting for the user mapping".to_owned(),
        Step::HostName => "cannot set host name".to_owned(),
        Step::Loopback => "cannot set loopback interface flags".to_owned(),
        Step::PrivateMounts => "unable to make '/' private".to_owned(),
        Step::Groups => {
            "setgroups failed. Set the require-drop-supplementary-groups option to false to skip this step"
                .to_owned()
        }
        Step::ControlGroup => "unsharing cgroup namespace".to_owned(),
        Step::Identity => "switching to the builder's user".to_owned(),
        Step::Root => "mounting the root of the sandbox".to_owned(),
        Step::Directory => format!(
            "creating directory '/{}'",
            root.and_then(|r| r.directories.get(number))
                .map_or_else(String::new, |(path, _)| lossy(path.as_bytes()))
        ),
        Step::File => format!(
            "writing file '/{}'",
            root.and_then(|r| r.files.get(number))
                .map_or_else(String::new, |(path, _)| lossy(path.as_bytes()))
        ),
        Step::Link => format!(
            "creating symlink '/{}'",
            named(root.and_then(|r| r.links.get(number)))
        ),
        Step::BindSource => format!("getting attributes of path '{}'", source()),
        Step::BindDirectory => format!("creating directory '{}' in the sandbox", target()),
        Step::BindFile => format!("creating regular file '{}'", target()),
        Step::BindLink => format!("creating symlink '{}'", target()),
        Step::BindAttach => format!("bind mount from '{}' to '{}' failed", source(), target()),
        Step::Proc => "mounting /proc".to_owned(),
        Step::SharedMemory => "mounting /dev/shm".to_owned(),
        Step::Terminals => "mounting /dev/pts".to_owned(),
        Step::System => "mounting /sys".to_owned(),
        Step::Mode => "setting permissions in the sandbox".to_owned(),
        Step::Pivot => "changing the root directory of the builder".to_owned(),
        Step::WorkingDirectory => format!("changing into '{}'", spec.directory.display()),
        Step::Privileges => "giving up new privileges".to_owned(),
        Step::Scope => "limiting sockets to the sandbox".to_owned(),
        Step::Filter => "loading the filter for system calls".to_owned(),
    };
    SandboxError::Setup { doing, error }
}

#[cfg(test)]
mod tests;
