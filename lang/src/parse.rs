//! Source to compact syntax.

use crate::ast::Ast;
use crate::compact::{Compact, Found};
use crate::diagnostic::{Diagnostic, ParseFailure, Severity};
use crate::grammar;
use crate::lexer::{Tokens, lex};
use crate::options::ParseOptions;

/// Reads a program into the compact syntax.
///
/// The source is any bytes; no input makes it panic, and deep nesting does not exhaust the stack. When the program is wrong,
/// all mistakes are reported, sorted so that the first is the one that C++ Nix reports.
pub fn parse(source: &[u8], options: &ParseOptions<'_>) -> Result<Ast, ParseFailure> {
    if let Some(failure) = too_long(source) {
        return Err(failure);
    }
    parse_tokens(source, lex(source, options), options)
}

/// Reads the tokens of a program into the compact syntax.
pub fn parse_tokens(
    source: &[u8],
    mut tokens: Tokens,
    options: &ParseOptions<'_>,
) -> Result<Ast, ParseFailure> {
    let sink = Compact::new(source, options, std::mem::take(&mut tokens.docs));
    let outcome = grammar::program(source, &tokens, options, sink);
    if outcome.interrupted || tokens.interrupted {
        return Err(ParseFailure::Interrupted);
    }
    let (ast, semantic) = outcome.sink.finish();
    settle(ast, tokens.errors, semantic, outcome.diagnostics)
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
