//! The status line's text: counts, rates, and what is being waited for.
//!
//! ```text
//! [2/5 built, 1/3 copied (3.1 of 8.0 MiB, 1.2 MiB/s, 4 s left)] building hello-2.12 (buildPhase) 12 s: cc main.o
//! [evaluated 1203 files, 87 derivations, 412.0 MiB] /home/me/nixpkgs/pkgs/top-level/all-packages.nix
//! ```

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rx_store::evaluation::Counts as Evaluated;
use rx_store::progress::{ActivityId, ActivityKind, Field, Level, ResultKind};

use super::escapes::without_escapes;
use super::output::render_size;
use super::tree::Words;

/// What takes less is not worth a line that comes and goes.
const PATIENCE: Duration = Duration::from_millis(150);
/// Likewise for an evaluation.
const EVALUATION_PATIENCE: Duration = Duration::from_millis(600);
/// From this age on it is said how long something has been at work.
const LONG: Duration = Duration::from_secs(5);
/// Rates are of this time.
const WINDOW: Duration = Duration::from_secs(6);
/// So many things are named that are being waited for.
const NAMED: usize = 3;

/// What goes on.
#[derive(Default)]
pub(super) struct Status {
    activities: BTreeMap<ActivityId, Running>,
    totals: BTreeMap<ActivityKind, Totals>,
    fetched: Rate,
    copied: Rate,
}

