//! What is wrong with a program, and where: made by the parser, rendered by the commands.

use std::ops::Range;

/// After so many findings of one sort, reading a program stops.
pub(crate) const MOST: usize = 200;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The program is refused.
    Error,
    /// The program is read, but should be changed.
    Warning,
}

/// A further place that explains a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place, in bytes.
    pub range: Range<u32>,
    /// What is to be said of it.
    pub text: String,
}

/// One finding. Positions are bytes of the source; [`LineIndex`](crate::LineIndex) makes lines and columns of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The place that a one-line message names.
    pub range: Range<u32>,
    /// The message. Where C++ Nix has this error, in its words.
    pub message: String,
    /// A place that belongs to the message: it ends with ` at ` and this place as `file:line:column`.
    pub at: Option<u32>,
    /// What is found at `range`, in a few words, for display beside it.
    pub label: Option<String>,
    /// Further places.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(range: Range<u32>, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            range,
            message: message.into(),
            at: None,
            label: None,
            labels: Vec::new(),
            help: None,
        }
    }

    /// A warning at a place.
    pub fn warning(range: Range<u32>, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(range, message)
        }
    }

    /// The whole message. `place` shows an offset as `file:line:column`.
    pub fn full_message(&self, place: impl FnOnce(u32) -> String) -> String {
        match self.at {
            Some(offset) => format!("{} at {}", self.message, place(offset)),
            None => self.message.clone(),
        }
    }

    /// Adds what to do.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a further place.
    pub fn with_label(mut self, range: Range<u32>, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            range,
            text: text.into(),
        });
        self
    }
}

/// Why a program was not read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ParseFailure {
    /// The errors, at least one; the first is the one that C++ Nix would name.
    #[error("{}", .0.first().map_or("syntax error", |first| first.message.as_str()))]
    Errors(Vec<Diagnostic>),
    /// The caller's check asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl ParseFailure {
    /// The errors; none after an interruption.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            ParseFailure::Errors(list) => list,
            ParseFailure::Interrupted => &[],
        }
    }
}
