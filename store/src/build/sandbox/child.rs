//! The first process of a sandbox, from `clone3` to `execve`.
//!
//! It runs in a copy of a program with other threads, so it only makes system calls (see
//! [`super::sys`]). Nothing of the builder runs yet: every name used here belongs to the caller or to
//! a file system that this process has just mounted.

use std::ffi::{CStr, CString};

use super::plan::{BindPlan, Identity, Plan, RootPlan};
use super::sys::{self, Errno};

macro_rules! steps {
    ($($step:ident)*) => {
        /// What the process was doing when it failed; sent to the caller in four bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Step {
            $($step),*
        }

        impl Step {
            /// The step that a message names.
            pub(super) fn from_number(number: u8) -> Option<Self> {
                [$(Step::$step),*].into_iter().find(|step| *step as u8 == number)
            }
        }
    };
}

steps! {
    Session Output Parent ControlGroup HostName Loopback PrivateMounts Identity Groups Root Directory File Link
    BindSource BindDirectory BindFile BindLink BindAttach BindEscapes
    Proc SharedMemory Terminals System Mode Pivot WorkingDirectory Privileges Scope Filter Execute
}

/// A step that failed, which of its things, and why.
struct Failed(Step, u16, Errno);

/// Names the step in an error.
trait At<T> {
    fn at(self, step: Step) -> Result<T, Failed>;
    fn at_number(self, step: Step, which: usize) -> Result<T, Failed>;
}

impl<T> At<T> for sys::Sys<T> {
    fn at(self, step: Step) -> Result<T, Failed> {
        self.at_number(step, 0)
    }

    fn at_number(self, step: Step, which: usize) -> Result<T, Failed> {
        self.map_err(|errno| Failed(step, which as u16, errno))
    }
}

/// The descriptors that the process was given.
pub(super) struct Channels {
    /// `/dev/null` or what the builder shall read.
    pub(super) input: i32,
    /// Where standard output and error go.
    pub(super) output: i32,
    /// One byte arrives here when the caller has set the user mapping.
    pub(super) start: i32,
    /// A failure is told here; closed by success.
    pub(super) status: i32,
}

/// Sets everything up and becomes the builder. Never returns.
pub(super) fn run(plan: &Plan, channels: &Channels) -> ! {
    let Failed(step, which, Errno(errno)) = match prepare(plan, channels) {
        Ok(()) => Failed(
            Step::Execute,
            0,
            sys::execute(&plan.program, &plan.arguments, &plan.environment),
        ),
        Err(failed) => failed,
    };
    let which = which.to_le_bytes();
    let message = [step as u8, which[0], which[1], errno as u8];
    // If the caller is gone, nobody wants to know.
    let _ = sys::write_all(channels.status, &message);
    sys::exit(1)
}

fn prepare(plan: &Plan, channels: &Channels) -> Result<(), Failed> {
    sys::reset_signals();
    sys::die_with_parent().at(Step::Session)?;
    sys::new_session().at(Step::Session)?;
    sys::duplicate_onto(channels.output, 2).at(Step::Output)?;
    sys::duplicate_onto(2, 1).at(Step::Output)?;
    sys::duplicate_onto(channels.input, 0).at(Step::Output)?;
    if sys::read_byte(channels.start).at(Step::Parent)? != Some(b'1') {
        return Err(Failed(Step::Parent, 0, Errno(libc::EPIPE)));
    }
    if plan.own_control_group {
        sys::unshare(libc::CLONE_NEWCGROUP).at(Step::ControlGroup)?;
    }
    sys::new_session_keyring();
    let limit = sys::raise_descriptor_limit();
    match &plan.isolation {
        Some(root) => enter_root(root, &plan.identity)?,
        None => become_user(&plan.identity)?,
    }
    sys::chdir(&plan.directory).at(Step::WorkingDirectory)?;
    if let Some(limit) = limit {
        sys::restore_descriptor_limit(limit);
    }
    sys::no_core_dumps();
    sys::set_umask(0o022);
    sys::clear_ambient_capabilities();
    if let Some(persona) = plan.personality {
        // Unknown to this kernel: the builder runs with the usual one.
        let _ = sys::personality(persona);
    }
    if plan.no_new_privileges {
        sys::no_new_privileges().at(Step::Privileges)?;
        sys::scope_sockets_and_signals().at(Step::Scope)?;
    }
    if let Some(filter) = &plan.filter {
        sys::install_filter(filter).at(Step::Filter)?;
    }
    sys::close_others_on_exec();
    Ok(())
}

