//! The debugger: sessions where evaluations stop.

mod common;

use common::terminal::Session;
use common::{Outcome, Place};

fn place() -> Place {
    let place = Place::new();
    place.configure(
        "substituters =\nbuild-users-group =\nexperimental-features = nix-command flakes\n",
    );
    place
}

/// Evaluates a file with the debugger, which gets these lines.
fn debug(place: &Place, program: &str, more: &[&str], lines: &[&str]) -> Outcome {
    place.write("file.nix", program);
    let args = [&["eval", "--file", "file.nix", "--debugger"], more].concat();
    place.feed("rx", &args, &(lines.join("\n") + "\n"))
}

#[test]
fn an_error_opens_a_session_with_the_names_in_scope() {
    let program = "let\n  outer = 20;\n  f = { a, b ? a + 1, ... }@args: c: throw \"oh\";\nin f { a = 5; d = 6; } 7\n";
    let lines = ["a + b + c + outer + args.d", "d", "a = 100", "a", ":q"];
    let run = debug(&place(), program, &[], &lines);
    assert_eq!(run.code, 1);
    assert_eq!(
        run.out.split_whitespace().collect::<Vec<_>>(),
        ["44", "100"]
    );
    assert!(run.err.starts_with("error: oh\n\nrx "), "{}", run.err);
    assert!(
        run.err.contains(" debugger\nType :? for help."),
        "{}",
        run.err
    );
    assert!(run.err.contains("undefined variable 'd'"), "{}", run.err);
    // And ends as it would have ended.
    assert!(run.err.contains("at DIR/work/file.nix:3:38"), "{}", run.err);
    let plain = place();
    plain.write("file.nix", program);
    let plain = plain.line("rx eval --file file.nix");
    assert_eq!(plain.code, 1);
    assert!(run.err.ends_with(&plain.err), "{}\n{}", run.err, plain.err);
}

#[test]
fn the_backtrace_tells_what_was_being_done_innermost_first() {
    let program = "let\n  x.a = 1;\nin\nwith x;\n(_: builtins.seq x.a (throw \"oh snap\")) x.a\n";
    let run = debug(&place(), program, &[], &[":bt", ":env"]);
    let traces: Vec<&str> = run
        .out
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    let expected = [
        "0: error: oh snap",
        "1: while calling a function",
        "2: while calling a function",
        "3: while calling anonymous lambda",
        "4: while calling a function",
        "5: while evaluating a 'let' expression",
        "6: while evaluating the file 'DIR/work/file.nix':",
    ];
    assert_eq!(traces, expected, "{}", run.out);
    let place = "DIR/work/file.nix:5:23\n\n     4| with x;\n     \
                 5| (_: builtins.seq x.a (throw \"oh snap\")) x.a\n      |                       ^\n     6| \n";
    assert!(run.out.contains(place), "{}", run.out);
    let levels = "Env level 0\nstatic: _ \n\nEnv level 1\nstatic: \nwith: a \n\n\
                  Env level 2\nstatic: x \n\nEnv level 3\nabort baseNameOf break builtins ";
    assert!(run.out.contains(levels), "{}", run.out);
}

#[test]
fn another_trace_brings_its_own_names() {
    let program = "let f = a: g (a + 1); g = b: throw \"oh\"; in f 1\n";
    let run = debug(
        &place(),
        program,
        &[],
        &["b", "a", ":st 4", "a", "b", ":st 77", ":st", ":q"],
    );
    let values: Vec<&str> = run.out.lines().filter(|line| line.len() == 1).collect();
    assert_eq!(values, ["2", "1"], "{}", run.out);
    assert!(run.out.contains("4: while calling 'f'\n"), "{}", run.out);
    assert!(run.err.contains("undefined variable 'a'"), "{}", run.err);
    assert!(run.err.contains("undefined variable 'b'"), "{}", run.err);
    assert!(
        run.err.contains("there is no trace 77; there are 8"),
        "{}",
        run.err
    );
}

