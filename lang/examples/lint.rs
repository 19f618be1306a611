//! A small linter: what one can build on the typed tree alone. `lint FILE…`

use std::process::ExitCode;

use rx_lang::tree::views::{
    AttrSet, Binary, Expr, HasBindings, If, LegacyLet, LetIn, Literal, View, With,
};
use rx_lang::tree::{SyntaxNode, Tree};
use rx_lang::{LineIndex, ParseOptions, SyntaxKind};

fn main() -> ExitCode {
    let mut found = false;
    for path in std::env::args().skip(1) {
        let source = match std::fs::read(&path) {
            Ok(source) => source,
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::FAILURE;
            }
        };
        let tree = match Tree::parse(&source, &ParseOptions::default()) {
            Ok(tree) => tree,
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::FAILURE;
            }
        };
        let lines = LineIndex::new(&source);
        let mut say = |offset: u32, text: &str| {
            let at = lines.line_column(offset);
            println!("{path}:{}:{}: {text}", at.line, at.column);
            found = true;
        };
        for diagnostic in tree.diagnostics() {
            say(diagnostic.range.start, &diagnostic.message);
        }
        for node in tree.root().descendants() {
            if let Some(text) = check(&node) {
                say(tree.file_offset(node.text_range().start().into()), text);
            }
        }
    }
    if found {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// What there is to say about a node.
fn check(node: &SyntaxNode) -> Option<&'static str> {
    if LegacyLet::cast(node.clone()).is_some() {
        return Some("`let { … }` is an old form; write `let … in …`");
    }
    if let Some(set) = AttrSet::cast(node.clone()) {
        let empty = set.bindings().next().is_none() && set.inherits().next().is_none();
        return (set.rec_token().is_some() && empty).then_some("`rec` has no use in an empty set");
    }
    if let Some(binding) = LetIn::cast(node.clone()) {
        let empty = binding.bindings().next().is_none() && binding.inherits().next().is_none();
        return empty.then_some("this `let` binds nothing");
    }
    if let Some(literal) = Literal::cast(node.clone()) {
        return (literal.token()?.kind() == SyntaxKind::Uri).then_some("put URLs in quotes");
    }
    if let Some(with) = With::cast(node.clone()) {
        return matches!(with.body()?, Expr::With(_))
            .then_some("with nested `with`s it is hard to see where a name comes from");
    }
    if let Some(binary) = Binary::cast(node.clone()) {
        let compares = matches!(
            binary.operator()?.kind(),
            SyntaxKind::EqualEqual | SyntaxKind::NotEqual
        );
        return (compares && (is_boolean(binary.left()?) || is_boolean(binary.right()?)))
            .then_some("comparing with a boolean; use the value itself, or `!`");
    }
    let conditional = If::cast(node.clone())?;
    (is_boolean(conditional.yes()?) && is_boolean(conditional.no()?))
        .then_some("this is the condition itself, or `!` of it")
}

fn is_boolean(expr: Expr) -> bool {
    match expr.without_parens() {
        Some(Expr::Variable(variable)) => variable
            .name()
            .is_some_and(|name| matches!(name.text(), "true" | "false")),
        _ => false,
    }
}
