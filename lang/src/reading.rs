//! Reading all tokens of a program into a sink; a wrong program twice, if ends of strings seem to be missing.
//!
//! The first mistake is always called what C++ Nix calls it, wherever the second reading puts it.

use crate::diagnostic::{Diagnostic, ParseFailure, Severity};
use crate::grammar::Outcome;
use crate::lexer::careful::Missing;
use crate::lexer::{Tokens, lex, lex_carefully};
use crate::options::ParseOptions;
use crate::syntax_kind::SyntaxKind as K;

/// What came of reading a program.
pub(crate) struct Read<R> {
    /// What the sink made.
    pub(crate) made: R,
    /// What is wrong with single tokens.
    pub(crate) lexical: Vec<Diagnostic>,
    /// What the grammar says.
    pub(crate) syntactic: Vec<Diagnostic>,
}

/// Reads a program. `run` reads its tokens into a new sink.
pub(crate) fn read<R>(
    source: &[u8],
    options: &ParseOptions<'_>,
    run: &mut dyn FnMut(Tokens) -> Outcome<R>,
) -> Result<Read<R>, ParseFailure> {
    let first = read_tokens(lex(source, options), run)?;
    let Some(mistake) = first.first_mistake() else {
        return Ok(first.read);
    };
    let (tokens, missing) = lex_carefully(source, options);
    let Some(earliest) = missing.iter().map(|one| one.at).min() else {
        return Ok(first.read);
    };
    let mut second = read_tokens(tokens, run)?;
    let (before, after) = (first.mistakes(), second.mistakes() + missing.len());
    let plausible = first.ends_in_string && (!second.ends_in_string || after <= before);
    if !plausible && after > before {
        return Ok(first.read);
    }
    let known = (mistake.range.start >= earliest).then(|| mistake.message.clone());
    let mut found: Vec<Diagnostic> = missing.iter().map(missing_end).collect();
    found.sort_by_key(|one| one.range.start);
    if let (Some(message), Some(first)) = (known, found.first_mut()) {
        first.message = message;
    }
    second.read.lexical.append(&mut found);
    second.read.lexical.sort_by_key(|one| one.range.start);
    Ok(second.read)
}

/// One reading.
struct Reading<R> {
    read: Read<R>,
    ends_in_string: bool,
}

impl<R> Reading<R> {
    /// The mistakes of the grammar.
    fn syntax_errors(&self) -> impl Iterator<Item = &Diagnostic> {
        let all = self.read.syntactic.iter();
        all.filter(|one| one.severity == Severity::Error)
    }

    /// The first mistake, if the grammar finds one.
    fn first_mistake(&self) -> Option<&Diagnostic> {
        self.syntax_errors().min_by_key(|one| one.range.start)
    }

    fn mistakes(&self) -> usize {
        self.syntax_errors().count()
    }
}

fn read_tokens<R>(
    mut tokens: Tokens,
    run: &mut dyn FnMut(Tokens) -> Outcome<R>,
) -> Result<Reading<R>, ParseFailure> {
    let lexical = std::mem::take(&mut tokens.errors);
    let ends_in_string = tokens.ends_in_string;
    let outcome = run(tokens);
    if outcome.interrupted {
        return Err(ParseFailure::Interrupted);
    }
    Ok(Reading {
        read: Read {
            made: outcome.sink,
            lexical,
            syntactic: outcome.diagnostics,
        },
        ends_in_string,
    })
}

/// What to say of an end that is missing.
fn missing_end(missing: &Missing) -> Diagnostic {
    let (message, label, opener, begins) = match missing.what {
        K::RightBrace => (
            "syntax error, unexpected end of string, expecting '}'",
            "'}' is missing",
            2,
            "'${' is not closed",
        ),
        K::IndentedClose => (
            "syntax error, unexpected end of text, expecting end of an indented string",
            "`''` is missing",
            2,
            "the string begins here",
        ),
        _ => (
            "syntax error, unexpected end of line, expecting '\"'",
            "'\"' is missing",
            1,
            "the string begins here",
        ),
    };
    let mut found = Diagnostic::error(missing.at..missing.at, message)
        .with_label(missing.open..missing.open + opener, begins);
    found.label = Some(label.to_owned());
    found
}
