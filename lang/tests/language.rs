//! What programs mean, by their printed form; and what is refused, with which words.
//!
//! The expectations are what C++ Nix 2.34 answers.

use rx_lang::print::{Paths, parse_form};
use rx_lang::{ParseOptions, parse};

fn printed(source: &str) -> String {
    let options = ParseOptions {
        pipe_operators: true,
        ..ParseOptions::default()
    };
    let ast =
        parse(source.as_bytes(), &options).unwrap_or_else(|failure| panic!("{source}: {failure}"));
    let paths = Paths::Resolved {
        base: b"/base",
        home: b"/home",
    };
    String::from_utf8_lossy(&parse_form(&ast, &paths)).into_owned()
}

fn refused(source: &str) -> String {
    match parse(source.as_bytes(), &ParseOptions::default()) {
        Ok(_) => panic!("accepted: {source}"),
        Err(failure) => failure.to_string(),
    }
}

fn all_print(table: &[(&str, &str)]) {
    for (source, form) in table {
        assert_eq!(printed(source), *form, "{source}");
    }
}

#[test]
fn operators_bind_as_documented() {
    all_print(&[
        ("1 + 2 * 3 - 4 / 5", "(__sub (1 + (__mul 2 3)) (__div 4 5))"),
        ("a: b: a ++ b ++ [ ]", "(a: (b: (a ++ (b ++ [ ]))))"),
        ("a: b: c: a // b // c", "(a: (b: (c: (a // (b // c)))))"),
        ("a: b: c: a -> b -> c", "(a: (b: (c: (a -> (b -> c)))))"),
        (
            "a: b: !a + b && a || b",
            "(a: (b: (((! (a + b)) && a) || b)))",
        ),
        ("a: -a.b ? c", "(a: (((__sub 0 (a).b)) ? c))"),
        (
            "a: b: a < b == (b > a)",
            "(a: (b: ((__lessThan a b) == (__lessThan a b))))",
        ),
        (
            "a: b: [ (a <= b) (a >= b) ]",
            "(a: (b: [ ((! (__lessThan b a))) ((! (__lessThan a b))) ]))",
        ),
        (
            "a: - - a - -a",
            "(a: (__sub (__sub 0 (__sub 0 a)) (__sub 0 a)))",
        ),
        ("a: -!a * a", "(a: (__sub 0 (! (__mul a a))))"),
        ("a: a ? b ? c", "(a: ((((a) ? b)) ? c))"),
    ]);
}

#[test]
fn calls_take_all_their_arguments_at_once() {
    all_print(&[
        ("f: f 1 2 3", "(f: (f 1 2 3))"),
        ("f: (f 1) 2", "(f: (f 1 2))"),
        ("f: (-f) 1", "(f: (__sub 0 f 1))"),
        ("f: f (f 1) 2", "(f: (f (f 1) 2))"),
        ("<a/b> 1", "(__findFile __nixPath \"a/b\" 1)"),
        ("f: 1 |> f |> f 2", "(f: (f 2 (f 1)))"),
        ("f: f <| f 2 <| 1", "(f: (f (f 2 1)))"),
    ]);
}

#[test]
fn the_old_or_is_still_a_name() {
    all_print(&[
        ("{ or = 1; }.or", "({ or = 1; }).or"),
        ("f: x: (f x) or x", "(f: (x: ((f x) or x)))"),
        ("x: (-x) or", "(x: ((__sub 0 x) or))"),
        (
            "map: let or = 1; in map or",
            "(map: (let or = 1; in (map or)))",
        ),
        ("x: x.a or x.b or 1", "(x: (x).a or ((x).b or (1)))"),
    ]);
}

