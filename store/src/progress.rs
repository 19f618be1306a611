//! What happens, told to whoever watches: log messages, warnings and activities.
//!
//! The library does not know the terminal. It speaks to one [`Logger`] that the program installs at
//! start; the levels, kinds and numbers are those of the reference's JSON log, so that one stream
//! of events serves a progress bar, plain lines and `--log-format internal-json`.
//!
//! ```text
//! Activity::start(...)  ──start──►  logger
//!   .progress(3, 10)    ──result─►  logger
//! drop                  ──stop───►  logger
//! ```
//!
//! The logger is the one piece of state that is global: a warning can arise in any depth of any
//! layer, and threading a handle to all of them would cost more than it explains.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

/// How much is said, from errors only to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Level {
    /// Only failures.
    Error = 0,
    /// Also what looks wrong.
    Warn = 1,
    /// Also what a person should notice.
    Notice = 2,
    /// The default: what is being done.
    #[default]
    Info = 3,
    /// `-v`
    Talkative = 4,
    /// `-vv`
    Chatty = 5,
    /// `-vvv`
    Debug = 6,
    /// `-vvvv`
    Vomit = 7,
}

impl Level {
    /// The level with this number; numbers beyond the last are the last.
    pub fn from_number(number: u64) -> Level {
        match number {
            0 => Level::Error,
            1 => Level::Warn,
            2 => Level::Notice,
            3 => Level::Info,
            4 => Level::Talkative,
            5 => Level::Chatty,
            6 => Level::Debug,
            _ => Level::Vomit,
        }
    }
}

/// What an activity does. The numbers are part of the JSON log's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
pub enum ActivityKind {
    /// Anything else, for instance an evaluation.
    Unknown = 0,
    /// One store path is copied. Fields: path, source store, destination store.
    CopyPath = 100,
    /// One file is transferred. Fields: URL.
    FileTransfer = 101,
    /// Outputs are realised.
    Realise = 102,
    /// Several store paths are copied.
    CopyPaths = 103,
    /// All builds of this run.
    Builds = 104,
    /// One build. Fields: derivation, machine name, current round, rounds.
    Build = 105,
    /// Identical files are linked together.
    OptimiseStore = 106,
    /// Store paths are verified.
    VerifyPaths = 107,
    /// One path is substituted. Fields: path, substituter.
    Substitute = 108,
    /// A cache is asked for a path. Fields: path, substituter.
    QueryPathInfo = 109,
    /// The post-build hook runs. Fields: derivation.
    PostBuildHook = 110,
    /// A build waits for a lock or a machine.
    BuildWaiting = 111,
    /// A source tree is fetched.
    FetchTree = 112,
}

impl ActivityKind {
    /// The kind with this number in the JSON log.
    pub fn from_number(number: u64) -> ActivityKind {
        use ActivityKind::*;
        [
            CopyPath,
            FileTransfer,
            Realise,
            CopyPaths,
            Builds,
            Build,
            OptimiseStore,
            VerifyPaths,
            Substitute,
            QueryPathInfo,
            PostBuildHook,
            BuildWaiting,
            FetchTree,
        ]
        .into_iter()
        .find(|kind| *kind as u64 == number)
        .unwrap_or(Unknown)
    }
}

/// What an activity reports while it runs. The numbers are part of the JSON log's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum ResultKind {
    /// A file was linked. Fields: bytes saved, blocks saved.
    FileLinked = 100,
    /// A line of a builder's output.
    BuildLogLine = 101,
    /// A path without a trusted signature.
    UntrustedPath = 102,
    /// A path whose contents changed.
    CorruptedPath = 103,
    /// The builder entered a phase. Fields: its name.
    SetPhase = 104,
    /// Fields: done, expected, running, failed.
    Progress = 105,
    /// Fields: activity kind, number that is expected of it.
    SetExpected = 106,
    /// A line of the post-build hook's output.
    PostBuildLogLine = 107,
    /// A line about a fetch's state.
    FetchStatus = 108,
}

impl ResultKind {
    /// The kind with this number in the JSON log.
    pub fn from_number(number: u64) -> Option<ResultKind> {
        use ResultKind::*;
        [
            FileLinked,
            BuildLogLine,
            UntrustedPath,
            CorruptedPath,
            SetPhase,
            Progress,
            SetExpected,
            PostBuildLogLine,
            FetchStatus,
        ]
        .into_iter()
        .find(|kind| *kind as u64 == number)
    }
}

