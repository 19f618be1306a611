//! The status line on a terminal, drawn ten times a second below the messages.
//!
//! The line stays without a line end, so that wiping it leaves no trace. A thread draws it; whoever reports only
//! changes what there is to say, which costs the work nothing.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rx_store::evaluation;
use rx_store::progress::{self, ActivityId, ActivityKind, Field, Level, Logger, ResultKind};

use super::logger::{BuildLogs, build_line, warning};
use super::status::Status;

/// Time between two drawings.
const FRAME: Duration = Duration::from_millis(100);

/// Draws a status line below the messages.
pub(super) struct BarLogger {
    shared: Arc<Mutex<Line>>,
    logs: BuildLogs,
}

#[derive(Default)]
struct Line {
    status: Status,
    /// What stands on the terminal now.
    drawn: String,
    /// How many guards want the terminal for themselves.
    paused: usize,
    finished: bool,
}

impl BarLogger {
    pub(super) fn new(logs: BuildLogs) -> BarLogger {
        let shared = Arc::new(Mutex::new(Line::default()));
        let weak = Arc::downgrade(&shared);
        let colours = super::colours();
        // Without a thread there is no status line, and nothing else is missing.
        let _ = std::thread::Builder::new()
            .name("status line".to_owned())
            .spawn(move || {
                loop {
                    std::thread::sleep(FRAME);
                    let Some(shared) = weak.upgrade() else { return };
                    let mut line = lock(&shared);
                    if line.finished {
                        return;
                    }
                    line.draw(colours);
                }
            });
        BarLogger { shared, logs }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        lock(&self.shared)
    }

    fn print(&self, text: &str) {
        let mut line = self.line();
        let wipe = line.wipe();
        // A closed standard error must not end the work.
        let _ = std::io::stderr()
            .lock()
            .write_all(format!("{wipe}{text}\n").as_bytes());
    }
}

fn lock(shared: &Mutex<Line>) -> MutexGuard<'_, Line> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    fn draw(&mut self, colours: bool) {
        if self.paused > 0 {
            return;
        }
        let text = self.status.line(Instant::now(), evaluation::counts());
        let columns = crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns));
        let text = clip(&text, columns.saturating_sub(1).max(10));
        if text == self.drawn {
            return;
        }
        let shown = if colours { paint(&text) } else { text.clone() };
        let _ = std::io::stderr()
            .lock()
            .write_all(format!("\r{shown}\x1b[K").as_bytes());
        self.drawn = text;
    }

    /// What removes the line from the terminal.
    fn wipe(&mut self) -> &'static str {
        if std::mem::take(&mut self.drawn).is_empty() {
            ""
        } else {
            "\r\x1b[K"
        }
    }

    fn wipe_now(&mut self) {
        let wipe = self.wipe();
        if !wipe.is_empty() {
            let _ = std::io::stderr().lock().write_all(wipe.as_bytes());
        }
    }
}

/// The counters in colour.
fn paint(text: &str) -> String {
    match text.split_once("] ") {
        Some((counters, rest)) if counters.starts_with('[') => {
            format!("\x1b[32m{counters}]\x1b[0m {rest}")
        }
        _ => text.to_owned(),
    }
}

/// As much of a text as fits into a line.
fn clip(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut clipped: String = text.chars().take(columns.saturating_sub(1)).collect();
    clipped.push('…');
    clipped
}

impl Logger for BarLogger {
    fn shows_build_logs(&self) -> bool {
        self.logs == BuildLogs::Show
    }

    fn log(&self, _: Level, message: &str) {
        self.print(message);
    }

    fn warn(&self, message: &str) {
        self.print(&warning(message));
    }

    fn start(
        &self,
        id: ActivityId,
        level: Level,
        kind: ActivityKind,
        text: &str,
        fields: &[Field],
        _: ActivityId,
    ) {
        if kind == ActivityKind::Build && progress::wanted(level) && self.logs == BuildLogs::Show {
            self.print(text);
        }
        let status = &mut self.line().status;
        status.start(id, level, kind, text, fields, Instant::now());
    }

    fn stop(&self, id: ActivityId) {
        self.line().status.stop(id);
    }

    fn result(&self, id: ActivityId, kind: ResultKind, fields: &[Field]) {
        let Some(line) = build_line(kind, fields) else {
            self.line().status.result(id, kind, fields);
            return;
        };
        if self.logs == BuildLogs::Hide {
            self.line().status.line_of(id, &line);
            return;
        }
        let name = self.line().status.name(id).to_owned();
        let prefix = if name.is_empty() {
            name
        } else {
            format!("{name}> ")
        };
        self.print(&format!("{prefix}{line}"));
    }

    fn pause(&self) {
        let mut line = self.line();
        line.paused += 1;
        line.status.settle();
        line.wipe_now();
    }

    fn resume(&self) {
        let mut line = self.line();
        line.paused = line.paused.saturating_sub(1);
    }

    fn finish(&self) {
        let mut line = self.line();
        line.finished = true;
        line.wipe_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_the_terminal() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("abcd", 3), "ab…");
        assert_eq!(clip("äöüß", 3), "äö…");
    }

    #[test]
    fn only_the_counters_are_coloured() {
        assert_eq!(paint("[1/2 built] x] y"), "\x1b[32m[1/2 built]\x1b[0m x] y");
        assert_eq!(paint("copying"), "copying");
    }
}
