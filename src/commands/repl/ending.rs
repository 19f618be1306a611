//! A session that is told to end: the terminal goes away (SIGHUP), or somebody wants it gone (SIGTERM).
//!
//! What is under way stops as it does at Ctrl-C, and the session ends after it. A session that waits for keys ends at once,
//! with the terminal as it was before.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use rx_store::interrupt;
use signal_hook::consts::{SIGHUP, SIGTERM};

/// The exit status of a session that has been told to end; zero when it has not.
static TOLD: AtomicU8 = AtomicU8::new(0);
/// The session waits for keys.
static WAITING: AtomicBool = AtomicBool::new(false);
/// How the terminal was before the session.
static BEFORE: OnceLock<Option<Termios>> = OnceLock::new();

/// Listens for being told to end, from now on.
pub(super) fn listen() {
    let mut first = false;
    BEFORE.get_or_init(|| {
        first = true;
        tcgetattr(std::io::stdin()).ok()
    });
    if first {
        // Without this a session ends later than it could, which is no reason not to have one.
        let _ = install();
    }
}

fn install() -> std::io::Result<()> {
    let (mut reader, writer) = UnixStream::pair()?;
    let signals = [(SIGHUP, 129), (SIGTERM, 143)];
    let flags = signals.map(|(signal, status)| (signal, status, Arc::new(AtomicBool::new(false))));
    for (signal, _, flag) in &flags {
        signal_hook::flag::register(*signal, Arc::clone(flag))?;
        signal_hook::low_level::pipe::register(*signal, writer.try_clone()?)?;
    }
    std::thread::Builder::new().spawn(move || {
        let mut byte = [0];
        while reader.read_exact(&mut byte).is_ok() {
            let told = flags
                .iter()
                .find(|(_, _, flag)| flag.load(Ordering::SeqCst));
            let status = told.map_or(1, |(_, status, _)| *status);
            // Before the look at WAITING: `waiting` looks in the other order, so that one of the two sees the other.
            TOLD.store(status, Ordering::SeqCst);
            // The interrupt of the signal itself may be forgotten by a session that begins or ends an evaluation right now.
            interrupt::trigger();
            if WAITING.load(Ordering::SeqCst) {
                end(status);
            }
        }
    })?;
    Ok(())
}

/// Ends the process. Nothing is under way.
fn end(status: u8) -> ! {
    // A job in the background that changes the terminal is stopped instead of ended.
    let stdin = std::io::stdin();
    let in_front = || tcgetpgrp(&stdin).is_ok_and(|group| group == getpgrp());
    if let Some(Some(terminal)) = BEFORE.get()
        && in_front()
    {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, terminal);
        let _ = writeln!(std::io::stdout());
    }
    std::process::exit(status.into());
}

/// The exit status if the session must not ask for more.
pub(super) fn told() -> Option<u8> {
    Some(TOLD.load(Ordering::SeqCst)).filter(|&status| status > 0)
}

/// Forgets an interrupt, unless it is the one that ends the session.
pub(super) fn forget_interrupt() {
    interrupt::clear();
    if told().is_some() {
        interrupt::trigger();
    }
}

/// Waits for keys, during which the session can be ended at once.
pub(super) fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    WAITING.store(true, Ordering::SeqCst);
    // Who was told before that is not waited for by anybody.
    if let Some(status) = told() {
        end(status);
    }
    let result = wait();
    WAITING.store(false, Ordering::SeqCst);
    result
}

/// Something that lasts while a person types: Ctrl-C stops it, though keys are read one by one.
pub(super) fn interruptible<T>(run: impl FnOnce() -> T) -> T {
    let stdin = std::io::stdin();
    let Ok(before) = tcgetattr(&stdin) else {
        return run();
    };
    let mut with_signals = before.clone();
    with_signals
        .local_modes
        .insert(LocalModes::ISIG | LocalModes::NOFLSH);
    let _ = tcsetattr(&stdin, OptionalActions::Now, &with_signals);
    let result = run();
    let _ = tcsetattr(&stdin, OptionalActions::Now, &before);
    result
}