#[test]
fn sets_merge_by_their_paths() {
    all_print(&[
        (
            "{ a.b = 1; a.c.d = 2; }",
            "{ a = { b = 1; c = { d = 2; }; }; }",
        ),
        (
            "{ a = { b = 1; }; a = { c = 2; }; }",
            "{ a = { b = 1; c = 2; }; }",
        ),
        (
            "{ a = rec { b = 1; }; a.c = 2; }",
            "{ a = rec { b = 1; c = 2; }; }",
        ),
        (
            "{ a.c = 2; a = rec { b = 1; }; }",
            "{ a = { b = 1; c = 2; }; }",
        ),
        (
            "{ a = ({ b = 1; }); a.c = 2; }",
            "{ a = { b = 1; c = 2; }; }",
        ),
        (
            "x: { a = { inherit (x) p; }; a = { inherit (x.y) q; }; }",
            "(x: { a = { inherit (x) p; inherit ((x).y) q; }; })",
        ),
        (
            "x: { ${x}.a = 1; b.${x} = 2; }",
            "(x: { b = { \"${x}\" = 2; }; \"${x}\" = { a = 1; }; })",
        ),
        (
            "{ ${\"a\"} = 1; ${''b''} = 2; \"c d\" = 3; \"if\" = 4; }",
            "{ a = 1; b = 2; \"c d\" = 3; \"if\" = 4; }",
        ),
        (
            "let { a = 1; body = a; }",
            "(rec { a = 1; body = a; }).body",
        ),
        (
            "x: { inherit x; inherit ({ }) b a; }",
            "(x: { inherit x; inherit ({ }) a b; })",
        ),
    ]);
}

#[test]
fn functions_print_their_patterns_sorted() {
    all_print(&[
        ("{ b, a ? 1, ... }@c: a", "({ a ? 1, b, ... } @ c: a)"),
        ("c@{ }: c", "({  } @ c: c)"),
        ("{ ... }: 1", "({ ... }: 1)"),
        ("{ a, }: a", "({ a }: a)"),
    ]);
}

#[test]
fn strings_lose_escapes_and_indentation() {
    all_print(&[
        (
            r#""a\n\t\r\\\"\${b}$${c}$""#,
            r#""a\n\t\r\\\"\${b}$\${c}$""#,
        ),
        ("\"a\r\nb\rc\"", "\"a\\nb\\nc\""),
        ("''\n  a\n    b\n\n  c\n''", "\"a\\n  b\\n\\nc\\n\""),
        ("''  a\n   b''", "\"a\\n b\""),
        (
            "''\n  a ''${b} '''' ''\\n\n''",
            r#"("a " + "$" + "{b} " + "''" + "' " + "\n" + "\n")"#,
        ),
        ("x: ''\n  ${x}\n   b\n  ''", "(x: (x + \"\\n b\\n\"))"),
        ("''\n    \n  a\n  ''", "\"  \\na\\n\""),
        ("''\ta\n  b''", "\"\\ta\\n  b\""),
        ("''''", "\"\""),
        ("''${\"a\"}''", "\"a\""),
        ("x: \"${x}\"", "(x: (x))"),
        ("x: \"a${x}b\"", "(x: (\"a\" + x + \"b\"))"),
        ("http://example.org/?a=b", "\"http://example.org/?a=b\""),
    ]);
}

#[test]
fn paths_become_absolute() {
    all_print(&[
        (
            "[ ./a ../b/./c /d/../e ~/f a/b ]",
            "[ (/base/a) (/b/c) (/e) (/home/f) (/base/a/b) ]",
        ),
        (
            "x: ./a/${x}/c.${x}d",
            "(x: (/base/a/ + x + \"/c.\" + x + \"d\"))",
        ),
        ("x: ~/${x}", "(x: (/home/ + x))"),
        ("x: /${x}", "(x: (/ + x))"),
        ("x: a/b//c${x}", "(x: (/base/a/b/ + \"/c\" + x))"),
    ]);
}

#[test]
fn a_null_byte_outside_of_strings_ends_the_program() {
    all_print(&[("1 \0 + (", "1"), ("1 # \0\n + 2", "(1 + 2)")]);
}

