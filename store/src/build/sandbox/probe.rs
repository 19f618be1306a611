//! What this system lets us isolate, found out by trying once.

use std::sync::LazyLock;

use super::sys::{self, Forked};

/// Which namespaces this process may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespaces {
    /// Mount, process, network, IPC and host name namespaces, with a `/proc` of their own.
    pub isolation: bool,
    /// User namespaces.
    pub user: bool,
}

/// Tries it in a process that ends at once; the answer is kept.
pub fn namespaces_supported() -> Namespaces {
    static ANSWER: LazyLock<Namespaces> = LazyLock::new(|| {
        if try_namespaces(libc::CLONE_NEWUSER) {
            Namespaces {
                isolation: true,
                user: true,
            }
        } else {
            Namespaces {
                isolation: try_namespaces(0),
                user: false,
            }
        }
    });
    *ANSWER
}

fn try_namespaces(user: i32) -> bool {
    let flags = user
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS;
    match sys::fork_into(flags as u64) {
        Ok(Forked::Child) => {
            let private = sys::mount(c"none", c"/", c"", libc::MS_PRIVATE | libc::MS_REC, None);
            let inert = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
            let proc = sys::mount(c"none", c"/proc", c"proc", inert, None);
            sys::exit(i32::from(private.is_err() || proc.is_err()))
        }
        Ok(Forked::Parent { pid, pidfd }) => {
            sys::close(pidfd);
            sys::wait(pid) == Ok(0)
        }
        Err(_) => false,
    }
}
