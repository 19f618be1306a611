//! A builder's output: lines for people, messages for us, and the file that is kept.
//!
//! ```text
//! bytes of the terminal -> lines -> @nix {"action": "setPhase", ...} -> activity results
//!                      |        \-> anything else -> log line, and the tail for the error
//!                      \-> <log dir>/drvs/xx/rest.drv.bz2
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::path::StorePath;
use crate::progress::{self, Activity, ActivityKind, Field, Level, ResultKind};

/// A line longer than this is passed on in parts, so that no output can exhaust our memory.
const LONGEST_LINE: usize = 1 << 20;

/// How much of a log is kept in memory for the report of a failure.
const KEPT_BYTES: usize = 1 << 20;

/// Turns a builder's output into lines and messages.
pub struct BuildLog {
    activity: Activity,
    /// Activities that the builder has started itself, by the numbers it gave them.
    activities: BTreeMap<u64, Activity>,
    line: Vec<u8>,
    column: usize,
    after_return: bool,
    tail: VecDeque<String>,
    tail_bytes: usize,
    dropped: u64,
}

impl BuildLog {
    /// Reports to an activity.
    pub fn new(activity: Activity) -> Self {
        Self {
            activity,
            activities: BTreeMap::new(),
            line: Vec::new(),
            column: 0,
            after_return: false,
            tail: VecDeque::new(),
            tail_bytes: 0,
            dropped: 0,
        }
    }

    /// Takes the next bytes of output.
    pub fn write(&mut self, data: &[u8]) {
        for &byte in data {
            // A return goes back to the start of the line, unless a line feed follows it.
            if std::mem::take(&mut self.after_return) && byte != b'\n' {
                self.column = 0;
            }
            match byte {
                b'\r' => self.after_return = true,
                b'\n' => self.end_line(),
                _ => {
                    if self.column == LONGEST_LINE {
                        self.end_line();
                    }
                    if self.column < self.line.len() {
                        self.line[self.column] = byte;
                    } else {
                        self.line.push(byte);
                    }
                    self.column += 1;
                }
            }
        }
    }

    /// The output is over.
    pub fn finish(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.activities.clear();
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        line.truncate(self.column);
        self.column = 0;
        if self.message(&line) {
            return;
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        self.activity.log_line(&text);
        self.tail_bytes += text.len() + 1;
        self.tail.push_back(text);
        while self.tail_bytes > KEPT_BYTES {
            let Some(first) = self.tail.pop_front() else {
                break;
            };
            self.tail_bytes -= first.len() + 1;
            self.dropped += 1;
        }
        line.clear();
        self.line = line;
    }

    /// The last lines, oldest first, and how many came before them.
    pub fn tail(&self) -> (impl Iterator<Item = &str>, u64) {
        (self.tail.iter().map(String::as_str), self.dropped)
    }

    /// The activity of the build.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Understands a line that begins with `@nix `; anything malformed is an ordinary line.
    fn message(&mut self, line: &[u8]) -> bool {
        let Some(json) = line.strip_prefix(b"@nix ") else {
            return false;
        };
        let message: Value = match serde_json::from_slice(json) {
            Ok(message) => message,
            Err(error) => {
                progress::warn(format!(
                    "bad JSON log message from the derivation builder: {error}"
                ));
                return false;
            }
        };
        let understood = self.act_on(&message).is_some();
        if !understood {
            progress::warn(format!(
                "Unable to handle a JSON message from the derivation builder: {message}"
            ));
        }
        understood
    }

    fn act_on(&mut self, message: &Value) -> Option<()> {
        let number = |name: &str| message.get(name).and_then(Value::as_u64);
        match message.get("action")?.as_str()? {
            "start" => {
                let kind = ActivityKind::from_number(number("type")?);
                let id = number("id")?;
                // A builder cannot be trusted with anything but what it downloads.
                if kind == ActivityKind::FileTransfer {
                    let text = message.get("text").and_then(Value::as_str).unwrap_or("");
                    let activity = Activity::start_below(
                        self.activity.id(),
                        Level::from_number(number("level").unwrap_or(3)),
                        kind,
                        text,
                        &fields(message),
                    );
                    self.activities.insert(id, activity);
                }
            }
            "stop" => {
                self.activities.remove(&number("id")?);
            }
            "result" => {
                let kind = ResultKind::from_number(number("type")?)?;
                if let Some(activity) = self.activities.get(&number("id")?) {
                    activity.result(kind, &fields(message));
                }
            }
            "setPhase" => self.activity.set_phase(message.get("phase")?.as_str()?),
            "msg" => progress::log(
                Level::from_number(number("level")?),
                message.get("msg")?.as_str()?,
            ),
            _ => {}
        }
        Some(())
    }
}

fn fields(message: &Value) -> Vec<Field> {
    message
        .get("fields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|field| match field {
            Value::String(text) => Some(Field::Text(text.clone())),
            Value::Number(number) => number.as_u64().map(Field::Int),
            _ => None,
        })
        .collect()
}

