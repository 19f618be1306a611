//! Instructions × subject → match and groups: a depth-first search on an explicit stack.
//!
//! What is still to be done after the current path ends lies on the stack as [`Frame`]s. A search that takes
//! many steps starts to remember, for every choice and place, whether a match was found from there: visiting
//! it again cannot give a longer match than the first visit did, so the answer is enough. That bounds a
//! search by (choices × subject) steps without cost for the short ones.
//!
//! The rounds of repetitions that have consumed nothing so far are part of a place: together they are
//! the *context*, an interned small set of (repetition, rounds). Consuming a byte empties it.

use std::ops::Range;

use memchr::memmem;
use rustc_hash::FxHashMap;

use super::program::{Instruction, NOT_EMPTY, Op, Pc, Program};
use super::{Match, Poll, RegexError};

/// Marks a group that has not matched.
const UNSET: usize = usize::MAX;
/// Steps between two looks at the interrupt.
const POLL_STEPS: u64 = 1 << 16;
/// Steps after which visits are remembered, beside four for each byte of the subject.
const FREE_STEPS: u64 = 2_000;
/// Limits of what a search may remember and stack up.
const MAX_BITS: usize = 1 << 31;
const MAX_ENTRIES: usize = 1 << 23;
const MAX_FRAMES: usize = 1 << 24;

/// How a match must end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// At the end of the subject.
    Whole,
    /// Anywhere, the farther the better.
    Longest,
    /// Anywhere but where it began.
    LongestNotEmpty,
}

/// What to do when the current path has come to its end.
#[derive(Clone, Copy)]
enum Frame {
    /// Give a group's begin or end its old value.
    Begin {
        group: u32,
        old: usize,
    },
    End {
        group: u32,
        old: usize,
    },
    /// If nothing was found, go on here.
    Otherwise {
        pc: Pc,
        context: u32,
        at: usize,
    },
    /// Go on here in any case, then join the two answers.
    Second {
        pc: Pc,
        context: u32,
        at: usize,
    },
    /// The first side of an alternation had found something (or not).
    Join {
        found: bool,
    },
    /// If nothing was found, a run gives back a byte.
    Shrink {
        pc: Pc,
        at: usize,
        least: usize,
    },
    /// Remember the answer for this place.
    Remember {
        choice: u32,
        context: u32,
        at: usize,
    },
}

/// A search in one subject; see the head of the file.
pub(super) struct Machine<'a> {
    program: &'a Program,
    subject: &'a [u8],
    poll: Poll<'a>,
    finder: Option<memmem::Finder<'a>>,
    stack: Vec<Frame>,
    begins: Vec<usize>,
    ends: Vec<usize>,
    best: Option<Best>,
    /// Where the current attempt began, and whether `^` holds there.
    from: usize,
    at_line_begin: bool,
    /// Alternations whose second side is still to be tried.
    open_alternatives: usize,
    steps: u64,
    next_poll: u64,
    remember_after: u64,
    visits: Visits,
    contexts: Contexts,
}

