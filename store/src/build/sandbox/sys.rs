//! System calls for the builder's process between `clone3` and `execve`.
//!
//! That process is a copy of one thread of a program with many: locks may be held by threads that
//! no longer exist, so nothing here allocates, formats or touches the standard library's state.
//! Each wrapper is one system call, takes C strings that were made before, and answers with the
//! error number.

use std::ffi::CStr;

/// An error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Errno(pub(super) i32);

pub(super) type Sys<T> = Result<T, Errno>;

/// What a raw return value means.
fn check(value: libc::c_long) -> Sys<i64> {
    if value == -1 {
        // SAFETY: reads this thread's error number.
        Err(Errno(unsafe { *libc::__errno_location() }))
    } else {
        Ok(value)
    }
}

fn check_int(value: libc::c_int) -> Sys<i32> {
    check(libc::c_long::from(value)).map(|v| v as i32)
}

/// The arguments of `clone3`, as the kernel lays them out (first published version plus cgroup).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Where `fork` has returned.
pub(super) enum Forked {
    /// In the new process.
    Child,
    /// In the caller: the new process and a descriptor for it.
    Parent { pid: i32, pidfd: i32 },
}

/// Starts a copy of this process in new namespaces, in the way of `fork`.
///
/// The child may only use the functions of this module until it executes a program or exits.
pub(super) fn fork_into(namespaces: u64) -> Sys<Forked> {
    let mut pidfd: libc::c_int = -1;
    let mut arguments = CloneArgs {
        flags: namespaces | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    // SAFETY: the structure is valid for the given size; without CLONE_VM the child has its own
    // copy of all memory, as after fork(2).
    let pid = check(unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut arguments,
            std::mem::size_of::<CloneArgs>(),
        )
    })?;
    Ok(if pid == 0 {
        Forked::Child
    } else {
        Forked::Parent {
            pid: pid as i32,
            pidfd,
        }
    })
}

/// Gives this thread namespaces of its own; a user namespace asks for a process without other threads.
pub(super) fn unshare(namespaces: i32) -> Sys<()> {
    // SAFETY: no pointers; descriptors and memory stay shared as they are.
    check_int(unsafe { libc::unshare(namespaces) }).map(drop)
}

/// Leaves without running anything that was registered for the end of the program.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

pub(super) fn read_byte(fd: i32) -> Sys<Option<u8>> {
    let mut byte = 0u8;
    loop {
        // SAFETY: the buffer is one byte and lives.
        match check(unsafe { libc::read(fd, (&raw mut byte).cast(), 1) } as libc::c_long) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(byte)),
            Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
}

