//! The grammar: tokens to events, with recovery from mistakes.
//!
//! There is one grammar. It drives a [`Sink`], of which there are two: the compact syntax and the lossless tree.
//! Events come in source order: a token, or *these children since that mark are a node*. So a sink that keeps a stack
//! sees every node after its children, and one that builds a tree can wrap what it has.
//!
//! Parsing does not fail: a mistake becomes a diagnostic, and reading goes on where the next thing plainly begins.
//! What a message says it expected is what C++ Nix would say at that place.
//!
//! Nesting uses the native stack, which grows on the heap as needed, up to [`MAX_DEPTH`] levels. Chains that nest to the right
//! (`a: b: …`, `with a; with b; …`, operators, prefixes, `or` defaults) use none.

mod bindings;
mod expressions;
mod operators;
mod recover;
mod strings;

use std::ops::Range;

use crate::ast::DocComment;
use crate::diagnostic::Diagnostic;
use crate::lexer::{Token, Tokens};
use crate::options::ParseOptions;
use crate::syntax_kind::SyntaxKind as K;

/// How deep expressions can nest.
pub const MAX_DEPTH: u32 = 300_000;

/// What receives the events of the grammar.
pub(crate) trait Sink {
    /// A place among the events.
    type Mark: Copy;

    /// A mark before the token that begins at `start`.
    fn mark(&mut self, start: u32) -> Self::Mark;

    /// The next token. Those of no meaning to the sink may be ignored.
    fn token(&mut self, kind: K, start: u32, end: u32);

    /// All events since the mark are one node.
    fn node(&mut self, mark: Self::Mark, kind: K);

    /// An expression stands here that the program lacks.
    fn missing_expression(&mut self);

    /// A name stands here that the program lacks.
    fn missing_name(&mut self);

    /// Doc comments before the tokens that come next.
    fn documents(&mut self, _docs: &mut Vec<(u32, DocComment)>) {}
}

/// Fills a buffer with [`KEPT`] places and then the next tokens, of which the last is [`Eof`](K::Eof).
pub(crate) type Supply<'a> = &'a mut dyn FnMut(&mut Tokens);

/// So many tokens of a piece are still needed when the next one comes, which has room for them at its beginning.
pub(crate) const KEPT: usize = LOOKAHEAD + 1;

/// Reads a whole program into the sink; gives the sink back with what was wrong.
pub(crate) fn program<S: Sink>(
    source: &[u8],
    tokens: Tokens,
    options: &ParseOptions<'_>,
    sink: S,
) -> Outcome<S> {
    Grammar::new(source, tokens, None, options, sink).program()
}

/// Reads a program of which there is never more than a piece in memory. The first mistake ends it: to say what is wrong
/// takes all tokens.
pub(crate) fn program_in_pieces<S: Sink>(
    source: &[u8],
    supply: Supply<'_>,
    options: &ParseOptions<'_>,
    sink: S,
) -> Outcome<S> {
    let mut grammar = Grammar::new(source, Tokens::default(), Some(supply), options, sink);
    grammar.refill();
    grammar.program()
}

/// What came of reading.
pub(crate) struct Outcome<S> {
    pub(crate) sink: S,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) interrupted: bool,
    /// There is a mistake, of which nothing is said since the program was read in pieces.
    pub(crate) mistaken: bool,
}

impl<S> Outcome<S> {
    /// Makes something of the sink.
    pub(crate) fn map<T>(self, make: impl FnOnce(S) -> T) -> Outcome<T> {
        Outcome {
            sink: make(self.sink),
            diagnostics: self.diagnostics,
            interrupted: self.interrupted,
            mistaken: self.mistaken,
        }
    }
}

struct Operator<M> {
    mark: M,
    kind: K,
    precedence: u8,
}

pub(crate) struct Grammar<'a, S: Sink> {
    source: &'a [u8],
    /// The tokens, or a window on them.
    tokens: Vec<Token>,
    position: usize,
    /// When the position is here, there is something to do beside reading.
    pause_at: usize,
    supply: Option<Supply<'a>>,
    /// An empty buffer for the next piece.
    piece: Tokens,
    in_pieces: bool,
    mistaken: bool,
    sink: S,
    diagnostics: Vec<Diagnostic>,
    /// The token of the last message: one mistake gets one message.
    reported: Option<usize>,
    /// Nodes whose last child is being read.
    pending: Vec<(S::Mark, K)>,
    operators: Vec<Operator<S::Mark>>,
    /// How many enclosing constructs wait for a token of that kind.
    awaited: [u32; AWAITED],
    depth: u32,
    options: &'a ParseOptions<'a>,
    interrupted: bool,
}

const AWAITED: usize = K::IndentedClose as usize + 1;

/// So many tokens after the current one are always there.
const LOOKAHEAD: usize = 8;
/// Levels between two looks at how much stack there is.
const LEVELS: u32 = 8;
/// Tokens between two looks at whether the user wants to stop.
const PATIENCE: usize = 0x4000;

impl<'a, S: Sink> Grammar<'a, S> {
    fn new(
        source: &'a [u8],
        tokens: Tokens,
        supply: Option<Supply<'a>>,
        options: &'a ParseOptions<'a>,
        sink: S,
    ) -> Self {
        Grammar {
            source,
            tokens: tokens.list,
            position: 0,
            pause_at: PATIENCE,
            in_pieces: supply.is_some(),
            supply,
            piece: Tokens::default(),
            mistaken: false,
            sink,
            diagnostics: Vec::new(),
            reported: None,
            pending: Vec::new(),
            operators: Vec::new(),
            awaited: [0; AWAITED],
            depth: 0,
            options,
            interrupted: tokens.interrupted,
        }
    }

