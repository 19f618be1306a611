//! The status line on a terminal: how much is built, copied and fetched, and what is at work.
//!
//! ```text
//! [2/5 built, 1 copied (3.1/8.0 MiB), 0.4 MiB fetched] building hello-2.12 (buildPhase): cc main.o
//! ```

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rx_store::progress::{self, ActivityId, ActivityKind, Field, Level, Logger, ResultKind};

use super::logger::{BuildLogs, build_line, warning};
use super::output::render_size;

/// Draws a status line below the messages.
pub(super) struct BarLogger {
    bar: ProgressBar,
    logs: BuildLogs,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    activities: BTreeMap<ActivityId, Running>,
    totals: BTreeMap<ActivityKind, Totals>,
    /// How many guards want the terminal for themselves.
    paused: usize,
}

struct Running {
    kind: ActivityKind,
    text: String,
    name: String,
    phase: String,
    last_line: String,
    since: Instant,
    counts: Counts,
    expected: BTreeMap<ActivityKind, u64>,
    visible: bool,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    done: u64,
    expected: u64,
    running: u64,
    failed: u64,
}

/// What ended activities of a kind leave behind, and what is still expected.
#[derive(Clone, Copy, Default)]
struct Totals {
    done: u64,
    failed: u64,
    expected: u64,
}

impl BarLogger {
    pub(super) fn new(logs: BuildLogs) -> BarLogger {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(12));
        bar.set_style(
            ProgressStyle::with_template("{wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        BarLogger {
            bar,
            logs,
            state: Mutex::default(),
        }
    }

    fn print(&self, line: &str) {
        self.bar.suspend(|| {
            use std::io::Write;
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        });
    }

