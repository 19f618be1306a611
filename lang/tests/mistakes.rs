//! Programs with several mistakes: each is reported once, where it is, with advice.

use rx_lang::{Diagnostic, LineIndex, ParseFailure, ParseOptions, parse};

fn mistakes(source: &str) -> Vec<Diagnostic> {
    match parse(source.as_bytes(), &ParseOptions::default()) {
        Err(ParseFailure::Errors(all)) => all,
        other => panic!("{other:?}"),
    }
}

/// The lines of the mistakes.
fn lines(source: &str) -> Vec<u32> {
    let index = LineIndex::new(source.as_bytes());
    mistakes(source)
        .iter()
        .map(|mistake| index.line_column(mistake.range.start).line)
        .collect()
}

/// The only mistake: the text at fault and the advice.
fn one(source: &str) -> (String, String) {
    let all = mistakes(source);
    assert_eq!(all.len(), 1, "{source}: {all:#?}");
    let range = all[0].range.start as usize..all[0].range.end as usize;
    (
        source[range].to_owned(),
        all[0].help.clone().unwrap_or_default(),
    )
}

#[test]
fn five_mistakes_give_five_diagnostics() {
    let source = "\
{ pkgs }:
let
  a = [ 1, 2 ];
  b = if x then 1;
  c: 3;
  d = { x = 1 y = 2; };
  e = (f 1;
in a
";
    assert_eq!(lines(source), [3, 4, 5, 6, 7]);
}

#[test]
fn bindings_that_are_wrong_do_not_hide_the_next_ones() {
    let source = "\
{
  a = ;
  b = 1 +;
  c.if = 2;
  d = 3;
  d = 4;
  inherit x.y;
  e = { ^ };
}
";
    assert_eq!(lines(source), [2, 3, 4, 6, 7, 8]);
}

#[test]
fn usual_slips_get_advice() {
    let table = [
        ("{ a = 1 b = 2; }", "=", "every binding ends with `;`"),
        ("{ a = 1 }", "}", "every binding ends with `;`"),
        ("{ a: 1; }", ":", "name = value;"),
        ("[ 1, 2 ]", ",", "separated by spaces"),
        ("[ if a then b else c ]", "if", "parentheses"),
        ("f (1, 2)", ",", "arguments are separated by spaces"),
        ("if a then b", "", "every `if` has an `else`"),
        ("{ inherit a, b; }", ",", "separated by spaces"),
        ("{ inherit a.b; }", ".", "inherit (a) b"),
        ("{ a, ..., b }: a", ",", "stands last"),
        ("{ a = 1, }", ",", "bindings end with `;`"),
        ("{ if = 1; }", "if", "quotes"),
        ("a == b == c", "==", "parentheses"),
        ("{ a ? 1, b = 2 }: a", "=", "name ? value"),
        ("${a}", "${", "belongs in a string"),
        ("1 + if a then b else c", "if", "parentheses"),
        ("{ a = 1; };", ";", ""),
        ("{ a = 1;; }", ";", "too many"),
    ];
    for (source, at_fault, advice) in table {
        let (found, help) = one(source);
        assert_eq!(found, at_fault, "{source}");
        assert!(help.contains(advice), "{source}: {help}");
    }
}

#[test]
fn what_is_not_closed_is_shown_where_it_was_opened() {
    for (source, open) in [
        ("( 1", 0),
        ("{ a = 1;", 0),
        ("[ 1 2", 0),
        ("x \"abc", 2),
        ("x ''abc", 2),
        ("\"${a", 1),
        ("let a = 1;", 0),
    ] {
        let all = mistakes(source);
        assert!(
            all[0].labels.iter().any(|label| label.range.start == open),
            "{source}: {all:#?}"
        );
    }
}

#[test]
fn a_missing_semicolon_is_shown_where_it_belongs() {
    let all = mistakes("{\n  a = 1\n  b = 2;\n}");
    assert_eq!(all[0].labels[0].range, 9..9);
}

/// The texts of the labels of the only mistake, with the columns where they are.
fn labels(source: &str) -> Vec<(u32, String)> {
    let all = mistakes(source);
    assert_eq!(all.len(), 1, "{source}: {all:#?}");
    let labels = all[0].labels.iter();
    labels
        .map(|label| (label.range.start, label.text.clone()))
        .collect()
}

#[test]
fn an_interpolation_that_is_not_closed_is_shown_where_it_was_opened() {
    assert_eq!(labels("\"a ${ b"), [(3, "'${' is not closed".to_owned())]);
    // The quote that was to end the string begins another one.
    for source in ["\"a ${ b \"", "''a ${ b ''", "\"a ${b c\" + \"x\""] {
        let opened = source.find("${").unwrap() as u32;
        let found = labels(source);
        let label = found.iter().find(|label| label.0 == opened);
        assert!(
            label.is_some_and(|label| label.1.starts_with("'${' is not closed")),
            "{source}: {found:?}"
        );
    }
    assert_eq!(
        labels("{ a = \"${b}\"; c = \"d; }"),
        [(18, "the string begins here".to_owned())]
    );
}