pub(super) fn write_all(fd: i32, mut data: &[u8]) -> Sys<()> {
    while !data.is_empty() {
        // SAFETY: pointer and length are those of a live slice.
        match check(unsafe { libc::write(fd, data.as_ptr().cast(), data.len()) } as libc::c_long) {
            Ok(written) => data = &data[(written as usize).min(data.len())..],
            Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(super) fn open_at(dir: i32, path: &CStr, flags: i32, mode: u32) -> Sys<i32> {
    // SAFETY: a C string that lives.
    check_int(unsafe { libc::openat(dir, path.as_ptr(), flags | libc::O_CLOEXEC, mode) })
}

pub(super) fn close(fd: i32) {
    // SAFETY: the caller owns the descriptor.
    unsafe { libc::close(fd) };
}

pub(super) fn mkdir_at(dir: i32, path: &CStr, mode: u32) -> Sys<()> {
    // SAFETY: a C string that lives.
    check_int(unsafe { libc::mkdirat(dir, path.as_ptr(), mode) }).map(drop)
}

pub(super) fn symlink_at(target: &CStr, dir: i32, path: &CStr) -> Sys<()> {
    // SAFETY: C strings that live.
    check_int(unsafe { libc::symlinkat(target.as_ptr(), dir, path.as_ptr()) }).map(drop)
}

pub(super) fn chmod(path: &CStr, mode: u32) -> Sys<()> {
    // SAFETY: a C string that lives.
    check_int(unsafe { libc::chmod(path.as_ptr(), mode) }).map(drop)
}

pub(super) fn chdir(path: &CStr) -> Sys<()> {
    // SAFETY: a C string that lives.
    check_int(unsafe { libc::chdir(path.as_ptr()) }).map(drop)
}

pub(super) fn file_type(fd: i32) -> Sys<u32> {
    // SAFETY: an all-zero `stat` is a valid value of it.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the structure lives and is of the right type.
    check_int(unsafe { libc::fstat(fd, &raw mut status) })?;
    Ok(status.st_mode & libc::S_IFMT)
}

/// Reads the target of the symbolic link behind an `O_PATH` descriptor, ended by a NUL.
pub(super) fn read_link(fd: i32, buffer: &mut [u8; 4097]) -> Sys<&CStr> {
    // SAFETY: room for one byte less than the buffer holds, so that the NUL fits.
    let length =
        check(
            unsafe { libc::readlinkat(fd, c"".as_ptr(), buffer.as_mut_ptr().cast(), 4096) }
                as libc::c_long,
        )? as usize;
    buffer[length] = 0;
    CStr::from_bytes_until_nul(&buffer[..]).map_err(|_| Errno(libc::EINVAL))
}

pub(super) fn mount(
    source: &CStr,
    target: &CStr,
    kind: &CStr,
    flags: u64,
    data: Option<&CStr>,
) -> Sys<()> {
    // SAFETY: C strings that live; no data is a null pointer, which mount(2) allows.
    check_int(unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            data.map_or(std::ptr::null(), |d| d.as_ptr().cast()),
        )
    })
    .map(drop)
}

/// A new file system in memory, not attached anywhere yet.
pub(super) fn new_memory_file_system(options: &[(&CStr, &CStr)]) -> Sys<i32> {
    const FSCONFIG_SET_STRING: u32 = 1;
    const FSCONFIG_CMD_CREATE: u32 = 6;
    const CLOEXEC: u32 = 1;
    // SAFETY: a static string.
    let context =
        check(unsafe { libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), CLOEXEC) })? as i32;
    let made = (|| {
        for (key, value) in options {
            // SAFETY: C strings that live.
            check(unsafe {
                libc::syscall(
                    libc::SYS_fsconfig,
                    context,
                    FSCONFIG_SET_STRING,
                    key.as_ptr(),
                    value.as_ptr(),
                    0,
                )
            })?;
        }
        // SAFETY: this command takes neither key nor value.
        check(unsafe {
            libc::syscall(
                libc::SYS_fsconfig,
                context,
                FSCONFIG_CMD_CREATE,
                std::ptr::null::<u8>(),
                std::ptr::null::<u8>(),
                0,
            )
        })?;
        // SAFETY: no pointers.
        check(unsafe {
            libc::syscall(
                libc::SYS_fsmount,
                context,
                CLOEXEC,
                MOUNT_NO_SUID | MOUNT_NO_DEV,
            )
        })
    })();
    close(context);
    made.map(|fd| fd as i32)
}

/// Steps into an open directory.
pub(super) fn change_to(directory: i32) -> Sys<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::fchdir(directory) }).map(drop)
}

/// A session keyring of its own, so that the builder has none of the caller's keys.
pub(super) fn new_session_keyring() {
    const KEYCTL_JOIN_SESSION_KEYRING: u32 = 1;
    // Kernels without keys have nothing to keep from the builder.
    // SAFETY: a null name asks for an anonymous keyring.
    unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<u8>(),
        )
    };
}

