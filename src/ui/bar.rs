//! The status line on a terminal, with or without a tree of builds above it, drawn ten times a second below the messages.
//!
//! The last line stays without a line end, so that wiping it leaves no trace. A thread draws; whoever reports only
//! changes what there is to say, which costs the work nothing.

use std::borrow::Cow;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rx_store::evaluation;
use rx_store::progress::{self, ActivityId, ActivityKind, Field, Level, Logger, ResultKind};

use super::columns::clip;
use super::escapes::{has_escapes, only_colours};
use super::logger::{BuildLogs, build_line, warning};
use super::status::Status;
use super::tree::{self, Look, Tree};

/// Time between two drawings.
const FRAME: Duration = Duration::from_millis(100);

/// No tree is higher, however high the terminal is.
const HIGHEST: usize = 16;

/// How much is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Height {
    /// The status line.
    OneLine,
    /// The status line, and the tree of builds above it while several are to be done.
    Tree,
}

/// Draws a status line below the messages.
pub(super) struct BarLogger {
    shared: Arc<Mutex<Line>>,
    logs: BuildLogs,
    height: Height,
}

#[derive(Default)]
struct Line {
    status: Status,
    tree: Tree,
    /// What stands on the terminal now, and since when.
    drawn: Vec<String>,
    drawn_at: Option<Instant>,
    /// How many guards want the terminal for themselves.
    paused: usize,
    finished: bool,
}

impl BarLogger {
    pub(super) fn new(logs: BuildLogs, height: Height) -> BarLogger {
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
                    line.draw(colours, height);
                }
            });
        BarLogger {
            shared,
            logs,
            height,
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        lock(&self.shared)
    }

    fn print(&self, text: &str) {
        let text = if has_escapes(text) {
            Cow::Owned(only_colours(text))
        } else {
            Cow::Borrowed(text)
        };
        let mut line = self.line();
        let wipe = line.wipe();
        let mut message = format!("{wipe}{text}\n");
        // A tree that went for every line of a log would flicker; one that came back for each of thousands would cost.
        let now = Instant::now();
        let calm = line
            .drawn_at
            .is_none_or(|then| now.duration_since(then) >= FRAME / 4);
        if self.height == Height::Tree && calm && line.paused == 0 && !line.finished {
            let lines = line.lines(super::colours(), self.height, now);
            message += &lines.join("\n");
            line.drawn = lines;
            line.drawn_at = Some(now);
        }
        // A closed standard error must not end the work.
        let _ = std::io::stderr().lock().write_all(message.as_bytes());
    }
}

fn lock(shared: &Mutex<Line>) -> MutexGuard<'_, Line> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// What is to stand on the terminal.
    fn lines(&mut self, colours: bool, height: Height, now: Instant) -> Vec<String> {
        let (columns, rows) = crossterm::terminal::size().map_or((80, 24), |(columns, rows)| {
            (usize::from(columns), usize::from(rows))
        });
        let columns = columns.saturating_sub(1).max(10);
        let mut lines = Vec::new();
        if height == Height::Tree && self.tree.is_worth_drawing() {
            let room = (rows / 2).clamp(2, HIGHEST);
            let words = |path: &str| self.status.words_of(path);
            let tree = self.tree.lines(now, room, &words);
            lines.extend(tree.iter().map(|line| tree::paint(line, columns, colours)));
            lines.push(tree::paint(
                &vec![(Look::Good, self.status.counts(now))],
                columns,
                colours,
            ));
            return lines;
        }
        let text = clip(&self.status.line(now, evaluation::counts()), columns);
        if !text.is_empty() {
            lines.push(if colours { paint(&text) } else { text });
        }
        lines
    }

    fn draw(&mut self, colours: bool, height: Height) {
        if self.paused > 0 {
            return;
        }
        let now = Instant::now();
        let lines = self.lines(colours, height, now);
        self.drawn_at = Some(now);
        if lines == self.drawn {
            return;
        }
        let text = format!("{}{}", redraw(&self.drawn, &lines), "\x1b[J");
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
        self.drawn = lines;
    }

    /// What removes all that was drawn from the terminal.
    fn wipe(&mut self) -> String {
        let drawn = std::mem::take(&mut self.drawn);
        if drawn.is_empty() {
            String::new()
        } else {
            format!("{}\x1b[J", to_start(&drawn))
        }
    }

    fn wipe_now(&mut self) {
        let wipe = self.wipe();
        if !wipe.is_empty() {
            let _ = std::io::stderr().lock().write_all(wipe.as_bytes());
        }
    }
}

/// Back to where the first drawn line begins.
fn to_start(drawn: &[String]) -> String {
    match drawn.len() {
        0 | 1 => "\r".to_owned(),
        several => format!("\r\x1b[{}A", several - 1),
    }
}

/// What replaces drawn lines by others, line by line, so that what stays does not flicker.
fn redraw(drawn: &[String], lines: &[String]) -> String {
    let mut text = to_start(drawn);
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        text += line;
        text += "\x1b[K";
    }
    text
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
        let now = Instant::now();
        let mut line = self.line();
        if let (ActivityKind::Build, Some(Field::Text(path))) = (kind, fields.first()) {
            line.tree.start(path, now);
        }
        line.status.start(id, level, kind, text, fields, now);
    }

    fn build_planned(&self, derivation: &str, needs: &[String]) {
        self.line().tree.plan(derivation, needs);
    }

    fn build_ended(&self, derivation: &str, good: bool) {
        self.line().tree.end(derivation, good, Instant::now());
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
        if line.status.settle() {
            line.tree.clear();
        }
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
    fn what_was_drawn_is_replaced_and_what_is_left_of_it_wiped() {
        let lines = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let (one, three) = (lines(&["a"]), lines(&["a", "b", "c"]));
        assert_eq!(redraw(&[], &three), "\ra\x1b[K\nb\x1b[K\nc\x1b[K");
        assert_eq!(redraw(&three, &one), "\r\x1b[2Aa\x1b[K");
        assert_eq!(redraw(&one, &[]), "\r");
    }

    #[test]
    fn only_the_counters_are_coloured() {
        assert_eq!(paint("[1/2 built] x] y"), "\x1b[32m[1/2 built]\x1b[0m x] y");
        assert_eq!(paint("copying"), "copying");
    }
}