#[test]
fn a_comment_that_does_not_end_is_one_mistake() {
    let advice = "a comment that begins with `/*` ends with `*/`";
    assert_eq!(one("/* a b c").1, advice);
    assert_eq!(one("{ a = 1; } /* ; ; }").1, advice);
    assert_eq!(one("[ 1 /* 2 ]").1, advice);
}

#[test]
fn an_end_of_a_string_that_was_forgotten_hides_no_further_mistakes() {
    let table: [(&str, &[u32]); 6] = [
        ("{\n  a = \"one;\n  b: 2;\n  c = [ 1, 2 ];\n}\n", &[2, 3, 4]),
        ("{\n  a = \"one-${b\";\n  c = 1\n  d = 2;\n}\n", &[2, 4]),
        (
            "{\n  a = ''\n    echo ${b\n    c\n  '';\n  d = [ 1, 2 ];\n}\n",
            &[3, 6],
        ),
        ("{\n  a = ''\n    text\n  ;\n  b: 1;\n}\n", &[3, 5]),
        (
            "{\n  a = [\n    \"x\"\n    \"y\n    \"z\"\n  ];\n  b: 1;\n}\n",
            &[4, 7],
        ),
        ("{\n  a = (f \"x);\n  b: 1;\n}\n", &[2, 3]),
    ];
    for (source, expected) in table {
        assert_eq!(lines(source), expected, "{source}");
    }
}

#[test]
fn a_string_of_several_lines_stays_whole_beside_a_mistake() {
    let source = "{\n  a = \"\n    b = 1;\n\";\n  c = ''\n    }\n    d = 1;\n  '';\n  e: 1;\n}\n";
    assert_eq!(lines(source), [9]);
}

#[test]
fn slips_from_other_languages_are_one_mistake_each_and_get_advice() {
    let table = [
        ("{ a = x & y; b = 1; }", "&", "`&&`"),
        ("{ a = x % y; b = 1; }", "%", "remainder"),
        ("{ a = 'x'; b = 1; }", "'", "double quotes"),
        ("{ f = x => x + 1; b = 1; }", "=", "parameter: body"),
        ("{ f = { a, b } => a; b = 1; }", "=", "parameter: body"),
        ("{ a := 1; b = 1; }", ":", "name = value;"),
        ("{ a = = 1; b = 1; }", "=", "one `=`"),
        ("{ a = b === c; b = 1; }", "=", "`==` compares"),
        ("{ a = b =! c; b = 1; }", "=", "`!=`"),
        ("{ a = f x, y; b = 1; }", ",", "arguments are separated"),
        ("{ a = [ 1; 2 ]; b = 1; }", ";", "separated by spaces alone"),
        ("{ a = (f x)); b = 1; }", ")", "nothing is open"),
        ("{ let a = 1; in b = a; c = 1; }", "let", "before the set"),
        ("{ // a\n  b = 1; }", "//", "comments begin"),
        ("{ my name = 1; b = 1; }", "name", "no spaces"),
        ("{ 3d = 1; b = 1; }", "3", "begins with a letter"),
        ("{ = 1; b = 1; }", "=", "a name is missing"),
        ("{ inherit a = 1; b = 1; }", "=", "without `inherit`"),
        (
            "{ a = if x then 1 elseif y then 2 else 3; }",
            "then",
            "`else if`",
        ),
        ("{ a = 1; };", ";", "one expression"),
        ("{ a = { }; };\n  b = 1;\n}", ";", "one too many"),
        ("let\n  a = 1;\na + 1", "+", "end with `in`"),
        ("let\n  a = 1;\n{ b = a; }", "{", "end with `in`"),
        ("if a = 1 then b else c", "=", "compared with `==`"),
        ("rec [ 1 ]", "[", "before a set"),
        ("{ a b, c }: a", "b", ""),
        ("{ a.${b = 1; c = 1; }", "=", ""),
    ];
    for (source, at, advice) in table {
        let (found, help) = one(source);
        assert_eq!(found, at, "{source}");
        assert!(help.contains(advice), "{source}: {help}");
    }
}

#[test]
fn a_brace_that_is_not_closed_is_the_one_that_the_indentation_says() {
    let source = "{\n  a = {\n    b = 1;\n  c = 2;\n}\n";
    let opened = source.find("{\n    b").unwrap() as u32;
    assert_eq!(labels(source), [(opened, "'{' is not closed".to_owned())]);
}

#[test]
fn a_set_in_a_list_that_is_not_closed_ends_before_the_next_one() {
    assert_eq!(
        lines("{\n  a = [\n    { b = 1;\n    { b = 2; }\n  ];\n  c: 1;\n}\n"),
        [4, 6]
    );
}

#[test]
fn what_is_wrong_inside_of_the_last_binding_comes_before_what_that_binding_means() {
    let all = mistakes("{ a = 1; a = let b = 1; b = 2; in b; }");
    let messages: Vec<&str> = all.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "attribute 'b' already defined",
            "attribute 'a' already defined"
        ]
    );
}