/// A detached copy of the mounts at a path; the last component is not followed.
pub(super) fn open_tree(path: &CStr) -> Sys<i32> {
    const OPEN_TREE_CLONE: i32 = 1;
    const AT_RECURSIVE: i32 = 0x8000;
    let flags = OPEN_TREE_CLONE | AT_RECURSIVE | libc::O_CLOEXEC | libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: a C string that lives.
    check(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
        .map(|fd| fd as i32)
}

/// Attaches a detached mount at an open directory or file.
pub(super) fn move_mount(tree: i32, target: i32) -> Sys<()> {
    const FROM_EMPTY_PATH: u32 = 0x4;
    const TO_EMPTY_PATH: u32 = 0x40;
    // SAFETY: static strings and descriptors.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree,
            c"".as_ptr(),
            target,
            c"".as_ptr(),
            FROM_EMPTY_PATH | TO_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// Read-only for a detached mount and all below it.
pub(super) const MOUNT_READ_ONLY: u64 = 0x1;
/// No setuid programs there.
pub(super) const MOUNT_NO_SUID: u64 = 0x2;
/// No devices there.
pub(super) const MOUNT_NO_DEV: u64 = 0x4;

pub(super) fn restrict_mount(tree: i32, attributes: u64) -> Sys<()> {
    const AT_RECURSIVE: i32 = 0x8000;
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let mut wanted = MountAttr {
        set: attributes,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    // SAFETY: the structure is valid for the given size.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree,
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | AT_RECURSIVE,
            &raw mut wanted,
            std::mem::size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// Makes the current directory the root of this mount namespace and lets go of the old one.
pub(super) fn pivot_to_current_directory() -> Sys<()> {
    // With both arguments ".", the old root ends on top of the new one, where it can be detached
    // without needing a directory for it.
    // SAFETY: static strings.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })?;
    // SAFETY: a static string.
    check_int(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) })?;
    chdir(c"/")
}

pub(super) fn set_host_name(name: &[u8], domain: &[u8]) -> Sys<()> {
    // SAFETY: pointers and lengths of live slices.
    check_int(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) })?;
    // SAFETY: likewise.
    check_int(unsafe { libc::setdomainname(domain.as_ptr().cast(), domain.len()) }).map(drop)
}

/// Switches the loopback interface of this network namespace on.
pub(super) fn loopback_up() -> Sys<()> {
    // SAFETY: no pointers.
    let socket = check_int(unsafe {
        libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)
    })?;
    // SAFETY: an all-zero `ifreq` is a valid value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags =
        (libc::IFF_UP | libc::IFF_LOOPBACK | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request lives and is what this ioctl expects.
    let done = check_int(unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const request) });
    close(socket);
    done.map(drop)
}

/// Becomes the leader of a session without a terminal.
pub(super) fn new_session() -> Sys<()> {
    // SAFETY: no arguments.
    check_int(unsafe { libc::setsid() }).map(drop)
}

pub(super) fn duplicate_onto(from: i32, to: i32) -> Sys<()> {
    // SAFETY: descriptors only; dup2 leaves the copy open across execve.
    check_int(unsafe { libc::dup2(from, to) }).map(drop)
}

/// Gives up all supplementary groups.
pub(super) fn set_groups(groups: &[u32]) -> Sys<()> {
    // SAFETY: pointer and length of a live slice of gid_t.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// Takes a group and a user for good (raw calls: only this thread exists).
pub(super) fn set_ids(uid: u32, gid: u32) -> Sys<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: no pointers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// Ends with the thread that started it. A change of user forgets this.
pub(super) fn die_with_parent() -> Sys<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64)
}

pub(super) fn no_new_privileges() -> Sys<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// Keeps no capability that the next program could inherit.
pub(super) fn clear_ambient_capabilities() {
    // Kernels before 4.3 have none.
    let _ = prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64);
}

fn prctl(option: i32, argument: u64) -> Sys<()> {
    // SAFETY: options that take a number.
    check_int(unsafe { libc::prctl(option, argument, 0u64, 0u64, 0u64) }).map(drop)
}

pub(super) fn personality(persona: u64) -> Sys<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::personality(persona) }).map(drop)
}

pub(super) fn set_umask(mask: u32) {
    // SAFETY: cannot fail.
    unsafe { libc::umask(mask) };
}

/// Raises the number of descriptors to the hard limit and says what it was.
pub(super) fn raise_descriptor_limit() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the structure lives.
    check_int(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }).ok()?;
    let raised = libc::rlimit {
        rlim_cur: limit.rlim_max,
        rlim_max: limit.rlim_max,
    };
    // SAFETY: likewise.
    check_int(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) }).ok()?;
    Some(limit)
}

pub(super) fn restore_descriptor_limit(limit: libc::rlimit) {
    // SAFETY: the structure lives.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
}

/// No core dumps unless the builder asks for them.
pub(super) fn no_core_dumps() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the structure lives.
    if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) } == -1 {
        // The hard limit is lower and stays as it is.
        // SAFETY: likewise.
        unsafe { libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit) };
        limit.rlim_cur = 0;
        // SAFETY: likewise.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) };
    }
}