struct Best {
    end: usize,
    begins: Vec<usize>,
    ends: Vec<usize>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(program: &'a Program, subject: &'a [u8], poll: Poll<'a>) -> Self {
        Self {
            program,
            subject,
            poll,
            finder: None,
            stack: Vec::new(),
            begins: vec![UNSET; program.groups - 1],
            ends: vec![UNSET; program.groups - 1],
            best: None,
            from: 0,
            at_line_begin: true,
            open_alternatives: 0,
            steps: 0,
            next_poll: POLL_STEPS,
            remember_after: FREE_STEPS + 4 * subject.len() as u64,
            visits: Visits::default(),
            contexts: Contexts::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.subject.len()
    }

    /// Matches the whole subject.
    pub(super) fn full_match(mut self) -> Result<Option<Match>, RegexError> {
        if self.program.literal {
            let equal = self.subject == self.program.prefix;
            return Ok(equal.then(|| Match {
                range: 0..self.len(),
                groups: Vec::new(),
            }));
        }
        if !self.subject.starts_with(&self.program.prefix) {
            return Ok(None);
        }
        self.attempt(0, false, Goal::Whole)
    }

    /// A match that begins at `at` and is not empty.
    pub(super) fn match_here_not_empty(
        &mut self,
        at: usize,
        inside: bool,
    ) -> Result<Option<Match>, RegexError> {
        self.attempt(at, inside, Goal::LongestNotEmpty)
    }

    /// The first match that begins at `from` or later. `inside`: the subject does not begin there.
    pub(super) fn search(
        &mut self,
        from: usize,
        inside: bool,
    ) -> Result<Option<Match>, RegexError> {
        let mut at = from;
        while let Some(start) = self.next_start(at) {
            if self.program.literal {
                let range = start..start + self.program.prefix.len();
                return Ok(Some(Match {
                    range,
                    groups: Vec::new(),
                }));
            }
            if let Some(found) = self.attempt(start, inside || start > from, Goal::Longest)? {
                return Ok(Some(found));
            }
            at = start + 1;
        }
        Ok(None)
    }

    /// The first place from `at` on where a match may begin.
    fn next_start(&mut self, at: usize) -> Option<usize> {
        let rest = self.subject.get(at..)?;
        let program = self.program;
        if !program.prefix.is_empty() {
            let finder = self
                .finder
                .get_or_insert_with(|| memmem::Finder::new(&program.prefix));
            return Some(at + finder.find(rest)?);
        }
        let look = &program.looks[program.code[program.start as usize].look as usize];
        if look.may_end {
            return Some(at);
        }
        Some(at + rest.iter().position(|byte| look.bytes.contains(*byte))?)
    }

    fn attempt(
        &mut self,
        from: usize,
        inside: bool,
        goal: Goal,
    ) -> Result<Option<Match>, RegexError> {
        self.from = from;
        self.at_line_begin = !inside;
        self.best = None;
        self.begins.fill(UNSET);
        self.ends.fill(UNSET);
        self.stack.clear();
        self.open_alternatives = 0;
        self.run(goal)?;
        let Some(best) = self.best.take() else {
            return Ok(None);
        };
        // What was found from this start says nothing about the next; what failed fails again.
        self.visits.forget_found();
        let groups = best
            .begins
            .iter()
            .zip(&best.ends)
            .map(|(begin, end)| {
                (*end != UNSET).then_some(Range {
                    start: *begin,
                    end: *end,
                })
            })
            .collect();
        Ok(Some(Match {
            range: from..best.end,
            groups,
        }))
    }

    fn run(&mut self, goal: Goal) -> Result<(), RegexError> {
        let (mut pc, mut at, mut context) = (self.program.start, self.from, 0);
        loop {
            let mut found = self.follow(pc, at, context, goal)?;
            if found && self.is_final(goal) {
                return Ok(());
            }
            // Undo and continue until some frame asks for another path.
            loop {
                let Some(frame) = self.stack.pop() else {
                    return Ok(());
                };
                match frame {
                    Frame::Begin { group, old } => self.begins[group as usize] = old,
                    Frame::End { group, old } => self.ends[group as usize] = old,
                    Frame::Otherwise {
                        pc: other,
                        context: then,
                        at: place,
                    } => {
                        if !found {
                            (pc, at, context) = (other, place, then);
                            break;
                        }
                    }
                    Frame::Second {
                        pc: other,
                        context: then,
                        at: place,
                    } => {
                        self.open_alternatives -= 1;
                        self.stack.push(Frame::Join { found });
                        (pc, at, context) = (other, place, then);
                        break;
                    }
                    Frame::Join { found: first } => found |= first,
                    Frame::Shrink {
                        pc: next,
                        at: place,
                        least,
                    } => {
                        if !found && let Some(shorter) = self.shrink(next, place, least) {
                            if shorter > least {
                                self.stack.push(Frame::Shrink {
                                    pc: next,
                                    at: shorter,
                                    least,
                                });
                            }
                            (pc, at, context) = (next, shorter, 0);
                            break;
                        }
                    }
                    Frame::Remember {
                        choice,
                        context: then,
                        at: place,
                    } => {
                        self.visits.record(
                            self.program.choices,
                            self.subject.len(),
                            choice,
                            place,
                            then,
                            found,
                        )?;
                    }
                }
            }
        }
    }

    /// Whether a solution just found cannot be improved on.
    fn is_final(&self, goal: Goal) -> bool {
        goal == Goal::Whole
            || self.open_alternatives == 0
            || self
                .best
                .as_ref()
                .is_some_and(|best| best.end == self.subject.len())
    }

    /// The next shorter end of a run after which a match can go on at `next`.
    fn shrink(&mut self, next: Pc, at: usize, least: usize) -> Option<usize> {
        let mut shorter = at;
        while shorter > least {
            shorter -= 1;
            self.steps += 1;
            if self.viable(next, shorter) {
                return Some(shorter);
            }
        }
        None
    }

    /// Whether a match can go on at `pc`, judging by the next byte.
    #[inline]
    fn viable(&self, pc: Pc, at: usize) -> bool {
        let look = &self.program.looks[self.program.code[pc as usize].look as usize];
        look.may_end
            || self
                .subject
                .get(at)
                .is_some_and(|byte| look.bytes.contains(*byte))
    }

    /// Follows one path to its end, leaving the other choices on the stack. True if it ended in a solution.
    fn follow(
        &mut self,
        mut pc: Pc,
        mut at: usize,
        mut context: u32,
        goal: Goal,
    ) -> Result<bool, RegexError> {
        let program = self.program;
        loop {
            let Instruction {
                op, next, choice, ..
            } = program.code[pc as usize];
            match op {
                Op::Byte(byte) => {
                    if self.subject.get(at) != Some(&byte) {
                        return Ok(false);
                    }
                    at += 1;
                    context = 0;
                }
                Op::Set(set) => {
                    if !self.stands_at(set, at) {
                        return Ok(false);
                    }
                    at += 1;
                    context = 0;
                }
                Op::Open(group) => {
                    let begin = &mut self.begins[group as usize - 1];
                    let old = std::mem::replace(begin, at);
                    self.stack.push(Frame::Begin {
                        group: group - 1,
                        old,
                    });
                }
                Op::Close(group) => {
                    let end = &mut self.ends[group as usize - 1];
                    let old = std::mem::replace(end, at);
                    self.stack.push(Frame::End {
                        group: group - 1,
                        old,
                    });
                }
                Op::LineBegin => {
                    if !(at == self.from && self.at_line_begin) {
                        return Ok(false);
                    }
                }
                Op::LineEnd => {
                    if at != self.subject.len() {
                        return Ok(false);
                    }
                }
                Op::Accept => return Ok(self.accept(at, goal)),
                Op::Alternative { first } => {
                    if let Some(known) = self.enter(choice, at, context, goal)? {
                        return Ok(known);
                    }
                    if !self.viable(first, at) {
                        pc = next;
                        continue;
                    }
                    if self.viable(next, at) {
                        self.open_alternatives += 1;
                        self.stack.push(Frame::Second {
                            pc: next,
                            context,
                            at,
                        });
                    }
                    pc = first;
                    continue;
                }
                Op::Repeat { body, counter } => {
                    if let Some(known) = self.enter(choice, at, context, goal)? {
                        return Ok(known);
                    }
                    if self.viable(body, at)
                        && let Some(then) = self.contexts.once_more(context, counter)?
                    {
                        self.or_else(next, at, context);
                        (pc, context) = (body, then);
                        continue;
                    }
                }
                Op::Run { set } => {
                    if let Some(known) = self.enter(choice, at, context, goal)? {
                        return Ok(known);
                    }
                    if context != 0 || self.steps > self.remember_after {
                        // Byte by byte, so that every place is remembered.
                        if self.stands_at(set, at) {
                            self.or_else(next, at, context);
                            at += 1;
                            context = 0;
                            continue;
                        }
                    } else {
                        match self.take_run(set, next, at) {
                            Some(end) => at = end,
                            None => return Ok(false),
                        }
                    }
                }
            }
            pc = next;
        }
    }

    /// Whether the byte at `at` is one of the set.
    fn stands_at(&self, set: u32, at: usize) -> bool {
        let members = &self.program.sets[set as usize];
        self.subject
            .get(at)
            .is_some_and(|byte| members.contains(*byte))
    }

    /// Leaves on the stack that it may go on with `next` here instead.
    fn or_else(&mut self, next: Pc, at: usize, context: u32) {
        if self.viable(next, at) {
            self.stack.push(Frame::Otherwise {
                pc: next,
                context,
                at,
            });
        }
    }

    /// Takes all bytes of the set from `at` on, as far as `next` can follow, and leaves fewer of them as choices. The end, or nothing
    /// when `next` can follow nowhere.
    fn take_run(&mut self, set: u32, next: Pc, least: usize) -> Option<usize> {
        let members = &self.program.sets[set as usize];
        let rest = &self.subject[least..];
        let length = match self.program.set_byte[set as usize] {
            Some(byte) => rest.iter().position(|b| *b != byte),
            None => rest.iter().position(|b| !members.contains(*b)),
        };
        let mut at = least + length.unwrap_or(rest.len());
        self.steps += ((at - least) / 8) as u64;
        if !self.viable(next, at) {
            at = self.shrink(next, at, least)?;
        }
        if at > least {
            self.stack.push(Frame::Shrink {
                pc: next,
                at,
                least,
            });
        }
        Some(at)
    }

    fn accept(&mut self, at: usize, goal: Goal) -> bool {
        let ends_well = match goal {
            Goal::Whole => at == self.subject.len(),
            Goal::Longest => true,
            Goal::LongestNotEmpty => at != self.from,
        };
        if ends_well && self.best.as_ref().is_none_or(|best| best.end < at) {
            self.best = Some(Best {
                end: at,
                begins: self.begins.clone(),
                ends: self.ends.clone(),
            });
        }
        ends_well
    }

    /// Counts a step; in a long search, asks for what is known about a place, or prepares to learn it.
    #[inline]
    fn enter(
        &mut self,
        choice: u32,
        at: usize,
        context: u32,
        goal: Goal,
    ) -> Result<Option<bool>, RegexError> {
        self.steps += 1;
        if self.steps > self.next_poll {
            self.next_poll = self.steps + POLL_STEPS;
            if (self.poll)() {
                return Err(RegexError::Interrupted);
            }
            if self.stack.len() > MAX_FRAMES {
                return Err(RegexError::TooLarge);
            }
        }
        if self.steps <= self.remember_after || (goal == Goal::LongestNotEmpty && at == self.from) {
            return Ok(None);
        }
        let known = self.visits.known(self.program.choices, choice, at, context);
        if known.is_none() {
            self.stack.push(Frame::Remember {
                choice,
                context,
                at,
            });
        }
        Ok(known)
    }
}

/// What earlier visits of (choice, place, context) found.
#[derive(Default)]
struct Visits {
    /// Bits by place and choice, for the empty context of subjects that are not too large.
    failed: Vec<u64>,
    found: Vec<u64>,
    found_words: Vec<usize>,
    other: FxHashMap<(u32, u32, usize), bool>,
}

impl Visits {
    fn known(&self, choices: usize, choice: u32, at: usize, context: u32) -> Option<bool> {
        if context != 0 || self.failed.is_empty() {
            return self.other.get(&(choice, context, at)).copied();
        }
        let bit = at * choices + choice as usize;
        let is_set = |bits: &[u64]| bits[bit / 64] >> (bit % 64) & 1 != 0;
        if is_set(&self.failed) {
            return Some(false);
        }
        is_set(&self.found).then_some(true)
    }

