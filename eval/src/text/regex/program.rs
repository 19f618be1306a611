//! Automaton → instructions.
//!
//! Empty states disappear, a repetition of a single set of bytes becomes one instruction, and every
//! instruction knows with which bytes a match may go on from it. With that knowledge most choices are no
//! choices, and the machine takes them without leaving a mark on its stack.

use rustc_hash::FxHashMap;

use super::bracket::ByteSet;
use super::parse::{Automaton, Id, Kind};

/// Index of an instruction.
pub(super) type Pc = u32;
/// Marks a repetition whose body always consumes something.
pub(super) const NOT_EMPTY: u32 = u32::MAX;
/// Beyond this size, look-ahead sets are not computed (each costs a walk over the automaton).
const LOOK_AHEAD_LIMIT: usize = 4_000;

#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    /// Consumes this byte.
    Byte(u8),
    /// Consumes a byte of the set with this index.
    Set(u32),
    /// Tries `first`, then `next`; the longer match wins.
    Alternative {
        first: Pc,
    },
    /// Tries `body`, and `next` if that led nowhere. `counter` numbers the repetitions whose body may be empty.
    Repeat {
        body: Pc,
        counter: u32,
    },
    /// Consumes as many bytes of the set as it can, then fewer and fewer.
    Run {
        set: u32,
    },
    Open(u32),
    Close(u32),
    LineBegin,
    LineEnd,
    Accept,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Instruction {
    pub(super) op: Op,
    pub(super) next: Pc,
    /// Index of this instruction's [`Look`].
    pub(super) look: u32,
    /// Number of this instruction among those that the machine remembers visits of.
    pub(super) choice: u32,
}

/// With which bytes a match can go on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Look {
    pub(super) bytes: ByteSet,
    /// Whether a match can end without consuming anything more.
    pub(super) may_end: bool,
}

#[derive(Debug)]
pub(super) struct Program {
    pub(super) code: Vec<Instruction>,
    pub(super) sets: Vec<ByteSet>,
    /// For each set of one byte, that byte.
    pub(super) set_byte: Vec<Option<u8>>,
    pub(super) looks: Vec<Look>,
    pub(super) start: Pc,
    /// Groups, the whole match included.
    pub(super) groups: usize,
    /// How many instructions are choices.
    pub(super) choices: usize,
    /// The bytes with which every match begins.
    pub(super) prefix: Vec<u8>,
    /// Whether the prefix is everything there is to match.
    pub(super) literal: bool,
}

impl Program {
    pub(super) fn compile(automaton: Automaton) -> Self {
        let builder = Builder {
            automaton: &automaton,
        };
        let (code, start) = builder.code();
        let set_byte = automaton.sets.iter().map(ByteSet::single).collect();
        let mut program = Self {
            code,
            sets: automaton.sets,
            set_byte,
            looks: Vec::new(),
            start,
            groups: automaton.groups as usize,
            choices: 0,
            prefix: Vec::new(),
            literal: false,
        };
        program.mark_bytes();
        program.mark_choices();
        program.mark_loops();
        program.mark_looks();
        program.mark_prefix();
        program
    }

    /// Sets of one byte are compared, not looked up.
    fn mark_bytes(&mut self) {
        for instruction in &mut self.code {
            if let Op::Set(set) = instruction.op
                && let Some(byte) = self.set_byte[set as usize]
            {
                instruction.op = Op::Byte(byte);
            }
        }
    }

    fn mark_choices(&mut self) {
        for instruction in &mut self.code {
            if matches!(
                instruction.op,
                Op::Alternative { .. } | Op::Repeat { .. } | Op::Run { .. }
            ) {
                instruction.choice = self.choices as u32;
                self.choices += 1;
            }
        }
    }

    /// Finds the repetitions whose body cannot be empty: they need no counters.
    fn mark_loops(&mut self) {
        let mut counters = 0;
        let mut seen = vec![u32::MAX; self.code.len()];
        for pc in 0..self.code.len() {
            let Op::Repeat { body, .. } = self.code[pc].op else {
                continue;
            };
            let again = self.code.len() > LOOK_AHEAD_LIMIT || {
                let mut reached = false;
                self.walk_empty(body, pc as u32, &mut seen, |at, _| {
                    reached |= at == pc as Pc;
                });
                reached
            };
            // A repetition at most once (`?`) is met again at the same place only through an outer one.
            if again {
                self.code[pc].op = Op::Repeat {
                    body,
                    counter: counters,
                };
                counters += 1;
            }
        }
    }