    fn program(mut self) -> Outcome<S> {
        let mark = self.sink.mark(0);
        self.expression();
        self.expect_end();
        self.sink.node(mark, K::Root);
        Outcome {
            sink: self.sink,
            diagnostics: self.diagnostics,
            interrupted: self.interrupted,
            mistaken: self.mistaken,
        }
    }

    /// The kind of the current token.
    #[inline(always)]
    fn current(&self) -> K {
        self.tokens[self.position].kind
    }

    /// The kind of a token further on.
    #[inline(always)]
    fn peek(&self, ahead: usize) -> K {
        self.tokens
            .get(self.position + ahead)
            .map_or(K::Eof, |token| token.kind)
    }

    #[inline(always)]
    fn at(&self, kind: K) -> bool {
        self.current() == kind
    }

    /// Where the token before the current one ends.
    fn previous_end(&self) -> u32 {
        self.position
            .checked_sub(1)
            .map_or(0, |index| self.tokens[index].end)
    }

    #[inline(always)]
    fn mark(&mut self) -> S::Mark {
        self.sink.mark(self.tokens[self.position].start)
    }

    /// Takes the current token.
    #[inline(always)]
    fn bump(&mut self) {
        self.bump_as(self.current());
    }

    /// Takes the current token, whose kind is known to the caller or is to be another than it was read as.
    #[inline(always)]
    fn bump_as(&mut self, kind: K) {
        let index = self.position;
        let token = self.tokens[index];
        if token.kind != K::Eof {
            self.sink.token(kind, token.start, token.end);
            self.position = index + 1;
            if self.position >= self.pause_at {
                self.pause();
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn pause(&mut self) {
        if self.options.interrupted.is_some_and(|check| check()) {
            self.interrupted = true;
            self.abandon();
        } else if self.supply.is_some() {
            self.refill();
        } else {
            self.pause_at = self.position + PATIENCE;
        }
    }

    /// Moves the window: the token before the current one and those after it stay, the next piece comes.
    fn refill(&mut self) {
        while let Some(supply) = &mut self.supply
            && self.tokens.len() <= self.position + LOOKAHEAD
        {
            let passed = self.position.saturating_sub(1);
            let kept = &self.tokens[passed..];
            self.position -= passed;
            let piece = &mut self.piece;
            piece.list.clear();
            supply(piece);
            match KEPT.checked_sub(kept.len()) {
                Some(first) => {
                    piece.list[first..KEPT].copy_from_slice(kept);
                    self.position += first;
                    std::mem::swap(&mut self.tokens, &mut piece.list);
                }
                // The piece before was a short one.
                None => {
                    self.tokens.drain(..passed);
                    self.tokens.extend_from_slice(&piece.list[KEPT..]);
                }
            }
            self.sink.documents(&mut piece.docs);
            self.interrupted |= piece.interrupted;
            self.mistaken |= !piece.errors.is_empty();
            if self.interrupted || self.mistaken || self.all_here() {
                self.supply = None;
            }
        }
        if self.interrupted || self.mistaken {
            self.abandon();
        }
        self.pause_at = match self.supply {
            Some(_) => self.tokens.len() - LOOKAHEAD,
            None => self.position + PATIENCE,
        };
    }

    /// Whether the last token is the program's last.
    fn all_here(&self) -> bool {
        self.tokens.last().is_some_and(|last| last.kind == K::Eof)
    }

    /// Goes to the end, so that everything that is open closes.
    fn abandon(&mut self) {
        self.supply = None;
        if !self.all_here() {
            let end = self.tokens.last().map_or(0, |token| token.end);
            self.tokens.push(Token {
                kind: K::Eof,
                start: end,
                end,
            });
        }
        self.position = self.tokens.len() - 1;
        self.reported = Some(self.position);
    }

    /// Where a token stands.
    fn range(&self, index: usize) -> Range<u32> {
        let token = self.tokens[index];
        token.start..token.end
    }

    /// Calls `inner` one level deeper.
    #[inline(always)]
    fn nested(&mut self, inner: impl FnOnce(&mut Self)) {
        if self.depth >= MAX_DEPTH {
            self.too_deep();
        }
        self.depth += 1;
        // The room that is made sure of is for more than these levels.
        if self.depth % LEVELS == 1 {
            stacker::maybe_grow(128 * 1024, 4 * 1024 * 1024, || inner(self));
        } else {
            inner(self);
        }
        self.depth -= 1;
    }

    #[cold]
    fn too_deep(&mut self) {
        let index = self.position;
        self.mistaken = true;
        if self.reported != Some(self.tokens.len() - 1) {
            self.diagnostics.push(Diagnostic::error(
                self.range(index),
                format!("expressions nest more than {MAX_DEPTH} levels deep"),
            ));
        }
        self.abandon();
    }

    /// While `inner` runs, a token of this kind ends what is inside.
    #[inline(always)]
    fn awaiting(&mut self, kind: K, inner: impl FnOnce(&mut Self)) {
        self.awaited[kind as usize] += 1;
        inner(self);
        self.awaited[kind as usize] -= 1;
    }

    fn is_awaited(&self, kind: K) -> bool {
        self.awaited
            .get(kind as usize)
            .is_some_and(|&count| count > 0)
    }
}
