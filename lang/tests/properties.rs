//! What holds for every input, programs or not.

use proptest::prelude::*;
use rx_lang::print::{Paths, parse_form};
use rx_lang::tree::Tree;
use rx_lang::{ParseFailure, ParseOptions};

/// Programs with every form of the language, to be cut and mixed.
const PROGRAMS: &[&str] = &[
    "{ lib, stdenv, fetchurl ? null, ... }@args: stdenv.mkDerivation rec { pname = \"a\"; version = \"1.${toString 2}\"; src = ./x/${version}.tar; }",
    "let inherit (x) a b; c.d = 1; c.e = 2; \"f g\" = a: b: a -> b; ${\"h\"} = 3; in with c; assert a != b; [ a.b or c (d ? e.\"f\") (-1) (!true) ]",
    "''\n  one\n    two ''${x} ${''in''}\n  three '''quoted''' ''\\t $$ $\n''",
    "/** documented */ f: /* plain */ x: # line\n if x < 1 && x >= 2 || x == 3 then <nixpkgs/lib> else ~/file + /abs/path + http://example.org/a?b=c",
    "let { a = 1; body = a; }",
    "rec { a.b.c = { }; a.b.d = { e = 1; }; inherit z; inherit (a) b; x = 1.5e3 * .5 / 2. - 3 ++ [ ] // { }; }",
    "x: x |> (y: y <| 1)",
    "{ or = 1; f = a: a or b; __curPos = __curPos; }",
    "\"a\\\"b\\n$${c}\\${d}${ { e = \"f\"; }.e }\"",
];

fn options() -> ParseOptions<'static> {
    ParseOptions {
        pipe_operators: true,
        ..ParseOptions::default()
    }
}

fn reads_without_loss(source: &[u8]) -> Result<(), TestCaseError> {
    let options = options();
    let tree = Tree::parse(source, &options).expect("short enough");
    prop_assert_eq!(tree.to_bytes(), source);
    let compact = rx_lang::parse(source, &options);
    let lowered = tree.lower(&options);
    match (&compact, &lowered) {
        (Ok(compact), Ok(lowered)) => {
            prop_assert_eq!(
                parse_form(compact, &Paths::AsWritten),
                parse_form(lowered, &Paths::AsWritten)
            );
        }
        (Err(ParseFailure::Errors(errors)), _) => {
            prop_assert!(!errors.is_empty() && errors.len() <= source.len() + 2);
            let found = tree.diagnostics();
            prop_assert!(found.is_sorted_by_key(|one| one.range.start));
            for error in errors {
                prop_assert!(
                    error.range.start <= error.range.end
                        && error.range.end as usize <= source.len()
                );
                for label in &error.labels {
                    prop_assert!(
                        label.range.start <= label.range.end
                            && label.range.end as usize <= source.len()
                    );
                }
            }
            prop_assert!(lowered.is_err());
        }
        _ => prop_assert!(false, "one sink accepts what the other refuses"),
    }
    Ok(())
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::sample::select(vec![
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
            "\"",
            "''",
            "${",
            ";",
            "=",
            ":",
            ",",
            ".",
            "@",
            "?",
            "...",
            "if",
            "then",
            "else",
            "let",
            "in",
            "rec",
            "inherit",
            "with",
            "assert",
            "or",
            "a",
            "1",
            "\n  b = 2;\n",
            "\n  ];",
            "./b",
            "/*",
            "*/",
            "#",
            "\n",
            "\\",
            "$",
            "'",
            "|>",
            "\u{e9}",
            "\0",
            "\r\n",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let edit = (
        any::<prop::sample::Index>(),
        0_usize..4,
        prop::option::of(piece),
    );
    (
        prop::sample::select(PROGRAMS),
        prop::collection::vec(edit, 0..6),
    )
        .prop_map(|(program, edits)| {
            let mut source = program.as_bytes().to_vec();
            for (at, removed, added) in edits {
                let start = at.index(source.len() + 1);
                let end = (start + removed).min(source.len());
                source.splice(start..end, added.unwrap_or_default());
            }
            source
        })
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig {
        cases: config.cases.max(2000),
        failure_persistence: None,
        ..config
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_bytes_panic_or_get_lost(source in prop::collection::vec(any::<u8>(), 0..200)) {
        reads_without_loss(&source)?;
    }

    #[test]
    fn no_mistake_in_a_program_panics_or_loses_text(source in mutated()) {
        reads_without_loss(&source)?;
    }

    #[test]
    fn the_printed_form_of_a_program_reads_back_as_itself(source in mutated()) {
        let print = |source: &[u8]| Some(parse_form(&rx_lang::parse(source, &options()).ok()?, &Paths::AsWritten));
        // Sums of several parts come out nested once; from then on nothing changes.
        if let Some(second) = print(&source).and_then(|first| print(&first)) {
            prop_assert_eq!(print(&second), Some(second));
        }
    }
}

#[test]
fn the_programs_to_be_mutated_are_programs() {
    for program in PROGRAMS {
        let parsed = rx_lang::parse(program.as_bytes(), &options());
        assert!(parsed.is_ok(), "{program}: {:?}", parsed.err());
    }
}