/// Takes the builder's identity. An ordinary user cannot give groups up.
fn become_user(identity: &Identity) -> Result<(), Failed> {
    let Identity::Switch {
        uid,
        gid,
        groups,
        may_keep_groups,
    } = identity
    else {
        return Ok(());
    };
    match sys::set_groups(groups) {
        Err(Errno(libc::EPERM)) if *may_keep_groups => {}
        Err(error @ Errno(libc::EPERM)) => return Err(Failed(Step::Groups, 0, error)),
        other => other.at(Step::Identity)?,
    }
    sys::set_ids(*uid, *gid).at(Step::Identity)?;
    // The kernel forgets this when the user changes.
    sys::die_with_parent().at(Step::Session)
}

/// Builds the file system that the builder sees and makes it the root.
fn enter_root(root: &RootPlan, identity: &Identity) -> Result<(), Failed> {
    if root.private_network {
        sys::loopback_up().at(Step::Loopback)?;
    }
    sys::set_host_name(b"localhost", b"(none)").at(Step::HostName)?;
    sys::mount(c"none", c"/", c"", libc::MS_PRIVATE | libc::MS_REC, None)
        .at(Step::PrivateMounts)?;

    // Places that only the caller may enter are taken hold of before its identity is given up.
    for (number, bind) in root.binds.iter().enumerate() {
        if bind.opened_early {
            bind.early.set(open_source(bind, number)?);
        }
    }
    let place = sys::open_at(
        libc::AT_FDCWD,
        &root.root,
        libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW,
        0,
    )
    .at(Step::Root)?;
    if root.in_user_namespace {
        become_user(identity)?;
    }
    let memory =
        sys::new_memory_file_system(&[(c"mode", c"0755"), (c"size", c"64m")]).at(Step::Root)?;
    sys::move_mount(memory, place).at(Step::Root)?;
    sys::change_to(memory).at(Step::Root)?;

    make_skeleton(root)?;
    for (number, bind) in root.binds.iter().enumerate() {
        attach(bind, number)?;
    }
    mount_special(root)?;
    for (number, (path, mode)) in root.modes.iter().enumerate() {
        sys::chmod(path, *mode).at_number(Step::Mode, number)?;
    }
    sys::pivot_to_current_directory().at(Step::Pivot)?;
    if !root.in_user_namespace {
        become_user(identity)?;
    }
    Ok(())
}

fn make_skeleton(root: &RootPlan) -> Result<(), Failed> {
    for (number, (path, mode)) in root.directories.iter().enumerate() {
        sys::mkdir_at(libc::AT_FDCWD, path, *mode).at_number(Step::Directory, number)?;
        sys::chmod(path, *mode).at_number(Step::Directory, number)?;
    }
    for (number, (path, content)) in root.files.iter().enumerate() {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        let file =
            sys::open_at(libc::AT_FDCWD, path, flags, 0o644).at_number(Step::File, number)?;
        let written = sys::write_all(file, content);
        sys::close(file);
        written.at_number(Step::File, number)?;
    }
    for (number, (path, target)) in root.links.iter().enumerate() {
        sys::symlink_at(target, libc::AT_FDCWD, path).at_number(Step::Link, number)?;
    }
    Ok(())
}