#[test]
fn break_stops_and_goes_on_with_the_value() {
    let program = "let somevar = \"hello\"; in map (n: builtins.break (n + 1)) [ 1 2 ]";
    let run = debug(&place(), program, &[], &["n", ":c", "n", "somevar", ":c"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let words: Vec<&str> = run.out.split_whitespace().collect();
    assert_eq!(words, ["1", "2", "\"hello\"", "[", "2", "3", "]"]);
    assert_eq!(run.err.matches("info: breakpoint reached").count(), 2);
    assert_eq!(run.err.matches("Type :?").count(), 1);

    // Who leaves a session at a breakpoint wants no value, and nothing has failed.
    let run = debug(&place(), program, &[], &[":q"]);
    assert_eq!((run.code, run.out.trim()), (0, ""));
    // Without the debugger it is its argument.
    assert_eq!(
        place()
            .run("rx", ["eval", "--expr", "builtins.break 3"])
            .out
            .trim(),
        "3"
    );
}

#[test]
fn steps_go_from_trace_to_trace() {
    let program = "let f = x: x.a; in builtins.break (f { a = 7; })";
    let lines = [":s", ":st", ":s", ":st", "x", ":s", ":st", ":c"];
    let run = debug(&place(), program, &[], &lines);
    assert_eq!(run.code, 0, "{}", run.err);
    for line in [
        "0: while calling a function\n",
        "0: while calling 'f'\n",
        "{ a = 7; }\n",
        "0: while evaluating the attribute 'a'\n",
    ] {
        assert!(run.out.contains(line), "{line}\n{}", run.out);
    }
    assert!(run.out.trim_end().ends_with("\n7"), "{}", run.out);
    let told = "stopped while calling a function at DIR/work/file.nix:1:36\n";
    assert!(run.err.contains(told), "{}", run.err);
}

#[test]
fn what_try_eval_catches_can_be_left_alone() {
    let program = "let bad = throw \"caught\"; in (builtins.tryEval bad).success";
    let run = debug(&place(), program, &[], &[":c"]);
    assert_eq!((run.code, run.out.trim()), (0, "false"));
    assert!(
        run.err
            .contains("This exception occurred in a 'tryEval' call."),
        "{}",
        run.err
    );
    let run = debug(&place(), program, &["--ignore-try"], &[]);
    assert_eq!((run.code, run.out.trim(), &*run.err), (0, "false", ""));
}

#[test]
fn messages_can_be_stopped_at() {
    let program = "let x = 5; in builtins.trace \"a\" (builtins.warn \"b\" x)";
    let run = debug(&place(), program, &[], &[]);
    assert_eq!(run.out.trim(), "5");
    assert!(!run.err.contains("Type :?"), "{}", run.err);
    let run = debug(&place(), program, &["--debugger-on-warn"], &["x + 1", ":c"]);
    assert_eq!(run.out.split_whitespace().collect::<Vec<_>>(), ["6", "5"]);
    let lines = ["x + 1", ":c", "x + 2", ":c"];
    let run = debug(&place(), program, &["--debugger-on-trace"], &lines);
    assert_eq!(
        run.out.split_whitespace().collect::<Vec<_>>(),
        ["6", "7", "5"]
    );
}

#[test]
fn every_kind_of_mistake_stops_where_it_is_made() {
    for (program, message) in [
        ("here: 1 + \"x\"", "cannot add a string to an integer"),
        ("here: assert here == 4; 1", "is not equal to"),
        ("here: if here then 1 else 2", "expected a Boolean"),
        ("here: here.x", "expected a set but found an integer"),
        ("here: { a = 1; }.b", "attribute 'b' missing"),
        ("here: with { a = 1; }; nope", "undefined variable 'nope'"),
        ("here: \"${here}\"", "cannot coerce an integer to a string"),
        (
            "here: here 1",
            "attempt to call something which is not a function",
        ),
        (
            "here: ({ a }: a) { b = 1; }",
            "without required argument 'a'",
        ),
        (
            "here: builtins.length here",
            "expected a list but found an integer",
        ),
        ("here: rec { a = builtins.head [ ]; }.a", "list"),
        ("here: { ${1} = 1; }", "string"),
        (
            "here: let f = x: f (x + 1); in f 1",
            "max-call-depth exceeded",
        ),
        ("here: abort \"enough\"", "enough"),
        ("here: !here", "expected a Boolean"),
        ("here: here // { }", "expected a set"),
    ] {
        let program = format!("({program}) 3");
        let run = debug(&place(), &program, &[], &["here + 39", ":q"]);
        assert_eq!(
            (run.code, run.out.trim()),
            (1, "42"),
            "{program}\n{}",
            run.err
        );
        assert!(run.err.contains(message), "{program}\n{}", run.err);
    }
}

#[test]
fn defaults_and_recursive_sets_and_inherited_names_are_in_scope() {
    let program = "let src = { p = 1; }; in ({ a ? throw \"no a\", b ? 2 }: a) { }";
    let run = debug(&place(), program, &[], &["b + src.p", ":q"]);
    assert_eq!(run.out.trim(), "3", "{}", run.err);
    let program = "let src = { p = 1; }; in rec { inherit (src) p; q = p + 1; r = throw \"x\"; }.r";
    let run = debug(&place(), program, &[], &["p + q", ":q"]);
    assert_eq!(run.out.trim(), "3", "{}", run.err);
    let program = "a: b: with { c = 3; }; builtins.seq c (throw \"x\")";
    let run = debug(
        &place(),
        &format!("({program}) 1 2"),
        &[],
        &["a + b + c", ":q"],
    );
    assert_eq!(run.out.trim(), "6", "{}", run.err);
}

#[test]
fn the_debugger_changes_no_value() {
    let program = "let\n  fix = f: let x = f x; in x;\n  l = fix (self: { a = { y ? 1, z ? y + 1, ... }@s: q: w: [ y z q w (s.k or 0) ];\n    \
                   b = self.a { k = 5; } 6; c = self.b 7; });\nin { inherit (l) c; d = rec { e = 1; __overrides = { e = 2; }; f = e; }; \
                   g = builtins.functionArgs l.a; h = with l; c; i.${\"j\"} = l.c; \
                   big = { a1 = 1; a2 = l.c; }; s = \"${toString l.c}\"; }\n";
    let place = place();
    let run = debug(&place, program, &["--json"], &[]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.out, place.line("rx eval --file file.nix --json").out);
}

#[test]
fn classic_commands_and_flakes_have_the_debugger() {
    let place = place();
    place.write("file.nix", "{ v }: throw \"oh\"\n");
    let lines = "v\n:q\n";
    for line in [
        "rx-instantiate --eval file.nix --argstr v word --debugger",
        "rx-build file.nix --argstr v word --debugger",
        "rx-env -f file.nix -qa --argstr v word --debugger",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let run = place.feed(words[0], &words[1..], lines);
        assert_eq!(run.out.trim(), "\"word\"", "{line}\n{}", run.err);
        assert_ne!(run.code, 0, "{line}");
    }
    place.write(
        "flake/flake.nix",
        "{ outputs = _: let word = 1; in { x = throw \"oh no\"; }; }",
    );
    let run = place.feed("rx", &["eval", "./flake#x", "--debugger"], "word\n:env\n");
    assert_eq!(run.code, 1);
    assert!(run.out.starts_with("1\n"), "{}\n{}", run.out, run.err);
}

#[test]
fn a_session_can_have_the_debugger_too() {
    let place = place();
    let input = "f = n: throw \"oh\"\nf 3\nn\n:bt\n:c\n1 + 1\n";
    let run = place.feed("rx", &["repl", "--debugger"], input);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.out.contains("1: while calling a function"),
        "{}",
        run.out
    );
    let values: Vec<&str> = run.out.lines().filter(|line| line.len() == 1).collect();
    assert_eq!(values, ["3", "2"], "{}", run.out);
    assert!(
        place
            .feed("rx", &["repl"], ":bt\n")
            .err
            .contains("unknown command ':bt'")
    );
}

#[test]
fn at_a_terminal_names_in_scope_are_completed() {
    let place = place();
    place.write(
        "file.nix",
        "let somewhere = { deep = 1230; }; in throw \"oh\"",
    );
    let Some(mut session) = Session::of(&place, &["eval", "--file", "file.nix", "--debugger"])
    else {
        return;
    };
    session.wait_for("nix-repl> ");
    session.ask("somewh\t.de\t + 4\r", "1234");
    session.ask(":bt\r", "while evaluating a 'let' expression");
    session.type_keys(":q\r");
    session.wait_for("error: oh");
    assert_eq!(session.ended(), Some(1));
}
