//! Deep and long programs: read, printed, resolved and freed without exhausting the stack, in linear time.

use rx_lang::print::{Paths, parse_form};
use rx_lang::scope::Resolver;
use rx_lang::tree::{Tree, dump, to_json};
use rx_lang::{ParseFailure, ParseOptions, parse};

/// Reads, resolves and prints; also by way of the tree.
fn works(source: &str) -> usize {
    let options = ParseOptions::default();
    let ast = parse(source.as_bytes(), &options).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(Resolver::new([]).undefined(&ast).is_empty());
    let form = parse_form(&ast, &Paths::AsWritten);
    let tree =
        Tree::parse(source.as_bytes(), &options).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(tree.to_bytes(), source.as_bytes());
    let lowered = tree
        .lower(&options)
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert!(parse_form(&lowered, &Paths::AsWritten) == form);
    form.len()
}

fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
    [&open.repeat(times), inner, &close.repeat(times)].concat()
}

fn chain(item: &str, operator: &str) -> String {
    vec![item; 200_000].join(operator)
}

fn many_bindings() -> String {
    let names: Vec<String> = (0..200_000).map(|i| format!("a{i} = {i}; ")).collect();
    names.concat()
}

#[test]
fn what_the_reference_accepts_is_accepted() {
    works(&nested("(", "1", ")", 200_000));
    works(&nested("if 1 then ", "1", " else 1", 60_000));
    works(&nested("let a = 1; in ", "1", "", 60_000));
    works(&nested("let a = ", "1", "; in a", 60_000));
    works(&nested("x: ", "x", "", 100_000));
    works(&nested("[", "", "]", 100_000));
}

#[test]
fn other_deep_forms_are_safe() {
    works(&nested("{ a = ", "1", "; }", 50_000));
    works(&nested("\"${", "1", "}\"", 50_000));
    works(&nested("''${", "1", "}''", 50_000));
    works(&nested("x: x (", "1", ")", 50_000));
    works(&nested("with { }; ", "1", "", 50_000));
    works(&nested("assert 1; ", "1", "", 50_000));
    works(&nested("{ }.a or ", "1", "", 50_000));
    works(&nested("!", "1", "", 200_000));
    works(&nested("- ", "1", "", 200_000));
}

#[test]
fn long_chains_are_linear() {
    works(&chain("1", "+"));
    works(&chain("1", " // "));
    works(&chain("1", " -> "));
    works(&format!("x: x{}", ".a".repeat(60_000)));
    works(&format!("{{ {} = 1; }}", vec!["a"; 60_000].join(".")));
    works(&format!("x: x{}", " x".repeat(200_000)));
    works(&format!("{{ {} }}", many_bindings()));
    assert!(parse("/* ".repeat(100_000).as_bytes(), &ParseOptions::default()).is_err());
}

#[test]
fn nesting_beyond_the_bound_is_an_error() {
    let source = "(".repeat(400_000);
    let Err(ParseFailure::Errors(errors)) = parse(source.as_bytes(), &ParseOptions::default())
    else {
        panic!("accepted")
    };
    assert!(
        errors[0].message.contains("levels deep"),
        "{}",
        errors[0].message
    );
}

#[test]
fn a_deep_tree_can_be_shown_and_dropped() {
    let tree = Tree::parse(
        nested("(", "1", ")", 20_000).as_bytes(),
        &ParseOptions::default(),
    )
    .expect("short enough");
    assert!(dump(&tree).lines().count() > 60_000);
    assert!(to_json(&tree).len() > 1_000_000);
    let root = tree.root();
    drop(tree);
    drop(root);
}

#[test]
fn reading_stops_when_asked_to() {
    let source = "[ 1 2 3 ] ++ ".repeat(100_000);
    let options = ParseOptions {
        interrupted: Some(&|| true),
        ..ParseOptions::default()
    };
    assert!(matches!(
        parse(source.as_bytes(), &options),
        Err(ParseFailure::Interrupted)
    ));
    assert!(matches!(
        Tree::parse(source.as_bytes(), &options),
        Err(ParseFailure::Interrupted)
    ));
}
