//! The choice of a log format, and the plain one: lines on standard error.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use rx_store::progress::{
    self, ActivityId, ActivityKind, Field, Level, Logger, Place, ResultKind, set_logger,
};

use super::UsageError;
use super::bar::{BarLogger, Height};
use super::escapes::{has_escapes, only_colours, without_escapes};
use super::json_log::JsonLogger;
use super::{report, status};

/// How messages and progress are shown (`--log-format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines.
    Raw,
    /// Lines, also those that builders print.
    RawWithLogs,
    /// JSON for programs.
    InternalJson,
    /// A status line.
    Bar,
    /// A status line, and above it what builders print.
    BarWithLogs,
    /// A status line, and above it the tree of builds.
    Multiline,
    /// The same below what builders print.
    MultilineWithLogs,
}

impl LogFormat {
    /// The format of this name.
    pub fn from_name(name: &str) -> Result<LogFormat, UsageError> {
        Ok(match name {
            "raw" => LogFormat::Raw,
            "raw-with-logs" => LogFormat::RawWithLogs,
            "internal-json" => LogFormat::InternalJson,
            "bar" => LogFormat::Bar,
            "bar-with-logs" => LogFormat::BarWithLogs,
            "multiline" => LogFormat::Multiline,
            "multiline-with-logs" => LogFormat::MultilineWithLogs,
            _ => {
                let message = format!("option 'log-format' has an invalid value '{name}'");
                return Err(UsageError::new(message)
                    .hint(
                    "known are raw, raw-with-logs, internal-json, bar, bar-with-logs, multiline and multiline-with-logs",
                ));
            }
        })
    }
}

/// Installs the logger of this run.
pub fn start_logging(format: LogFormat, json_log: Option<&Path>, show_trace: bool) {
    report::set_show_trace(show_trace);
    progress::set_error_text(|message| {
        report::Report::of_message(message).render(report::Style::of_stderr())
    });
    let logger: Arc<dyn Logger> = match format {
        LogFormat::Raw => Arc::new(PlainLogger::new(BuildLogs::Hide)),
        LogFormat::RawWithLogs => Arc::new(PlainLogger::new(BuildLogs::Show)),
        LogFormat::InternalJson => Arc::new(JsonLogger::to_stderr()),
        // Without a terminal there is nothing to draw on.
        LogFormat::Bar | LogFormat::Multiline if !super::stderr_is_terminal() => {
            Arc::new(PlainLogger::new(BuildLogs::Hide))
        }
        LogFormat::BarWithLogs | LogFormat::MultilineWithLogs if !super::stderr_is_terminal() => {
            Arc::new(PlainLogger::naming_builds())
        }
        LogFormat::Bar => Arc::new(BarLogger::new(BuildLogs::Hide, Height::OneLine)),
        LogFormat::BarWithLogs => Arc::new(BarLogger::new(BuildLogs::Show, Height::OneLine)),
        LogFormat::Multiline => Arc::new(BarLogger::new(BuildLogs::Hide, Height::Tree)),
        LogFormat::MultilineWithLogs => Arc::new(BarLogger::new(BuildLogs::Show, Height::Tree)),
    };
    let logger = match json_log.map(JsonLogger::to_path) {
        Some(Ok(json)) => Arc::new(Both(logger, Arc::new(json))),
        Some(Err(error)) => {
            set_logger(Arc::clone(&logger));
            progress::warn(format_args!("cannot write the JSON log: {error}"));
            logger
        }
        None => logger,
    };
    set_logger(logger);
}

/// Are the lines shown that builders print?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BuildLogs {
    /// Yes.
    Show,
    /// No; a failed build's last lines are part of its error.
    Hide,
}

/// `warning:` in colour.
pub(super) fn warning(message: &str) -> String {
    if super::colours() {
        format!("\x1b[35;1mwarning:\x1b[0m {message}")
    } else {
        format!("warning: {message}")
    }
}

/// A line of a builder's output that is to be shown.
pub(super) fn build_line(kind: ResultKind, fields: &[Field]) -> Option<String> {
    let Some(Field::Text(line)) = fields.first() else {
        return None;
    };
    match kind {
        ResultKind::BuildLogLine => Some(line.clone()),
        ResultKind::PostBuildLogLine => Some(format!("post-build-hook: {line}")),
        _ => None,
    }
}