/// Every signal as a fresh program expects it: default action, none blocked.
pub(super) fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: the default action needs no handler; impossible signals answer with an error.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: an all-zero set is made empty before use.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Lets all descriptors but the first three end with `execve`.
pub(super) fn close_others_on_exec() {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    // SAFETY: no pointers.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, CLOSE_RANGE_CLOEXEC) };
    if done == 0 {
        return;
    }
    // SAFETY: no pointers.
    let limit = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) }.clamp(1024, 1 << 20) as i32;
    for fd in 3..limit {
        // SAFETY: a descriptor that is not open answers with an error.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// One instruction of a classic BPF program.
pub(super) type Instruction = libc::sock_filter;

pub(super) fn install_filter(program: &[Instruction]) -> Sys<()> {
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    const SET_MODE_FILTER: u32 = 1;
    // SAFETY: the kernel copies the program, which lives that long.
    check(unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, 0, &raw const filter) })
        .map(drop)
}

/// Forbids connecting to abstract sockets and signalling processes outside, where the kernel can.
pub(super) fn scope_sockets_and_signals() -> Sys<()> {
    const CREATE_RULESET_VERSION: u32 = 1;
    const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
    const SCOPE_SIGNAL: u64 = 2;
    #[repr(C)]
    struct RulesetAttr {
        handled_access_fs: u64,
        handled_access_net: u64,
        scoped: u64,
    }
    // SAFETY: a null pointer of length 0 asks for the version.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<RulesetAttr>(),
            0usize,
            CREATE_RULESET_VERSION,
        )
    };
    if version < 6 {
        return Ok(());
    }
    let wanted = RulesetAttr {
        handled_access_fs: 0,
        handled_access_net: 0,
        scoped: SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL,
    };
    // SAFETY: the structure is valid for the given size.
    let ruleset = check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const wanted,
            std::mem::size_of::<RulesetAttr>(),
            0u32,
        )
    })? as i32;
    // SAFETY: no pointers.
    let done = check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0u32) });
    close(ruleset);
    done.map(drop)
}

/// Becomes another program. Both arrays end with a null pointer.
pub(super) fn execute(program: &CStr, arguments: &Pointers, environment: &Pointers) -> Errno {
    // SAFETY: the arrays end with null and point to C strings that `Pointers` keeps alive.
    unsafe {
        libc::execve(
            program.as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
        );
        Errno(*libc::__errno_location())
    }
}

/// C strings with the null-terminated array of pointers that `execve` wants.
pub(super) struct Pointers {
    pointers: Vec<*const libc::c_char>,
    _strings: Vec<std::ffi::CString>,
}

impl Pointers {
    /// Keeps `strings` and points to them; moving a `CString` does not move its bytes.
    pub(super) fn new(strings: Vec<std::ffi::CString>) -> Self {
        let mut pointers: Vec<_> = strings.iter().map(|s| s.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Self {
            pointers,
            _strings: strings,
        }
    }
}

/// Signals a process, or with a negative number a process group.
pub(super) fn kill(pid: i32, signal: i32) -> Sys<()> {
    // SAFETY: no pointers.
    check_int(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Sends `SIGKILL` to every process of this process's user, from a process that has become it.
/// Process 1 and the caller are spared by the kernel.
pub(super) fn kill_everything() -> Sys<()> {
    loop {
        match kill(-1, libc::SIGKILL) {
            Ok(()) | Err(Errno(libc::ESRCH)) => return Ok(()),
            Err(Errno(libc::EPERM)) => return Ok(()),
            Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits for a child and gives the raw status of wait(2).
pub(super) fn wait(pid: i32) -> Sys<i32> {
    let mut status = 0;
    loop {
        // SAFETY: the status lives.
        match check_int(unsafe { libc::waitpid(pid, &raw mut status, 0) }) {
            Ok(_) => return Ok(status),
            Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Lets a terminal pass every byte as it is.
pub(super) fn make_raw(fd: i32) -> Sys<()> {
    // SAFETY: an all-zero `termios` is filled by tcgetattr before use.
    unsafe {
        let mut terminal: libc::termios = std::mem::zeroed();
        check_int(libc::tcgetattr(fd, &raw mut terminal))?;
        libc::cfmakeraw(&raw mut terminal);
        check_int(libc::tcsetattr(fd, libc::TCSANOW, &raw const terminal)).map(drop)
    }
}

/// Takes ownership of a descriptor that a system call of this module has made.
pub(super) fn own(fd: i32) -> std::os::fd::OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: made by the kernel for us and held by nobody else.
    unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) }
}
