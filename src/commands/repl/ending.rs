//! A session that is told to end: the terminal goes away (SIGHUP), or somebody wants it gone (SIGTERM).
//!
//! What is under way stops as it does at Ctrl-C, and the session ends after it. A session that waits for keys ends at once,
//! with the terminal as it was before.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Once};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGTERM};

/// The exit status of a session that has been told to end; zero when it has not.
static TOLD: AtomicU8 = AtomicU8::new(0);
/// The session waits for keys.
static WAITING: AtomicBool = AtomicBool::new(false);

/// Listens for being told to end, from now on.
pub(super) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Without this a session ends later than it could, which is no reason not to have one.
        let _ = install();
    });
}

fn install() -> std::io::Result<()> {
    let (mut reader, writer) = UnixStream::pair()?;
    let terminal = tcgetattr(std::io::stdin()).ok();
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
            TOLD.store(status, Ordering::SeqCst);
            if WAITING.load(Ordering::SeqCst) {
                end(terminal.as_ref(), status);
            }
        }
    })?;
    Ok(())
}

/// Ends the process. Nothing is under way.
fn end(terminal: Option<&Termios>, status: u8) {
    if let Some(terminal) = terminal {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, terminal);
        let _ = writeln!(std::io::stdout());
    }
    std::process::exit(status.into());
}

/// The exit status if the session must not ask for more.
pub(super) fn told() -> Option<u8> {
    Some(TOLD.load(Ordering::SeqCst)).filter(|&status| status > 0)
}

/// Waits for keys, during which the session can be ended at once.
pub(super) fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    WAITING.store(true, Ordering::SeqCst);
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
