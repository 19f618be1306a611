//! Standard input: read whole, where Ctrl-C ends the reading; and answers to questions.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rx_store::interrupt;

use super::Failure;

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// All of standard input.
pub fn read_stdin() -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let mut piece = vec![0; PIECE];
    let mut stdin = io::stdin().lock();
    loop {
        wait_for(stdin.as_fd())?;
        match stdin.read(&mut piece) {
            Ok(0) => return Ok(text),
            Ok(count) => text.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until there is something to read, or fails if the user asks to stop.
fn wait_for(input: impl AsFd) -> Result<(), Failure> {
    loop {
        interrupt::check()?;
        let mut fds = vec![PollFd::new(&input, PollFlags::IN)];
        let wake = interrupt::descriptor();
        fds.extend(wake.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) if fds[0].revents().is_empty() => {}
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
}

/// Asks on the terminal; only what begins with `y` is a yes, the end of the input is none.
pub fn ask(question: &str) -> Result<bool, Failure> {
    let pause = rx_store::progress::pause();
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "{question} ")?;
    stderr.flush()?;
    drop(stderr);
    let mut answer = Vec::new();
    let mut stdin = std::io::stdin().lock();
    // What a program has written may have been read already.
    if stdin.is_terminal() {
        wait_for(stdin.as_fd())?;
    }
    stdin.read_until(b'\n', &mut answer)?;
    drop(pause);
    Ok(answer
        .first()
        .is_some_and(|first| first.eq_ignore_ascii_case(&b'y')))
}
