//! Operators: precedence without recursion.
//!
//! Operators that still wait for their right side lie on a stack; one that binds less tightly completes those above it.
//! From loose to tight:
//!
//! | | |
//! |---|---|
//! | `\|>` left, `<\|` right | not mixed |
//! | `->` | right |
//! | `\|\|` | left |
//! | `&&` | left |
//! | `==` `!=` | alone |
//! | `<` `<=` `>` `>=` | alone |
//! | `//` | right |
//! | `!` | prefix |
//! | `+` `-` | left |
//! | `*` `/` | left |
//! | `++` | right |
//! | `?` | postfix |
//! | `-` | prefix |

use super::{Grammar, Operator, Sink};
use crate::syntax_kind::SyntaxKind as K;

const NOT: u8 = 7;
const HAS: u8 = 11;
const NEGATE: u8 = 12;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Alone,
}

/// How tightly a binary operator binds.
#[inline(always)]
fn binary(kind: K) -> Option<(u8, Side)> {
    Some(match kind {
        K::Arrow => (1, Side::Right),
        K::OrOr => (2, Side::Left),
        K::AndAnd => (3, Side::Left),
        K::EqualEqual | K::NotEqual => (4, Side::Alone),
        K::Less | K::LessEqual | K::Greater | K::GreaterEqual => (5, Side::Alone),
        K::Update => (6, Side::Right),
        K::Plus | K::Minus => (8, Side::Left),
        K::Star | K::Slash => (9, Side::Left),
        K::Concat => (10, Side::Right),
        _ => return None,
    })
}

impl<S: Sink> Grammar<'_, S> {
    /// `a |> f |> g`, `g <| f <| a`, or operators alone.
    #[inline(always)]
    pub(super) fn pipes(&mut self, mark: S::Mark) {
        self.operation(mark);
        match self.current() {
            K::PipeInto => {
                while self.at(K::PipeInto) {
                    self.bump_as(K::PipeInto);
                    let right = self.mark();
                    self.operation(right);
                    self.sink.node(mark, K::Pipe);
                }
            }
            K::PipeFrom => {
                let base = self.pending.len();
                let mut mark = mark;
                while self.at(K::PipeFrom) {
                    self.bump_as(K::PipeFrom);
                    self.pending.push((mark, K::Pipe));
                    mark = self.mark();
                    self.operation(mark);
                }
                while self.pending.len() > base {
                    if let Some((mark, kind)) = self.pending.pop() {
                        self.sink.node(mark, kind);
                    }
                }
            }
            _ => {}
        }
    }

    /// Operands and operators.
    #[inline(always)]
    fn operation(&mut self, mark: S::Mark) {
        let base = self.operators.len();
        let mut mark = mark;
        loop {
            loop {
                match self.current() {
                    K::Bang => self.operators.push(Operator {
                        mark,
                        kind: K::Unary,
                        precedence: NOT,
                    }),
                    K::Minus => self.operators.push(Operator {
                        mark,
                        kind: K::Unary,
                        precedence: NEGATE,
                    }),
                    _ => break,
                }
                self.bump();
                mark = self.mark();
            }
            self.application(mark);
            match self.operator_after(mark, base) {
                Some(next) => mark = next,
                None => return,
            }
        }
    }

    /// After an operand: completes what the next operator lets be completed, and takes that operator. Gives the mark of the
    /// next operand, or nothing when the operation is over.
    #[inline(always)]
    fn operator_after(&mut self, mut operand: S::Mark, base: usize) -> Option<S::Mark> {
        loop {
            let kind = self.current();
            let Some((precedence, side)) = binary(kind) else {
                if kind == K::Question {
                    self.complete(&mut operand, base, HAS, Side::Right);
                    self.bump_as(K::Question);
                    self.attr_path();
                    self.sink.node(operand, K::HasAttr);
                    continue;
                }
                if self.operators.len() > base {
                    self.complete(&mut operand, base, 0, Side::Left);
                }
                return None;
            };
            self.complete(&mut operand, base, precedence, side);
            if side == Side::Alone
                && self.operators.len() > base
                && self
                    .operators
                    .last()
                    .is_some_and(|top| top.precedence == precedence)
            {
                self.unexpected("");
                self.help("comparisons do not chain; put parentheses around one of them");
                self.complete(&mut operand, base, precedence, Side::Left);
            }
            self.operators.push(Operator {
                mark: operand,
                kind: K::Binary,
                precedence,
            });
            self.bump_as(kind);
            return Some(self.mark());
        }
    }

    /// Completes the waiting operators that bind more tightly than `precedence`, and for a left-associative one those that
    /// bind as tightly.
    #[inline(always)]
    fn complete(&mut self, operand: &mut S::Mark, base: usize, precedence: u8, side: Side) {
        while self.operators.len() > base {
            let Some(top) = self.operators.last() else {
                return;
            };
            if top.precedence < precedence || (top.precedence == precedence && side != Side::Left) {
                return;
            }
            let (mark, kind) = (top.mark, top.kind);
            self.operators.pop();
            self.sink.node(mark, kind);
            *operand = mark;
        }
    }
}
