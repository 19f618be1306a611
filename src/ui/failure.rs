//! Why a command ended, and the last words about it.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use rx_store::interrupt::Interrupted;
use rx_store::progress::{self, Level};
use rx_store::settings::{Feature, Settings};

use super::report::{self, Report};
use crate::cli::FlakeKnowledge;

/// Why a command ended early. Made from any error by `?`.
#[derive(Debug)]
pub enum Failure {
    /// Something went wrong.
    Error {
        /// What.
        error: Box<dyn Error>,
        /// The exit code.
        status: u8,
    },
    /// Something went wrong that has been described already.
    Report {
        /// What, where and why.
        report: Box<Report>,
        /// The exit code.
        status: u8,
    },
    /// Nothing is left to say: end with this exit code.
    Status(u8),
    /// A flake asked for settings that were accepted: the run begins anew with them.
    Again(Arc<Settings>, Arc<FlakeKnowledge>),
}

impl Failure {
    /// A failure with an exit code of its own.
    pub fn with_status(error: impl Error + 'static, status: u8) -> Failure {
        Failure::Error {
            error: Box::new(error),
            status,
        }
    }

    /// Whether nobody reads what was to be written.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Failure::Error { error, .. } if is_broken_pipe(&**error))
    }

    /// Whether its message has these words.
    pub fn is_about(&self, words: &str) -> bool {
        match self {
            Failure::Error { error, .. } => error.to_string().contains(words),
            Failure::Report { report, .. } => report.message.contains(words),
            Failure::Status(_) | Failure::Again(..) => false,
        }
    }

    /// A failure that consists of one sentence.
    pub fn message(text: impl Into<String>) -> Failure {
        Message(text.into()).into()
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Error {
            error: Box::new(error),
            status: 1,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Message(String);

/// A mistake on the command line or in the configuration.
#[derive(Debug)]
pub struct UsageError {
    message: String,
    hint: Option<String>,
}

impl UsageError {
    /// A mistake, described as the reference does.
    pub fn new(message: impl Into<String>) -> UsageError {
        UsageError {
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do instead.
    pub fn hint(mut self, hint: impl Into<String>) -> UsageError {
        self.hint = Some(hint.into());
        self
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do instead.
    pub fn help(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for UsageError {}

/// Something needs an experimental feature that is not enabled.
#[derive(Debug, thiserror::Error)]
#[error(
    "experimental Nix feature '{name}' is disabled; \
     add '--extra-experimental-features {name}' to enable it",
    name = .0.name()
)]
pub struct FeatureDisabled(pub Feature);

/// Says what went wrong and gives the exit code.
pub fn report_failure(program: &str, failure: &Failure) -> u8 {
    let (error, status) = match failure {
        Failure::Status(status) => return *status,
        Failure::Again(..) => return 1,
        Failure::Report { report, status } => {
            report::show_report(report);
            if is_about_words(&report.message) {
                show_usage(program);
            }
            return *status;
        }
        Failure::Error { error, status } => (&**error, *status),
    };
    if is_broken_pipe(error) {
        // The reader has seen enough; what a shell reports for SIGPIPE.
        return 141;
    }
    if error.is::<Interrupted>() {
        progress::log(Level::Error, report::plain_error("interrupted by the user"));
        return 1;
    }
    report::show(error);
    if let Some(usage) = error.downcast_ref::<UsageError>()
        && !usage.message().contains("configuration")
    {
        show_usage(program);
    }
    status
}

fn show_usage(program: &str) {
    progress::log(
        Level::Error,
        format_args!("Try '{program} --help' for more information."),
    );
}

/// Whether a word is unknown that also options take: the reference refers to its help then, also from programs.
fn is_about_words(message: &str) -> bool {
    message.starts_with("unknown hash algorithm '") || message.starts_with("unknown hash format '")
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A panic is a defect of rx; say so, and where. Writing to a closed pipe is none.
pub fn catch_panics() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("unknown cause");
        if text.contains("Broken pipe") {
            std::process::exit(141);
        }
        progress::logger().finish();
        let place = info
            .location()
            .map(|place| format!(" at {place}"))
            .unwrap_or_default();
        use io::Write;
        let _ = writeln!(
            io::stderr(),
            "error: internal error of rx{place}: {text}\n\
             This is a defect of rx, not of your expression. Please report it with the command."
        );
    }));
}
