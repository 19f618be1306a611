//! The language itself, without the outside world.

mod common;

use common::{eval, vm};
use rx_eval::{EvalSettings, Value};

fn shown(text: &str) -> String {
    let mut vm = vm(EvalSettings::default());
    match eval(&mut vm, text) {
        Ok(value) => String::from_utf8_lossy(&vm.describe(value)).into_owned(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn programs_have_the_values_that_the_language_gives_them() {
    for (text, want) in [
        ("1 + 2 * 3", "7"),
        (
            "let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f 15",
            "610",
        ),
        ("let a = b; b = 2; in a", "2"),
        ("rec { a = b; b = 3; }.a", "3"),
        (
            "({ a, b ? a + 1, ... }@args: b + args.c) { a = 1; c = 10; }",
            "12",
        ),
        ("with { x = 1; }; with { x = 2; }; x", "2"),
        ("let x = 0; in with { x = 1; }; x", "0"),
        ("(a: b: c: a + b + c) 1 2 3", "6"),
        ("let f = (a: b: a + b) 1; in f 2", "3"),
        ("{ a.b.c = 1; a.b.d = 2; }.a.b.d", "2"),
        ("{ a = 1; } // { b = 2; a = 3; }", "{ a = 3; b = 2; }"),
        ("({ a = 1; } // { b.c = 2; }).b.c or 5", "2"),
        ("{ a = 1; }.b.c or 5", "5"),
        (
            "let n = \"x\"; in { ${n} = 1; \"y${n}\" = 2; ${null} = 3; }",
            "{ x = 1; yx = 2; }",
        ),
        ("\"a${\"b\"}c\" + \"d\"", "\"abcd\""),
        ("/a/b + \"/../c\"", "/a/c"),
        ("[ 1 2 ] ++ [ 3 ] == [ 1 2 3 ]", "true"),
        ("{ __functor = self: x: self.n + x; n = 1; } 2", "3"),
        ("map (x: x * 2) [ 1 2 ] == [ 2 4 ]", "true"),
        ("let __sub = a: b: 42; in 5 - 3", "42"),
        ("rec { __overrides = { b = 5; }; a = b; b = 1; }.a", "5"),
        ("let inherit ({ x = 7; }) x; in x", "7"),
        (
            "builtins.foldl' (a: b: a + b) 0 (builtins.genList (x: x) 1000)",
            "499500",
        ),
        ("1.5 + 1", "2.5"),
        (
            "9223372036854775807 + 1",
            "error: integer overflow in adding 9223372036854775807 + 1",
        ),
        ("let a = a; in a", "error: infinite recursion encountered"),
        ("{ }.x", "error: attribute 'x' missing"),
        (
            "({ a }: a) { }",
            "error: function 'anonymous lambda' called without required argument 'a'",
        ),
        (
            "assert 1 == 2; 3",
            "error: an integer with value '1' is not equal to an integer with value '2'",
        ),
    ] {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn a_circle_is_told_where_the_value_is_asked_for() {
    // The column, as the reference has it.
    for (text, column) in [
        ("let x = x; in x", 9),
        ("let x = x + 1; in x", 9),
        ("let x = 1 + x; in x", 13),
        ("let x = 1 - x; in x", 11),
        ("let x = x < 1; in x", 11),
        ("let x = [] ++ x; in x", 15),
        ("let x = {} // x; in x", 15),
        ("let x = !x; in x", 10),
        ("let x = true && x; in x", 17),
        ("let x = if x then 1 else 2; in x", 12),
        ("let x = \"a${x}b\"; in x", 13),
        ("let x = with x; y; in x", 9),
        ("let x = (y: y) x; in x", 13),
        ("let x = ({ a }: a) x; in x", 10),
        ("let x = builtins.length x; in x", 9),
        ("let s = { a = s.a; }; in s.a", 11),
        ("let x = let y = x; in y; in x", 23),
        ("let x = (if true then x else 1) + 1; in x", 23),
    ] {
        let mut vm = vm(EvalSettings::default());
        let error = eval(&mut vm, text).expect_err(text);
        assert_eq!(error.kind, rx_eval::ErrorKind::InfiniteRecursion, "{text}");
        let at = vm.ev.sources.locate(error.pos).expect(text);
        assert_eq!(at.column, column, "{text}");
    }
}

#[test]
fn lists_in_strings_have_the_spaces_that_packages_depend_on() {
    let text = r#"map toString [ ["a" []] [[] "a"] ["a" [] "b"] [[] []] ["a" [[]]] ["a" ""] ["a" null] ]
        == [ "a " "a" "a b" "" "a " "a " "a " ]"#;
    assert_eq!(shown(text), "true");
}

#[test]
fn tail_calls_take_no_stack_and_deep_recursion_is_no_crash() {
    let settings = EvalSettings {
        max_call_depth: 2_000_000,
        ..EvalSettings::default()
    };
    let mut vm = vm(settings);
    let value = eval(
        &mut vm,
        "let f = n: if n == 0 then 7 else f (n - 1); in f 1000000",
    )
    .unwrap();
    assert_eq!(value.as_int(), Some(7));
    let value = eval(
        &mut vm,
        "let f = n: if n == 0 then 0 else 1 + f (n - 1); in f 1000000",
    )
    .unwrap();
    assert_eq!(value.as_int(), Some(1_000_000));
    assert_eq!(
        shown("let f = n: if n == 0 then 0 else f (n - 1); in f 100000"),
        "error: stack overflow; max-call-depth exceeded"
    );
}

#[test]
fn an_evaluation_beyond_its_memory_ends_with_an_error() {
    let settings = EvalSettings {
        max_heap: 16 << 20,
        ..EvalSettings::default()
    };
    let mut vm = vm(settings);
    let error = eval(&mut vm, "let f = n: [ n ] ++ f (n + 1); in f 0").unwrap_err();
    assert!(matches!(
        error.kind,
        rx_eval::ErrorKind::Memory | rx_eval::ErrorKind::CallDepth
    ));
    let error = eval(
        &mut vm,
        "builtins.length (builtins.genList (x: x) 100000000000)",
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "out of memory");
    assert_eq!(eval(&mut vm, "1").ok().and_then(Value::as_int), Some(1));
}
