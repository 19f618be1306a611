//! Source to compact syntax.
//!
//! Of a small source all tokens are made, then the grammar reads them. Of a large one the grammar reads the tokens piece by
//! piece, while a second thread, if the caller allows it, makes the next pieces. When such a source turns out to be wrong,
//! it is read again as if it were small.

use std::sync::mpsc::{self, RecvError};
use std::thread;

use crate::ast::Ast;
use crate::compact::{Compact, Found};
use crate::diagnostic::{Diagnostic, ParseFailure, Severity};
use crate::grammar::{self, KEPT, Outcome, Supply};
use crate::lexer::{Pieces, Token, Tokens};
use crate::options::ParseOptions;
use crate::reading::read;
use crate::syntax_kind::SyntaxKind as K;

/// Sources from this size on are read in pieces.
const LARGE: usize = 512 << 10;
/// Tokens of a piece: few enough to stay in the processor's cache, so many that the threads seldom wake each other.
const PIECE: usize = 32 << 10;
/// Pieces that one thread is ahead of the other.
const AHEAD: usize = 2;

/// Reads a program into the compact syntax.
///
/// The source is any bytes; no input makes it panic, and deep nesting does not exhaust the stack. When the program is wrong,
/// all mistakes are reported, sorted so that the first is the one that C++ Nix reports.
pub fn parse(source: &[u8], options: &ParseOptions<'_>) -> Result<Ast, ParseFailure> {
    if let Some(failure) = too_long(source) {
        return Err(failure);
    }
    if source.len() >= LARGE {
        let outcome = in_pieces(source, options);
        if outcome.interrupted {
            return Err(ParseFailure::Interrupted);
        }
        if !outcome.mistaken {
            let (ast, semantic) = outcome.sink.finish();
            return settle(ast, Vec::new(), semantic, outcome.diagnostics);
        }
    }
    let read = read(source, options, &mut |mut tokens| {
        let mut sink = Compact::new(source, options);
        grammar::Sink::documents(&mut sink, &mut tokens.docs);
        grammar::program(source, tokens, options, sink).map(Compact::finish)
    })?;
    let (ast, semantic) = read.made;
    settle(ast, read.lexical, semantic, read.syntactic)
}

fn in_pieces<'a>(source: &'a [u8], options: &'a ParseOptions<'a>) -> Outcome<Compact<'a>> {
    let read = |supply: Supply<'_>| {
        grammar::program_in_pieces(source, supply, options, Compact::new(source, options))
    };
    let mut pieces = Pieces::new(source, options, PIECE);
    let mut here = |tokens: &mut Tokens| next_piece(&mut pieces, tokens);
    if !options.two_threads {
        return read(&mut here);
    }
    thread::scope(|scope| {
        let (full, pieces_to_read) = mpsc::sync_channel::<Tokens>(AHEAD);
        let (empty, buffers) = mpsc::channel::<Tokens>();
        let lexing = move || {
            let mut pieces = Pieces::new(source, options, PIECE);
            loop {
                let mut tokens = buffers.try_recv().unwrap_or_else(|_| Tokens {
                    // A piece ends some time after it is full.
                    list: Vec::with_capacity(PIECE + PIECE / 2),
                    ..Tokens::default()
                });
                tokens.list.clear();
                next_piece(&mut pieces, &mut tokens);
                let last = tokens.list.last().is_some_and(|token| token.kind == K::Eof);
                // Nobody reads on after a mistake.
                if full.send(tokens).is_err() || last {
                    return;
                }
            }
        };
        match thread::Builder::new().spawn_scoped(scope, lexing) {
            Ok(_) => {
                let outcome = read(&mut |tokens| match pieces_to_read.recv() {
                    Ok(next) => {
                        let read = std::mem::replace(tokens, next);
                        // When the other thread has made its last piece, it needs no more buffers.
                        empty.send(read).ok();
                    }
                    // The other thread is gone without an end of its own.
                    Err(RecvError) => {
                        tokens.list.resize(KEPT, Token::NONE);
                        tokens.interrupted = true;
                    }
                });
                drop(pieces_to_read);
                outcome
            }
            Err(_) => read(&mut here),
        }
    })
}

/// The next tokens, behind places for those that are kept of the piece before.
fn next_piece(pieces: &mut Pieces<'_>, tokens: &mut Tokens) {
    tokens.list.resize(KEPT, Token::NONE);
    pieces.next(tokens);
}

/// Offsets have 32 bits.
pub(crate) fn too_long(source: &[u8]) -> Option<ParseFailure> {
    let limit = u32::MAX as usize;
    (source.len() >= limit).then(|| {
        ParseFailure::Errors(vec![Diagnostic::error(
            0..0,
            format!("a file of {limit} bytes or more cannot be read"),
        )])
    })
}

/// Puts the findings in order. Errors of tokens come before what the grammar says of the same token, and that before what
/// the construct would mean.
pub(crate) fn settle(
    mut ast: Ast,
    lexical: Vec<Diagnostic>,
    semantic: Vec<Found>,
    syntactic: Vec<Diagnostic>,
) -> Result<Ast, ParseFailure> {
    if lexical.is_empty() && semantic.is_empty() && syntactic.is_empty() {
        return Ok(ast);
    }
    let by_start = |diagnostic: Diagnostic| (diagnostic.range.start, diagnostic);
    let mut errors: Vec<Found> = lexical.into_iter().map(by_start).collect();
    for diagnostic in syntactic {
        match diagnostic.severity {
            Severity::Error => errors.push(by_start(diagnostic)),
            Severity::Warning => ast.warnings.push(diagnostic),
        }
    }
    errors.extend(semantic);
    if errors.is_empty() {
        return Ok(ast);
    }
    errors.sort_by_key(|&(at, _)| at);
    Err(ParseFailure::Errors(
        errors
            .into_iter()
            .map(|(_, diagnostic)| diagnostic)
            .collect(),
    ))
}
