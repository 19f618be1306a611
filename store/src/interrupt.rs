//! Ctrl-C, and how long work notices it.
//!
//! The first SIGINT, SIGTERM or SIGHUP sets a flag and makes a file descriptor readable; work
//! polls one or the other and ends in order. The second SIGINT ends the process at once.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The error of work that noticed an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted by the user")]
pub struct Interrupted;

static FLAG: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Becomes readable at the first signal and stays so until [`clear`].
static WAKE: OnceLock<Wake> = OnceLock::new();

struct Wake {
    reader: UnixStream,
    writer: UnixStream,
}

/// What ends the process at the second Ctrl-C.
static SHUTDOWN: Mutex<Option<SigId>> = Mutex::new(None);

/// Takes over the signals. Programs call it once at start; libraries never do.
pub fn install() -> io::Result<()> {
    // From here on no signal is lost; one that comes before the others below ends the program, which has done nothing yet.
    let first = signal_hook::flag::register(SIGINT, Arc::clone(&FLAG))?;
    // The order matters: the first signal finds the flag unset, then sets it.
    let shutdown =
        signal_hook::flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&FLAG))?;
    if let Ok(mut place) = SHUTDOWN.lock() {
        *place = Some(shutdown);
    }
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    writer.set_nonblocking(true)?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&FLAG))?;
        signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?;
    }
    signal_hook::low_level::unregister(first);
    // A second installation keeps the first descriptor, which its own handlers feed.
    let _ = WAKE.set(Wake { reader, writer });
    if is_set() {
        // It may have come before the descriptor.
        trigger();
    }
    Ok(())
}

/// From now on Ctrl-C only asks to stop, however often it is pressed: for sessions that outlive what they run.
pub fn survive() {
    if let Ok(mut place) = SHUTDOWN.lock()
        && let Some(shutdown) = place.take()
    {
        signal_hook::low_level::unregister(shutdown);
    }
}

/// Has the user asked to stop?
#[inline]
pub fn is_set() -> bool {
    FLAG.load(Ordering::Relaxed)
}

/// Fails if the user has asked to stop.
#[inline]
pub fn check() -> Result<(), Interrupted> {
    if is_set() { Err(Interrupted) } else { Ok(()) }
}

/// The flag itself, for hot loops that keep a reference to it.
pub fn flag() -> &'static AtomicBool {
    &FLAG
}

/// A descriptor that becomes readable at the first signal, to be polled beside others.
/// Nothing must be read from it. `None` before [`install`].
pub fn descriptor() -> Option<BorrowedFd<'static>> {
    WAKE.get().map(|wake| wake.reader.as_fd())
}

/// Asks to stop, as a signal would.
pub fn trigger() {
    FLAG.store(true, Ordering::SeqCst);
    if let Some(wake) = WAKE.get() {
        // A pipe that is full is readable already.
        let _ = (&wake.writer).write(&[0]);
    }
}

/// Forgets an interrupt; the REPL does so after each expression.
pub fn clear() {
    if let Some(wake) = WAKE.get() {
        let mut sink = [0; 64];
        while (&wake.reader).read(&mut sink).is_ok_and(|count| count > 0) {}
        FLAG.store(false, Ordering::SeqCst);
        // One that came in between is not forgotten: whoever looks at the flag and whoever waits for the descriptor must be
        // of one mind.
        let mut fds = [PollFd::new(&wake.reader, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if poll(&mut fds, Some(&now)).is_ok_and(|count| count > 0) {
            FLAG.store(true, Ordering::SeqCst);
        }
    } else {
        FLAG.store(false, Ordering::SeqCst);
    }
}