/// A datum of an activity or of its results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// A count or a size.
    Int(u64),
    /// A name, a URL, a line.
    Text(String),
}

impl From<u64> for Field {
    fn from(number: u64) -> Field {
        Field::Int(number)
    }
}

impl From<String> for Field {
    fn from(text: String) -> Field {
        Field::Text(text)
    }
}

impl From<&str> for Field {
    fn from(text: &str) -> Field {
        Field::Text(text.to_owned())
    }
}

/// Where in a source text something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, or what stands for it, as in `«string»`.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
}

/// Names an activity within all processes of a run: the process id and a counter.
pub type ActivityId = u64;

/// Whoever watches. Implementations must not fail and should not block for long.
pub trait Logger: Send + Sync {
    /// A message; only called for levels that are wanted.
    fn log(&self, level: Level, message: &str);

    /// A warning, without its `warning:` prefix.
    fn warn(&self, message: &str) {
        self.log(Level::Warn, &format!("warning: {message}"));
    }

    /// An error as it is shown to people, and its parts for programs.
    fn error(&self, rendered: &str, _message: &str, _place: Option<&Place>) {
        self.log(Level::Error, rendered);
    }

    /// An activity begins. Called whatever its level: the watcher decides.
    fn start(
        &self,
        _id: ActivityId,
        _level: Level,
        _kind: ActivityKind,
        _text: &str,
        _fields: &[Field],
        _parent: ActivityId,
    ) {
    }

    /// An activity ends.
    fn stop(&self, _id: ActivityId) {}

    /// An activity reports.
    fn result(&self, _id: ActivityId, _kind: ResultKind, _fields: &[Field]) {}

    /// A build is known to be necessary, and so are the builds (by their derivations) that it waits for.
    fn build_planned(&self, _derivation: &str, _needs: &[String]) {}

    /// A planned build is over: its outputs are there, or it failed.
    fn build_ended(&self, _derivation: &str, _good: bool) {}

    /// Whether the user sees the builders' output as it comes; errors need not repeat it then.
    fn shows_build_logs(&self) -> bool {
        false
    }

    /// Makes room on the terminal: nothing is drawn until [`Logger::resume`].
    fn pause(&self) {}

    /// Ends a [`Logger::pause`].
    fn resume(&self) {}

    /// The last call: wipes what must not stay on the terminal.
    fn finish(&self) {}
}

/// The logger before a program installs one: messages go to standard error.
struct Plain;

impl Logger for Plain {
    fn log(&self, _level: Level, message: &str) {
        use std::io::Write;
        // A closed standard error must not end the work.
        let _ = writeln!(std::io::stderr().lock(), "{message}");
    }
}

static LOGGER: RwLock<Option<Arc<dyn Logger>>> = RwLock::new(None);
static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static CURRENT: Cell<ActivityId> = const { Cell::new(0) };
}

/// Installs the logger of this process.
pub fn set_logger(logger: Arc<dyn Logger>) {
    *LOGGER
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(logger);
}

/// The logger of this process.
pub fn logger() -> Arc<dyn Logger> {
    LOGGER
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone()
        .unwrap_or_else(|| Arc::new(Plain))
}

/// Sets how much is said.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// How much is said.
pub fn level() -> Level {
    Level::from_number(u64::from(LEVEL.load(Ordering::Relaxed)))
}