    /// Visits what can be reached from `from` without consuming a byte.
    fn walk_empty(&self, from: Pc, mark: u32, seen: &mut [u32], mut visit: impl FnMut(Pc, Op)) {
        let mut todo = vec![from];
        while let Some(pc) = todo.pop() {
            if std::mem::replace(&mut seen[pc as usize], mark) == mark {
                continue;
            }
            let Instruction { op, next, .. } = self.code[pc as usize];
            visit(pc, op);
            match op {
                Op::Byte(_) | Op::Set(_) | Op::Accept => {}
                Op::Alternative { first: other } | Op::Repeat { body: other, .. } => {
                    todo.extend([other, next])
                }
                Op::Run { .. } | Op::Open(_) | Op::Close(_) | Op::LineBegin | Op::LineEnd => {
                    todo.push(next)
                }
            }
        }
    }

    fn mark_looks(&mut self) {
        if self.code.len() > LOOK_AHEAD_LIMIT {
            self.looks.push(Look {
                bytes: ByteSet::ALL,
                may_end: true,
            });
            return;
        }
        let mut known: FxHashMap<Look, u32> = FxHashMap::default();
        let mut seen = vec![u32::MAX; self.code.len()];
        for pc in 0..self.code.len() {
            let mut look = Look {
                bytes: ByteSet::default(),
                may_end: false,
            };
            self.walk_empty(pc as Pc, pc as u32, &mut seen, |_, op| match op {
                Op::Byte(byte) => look.bytes.insert(byte),
                Op::Set(set) | Op::Run { set } => look.bytes.union(&self.sets[set as usize]),
                Op::Accept => look.may_end = true,
                _ => {}
            });
            let index = *known.entry(look).or_insert_with_key(|look| {
                self.looks.push(look.clone());
                (self.looks.len() - 1) as u32
            });
            self.code[pc].look = index;
        }
    }

    fn mark_prefix(&mut self) {
        let mut pc = self.start;
        while let Instruction {
            op: op @ (Op::Byte(_) | Op::Open(_) | Op::Close(_)),
            next,
            ..
        } = self.code[pc as usize]
        {
            if let Op::Byte(byte) = op {
                self.prefix.push(byte);
            }
            pc = next;
        }
        self.literal = self.groups == 1 && matches!(self.code[pc as usize].op, Op::Accept);
    }
}

struct Builder<'a> {
    automaton: &'a Automaton,
}

impl Builder<'_> {
    /// The state that `id` leads to without doing anything. Group 0 is kept by the machine itself.
    fn skip(&self, mut id: Id) -> Id {
        loop {
            let state = self.automaton.states[id as usize];
            match state.kind {
                Kind::Dummy | Kind::Open(0) | Kind::Close(0) => id = state.next,
                _ => return id,
            }
        }
    }

    /// The reachable states as instructions.
    fn code(&self) -> (Vec<Instruction>, Pc) {
        let mut places: FxHashMap<Id, Pc> = FxHashMap::default();
        let mut order: Vec<Id> = Vec::new();
        let mut place = |id: Id, order: &mut Vec<Id>| {
            let id = self.skip(id);
            *places.entry(id).or_insert_with(|| {
                order.push(id);
                (order.len() - 1) as Pc
            })
        };
        let start = place(self.automaton.start, &mut order);
        let mut code = Vec::new();
        while let Some(&id) = order.get(code.len()) {
            let state = self.automaton.states[id as usize];
            let op = match state.kind {
                Kind::Set(set) => Op::Set(set),
                Kind::Open(group) => Op::Open(group),
                Kind::Close(group) => Op::Close(group),
                Kind::LineBegin => Op::LineBegin,
                Kind::LineEnd => Op::LineEnd,
                Kind::Alternative(first) => Op::Alternative {
                    first: place(first, &mut order),
                },
                Kind::Repeat(body) => match self.run_set(id, body) {
                    Some(set) => Op::Run { set },
                    None => Op::Repeat {
                        body: place(body, &mut order),
                        counter: NOT_EMPTY,
                    },
                },
                Kind::Dummy | Kind::Accept => Op::Accept,
            };
            let next = if matches!(op, Op::Accept) {
                0
            } else {
                place(state.next, &mut order)
            };
            code.push(Instruction {
                op,
                next,
                look: 0,
                choice: 0,
            });
        }
        (code, start)
    }

    /// The set of a repetition that repeats nothing but a set of bytes.
    fn run_set(&self, repeat: Id, body: Id) -> Option<u32> {
        let state = self.automaton.states[self.skip(body) as usize];
        match state.kind {
            Kind::Set(set) if self.skip(state.next) == repeat => Some(set),
            _ => None,
        }
    }
}