/// The file that keeps a log.
pub struct LogFile {
    file: File,
    kind: Kept,
}

enum Kept {
    /// Compressed when it is complete; most logs are short, and a compressor costs megabytes.
    Short(Vec<u8>),
    /// Compressed as it comes.
    Long(Box<bzip2::write::BzEncoder<File>>),
    /// As it is.
    Plain,
    /// Given up.
    Broken,
}

/// Up to how many bytes a log is held in memory before it is compressed.
const SHORT_LOG: usize = 1 << 16;

/// Where the log of a derivation is kept, without the suffix of compressed ones.
pub fn log_path(log_dir: &Path, derivation: &StorePath) -> PathBuf {
    let name = derivation.base_name();
    let (first, rest) = name.split_at_checked(2).unwrap_or((&name, ""));
    log_dir.join("drvs").join(first).join(rest)
}

impl LogFile {
    /// Begins the log of a derivation, in place of an older one.
    pub fn create(log_dir: &Path, derivation: &StorePath, compress: bool) -> io::Result<Self> {
        let mut path = log_path(log_dir, derivation).into_os_string();
        if compress {
            path.push(".bz2");
        }
        let path = PathBuf::from(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o666)
            .open(&path)?;
        let kind = if compress {
            Kept::Short(Vec::new())
        } else {
            Kept::Plain
        };
        Ok(Self { file, kind })
    }

    /// Keeps the next bytes. A log that cannot be written (full disk) is given up, not the build.
    pub fn write(&mut self, data: &[u8]) {
        if let Err(error) = self.try_write(data) {
            progress::warn(format!("cannot write the build log: {error}"));
            self.kind = Kept::Broken;
        }
    }

    fn try_write(&mut self, data: &[u8]) -> io::Result<()> {
        match &mut self.kind {
            Kept::Short(held) if held.len() + data.len() <= SHORT_LOG => {
                held.extend_from_slice(data);
                Ok(())
            }
            Kept::Short(held) => {
                let level = bzip2::Compression::best();
                let mut encoder = bzip2::write::BzEncoder::new(self.file.try_clone()?, level);
                encoder.write_all(held)?;
                encoder.write_all(data)?;
                self.kind = Kept::Long(Box::new(encoder));
                Ok(())
            }
            Kept::Long(encoder) => encoder.write_all(data),
            Kept::Plain => self.file.write_all(data),
            Kept::Broken => Ok(()),
        }
    }

    /// Completes the file.
    pub fn finish(self) {
        let done = match self.kind {
            Kept::Short(held) => {
                let level = bzip2::Compression::fast();
                let mut encoder = bzip2::write::BzEncoder::new(self.file, level);
                encoder
                    .write_all(&held)
                    .and_then(|()| encoder.finish().map(drop))
            }
            Kept::Long(encoder) => encoder.finish().map(drop),
            Kept::Plain | Kept::Broken => Ok(()),
        };
        if let Err(error) = done {
            progress::warn(format!("cannot write the build log: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<String> {
        let activity = Activity::start(Level::Info, ActivityKind::Build, "", &[]);
        let mut log = BuildLog::new(activity);
        for byte in text {
            log.write(&[*byte]);
        }
        log.finish();
        log.tail().0.map(str::to_owned).collect()
    }

    #[test]
    fn output_is_cut_into_lines_as_a_terminal_shows_them() {
        assert_eq!(lines(b"a\nb\r\nc"), ["a", "b", "c"]);
        assert_eq!(lines(b"50%\r99%\n"), ["99%"]);
        assert_eq!(lines(b"long line\rshort\n"), ["short"]);
        assert_eq!(lines(b"\n\n"), ["", ""]);
    }

    #[test]
    fn messages_are_not_lines_unless_they_are_broken() {
        let text = b"@nix {\"action\":\"setPhase\",\"phase\":\"buildPhase\"}\n@nix {oops\n";
        assert_eq!(lines(text), ["@nix {oops"]);
    }

    #[test]
    fn endless_output_without_a_line_end_uses_bounded_memory() {
        let activity = Activity::start(Level::Info, ActivityKind::Build, "", &[]);
        let mut log = BuildLog::new(activity);
        for _ in 0..40 {
            log.write(&[b'x'; 100_000]);
        }
        assert!(log.line.len() <= LONGEST_LINE);
        assert!(log.tail_bytes <= KEPT_BYTES + LONGEST_LINE);
    }

    #[test]
    fn a_kept_log_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let drv = StorePath::parse("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-a.drv").unwrap();
        let mut file = LogFile::create(dir.path(), &drv, true).unwrap();
        file.write(b"hello\n");
        file.finish();
        let path = dir
            .path()
            .join("drvs/g1/w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-a.drv.bz2");
        let mut text = String::new();
        io::Read::read_to_string(
            &mut bzip2::read::BzDecoder::new(File::open(path).unwrap()),
            &mut text,
        )
        .unwrap();
        assert_eq!(text, "hello\n");
    }
}
