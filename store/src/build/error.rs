//! How a build fails.

use super::backend::BackendError;

/// Kinds of failures; the exit code and what callers may do next depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The builder failed, and would fail again.
    Permanent,
    /// The builder failed, but another time it may not (network, full disk).
    Transient,
    /// This machine cannot or may not build it.
    InputRejected,
    /// An output is not what it must be.
    OutputRejected,
    /// It took too long or was silent too long.
    TimedOut,
    /// It wrote too much.
    LogLimit,
    /// A fixed output has another hash.
    HashMismatch,
    /// A repeated build gave another result.
    NotDeterministic,
    /// Something it needs failed.
    DependencyFailed,
    /// A cache failed.
    Substitution,
    /// Nobody has it and nothing says how to build it.
    NoSubstituters,
    /// It was stopped before its end.
    Cancelled,
    /// Anything else.
    Misc,
}

/// A failed build.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct BuildError {
    /// What kind of failure.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
}

impl BuildError {
    /// A failure.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// A failure of no particular kind.
    pub fn misc(error: impl std::fmt::Display) -> Self {
        Self::new(FailureKind::Misc, error.to_string())
    }

    /// An output that is refused.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::new(FailureKind::OutputRejected, message)
    }

    /// The builder was stopped.
    pub fn cancelled() -> Self {
        Self::new(FailureKind::Cancelled, "interrupted by the user")
    }
}

impl From<crate::derivation::DerivationError> for BuildError {
    fn from(error: crate::derivation::DerivationError) -> Self {
        Self::misc(error)
    }
}

impl From<BackendError> for BuildError {
    fn from(error: BackendError) -> Self {
        Self::misc(error)
    }
}

/// The exit code for a set of failures: 100 and some bits, or 1 if none is of a kind that has a code.
pub fn exit_code(kinds: impl IntoIterator<Item = FailureKind>) -> u8 {
    let (mut permanent, mut timed_out, mut mismatch, mut differs) = (false, false, false, false);
    for kind in kinds {
        match kind {
            FailureKind::Permanent | FailureKind::InputRejected => permanent = true,
            FailureKind::TimedOut => timed_out = true,
            FailureKind::HashMismatch => mismatch = true,
            FailureKind::NotDeterministic => differs = true,
            _ => {}
        }
    }
    let failed = permanent || timed_out || mismatch;
    if !failed && !differs {
        return 1;
    }
    let bit = |set: bool, value: u8| if set { value } else { 0 };
    0b110_0000
        | bit(failed, 0b100)
        | bit(timed_out, 0b001)
        | bit(mismatch, 0b010)
        | bit(differs, 0b1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_what_went_wrong() {
        use FailureKind::*;
        assert_eq!(exit_code([Permanent]), 100);
        assert_eq!(exit_code([TimedOut]), 101);
        assert_eq!(exit_code([HashMismatch, DependencyFailed]), 102);
        assert_eq!(exit_code([NotDeterministic]), 104);
        assert_eq!(exit_code([NotDeterministic, TimedOut]), 109);
        assert_eq!(exit_code([DependencyFailed, Misc]), 1);
    }
}
