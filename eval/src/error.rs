//! What goes wrong in an evaluation.
//!
//! An error is a value with a core message in the reference's words and frames that say what was being
//! evaluated. Frames are added while the error travels outwards, so success pays nothing for them.

use crate::source::Pos;

/// The result of evaluating something.
pub type Result<T = crate::value::Value> = std::result::Result<T, Box<Error>>;

/// Which family an error belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// `throw`: `builtins.tryEval` catches it.
    Throw,
    /// A failed `assert`: `builtins.tryEval` catches it.
    Assertion,
    /// `abort`.
    Abort,
    /// A value of another type than was needed.
    Type,
    /// A variable that is not bound.
    UndefinedVariable,
    /// An attribute that a set lacks.
    MissingAttribute,
    /// A thunk that needs its own value.
    InfiniteRecursion,
    /// `max-call-depth` exceeded.
    CallDepth,
    /// A program that does not parse.
    Syntax,
    /// Something that pure or restricted evaluation forbids.
    Restricted,
    /// A file that cannot be read, a download that fails, a build that fails …
    Outside,
    /// Ctrl-C.
    Interrupted,
    /// The debugger was left: there is nothing to say.
    Quit,
    /// The memory limit.
    Memory,
    /// Everything else.
    Other,
}

/// One line of the way to an error.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Where.
    pub pos: Pos,
    /// What was being done, such as `while evaluating the attribute 'drvPath'`.
    pub text: Vec<u8>,
    /// Shown without `--show-trace` (`builtins.addErrorContext`).
    pub always: bool,
}

/// Something that went wrong.
#[derive(Clone, Debug)]
pub struct Error {
    /// The family.
    pub kind: ErrorKind,
    /// The core message.
    pub message: Vec<u8>,
    /// Where it happened.
    pub pos: Pos,
    /// The way to it, innermost first.
    pub frames: Vec<Frame>,
    /// "Did you mean" candidates, best first.
    pub suggestions: Vec<Vec<u8>>,
    /// What failed to parse, for errors of kind [`ErrorKind::Syntax`]: positions and diagnostics.
    pub diagnostics: Vec<(Pos, rx_lang::Diagnostic)>,
    /// The copy that failed thunks keep, once there is one.
    pub(crate) kept: Option<&'static Error>,
    /// Whether the debugger has stopped at it.
    pub(crate) seen: bool,
    /// The process's exit status when the error ends it; 1 unless a build says otherwise.
    pub status: u8,
}

/// Frames beyond this are dropped from the middle of the way: nobody reads them.
const MOST_FRAMES: usize = 2000;

impl Error {
    /// An error without a place.
    #[cold]
    #[inline(never)]
    pub fn new(kind: ErrorKind, message: impl Into<Vec<u8>>) -> Box<Error> {
        Box::new(Error {
            kind,
            message: message.into(),
            pos: Pos::NONE,
            frames: Vec::new(),
            suggestions: Vec::new(),
            diagnostics: Vec::new(),
            kept: None,
            seen: false,
            status: 1,
        })
    }

    /// An error of no special family.
    #[cold]
    #[inline(never)]
    pub fn other(message: impl Into<Vec<u8>>) -> Box<Error> {
        Error::new(ErrorKind::Other, message)
    }

    /// Says where it happened, unless that is known.
    #[must_use]
    #[cold]
    pub fn at(mut self: Box<Self>, pos: Pos) -> Box<Error> {
        self.pos = self.pos.or(pos);
        self
    }

    /// Says where the value is asked for that is needed for itself, unless that is known.
    #[must_use]
    #[cold]
    pub(crate) fn circle_at(self: Box<Self>, pos: Pos) -> Box<Error> {
        match self.kind {
            ErrorKind::InfiniteRecursion => self.at(pos),
            _ => self,
        }
    }

    /// Adds what was being done.
    #[must_use]
    #[cold]
    pub fn frame(mut self: Box<Self>, pos: Pos, text: impl Into<Vec<u8>>) -> Box<Error> {
        if self.frames.len() < MOST_FRAMES {
            self.frames.push(Frame {
                pos,
                text: text.into(),
                always: false,
            });
        }
        self
    }

    /// Whether a package said that it cannot be evaluated: `assert` or `throw`.
    pub fn is_assertion(&self) -> bool {
        matches!(self.kind, ErrorKind::Assertion | ErrorKind::Throw)
    }

    /// Adds candidates for "did you mean".
    #[must_use]
    pub fn suggest(mut self: Box<Self>, suggestions: Vec<Vec<u8>>) -> Box<Error> {
        self.suggestions = suggestions;
        self
    }

    /// Whether `builtins.tryEval` turns it into `false`.
    pub fn is_catchable(&self) -> bool {
        matches!(self.kind, ErrorKind::Throw | ErrorKind::Assertion)
    }

    /// Whether asking again could give another answer.
    pub fn is_passing(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Interrupted | ErrorKind::Quit | ErrorKind::Memory | ErrorKind::CallDepth
        )
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.message))
    }
}

impl std::error::Error for Error {}

/// Adds a frame to the error of a result; the text is only made when there is one.
pub trait Context {
    /// Adds `text` as a frame.
    fn context<T: Into<Vec<u8>>>(self, pos: Pos, text: impl FnOnce() -> T) -> Self;
}

impl<V> Context for Result<V> {
    #[inline]
    fn context<T: Into<Vec<u8>>>(self, pos: Pos, text: impl FnOnce() -> T) -> Self {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(error.frame(pos, text())),
        }
    }
}