    fn record(
        &mut self,
        choices: usize,
        length: usize,
        choice: u32,
        at: usize,
        context: u32,
        found: bool,
    ) -> Result<(), RegexError> {
        let size = choices.saturating_mul(length + 1);
        if context == 0 && size <= MAX_BITS {
            if self.failed.is_empty() {
                self.failed = vec![0; size / 64 + 1];
                self.found = vec![0; size / 64 + 1];
            }
            let bit = at * choices + choice as usize;
            if found {
                self.found_words.push(bit / 64);
            }
            let bits = if found {
                &mut self.found
            } else {
                &mut self.failed
            };
            bits[bit / 64] |= 1 << (bit % 64);
            return Ok(());
        }
        if self.other.len() >= MAX_ENTRIES {
            return Err(RegexError::TooLarge);
        }
        self.other.insert((choice, context, at), found);
        Ok(())
    }

    fn forget_found(&mut self) {
        for word in self.found_words.drain(..) {
            self.found[word] = 0;
        }
        if !self.other.is_empty() {
            self.other.retain(|_, found| !*found);
        }
    }
}

/// The interned contexts; 0 is the empty one.
#[derive(Default)]
struct Contexts {
    /// Rounds by repetition, of the contexts from 1 on.
    known: Vec<Vec<(u32, u8)>>,
    index: FxHashMap<Vec<(u32, u8)>, u32>,
    /// (context, repetition) → the context with one more round.
    steps: FxHashMap<(u32, u32), Option<u32>>,
}

impl Contexts {
    /// The context after one more round of a repetition, or nothing if there were two empty rounds already.
    #[inline]
    fn once_more(&mut self, context: u32, counter: u32) -> Result<Option<u32>, RegexError> {
        if counter == NOT_EMPTY {
            return Ok(Some(context));
        }
        if let Some(known) = self.steps.get(&(context, counter)) {
            return Ok(*known);
        }
        let mut rounds = if context == 0 {
            Vec::new()
        } else {
            self.known[context as usize - 1].clone()
        };
        let next = match rounds.binary_search_by_key(&counter, |(repetition, _)| *repetition) {
            Ok(place) if rounds[place].1 >= 2 => None,
            Ok(place) => {
                rounds[place].1 += 1;
                Some(self.intern(rounds)?)
            }
            Err(place) => {
                rounds.insert(place, (counter, 1));
                Some(self.intern(rounds)?)
            }
        };
        self.steps.insert((context, counter), next);
        Ok(next)
    }

    fn intern(&mut self, rounds: Vec<(u32, u8)>) -> Result<u32, RegexError> {
        if let Some(known) = self.index.get(&rounds) {
            return Ok(*known);
        }
        if self.known.len() >= MAX_ENTRIES / 8 {
            return Err(RegexError::TooLarge);
        }
        self.known.push(rounds.clone());
        let index = self.known.len() as u32;
        self.index.insert(rounds, index);
        Ok(index)
    }
}
