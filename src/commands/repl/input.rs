//! What a text is that somebody typed: bindings, an expression, or the beginning of either.

use rx_eval::scope::Ending;
use rx_lang::ast::Expr;
use rx_lang::{Ast, ParseFailure, ParseOptions, SyntaxKind};

/// What a text is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Input {
    /// `x = 1; inherit y`
    Bindings(Ending),
    /// An expression, or what is wrong as one.
    Expression,
    /// The beginning of something.
    Incomplete,
}

/// Finds out what a text is.
///
/// Bindings are tried first, with and without their last semicolon. What is neither is incomplete when its reader
/// came to its end without having found a mistake; otherwise it is what was read further.
pub(super) fn classify(text: &[u8], options: &ParseOptions<'_>) -> Input {
    if closes_more(text, options) {
        // `a = 1; } // { b = 2;` is no list of bindings.
        return match is_incomplete(text, options) {
            true => Input::Incomplete,
            false => Input::Expression,
        };
    }
    let mut bindings_got = 0;
    for ending in [Ending::Complete, Ending::Semicolon] {
        match parse_bindings(text, ending.text(), options) {
            Ok(true) => return Input::Bindings(ending),
            Ok(false) => {}
            Err(failure) => bindings_got = bindings_got.max(first_error(&failure).0),
        }
    }
    let Err(expression) = rx_lang::parse(text, options) else {
        return Input::Expression;
    };
    let (expression_got, at_end) = first_error(&expression);
    if at_end {
        return Input::Incomplete;
    }
    // Without an ending, the reader of bindings complains about the end only if all before it was right.
    if let Err(failure) = parse_bindings(text, b"", options)
        && first_error(&failure).1
        && bindings_got > expression_got
    {
        return Input::Incomplete;
    }
    if bindings_got > expression_got + 1 && has_equals(text, options) {
        return Input::Bindings(Ending::Semicolon);
    }
    Input::Expression
}

/// Whether an expression is only begun.
pub(super) fn is_incomplete(text: &[u8], options: &ParseOptions<'_>) -> bool {
    rx_lang::parse(text, options).is_err_and(|failure| first_error(&failure).1)
}

/// Whether the text between braces is one set that is not recursive.
fn parse_bindings(
    text: &[u8],
    ending: &[u8],
    options: &ParseOptions<'_>,
) -> Result<bool, ParseFailure> {
    let framed = [b"{", text, ending].concat();
    rx_lang::parse(&framed, options).map(|ast| is_plain_set(&ast))
}

/// Whether a brace is closed that the text has not opened.
fn closes_more(text: &[u8], options: &ParseOptions<'_>) -> bool {
    let mut depth = 0;
    rx_lang::lexer::lex(text, options).list.iter().any(|token| {
        match token.kind {
            SyntaxKind::LeftBrace | SyntaxKind::DollarBrace => depth += 1,
            SyntaxKind::RightBrace => depth -= 1,
            _ => {}
        }
        depth < 0
    })
}

fn is_plain_set(ast: &Ast) -> bool {
    matches!(ast.expr(ast.root()), Expr::Attrs(set) if !ast.set(set).recursive)
}

/// Where the first error is, and whether it is that the text ends.
fn first_error(failure: &ParseFailure) -> (u32, bool) {
    failure.diagnostics().first().map_or((0, false), |first| {
        (
            first.range.start,
            first.message.contains("unexpected end of file"),
        )
    })
}

fn has_equals(text: &[u8], options: &ParseOptions<'_>) -> bool {
    rx_lang::lexer::lex(text, options)
        .list
        .iter()
        .any(|token| token.kind == SyntaxKind::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(text: &str) -> Input {
        classify(text.as_bytes(), &ParseOptions::default())
    }

    #[test]
    fn bindings_are_told_from_expressions() {
        for text in [
            "x = 1",
            "x = 1;",
            "a = 1; b = 2",
            "a.b.c = [ 1 ];",
            "inherit x",
            "inherit (a) b c;",
            "\"q r\" = 1",
            "${\"x\"} = 3",
            "x = 1 # comment",
            "f = x: x == 1",
        ] {
            assert!(matches!(what(text), Input::Bindings(_)), "{text}");
        }
        for text in [
            "1",
            "x",
            "a.b.c",
            "x == 1",
            "{ x = 1; }",
            "let x = 1; in x",
            "x: x",
            "a = 1; } // { b = 2",
            "} { ",
        ] {
            assert_eq!(what(text), Input::Expression, "{text}");
        }
    }

    #[test]
    fn a_beginning_asks_for_more() {
        for text in [
            "{",
            "[ 1",
            "x = [ 1",
            "x =",
            "x = ''\n  text",
            "\"abc",
            "let x = 1;",
            "1 +",
            "x:",
            "f = x: let y = 1;",
            "inherit (a",
            "y = f ''",
            "if true then",
        ] {
            assert_eq!(what(text), Input::Incomplete, "{text}");
        }
    }

    #[test]
    fn mistakes_are_not_waited_for() {
        for text in [")", "1 )", "x = )", "= 1", "{ a = ; ", "let in )"] {
            assert_ne!(what(text), Input::Incomplete, "{text}");
        }
    }
}