struct PlainLogger {
    logs: BuildLogs,
    /// systemd wants to know how serious a line is.
    systemd: bool,
    terminal: bool,
    /// Whose line it is stands before each line that a builder prints, if that is wanted.
    names: Option<Mutex<FxHashMap<ActivityId, String>>>,
}

impl PlainLogger {
    /// Shows what builders print, each line after the name of what is built.
    fn naming_builds() -> PlainLogger {
        PlainLogger {
            names: Some(Mutex::default()),
            ..PlainLogger::new(BuildLogs::Show)
        }
    }

    fn new(logs: BuildLogs) -> PlainLogger {
        PlainLogger {
            logs,
            systemd: std::env::var_os("IN_SYSTEMD").is_some_and(|value| value == "1"),
            terminal: super::stderr_is_terminal(),
            names: None,
        }
    }
}

impl Logger for PlainLogger {
    fn shows_build_logs(&self) -> bool {
        self.logs == BuildLogs::Show
    }

    fn log(&self, level: Level, message: &str) {
        let mut text = String::with_capacity(message.len() + 4);
        if self.systemd {
            text += match level {
                Level::Error => "<3>",
                Level::Warn => "<4>",
                Level::Notice | Level::Info => "<5>",
                Level::Talkative | Level::Chatty => "<6>",
                Level::Debug | Level::Vomit => "<7>",
            };
        }
        if !has_escapes(message) {
            text += message;
        } else if self.terminal {
            text += &only_colours(message);
        } else {
            text += &without_escapes(message);
        }
        text.push('\n');
        // A closed standard error must not end the work.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    fn warn(&self, message: &str) {
        self.log(Level::Warn, &warning(message));
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
        if let (ActivityKind::Build, Some(names)) = (kind, &self.names) {
            names.lock().insert(id, status::short_name(fields));
        }
        if progress::wanted(level) && !text.is_empty() {
            self.log(level, &format!("{text}..."));
        }
    }

    fn stop(&self, id: ActivityId) {
        if let Some(names) = &self.names {
            names.lock().remove(&id);
        }
    }

    fn result(&self, id: ActivityId, kind: ResultKind, fields: &[Field]) {
        if self.logs == BuildLogs::Hide {
            return;
        }
        let Some(line) = build_line(kind, fields) else {
            return;
        };
        let names = self.names.as_ref().map(Mutex::lock);
        let name = names.as_ref().and_then(|names| names.get(&id));
        match name {
            Some(name) => self.log(Level::Error, &format!("{name}> {line}")),
            None => self.log(Level::Error, &line),
        }
    }
}

/// Two loggers; the first one owns the terminal.
struct Both(Arc<dyn Logger>, Arc<dyn Logger>);

impl Logger for Both {
    fn shows_build_logs(&self) -> bool {
        self.0.shows_build_logs()
    }

    fn log(&self, level: Level, message: &str) {
        self.0.log(level, message);
        self.1.log(level, message);
    }

    fn warn(&self, message: &str) {
        self.0.warn(message);
        self.1.warn(message);
    }

    fn error(&self, rendered: &str, message: &str, place: Option<&Place>) {
        self.0.error(rendered, message, place);
        self.1.error(rendered, message, place);
    }

    fn start(
        &self,
        id: ActivityId,
        level: Level,
        kind: ActivityKind,
        text: &str,
        fields: &[Field],
        parent: ActivityId,
    ) {
        self.0.start(id, level, kind, text, fields, parent);
        self.1.start(id, level, kind, text, fields, parent);
    }

    fn stop(&self, id: ActivityId) {
        self.0.stop(id);
        self.1.stop(id);
    }

    fn result(&self, id: ActivityId, kind: ResultKind, fields: &[Field]) {
        self.0.result(id, kind, fields);
        self.1.result(id, kind, fields);
    }

    fn build_planned(&self, derivation: &str, needs: &[String]) {
        self.0.build_planned(derivation, needs);
    }

    fn build_ended(&self, derivation: &str, good: bool) {
        self.0.build_ended(derivation, good);
    }

    fn pause(&self) {
        self.0.pause();
    }

    fn resume(&self) {
        self.0.resume();
    }

    fn finish(&self) {
        self.0.finish();
        self.1.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_log_format_is_refused_with_the_known_ones() {
        let error = LogFormat::from_name("fancy").unwrap_err();
        assert_eq!(
            error.message(),
            "option 'log-format' has an invalid value 'fancy'"
        );
    }
}