struct Running {
    kind: ActivityKind,
    text: String,
    name: String,
    /// What it works on, whole.
    path: String,
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

/// How fast a number grows.
#[derive(Default)]
struct Rate {
    samples: VecDeque<(Instant, u64)>,
}

impl Rate {
    fn note(&mut self, now: Instant, count: u64) {
        // What starts again has no rate yet.
        if self.samples.back().is_some_and(|&(_, last)| count < last) {
            self.samples.clear();
        }
        self.samples.push_back((now, count));
        while self
            .samples
            .front()
            .is_some_and(|&(then, _)| now.duration_since(then) > WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// Per second; nothing before that can be told.
    fn per_second(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let seconds = last.0.duration_since(first.0).as_secs_f64();
        (seconds >= 0.5 && last.1 > first.1).then(|| (last.1 - first.1) as f64 / seconds)
    }
}

impl Status {
    /// An activity begins.
    pub fn start(
        &mut self,
        id: ActivityId,
        level: Level,
        kind: ActivityKind,
        text: &str,
        fields: &[Field],
        now: Instant,
    ) {
        use ActivityKind::*;
        let running = Running {
            kind,
            text: without_escapes(text),
            name: short_name(fields),
            path: match fields.first() {
                Some(Field::Text(path)) if kind == Build => path.clone(),
                _ => String::new(),
            },
            phase: String::new(),
            last_line: String::new(),
            since: now,
            counts: Counts::default(),
            expected: BTreeMap::new(),
            visible: level <= Level::Info
                || matches!(
                    kind,
                    FileTransfer | FetchTree | QueryPathInfo | PostBuildHook
                ),
        };
        self.activities.insert(id, running);
    }

    /// An activity ends.
    pub fn stop(&mut self, id: ActivityId) {
        let Some(activity) = self.activities.remove(&id) else {
            return;
        };
        for (kind, count) in &activity.expected {
            let totals = self.totals.entry(*kind).or_default();
            totals.expected = totals.expected.saturating_sub(*count);
        }
        let totals = self.totals.entry(activity.kind).or_default();
        totals.done += activity.counts.done;
        totals.failed += activity.counts.failed;
    }

    /// Counts from here on if nothing is under way: a session does one thing after the other.
    /// Says whether that is so.
    pub fn settle(&mut self) -> bool {
        let quiet = self.activities.is_empty();
        if quiet {
            *self = Status::default();
        }
        quiet
    }

    /// The name of what an activity works on.
    pub fn name(&self, id: ActivityId) -> &str {
        self.activities.get(&id).map_or("", |it| &it.name)
    }

    /// The phase and the last line of whatever works on a derivation.
    pub fn words_of(&self, path: &str) -> Option<Words<'_>> {
        let works = |it: &&Running| it.kind == ActivityKind::Build && it.path == path;
        let running = self.activities.values().find(works)?;
        Some(Words {
            phase: &running.phase,
            line: &running.last_line,
        })
    }

    /// The counters alone, for those who show elsewhere what is at work.
    pub fn counts(&mut self, now: Instant) -> String {
        bracketed(&self.counters(now)).trim_end().to_owned()
    }

    /// A builder printed a line.
    pub fn line_of(&mut self, id: ActivityId, line: &str) {
        if let Some(activity) = self.activities.get_mut(&id) {
            activity.last_line = without_escapes(line).trim().to_owned();
        }
    }

    /// An activity reports.
    pub fn result(&mut self, id: ActivityId, kind: ResultKind, fields: &[Field]) {
        let Some(activity) = self.activities.get_mut(&id) else {
            return;
        };
        match (kind, fields) {
            (ResultKind::SetPhase, [Field::Text(phase), ..]) => {
                activity.phase = without_escapes(phase);
            }
            (ResultKind::FetchStatus, [Field::Text(line), ..]) => {
                activity.last_line = without_escapes(line).trim().to_owned();
            }
            (
                ResultKind::Progress,
                [
                    Field::Int(done),
                    Field::Int(expected),
                    Field::Int(running),
                    Field::Int(failed),
                ],
            ) => {
                activity.counts = Counts {
                    done: *done,
                    expected: *expected,
                    running: *running,
                    failed: *failed,
                };
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
        for activity in self.activities.values().filter(|it| it.kind == kind) {
            sum.done += activity.counts.done;
            sum.running += activity.counts.running;
            sum.failed += activity.counts.failed;
            expected += activity.counts.expected;
        }
        sum.expected = expected.max(totals.expected);
        sum
    }

    /// The line at a moment; empty when there is nothing to say.
    pub fn line(&mut self, now: Instant, evaluated: Option<Evaluated>) -> String {
        let old = |activity: &Running| now.duration_since(activity.since) >= PATIENCE;
        if self.activities.values().any(old) {
            let mut line = bracketed(&self.counters(now));
            line += &self.waiting_for(now);
            if !line.trim().is_empty() {
                return line.trim_end().to_owned();
            }
        }
        match evaluated {
            Some(counts) if counts.elapsed >= EVALUATION_PATIENCE => evaluation(&counts),
            _ => String::new(),
        }
    }

    fn counters(&mut self, now: Instant) -> Vec<String> {
        let mut counters = Vec::new();
        let builds = self.sum(ActivityKind::Builds);
        if builds.expected > 0 || builds.failed > 0 {
            let mut text = format!("{}/{} built", builds.done, builds.expected);
            if builds.running > 1 {
                text += &format!(", {} running", builds.running);
            }
            if builds.failed > 0 {
                text += &format!(", {} failed", builds.failed);
            }
            counters.push(text);
        }
        let copies = self.sum(ActivityKind::CopyPaths);
        let bytes = self.sum(ActivityKind::CopyPath);
        let fetched = self.sum(ActivityKind::FileTransfer);
        self.copied.note(now, bytes.done);
        self.fetched.note(now, fetched.done);
        if copies.expected > 0 || bytes.done > 0 {
            let mut text = format!("{}/{} copied", copies.done, copies.expected);
            if bytes.expected > 0 {
                text += &format!(" ({})", amount(bytes, self.copied.per_second()));
            }
            counters.push(text);
        }
        let fetching = self
            .activities
            .values()
            .any(|it| it.kind == ActivityKind::FileTransfer);
        if fetched.done > 0 || fetching {
            let amount = amount(fetched, self.fetched.per_second());
            counters.push(format!("fetched {amount}"));
        }
        counters
    }

    /// What is at work now: of the most telling kind, what has been at work for longest.
    fn waiting_for(&self, now: Instant) -> String {
        let shown = |it: &&Running| it.visible && !it.describe().is_empty();
        let all: Vec<&Running> = self.activities.values().filter(shown).collect();
        let Some(best) = all.iter().map(|it| rank(it.kind)).min() else {
            return String::new();
        };
        let mut same: Vec<&Running> = all.into_iter().filter(|it| rank(it.kind) == best).collect();
        same.sort_by_key(|it| it.since);
        let (verb, _) = same[0].describe_parts();
        let mut names = Vec::new();
        for activity in same.iter().take(NAMED) {
            let (own, what) = activity.describe_parts();
            let mut text = if own == verb || own.is_empty() {
                what
            } else {
                format!("{own} {what}")
            };
            if !activity.phase.is_empty() {
                text += &format!(" ({})", activity.phase);
            }
            let age = now.duration_since(activity.since);
            if age >= LONG {
                text += &format!(" {}", duration(age.as_secs()));
            }
            names.push(text);
        }
        let mut line = names.join(", ");
        if !verb.is_empty() {
            line = format!("{verb} {line}");
        }
        if same.len() > NAMED {
            line += &format!(" and {} more", same.len() - NAMED);
        }
        match same.as_slice() {
            [only] if !only.last_line.is_empty() => format!("{line}: {}", only.last_line),
            _ => line,
        }
    }
}

/// Which kind of activity says most about what is being waited for.
fn rank(kind: ActivityKind) -> u8 {
    match kind {
        ActivityKind::Build => 0,
        ActivityKind::PostBuildHook => 1,
        ActivityKind::CopyPath | ActivityKind::Substitute => 2,
        ActivityKind::FileTransfer => 3,
        ActivityKind::FetchTree => 4,
        ActivityKind::BuildWaiting => 6,
        ActivityKind::QueryPathInfo => 7,
        ActivityKind::Builds | ActivityKind::CopyPaths | ActivityKind::Realise => 8,
        _ => 5,
    }
}

fn bracketed(counters: &[String]) -> String {
    if counters.is_empty() {
        String::new()
    } else {
        format!("[{}] ", counters.join(", "))
    }
}

/// `3.1 of 8.0 MiB, 1.2 MiB/s, 4 s left`
fn amount(bytes: Counts, rate: Option<f64>) -> String {
    let mut text = render_size(bytes.done);
    if bytes.expected > bytes.done {
        text += &format!(" of {}", render_size(bytes.expected));
    }
    if let Some(rate) = rate {
        text += &format!(", {}/s", render_size(rate as u64));
        let left = (bytes.expected.saturating_sub(bytes.done)) as f64 / rate;
        if left >= 2.0 {
            text += &format!(", {} left", duration(left as u64));
        }
    }
    text
}

pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn evaluation(counts: &Evaluated) -> String {
    let plural = |count: u64, what: &str| {
        let s = if count == 1 { "" } else { "s" };
        format!("{count} {what}{s}")
    };
    let mut parts = vec![format!("evaluated {}", plural(counts.files, "file"))];
    if counts.derivations > 0 {
        parts.push(plural(counts.derivations, "derivation"));
    }
    if counts.memory > 0 {
        parts.push(render_size(counts.memory));
    }
    parts.push(duration(counts.elapsed.as_secs()));
    let file = without_escapes(&String::from_utf8_lossy(&counts.file));
    format!("{}{file}", bracketed(&parts)).trim_end().to_owned()
}

impl Running {
    fn describe(&self) -> String {
        let (verb, what) = self.describe_parts();
        format!("{verb}{what}")
    }

    /// What is done, and to what.
    fn describe_parts(&self) -> (&'static str, String) {
        let verb = match self.kind {
            ActivityKind::Build => "building",
            ActivityKind::CopyPath => "copying",
            ActivityKind::Substitute => "fetching",
            ActivityKind::FileTransfer => "downloading",
            _ => "",
        };
        match (verb, self.name.as_str()) {
            ("", _) => ("", self.text.clone()),
            (_, "") => ("", self.text.clone()),
            (verb, name) => (verb, name.to_owned()),
        }
    }
}

/// What the first field names: a URL, or a store path without its hash and `.drv`.
pub(super) fn short_name(fields: &[Field]) -> String {
    let Some(Field::Text(path)) = fields.first() else {
        return String::new();
    };
    if path.contains("://") {
        return without_escapes(path);
    }
    short_path(path)
}

/// A store path without its hash and `.drv`.
pub(super) fn short_path(path: &str) -> String {
    let base = path.rsplit('/').next().unwrap_or(path);
    let name = match base.as_bytes().get(32) {
        Some(b'-') => base.get(33..).unwrap_or(base),
        _ => base,
    };
    without_escapes(name.strip_suffix(".drv").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "/nix/store/00000000000000000000000000000000-hello-2.12.drv";

    fn build(status: &mut Status, id: ActivityId, path: &str, now: Instant) {
        let kind = ActivityKind::Build;
        status.start(id, Level::Info, kind, "building it", &[path.into()], now);
    }

    #[test]
    fn the_line_counts_builds_and_names_what_is_waited_for() {
        let mut status = Status::default();
        let start = Instant::now();
        status.start(1, Level::Info, ActivityKind::Builds, "", &[], start);
        let counts = [2.into(), 5.into(), 1.into(), 0.into()];
        status.result(1, ResultKind::Progress, &counts);
        build(&mut status, 2, HELLO, start);
        status.result(2, ResultKind::SetPhase, &["buildPhase".into()]);
        status.line_of(2, "cc \x1b[31mmain.c\x1b[0m\n");
        assert_eq!(status.line(start, None), "", "not at once");
        let soon = start + Duration::from_secs(1);
        assert_eq!(
            status.line(soon, None),
            "[2/5 built] building hello-2.12 (buildPhase): cc main.c"
        );
        let late = start + Duration::from_secs(75);
        build(&mut status, 3, "/nix/store/x", late);
        assert_eq!(
            status.line(late, None),
            "[2/5 built] building hello-2.12 (buildPhase) 1 min 15 s, x"
        );
        for id in 4..7 {
            build(&mut status, id, "y", late);
        }
        assert!(status.line(late, None).ends_with(", x, y and 2 more"));
        (2..7).for_each(|id| status.stop(id));
        assert_eq!(status.line(late, None), "[2/5 built]");
    }

    #[test]
    fn downloads_have_rates_and_an_end() {
        let mut status = Status::default();
        let start = Instant::now();
        let url = "http://localhost/a.tar";
        let kind = ActivityKind::FileTransfer;
        status.start(1, Level::Talkative, kind, "", &[url.into()], start);
        let mebibyte = 1u64 << 20;
        for second in 1..=4u64 {
            let counts = [
                (second * mebibyte).into(),
                (10 * mebibyte).into(),
                0.into(),
                0.into(),
            ];
            status.result(1, ResultKind::Progress, &counts);
            status.line(start + Duration::from_secs(second), None);
        }
        assert_eq!(
            status.line(start + Duration::from_secs(4), None),
            "[fetched 4.0 MiB of 10.0 MiB, 1.0 MiB/s, 6 s left] downloading http://localhost/a.tar"
        );
    }

    #[test]
    fn a_long_evaluation_says_how_far_it_is() {
        let mut status = Status::default();
        let counts = Evaluated {
            files: 1203,
            derivations: 1,
            memory: 412 << 20,
            elapsed: Duration::from_secs(3),
            file: b"/a/default.nix".to_vec(),
        };
        assert_eq!(
            status.line(Instant::now(), Some(counts)),
            "[evaluated 1203 files, 1 derivation, 412.0 MiB, 3 s] /a/default.nix"
        );
    }
}