/// Takes hold of one thing of the host; nothing if it may be missing and is.
fn open_source(bind: &BindPlan, number: usize) -> Result<Option<i32>, Failed> {
    match sys::open_tree(&bind.source) {
        Err(Errno(libc::ENOENT | libc::ENOTDIR)) if bind.optional => Ok(None),
        other => other.map(Some).at_number(Step::BindSource, number),
    }
}

/// Shows one thing of the host below the current directory.
fn attach(bind: &BindPlan, number: usize) -> Result<(), Failed> {
    let tree = if bind.opened_early {
        bind.early.take()
    } else {
        open_source(bind, number)?
    };
    let Some(tree) = tree else { return Ok(()) };
    let done = attach_tree(bind, number, tree);
    sys::close(tree);
    done
}

fn attach_tree(bind: &BindPlan, number: usize, tree: i32) -> Result<(), Failed> {
    let kind = sys::file_type(tree).at_number(Step::BindSource, number)?;
    let (place, step) = match kind {
        libc::S_IFDIR if bind.target.is_empty() => {
            return Err(Failed(
                Step::BindEscapes,
                number as u16,
                Errno(libc::EINVAL),
            ));
        }
        libc::S_IFDIR => (
            make_directories(&bind.target).at_number(Step::BindDirectory, number)?,
            Step::BindAttach,
        ),
        _ => {
            let step = if kind == libc::S_IFLNK {
                Step::BindLink
            } else {
                Step::BindFile
            };
            let (Some((leaf, parents)), false) = (bind.target.split_last(), bind.ends_with_slash)
            else {
                return Err(Failed(step, number as u16, Errno(libc::ENOENT)));
            };
            let parent = make_directories(parents).at_number(Step::BindDirectory, number)?;
            let made = if kind == libc::S_IFLNK {
                copy_link(tree, parent, leaf).map(|()| None)
            } else {
                let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
                sys::open_at(parent, leaf, flags, 0o644).map(Some)
            };
            sys::close(parent);
            match made.at_number(step, number)? {
                None => return Ok(()),
                Some(file) => (file, Step::BindAttach),
            }
        }
    };
    if bind.attributes != 0 {
        sys::restrict_mount(tree, bind.attributes).at_number(step, number)?;
    }
    let attached = sys::move_mount(tree, place);
    sys::close(place);
    attached.at_number(step, number)
}

/// Links cannot be mounted, so the same link is made.
fn copy_link(link: i32, parent: i32, leaf: &CStr) -> sys::Sys<()> {
    let mut buffer = [0u8; 4097];
    let target = sys::read_link(link, &mut buffer)?;
    sys::symlink_at(target, parent, leaf)
}

/// Makes what is missing of a way below the current directory, never through a link.
fn make_directories(components: &[CString]) -> sys::Sys<i32> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let mut at = sys::open_at(libc::AT_FDCWD, c".", flags, 0)?;
    for component in components {
        let next = match sys::open_at(at, component, flags, 0) {
            Err(Errno(libc::ENOENT)) => sys::mkdir_at(at, component, 0o755)
                .and_then(|()| sys::open_at(at, component, flags, 0)),
            other => other,
        };
        sys::close(at);
        at = next?;
    }
    Ok(at)
}

/// The kernel's own file systems.
fn mount_special(root: &RootPlan) -> Result<(), Failed> {
    let inert = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    sys::mount(c"none", c"proc", c"proc", inert, None).at(Step::Proc)?;
    if root.system_information {
        sys::mount(c"none", c"sys", c"sysfs", inert, None).at(Step::System)?;
    }
    if !root.own_devices {
        return Ok(());
    }
    sys::mount(
        c"none",
        c"dev/shm",
        c"tmpfs",
        libc::MS_NOSUID | libc::MS_NODEV,
        root.shared_memory_options.as_deref(),
    )
    .at(Step::SharedMemory)?;
    sys::mount(
        c"none",
        c"dev/pts",
        c"devpts",
        libc::MS_NOSUID | libc::MS_NOEXEC,
        Some(c"newinstance,mode=0620,ptmxmode=0666"),
    )
    .at(Step::Terminals)
}
