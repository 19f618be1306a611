//! Regular expressions of `builtins.match` and `builtins.split`: POSIX extended syntax over bytes,
//! with the answers that programs have come to rely on.
//!
//! The reference hands patterns to the C++ standard library of GCC (`std::regex::extended`). What that
//! library answers differs from the POSIX standard in places where a program can see it (which group keeps
//! its text after an empty iteration, which alternative wins), so the search order is part of the language:
//!
//! - a repetition first tries one more round, and only if that leads to no match at all, goes on behind it;
//! - an alternation tries both sides, and the longer whole match wins, the left one among equals;
//! - a round that consumed nothing may be repeated once, no more;
//! - a group keeps what it matched in an earlier round.
//!
//! The same order is followed here by a machine with an explicit stack that remembers where it has been, so
//! time is bounded by pattern × subject, no subject overflows a stack, and a search can be interrupted.
//!
//! | file | what |
//! |---|---|
//! | `bracket` | sets of bytes; classes and collating names of `[…]` |
//! | `parse` | pattern → automaton, with the library's rules about what is invalid and what is too large |
//! | `program` | automaton → instructions with look-ahead sets |
//! | `machine` | instructions × subject → match and groups |

mod bracket;
mod machine;
mod parse;
mod program;

use std::ops::Range;

use program::Program;

/// Why a pattern was refused or a search was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    /// The pattern is not a POSIX extended regular expression.
    #[error("invalid regular expression")]
    Invalid,
    /// The automaton of the pattern, or the memory of a search, grew beyond the limit.
    #[error("memory limit exceeded by regular expression")]
    TooLarge,
    /// The search was interrupted from outside.
    #[error("interrupted")]
    Interrupted,
}

/// Asked now and then during a long search; `true` ends it with [`RegexError::Interrupted`].
pub type Poll<'a> = &'a dyn Fn() -> bool;

/// A compiled pattern. Compiling costs far more than matching a short string; keep it.
#[derive(Debug)]
pub struct Regex {
    program: Program,
}

/// One match: where it lies, and what each group holds (`None` for a group that took no part).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Byte range of the whole match.
    pub range: Range<usize>,
    /// Byte range of each parenthesised group, in the order of their opening parentheses.
    pub groups: Vec<Option<Range<usize>>>,
}

impl Regex {
    /// Compiles a pattern.
    pub fn new(pattern: &[u8]) -> Result<Self, RegexError> {
        Ok(Self {
            program: Program::compile(parse::parse(pattern)?),
        })
    }

    /// The number of parenthesised groups.
    pub fn group_count(&self) -> usize {
        self.program.groups - 1
    }

    /// Matches the whole subject, as `builtins.match` does.
    pub fn full_match(&self, subject: &[u8], poll: Poll<'_>) -> Result<Option<Match>, RegexError> {
        machine::Machine::new(&self.program, subject, poll).full_match()
    }

    /// All matches from left to right without overlap, as `builtins.split` walks them.
    pub fn matches<'a>(&'a self, subject: &'a [u8], poll: Poll<'a>) -> Matches<'a> {
        Matches {
            machine: machine::Machine::new(&self.program, subject, poll),
            state: Walk::Start,
        }
    }
}

/// The walk over all matches of a subject; see [`Regex::matches`].
pub struct Matches<'a> {
    machine: machine::Machine<'a>,
    state: Walk,
}

enum Walk {
    Start,
    After { last: Range<usize>, inside: bool },
    Done,
}

impl Matches<'_> {
    fn advance(&mut self) -> Result<Option<Match>, RegexError> {
        let (from, inside) = match &self.state {
            Walk::Done => return Ok(None),
            Walk::Start => (0, false),
            Walk::After { last, inside } if last.is_empty() => {
                if last.end == self.machine.len() {
                    return Ok(None);
                }
                // After an empty match, one that starts at the same place but is not empty comes next.
                if let Some(found) = self.machine.match_here_not_empty(last.end, *inside)? {
                    return Ok(Some(found));
                }
                (last.end + 1, true)
            }
            Walk::After { last, .. } => (last.end, true),
        };
        self.machine.search(from, inside)
    }
}

impl Iterator for Matches<'_> {
    type Item = Result<Match, RegexError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.advance() {
            Ok(Some(found)) => {
                // `^` holds at the very start only; a second try at the same place keeps what the first one had.
                let inside = match &self.state {
                    Walk::Start => false,
                    Walk::After { last, inside } => {
                        *inside || !(last.is_empty() && found.range.start == last.end)
                    }
                    Walk::Done => true,
                };
                self.state = Walk::After {
                    last: found.range.clone(),
                    inside,
                };
                Some(Ok(found))
            }
            Ok(None) => {
                self.state = Walk::Done;
                None
            }
            Err(error) => {
                self.state = Walk::Done;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests;
