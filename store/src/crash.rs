//! Points at which tests let the process die, as a power cut or `kill -9` would.
//!
//! Outside of tests the functions are empty. A test sets the variable `RX_CRASH_AT` to a point's name, or to `name@n` to
//! pass it n times first, and starts itself again as a child.

/// Dies here if the test wants it.
#[cfg(test)]
pub fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    static WANTED: OnceLock<Option<(String, usize)>> = OnceLock::new();
    static PASSED: AtomicUsize = AtomicUsize::new(0);
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("RX_CRASH_AT").ok()?;
        match text.rsplit_once('@') {
            Some((name, n)) => Some((name.to_owned(), n.parse().ok()?)),
            None => Some((text, 0)),
        }
    });
    if let Some((wanted, times)) = wanted
        && wanted == name
        && PASSED.fetch_add(1, Ordering::SeqCst) == *times
    {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Does nothing.
#[cfg(not(test))]
#[inline(always)]
pub fn point(_name: &str) {}
