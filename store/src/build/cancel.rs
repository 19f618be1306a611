//! Stopping running builds: because another has failed, or because the user wants it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::interrupt;

/// A flag that those who wait for something else notice too.
#[derive(Debug)]
pub struct Cancel {
    set: AtomicBool,
    wake: Option<OwnedFd>,
}

impl Default for Cancel {
    fn default() -> Self {
        Self {
            set: AtomicBool::new(false),
            // Without a descriptor, waits look at the flag from time to time.
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok(),
        }
    }
}

impl Cancel {
    /// Asks everybody to stop.
    pub fn cancel(&self) {
        self.set.store(true, Ordering::Release);
        if let Some(wake) = &self.wake {
            let _ = rustix::io::write(wake, &1u64.to_ne_bytes());
        }
    }

    /// Whether to stop.
    pub fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire) || interrupt::is_set()
    }

    /// Waits until there is something to read, or it is time to stop, or `milliseconds` have passed.
    pub fn wait_readable(
        &self,
        fd: BorrowedFd<'_>,
        milliseconds: Option<u64>,
    ) -> rustix::io::Result<Ready> {
        if self.is_set() {
            return Ok(Ready::Cancelled);
        }
        let mut fds = vec![PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        let wake = self.wake.as_ref().map(AsFd::as_fd);
        let interrupt = interrupt::descriptor();
        fds.extend(
            [wake, interrupt]
                .into_iter()
                .flatten()
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
        );
        // An interrupt that was triggered without a signal has no descriptor.
        let longest = if wake.is_some() { 1000 } else { 50 };
        let waited = milliseconds.map_or(longest, |ms| ms.min(longest));
        let timeout = Timespec {
            tv_sec: (waited / 1000) as i64,
            tv_nsec: (waited % 1000) as i64 * 1_000_000,
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        if self.is_set() {
            return Ok(Ready::Cancelled);
        }
        if fds[0].revents().is_empty() {
            Ok(Ready::NotYet)
        } else {
            Ok(Ready::Readable)
        }
    }
}

/// What a wait has ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// There is something to read, or the end of it.
    Readable,
    /// Look at the clock and wait again.
    NotYet,
    /// Stop.
    Cancelled,
}
