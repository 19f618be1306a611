//! Data on standard output. A reader that has gone away ends the program in silence.

use std::io::{self, BufWriter, StdoutLock, Write};

use rx_store::progress::Pause;
use serde_json::Value;

use super::Failure;

/// Standard output, buffered. While it lives, nothing else is drawn on the terminal that it may be.
pub struct Stdout {
    out: BufWriter<StdoutLock<'static>>,
    /// Given back after the buffer has been written.
    _pause: Option<Pause>,
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Standard output, buffered. Errors of writing are to be passed on with `?`.
pub fn stdout() -> Stdout {
    let pause = super::stdout_is_terminal().then(rx_store::progress::pause);
    Stdout {
        out: BufWriter::with_capacity(64 * 1024, io::stdout().lock()),
        _pause: pause,
    }
}

/// Writes text to standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to standard output.
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let _pause = rx_store::progress::pause();
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Writes JSON and a newline: indented for people, compact for programs.
pub fn print_json(value: &Value) -> Result<(), Failure> {
    let text = if super::stdout_is_terminal() {
        format!("{value:#}\n")
    } else {
        format!("{value}\n")
    };
    print(&text)
}

/// A size for people: `11.6 GiB`. The smallest unit is the KiB, as the reference has it.
pub fn render_size(bytes: u64) -> String {
    const UNITS: [&str; 8] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_to_one_digit() {
        assert_eq!(render_size(0), "0.0 KiB");
        assert_eq!(render_size(100), "0.1 KiB");
        assert_eq!(render_size(12_433_615_056), "11.6 GiB");
        assert_eq!(render_size(1024 * 1024), "1.0 MiB");
    }
}