    fn with_state(&self, change: impl FnOnce(&mut State)) {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut state);
        if state.paused == 0 {
            let line = state.line();
            drop(state);
            self.bar.set_message(line);
        }
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
        let running = Running {
            kind,
            text: text.to_owned(),
            name: short_name(fields),
            phase: String::new(),
            last_line: String::new(),
            since: Instant::now(),
            counts: Counts::default(),
            expected: BTreeMap::new(),
            visible: level <= Level::Info,
        };
        self.with_state(|state| {
            state.activities.insert(id, running);
        });
    }

    fn stop(&self, id: ActivityId) {
        self.with_state(|state| {
            if let Some(activity) = state.activities.remove(&id) {
                for (kind, count) in &activity.expected {
                    let totals = state.totals.entry(*kind).or_default();
                    totals.expected = totals.expected.saturating_sub(*count);
                }
                let totals = state.totals.entry(activity.kind).or_default();
                totals.done += activity.counts.done;
                totals.failed += activity.counts.failed;
            }
        });
    }

    fn result(&self, id: ActivityId, kind: ResultKind, fields: &[Field]) {
        if let Some(line) = build_line(kind, fields) {
            if self.logs == BuildLogs::Show {
                let state = self
                    .state
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                let name = state
                    .activities
                    .get(&id)
                    .map(|it| it.name.clone())
                    .unwrap_or_default();
                drop(state);
                let prefix = if name.is_empty() {
                    name
                } else {
                    format!("{name}> ")
                };
                self.print(&format!("{prefix}{line}"));
            } else {
                self.with_state(|state| {
                    if let Some(activity) = state.activities.get_mut(&id) {
                        activity.last_line = super::logger::without_escapes(&line);
                    }
                });
            }
            return;
        }
        self.with_state(|state| state.result(id, kind, fields));
    }

    fn pause(&self) {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        state.paused += 1;
        drop(state);
        self.bar.set_message("");
        self.bar.suspend(|| {});
    }

    fn resume(&self) {
        self.with_state(|state| state.paused = state.paused.saturating_sub(1));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl State {
    fn result(&mut self, id: ActivityId, kind: ResultKind, fields: &[Field]) {
        let Some(activity) = self.activities.get_mut(&id) else {
            return;
        };
        match (kind, fields) {
            (ResultKind::SetPhase, [Field::Text(phase), ..]) => activity.phase.clone_from(phase),
            (
                ResultKind::Progress,
                [
                    Field::Int(done),
                    Field::Int(expected),
                    Field::Int(running),
                    Field::Int(failed),
                ],
            ) => {
                let counts = Counts {
                    done: *done,
                    expected: *expected,
                    running: *running,
                    failed: *failed,
                };
                activity.counts = counts;
            }
            (ResultKind::SetExpected, [Field::Int(kind), Field::Int(count)]) => {
                let kind = ActivityKind::from_number(*kind);
                let before = activity.expected.insert(kind, *count).unwrap_or(0);
                let totals = self.totals.entry(kind).or_default();
                totals.expected = totals.expected.saturating_sub(before) + count;
            }
            _ => {}
        }
    }

    /// What is done, expected, running and failed of a kind, over all its activities.
    fn sum(&self, kind: ActivityKind) -> Counts {
        let totals = self.totals.get(&kind).copied().unwrap_or_default();
        let mut sum = Counts {
            done: totals.done,
            failed: totals.failed,
            ..Counts::default()
        };
        let mut expected = totals.done;
        for activity in self
            .activities
            .values()
            .filter(|activity| activity.kind == kind)
        {
            sum.done += activity.counts.done;
            sum.running += activity.counts.running;
            sum.failed += activity.counts.failed;
            expected += activity.counts.expected;
        }
        sum.expected = expected.max(totals.expected);
        sum
    }

    fn line(&self) -> String {
        let mut line = String::new();
        let counters = self.counters();
        if !counters.is_empty() {
            line = format!("[{}] ", counters.join(", "));
        }
        if let Some(activity) = self.busiest() {
            line += &activity.describe();
        }
        line
    }

    fn counters(&self) -> Vec<String> {
        let mut counters = Vec::new();
        let builds = self.sum(ActivityKind::Builds);
        if builds.expected > 0 || builds.failed > 0 {
            let mut text = format!("{}/{} built", builds.done, builds.expected);
            if builds.running > 0 {
                text = format!(
                    "{}/{}/{} built",
                    builds.running, builds.done, builds.expected
                );
            }
            if builds.failed > 0 {
                text += &format!(" ({} failed)", builds.failed);
            }
            counters.push(text);
        }
        let copies = self.sum(ActivityKind::CopyPaths);
        let bytes = self.sum(ActivityKind::CopyPath);
        if copies.expected > 0 || bytes.done > 0 {
            let mut text = format!("{}/{} copied", copies.done, copies.expected);
            if bytes.expected > 0 {
                text += &format!(
                    " ({} of {})",
                    render_size(bytes.done),
                    render_size(bytes.expected)
                );
            }
            counters.push(text);
        }
        let fetched = self.sum(ActivityKind::FileTransfer);
        if fetched.done > 0 {
            let mut text = render_size(fetched.done);
            if fetched.expected > fetched.done {
                text += &format!(" of {}", render_size(fetched.expected));
            }
            counters.push(format!("{text} fetched"));
        }
        counters
    }

    /// The activity to name: the one that was started last and has something to say.
    fn busiest(&self) -> Option<&Running> {
        self.activities
            .values()
            .filter(|activity| {
                activity.visible && !(activity.text.is_empty() && activity.name.is_empty())
            })
            .max_by_key(|activity| activity.since)
    }
}

impl Running {
    fn describe(&self) -> String {
        let mut text = match self.kind {
            ActivityKind::Build if !self.name.is_empty() => format!("building {}", self.name),
            ActivityKind::Substitute if !self.name.is_empty() => format!("fetching {}", self.name),
            _ => self.text.clone(),
        };
        if !self.phase.is_empty() {
            text += &format!(" ({})", self.phase);
        }
        let seconds = self.since.elapsed();
        if seconds > Duration::from_secs(10) {
            text += &format!(" for {} s", seconds.as_secs());
        }
        if !self.last_line.is_empty() {
            text += &format!(": {}", self.last_line);
        }
        text
    }
}

/// The name of the store path in the first field, without hash and `.drv`.
fn short_name(fields: &[Field]) -> String {
    let Some(Field::Text(path)) = fields.first() else {
        return String::new();
    };
    let base = path.rsplit('/').next().unwrap_or(path);
    let name = match base.as_bytes().get(32) {
        Some(b'-') => base.get(33..).unwrap_or(base),
        _ => base,
    };
    name.strip_suffix(".drv").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_builds_and_names_the_latest() {
        let logger = BarLogger::new(BuildLogs::Hide);
        logger.bar.set_draw_target(ProgressDrawTarget::hidden());
        logger.start(1, Level::Info, ActivityKind::Builds, "", &[], 0);
        logger.result(
            1,
            ResultKind::Progress,
            &[2.into(), 5.into(), 1.into(), 0.into()],
        );
        let path = "/nix/store/00000000000000000000000000000000-hello-2.12.drv";
        logger.start(
            2,
            Level::Info,
            ActivityKind::Build,
            "building it",
            &[path.into()],
            1,
        );
        logger.result(2, ResultKind::SetPhase, &["buildPhase".into()]);
        logger.result(2, ResultKind::BuildLogLine, &["cc main.c".into()]);
        let line = logger.state.lock().unwrap().line();
        assert_eq!(
            line,
            "[1/2/5 built] building hello-2.12 (buildPhase): cc main.c"
        );
        logger.stop(2);
        let line = logger.state.lock().unwrap().line();
        assert_eq!(line, "[1/2/5 built] ");
    }
}
