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

use crate::diagnostic::Diagnostic;
use crate::lexer::Tokens;
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
}

/// Reads a whole program into the sink; gives the sink back with what was wrong.
pub(crate) fn program<S: Sink>(
    source: &[u8],
    tokens: &Tokens,
    options: &ParseOptions<'_>,
    sink: S,
) -> Outcome<S> {
    let mut grammar = Grammar::new(source, tokens, options, sink);
    let mark = grammar.sink.mark(0);
    grammar.expression();
    grammar.expect_end();
    grammar.sink.node(mark, K::Root);
    Outcome {
        sink: grammar.sink,
        diagnostics: grammar.diagnostics,
        interrupted: grammar.interrupted,
    }
}

/// What came of reading.
pub(crate) struct Outcome<S> {
    pub(crate) sink: S,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) interrupted: bool,
}

struct Operator<M> {
    mark: M,
    kind: K,
    precedence: u8,
}

pub(crate) struct Grammar<'a, S: Sink> {
    source: &'a [u8],
    kinds: &'a [K],
    starts: &'a [u32],
    ends: &'a [u32],
    position: usize,
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

impl<'a, S: Sink> Grammar<'a, S> {
    fn new(source: &'a [u8], tokens: &'a Tokens, options: &'a ParseOptions<'a>, sink: S) -> Self {
        Grammar {
            source,
            kinds: &tokens.kinds,
            starts: &tokens.starts,
            ends: &tokens.ends,
            position: 0,
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

    /// The kind of the current token.
    #[inline(always)]
    fn current(&self) -> K {
        self.kinds[self.position]
    }

    /// The kind of a token further on.
    #[inline(always)]
    fn peek(&self, ahead: usize) -> K {
        self.kinds
            .get(self.position + ahead)
            .copied()
            .unwrap_or(K::Eof)
    }

    #[inline(always)]
    fn at(&self, kind: K) -> bool {
        self.current() == kind
    }

    /// Where the token before the current one ends.
    fn previous_end(&self) -> u32 {
        self.position
            .checked_sub(1)
            .map_or(0, |index| self.ends[index])
    }

    #[inline(always)]
    fn mark(&mut self) -> S::Mark {
        self.sink.mark(self.starts[self.position])
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
        if self.kinds[index] != K::Eof {
            self.sink.token(kind, self.starts[index], self.ends[index]);
            self.position = index + 1;
            if index & 0x3fff == 0x3fff {
                self.check_interruption();
            }
        }
    }

    #[cold]
    fn check_interruption(&mut self) {
        if self.options.interrupted.is_some_and(|check| check()) {
            self.interrupted = true;
            self.abandon();
        }
    }

    /// Goes to the end, so that everything that is open closes.
    fn abandon(&mut self) {
        self.position = self.kinds.len() - 1;
        self.reported = Some(self.position);
    }

    /// Calls `inner` one level deeper.
    #[inline(always)]
    fn nested(&mut self, inner: impl FnOnce(&mut Self)) {
        if self.depth >= MAX_DEPTH {
            self.too_deep();
        }
        self.depth += 1;
        stacker::maybe_grow(64 * 1024, 4 * 1024 * 1024, || inner(self));
        self.depth -= 1;
    }

    #[cold]
    fn too_deep(&mut self) {
        let index = self.position;
        if self.reported != Some(self.kinds.len() - 1) {
            self.diagnostics.push(Diagnostic::error(
                self.starts[index]..self.ends[index],
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
