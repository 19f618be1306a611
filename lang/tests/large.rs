//! Large programs, which are read in pieces, are understood as small ones are.

use rx_lang::print::{Paths, parse_form};
use rx_lang::tree::Tree;
use rx_lang::{ParseFailure, ParseOptions, parse};

/// Bytes from which on a program is certainly large.
const LARGE: usize = 1 << 20;

const PARTS: &[&str] = &[
    "{ lib, stdenv ? null, ... }@args: stdenv.mkDerivation rec { pname = \"a\"; version = \"1.${toString 2}\"; src = ./x/${version}.tar; }",
    "let inherit (x) a b; c.d = 1; c.e = 2; ${\"h\"} = 3; in with c; assert a != b; [ a.b or c (d ? e.\"f\") (-1) (!true) ]",
    "''\n  one\n    two ''${x} ${''in''}\n  three '''quoted''' ''\\t $$ $\n''",
    "/** documented */ f: /* plain */ x: # line\n if x < 1 && x >= 2 || x == 3 then <nixpkgs/lib> else ~/file + /abs/path + http://example.org/a?b=c",
    "\"a\\\"b\\n$${c}\\${d}${ { e = \"f\"; }.e }\"",
    "f: x: f x or 1",
];

fn ways() -> [ParseOptions<'static>; 2] {
    [false, true].map(|two_threads| ParseOptions {
        two_threads,
        ..ParseOptions::default()
    })
}

/// A list of all parts again and again, in an order that meets the ends of pieces at different places.
fn large() -> Vec<&'static str> {
    let (mut parts, mut len) = (Vec::new(), 0);
    while len < LARGE {
        let part = PARTS[(parts.len() + parts.len() / 97) % PARTS.len()];
        len += part.len();
        parts.push(part);
    }
    parts
}

fn list(parts: &[&str]) -> String {
    format!("[ ({}) ]", parts.join(") ("))
}

#[test]
fn a_large_program_reads_as_its_parts_do() {
    let parts = large();
    let expected: String = parts
        .iter()
        .map(|part| {
            let ast = parse(part.as_bytes(), &ParseOptions::default()).expect("a program");
            let form = parse_form(&ast, &Paths::AsWritten);
            format!("({}) ", String::from_utf8(form).expect("text"))
        })
        .collect();
    for options in ways() {
        let ast = parse(list(&parts).as_bytes(), &options).expect("a program");
        let form = String::from_utf8(parse_form(&ast, &Paths::AsWritten)).expect("text");
        assert!(form == format!("[ {expected}]"));
    }
}

#[test]
fn documentation_is_found_at_its_place_in_a_large_program() {
    let text = format!(
        "[ {} /** last */ (x: x) ]",
        "\"text\" (/** some */ y: y) ".repeat(LARGE / 20)
    );
    let at = text.rfind("(x").expect("there") as u32;
    for options in ways() {
        let ast = parse(text.as_bytes(), &options).expect("a program");
        let doc = ast.doc_comment_before(at).expect("a comment");
        assert_eq!(&text[doc.start as usize..doc.end as usize], "/** last */");
    }
}

#[test]
fn all_mistakes_in_a_large_program_are_told() {
    let mut parts = large();
    let count = parts.len();
    for (at, wrong) in [
        (10, "{ a = 1 }"),
        (count / 2, "1 +"),
        (count - 2, "[ 1, 2 ]"),
    ] {
        parts[at] = wrong;
    }
    for options in ways() {
        let Err(ParseFailure::Errors(errors)) = parse(list(&parts).as_bytes(), &options) else {
            panic!("a wrong program is accepted");
        };
        let messages: Vec<_> = errors.iter().map(|error| &error.message[..]).collect();
        assert_eq!(
            messages,
            [
                "syntax error, unexpected '}', expecting ';'",
                "syntax error, unexpected ')'",
                "syntax error, unexpected ','",
            ]
        );
    }
}

#[test]
fn an_open_string_in_a_large_program_is_told() {
    let text = format!("[ {} \"open ]", "a b ".repeat(LARGE / 2));
    for options in ways() {
        let Err(ParseFailure::Errors(errors)) = parse(text.as_bytes(), &options) else {
            panic!("a wrong program is accepted");
        };
        let labels = &errors[0].labels;
        assert!(labels[0].text.contains("begins here"), "{errors:?}");
        assert_eq!(
            labels[0].range.start as usize,
            text.len() - "\"open ]".len()
        );
    }
}

#[test]
fn a_damaged_large_program_is_what_its_tree_says() {
    let text = list(&large()).into_bytes();
    let mut random = 7_u64;
    for round in 0..6 {
        let mut damaged = text.clone();
        for _ in 0..=round {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let at = (random >> 33) as usize % damaged.len();
            damaged[at] = b" {}()[]\"';:$x/#"[(random >> 20) as usize % 15];
        }
        let options = ParseOptions {
            two_threads: round % 2 == 0,
            ..ParseOptions::default()
        };
        let tree = Tree::parse(&damaged, &options).expect("short enough");
        match (parse(&damaged, &options), tree.lower(&options)) {
            (Ok(one), Ok(other)) => {
                assert!(
                    parse_form(&one, &Paths::AsWritten) == parse_form(&other, &Paths::AsWritten)
                );
            }
            (Err(_), Err(_)) => {}
            _ => panic!("one way accepts what the other refuses"),
        }
    }
}

#[test]
fn reading_a_large_program_stops_when_asked_to() {
    let text = list(&large());
    for options in ways() {
        let options = ParseOptions {
            interrupted: Some(&|| true),
            ..options
        };
        assert!(matches!(
            parse(text.as_bytes(), &options),
            Err(ParseFailure::Interrupted)
        ));
    }
}