#[test]
fn refusals_name_what_was_found_and_expected() {
    let table = [
        ("", "syntax error, unexpected end of file"),
        ("1 +", "syntax error, unexpected end of file"),
        ("(1", "syntax error, unexpected end of file, expecting ')'"),
        (
            "1 2 }",
            "syntax error, unexpected '}', expecting end of file",
        ),
        ("{ a = 1 }", "syntax error, unexpected '}', expecting ';'"),
        (
            "{ a }",
            "syntax error, unexpected end of file, expecting ':' or '@'",
        ),
        (
            "{ a b",
            "syntax error, unexpected identifier, expecting '.' or '='",
        ),
        (
            "{ 1 = 2; }",
            "syntax error, unexpected integer, expecting 'inherit'",
        ),
        (
            "rec { 1 }",
            "syntax error, unexpected integer, expecting 'inherit' or '}'",
        ),
        (
            "let 1",
            "syntax error, unexpected integer, expecting 'in' or 'inherit'",
        ),
        (
            "{ a, 1 }: 1",
            "syntax error, unexpected integer, expecting identifier or '...' or '}'",
        ),
        (
            "{ a ? 1; b }: 1",
            "syntax error, unexpected ';', expecting '}' or ','",
        ),
        (
            "{ ..., a }: 1",
            "syntax error, unexpected ',', expecting '}'",
        ),
        (
            "if 1 else",
            "syntax error, unexpected 'else', expecting 'then'",
        ),
        (
            "if 1 then 2",
            "syntax error, unexpected end of file, expecting 'else'",
        ),
        (
            "a.if",
            "syntax error, unexpected 'if', expecting identifier or 'or' or '${' or '\"'",
        ),
        (
            "\"a",
            "syntax error, unexpected end of file, expecting '\"'",
        ),
        (
            "\"${a",
            "syntax error, unexpected end of file, expecting '}'",
        ),
        (
            "''a",
            "syntax error, unexpected end of file, expecting indented string or '${' or end of an indented string",
        ),
        ("./a/", "path has a trailing slash"),
        (
            "a/b//c",
            "syntax error, unexpected end of path, expecting '${'",
        ),
        ("1 == 1 == 1", "syntax error, unexpected '=='"),
        ("[ 1 , 2 ]", "syntax error, unexpected ','"),
        ("rec 1", "syntax error, unexpected integer, expecting '{'"),
        (
            "1 + let a = 1; in a",
            "syntax error, unexpected identifier, expecting '{'",
        ),
        ("a@b", "syntax error, unexpected identifier, expecting '{'"),
        (
            "1 é",
            "syntax error, unexpected invalid token, expecting end of file",
        ),
        ("/* a", "syntax error, unexpected '/'"),
        (
            "9223372036854775808",
            "invalid integer '9223372036854775808'",
        ),
        ("1.0e999", "invalid float '1.0e999'"),
        ("{ a = 1; a = 2; }", "attribute 'a' already defined"),
        (
            "{ a.b = 1; a = { b = 2; }; }",
            "attribute 'a.b' already defined",
        ),
        ("{ a = 1; a.b = 2; }", "attribute 'a' already defined"),
        (
            "{ a.b.c = 1; a.b.c.d = 2; }",
            "attribute 'a.b.c' already defined",
        ),
        (
            "x: { inherit x; x = { }; }",
            "attribute 'x' already defined",
        ),
        ("{ a, b, a }: 1", "duplicate formal function argument 'a'"),
        ("{ a }@a: 1", "duplicate formal function argument 'a'"),
        (
            "x: let ${x} = 1; in 1",
            "dynamic attributes not allowed in let",
        ),
        (
            "x: { inherit ${x}; }",
            "dynamic attributes not allowed in inherit",
        ),
        (
            "1 |> x",
            "experimental Nix feature 'pipe-operators' is disabled; add '--extra-experimental-features pipe-operators' to enable it",
        ),
        (
            "\"a\0\"",
            "input string 'a␀' cannot be represented as Nix string because it contains null bytes",
        ),
    ];
    for (source, message) in table {
        assert_eq!(refused(source), message, "{source}");
    }
}

#[test]
fn source_that_is_not_utf8_is_kept_byte_for_byte() {
    let options = ParseOptions::default();
    let ast = parse(b"\"\xff\xfe\" # \xff", &options).expect("a program");
    assert_eq!(parse_form(&ast, &Paths::AsWritten), b"\"\xff\xfe\"");
}