/// Is a message of this level wanted?
pub fn wanted(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// Says `message` if its level is wanted; it is only formatted then.
pub fn log(level: Level, message: impl fmt::Display) {
    if wanted(level) {
        logger().log(level, &message.to_string());
    }
}

/// Makes the text that people read of an error's message.
type ErrorText = fn(&str) -> String;

static ERROR_TEXT: std::sync::OnceLock<ErrorText> = std::sync::OnceLock::new();

/// Lets errors that are told while work goes on look like those that end it. The first call counts.
pub fn set_error_text(text: ErrorText) {
    let _ = ERROR_TEXT.set(text);
}

/// Tells an error while other work goes on.
pub fn error(message: &str) {
    let text = match ERROR_TEXT.get() {
        Some(text) => text(message),
        None => format!("error: {message}"),
    };
    log(Level::Error, text);
}

/// Says `message` at the default level.
pub fn info(message: impl fmt::Display) {
    log(Level::Info, message);
}

/// Says `message` at the level of `-v`.
pub fn talkative(message: impl fmt::Display) {
    log(Level::Talkative, message);
}

/// Says `message` at the level of `-vvv`.
pub fn debug(message: impl fmt::Display) {
    log(Level::Debug, message);
}

/// Warns. The logger adds `warning:`.
pub fn warn(message: impl fmt::Display) {
    if wanted(Level::Warn) {
        logger().warn(&message.to_string());
    }
}

/// The activity that this thread works for; new activities become its children.
pub fn current_activity() -> ActivityId {
    CURRENT.get()
}

/// Keeps the terminal free while it lives, for a question or a child process that draws itself.
pub struct Pause(Arc<dyn Logger>);

/// Stops drawing until the guard is dropped.
pub fn pause() -> Pause {
    let logger = logger();
    logger.pause();
    Pause(logger)
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.0.resume();
    }
}

/// Something that takes a while. Dropping it ends it.
pub struct Activity {
    logger: Arc<dyn Logger>,
    id: ActivityId,
}

impl Activity {
    /// Begins an activity below the thread's current one.
    pub fn start(
        level: Level,
        kind: ActivityKind,
        text: impl AsRef<str>,
        fields: &[Field],
    ) -> Activity {
        Activity::start_below(current_activity(), level, kind, text, fields)
    }

    /// Begins an activity below `parent` (0: below none).
    pub fn start_below(
        parent: ActivityId,
        level: Level,
        kind: ActivityKind,
        text: impl AsRef<str>,
        fields: &[Field],
    ) -> Activity {
        let logger = logger();
        let id = (u64::from(std::process::id()) << 32)
            | NEXT.fetch_add(1, Ordering::Relaxed) & 0xffff_ffff;
        logger.start(id, level, kind, text.as_ref(), fields, parent);
        Activity { logger, id }
    }

    /// Its name.
    pub fn id(&self) -> ActivityId {
        self.id
    }

    /// Makes this the thread's current activity until the guard is dropped.
    pub fn enter(&self) -> Entered {
        Entered(CURRENT.replace(self.id))
    }

    /// Reports anything.
    pub fn result(&self, kind: ResultKind, fields: &[Field]) {
        self.logger.result(self.id, kind, fields);
    }

    /// `done` of `expected` are finished, `running` are at work, `failed` did not succeed.
    pub fn progress(&self, done: u64, expected: u64, running: u64, failed: u64) {
        self.result(
            ResultKind::Progress,
            &[done.into(), expected.into(), running.into(), failed.into()],
        );
    }

    /// `count` activities (or bytes) of `kind` are to be expected below this one.
    pub fn set_expected(&self, kind: ActivityKind, count: u64) {
        self.result(
            ResultKind::SetExpected,
            &[(kind as u64).into(), count.into()],
        );
    }

    /// A line of a builder's output.
    pub fn log_line(&self, line: &str) {
        self.result(ResultKind::BuildLogLine, &[line.into()]);
    }

    /// The builder entered a phase.
    pub fn set_phase(&self, phase: &str) {
        self.result(ResultKind::SetPhase, &[phase.into()]);
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.logger.stop(self.id);
    }
}

/// Guard of [`Activity::enter`].
pub struct Entered(ActivityId);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_beyond_the_last_are_the_last() {
        assert_eq!(Level::from_number(99), Level::Vomit);
        for number in 0..=7 {
            assert_eq!(Level::from_number(number) as u64, number);
        }
    }

    #[test]
    fn kinds_survive_the_json_log() {
        assert_eq!(ActivityKind::from_number(105), ActivityKind::Build);
        assert_eq!(ActivityKind::from_number(7), ActivityKind::Unknown);
        assert_eq!(ResultKind::from_number(101), Some(ResultKind::BuildLogLine));
        assert_eq!(ResultKind::from_number(1), None);
    }

    #[test]
    fn an_activity_is_the_parent_of_what_starts_inside_it() {
        let outer = Activity::start(Level::Info, ActivityKind::Builds, "", &[]);
        assert_eq!(current_activity(), 0);
        {
            let _entered = outer.enter();
            assert_eq!(current_activity(), outer.id());
        }
        assert_eq!(current_activity(), 0);
    }
}
