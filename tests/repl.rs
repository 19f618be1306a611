//! A session of `rx repl`, through pipes as scripts use it, and at a terminal as people do.

mod common;

use std::io::{Read, Write};
use std::process::Stdio;

use common::terminal::Session;
use common::{Outcome, Place};

fn place() -> Place {
    let place = Place::new();
    place.configure("substituters =\nbuild-users-group =\n");
    place
}

fn repl(place: &Place, input: &str) -> Outcome {
    place.feed("rx", &["repl"], input)
}

/// What a session prints for one line, without the empty lines between answers.
fn answer(line: &str) -> String {
    let place = place();
    let run = repl(&place, &format!("{line}\n"));
    assert_eq!(run.code, 0, "{}", run.err);
    format!("{}{}", run.out.trim_end(), complaints(&run.err))
}

/// Standard error without the greeting.
fn complaints(err: &str) -> String {
    err.lines()
        .skip(2)
        .map(|line| format!("\n{line}"))
        .collect()
}

#[test]
fn values_are_shown_one_level_deep() {
    assert_eq!(answer("1 + 1"), "2");
    assert_eq!(answer(r#""a\nb${"x"}""#), r#""a\nbx""#);
    assert_eq!(answer("{ }"), "{ }");
    assert_eq!(answer("{ a = 1; }"), "{ a = 1; }");
    assert_eq!(
        answer("{ a = { b = 2; }; l = [ 1 ]; n = 1.5; p = /x; }"),
        "{\n  a = { ... };\n  l = [ ... ];\n  n = 1.5;\n  p = /x;\n}"
    );
    assert_eq!(
        answer("let x = { y = { a = 1; }; inherit x; }; in x"),
        "{\n  x = «repeated»;\n  y = { ... };\n}"
    );
    let functions =
        "[\n  «lambda @ «string»:1:4»\n  «primop map»\n  «partially applied primop map»\n]";
    assert_eq!(answer("[ (x: x) map (map 1) ]"), functions);
    assert_eq!(answer("(a: b: a) 1"), "«lambda @ «string»:1:5»");
    assert_eq!(
        answer("{ a = throw \"x\"; b = 2; }"),
        "{\n  a = «error: x»;\n  b = 2;\n}"
    );
}

#[test]
fn print_shows_everything_and_strings_as_they_are() {
    assert_eq!(answer(":p \"a\\n\\\"b\\\"\""), "a\n\"b\"");
    assert_eq!(
        answer(":p { a = { b = [ 1 ]; }; }"),
        "{\n  a = {\n    b = [ 1 ];\n  };\n}"
    );
}

#[test]
fn a_derivation_is_shown_by_its_path() {
    let line = "derivation { name = \"x\"; system = \"s\"; builder = \"b\"; }";
    let text = answer(line);
    assert!(text.starts_with("«derivation DIR/store/"), "{text}");
    assert!(text.ends_with("-x.drv»"), "{text}");
}

#[test]
fn variables_are_bound_and_bound_again() {
    let place = place();
    let input = "x = 1\nx = x + 1; y = x\nx\ny\ninherit ({ z = 5; }) z\nz\na.b.c = 3\na.b\n";
    let run = repl(&place, input);
    assert_eq!(complaints(&run.err), "");
    let lines: Vec<&str> = run.out.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, ["2", "1", "5", "{ c = 3; }"]);
}

#[test]
fn input_goes_on_until_it_is_complete() {
    let place = place();
    let run = repl(
        &place,
        "x = ''\n  hello\n''\nx\nlet\n  y = 1;\nin\n  y\n:p [\n2 ]\n",
    );
    assert_eq!(complaints(&run.err), "");
    let lines: Vec<&str> = run.out.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, ["\"hello\\n\"", "1", "[ 2 ]"]);
}

#[test]
fn what_lacks_its_end_is_told() {
    let run = repl(&place(), "1\n[ 2");
    assert!(run.out.starts_with("1\n"), "{}", run.out);
    assert!(run.err.contains("unexpected end of file"), "{}", run.err);
}

#[test]
fn an_error_does_not_end_the_session() {
    let place = place();
    let run = repl(
        &place,
        "nope\n{ a = 1; }.b\nthrow \"oh\"\n)\nx =\n;\n:nope\n:b 1\n:l ./missing.nix\nassert false; 1\n\
         let f = x: f x + 1; in f 1\nlet r = r; in r\nimport ./broken.nix\n1 + 1\n",
    );
    assert_eq!(run.code, 0);
    assert_eq!(run.out.trim(), "2");
    for message in [
        "error: undefined variable 'nope'",
        "error: attribute 'b' missing",
        "error: oh",
        "error: syntax error, unexpected ')'",
        "error: unknown command ':nope'",
        "error: expression does not evaluate to a derivation, so I can't build it",
        "error: path 'DIR/work/missing.nix' does not exist",
        "error: stack overflow; max-call-depth exceeded",
        "error: infinite recursion encountered",
    ] {
        assert!(run.err.contains(message), "{message}\n{}", run.err);
    }
}

#[test]
fn a_mistake_in_a_binding_is_shown_where_it_is() {
    let text = answer("x = { a = 1; a = 2; }");
    assert!(text.contains("attribute 'a' already defined"), "{text}");
    assert!(text.contains("at «string»:1:14:"), "{text}");
}

#[test]
fn types_are_described() {
    assert_eq!(answer(":t { }"), "a set");
    assert_eq!(answer(":t map"), "the built-in function 'map'");
    assert_eq!(
        answer(":t map 1"),
        "the partially applied built-in function 'map'"
    );
    assert_eq!(answer(":t 1 == 1"), "a Boolean");
}

#[test]
fn files_are_loaded_and_loaded_again_when_they_changed() {
    let place = place();
    place.write(
        "a.nix",
        "{ two ? 2 }: { one = 1; inherit two; \"b c\" = 3; }",
    );
    let run = repl(&place, ":l a.nix\none + two\n:ll\n");
    assert!(
        run.err.ends_with("Added 3 variables.\n\"b c\", one, two\n"),
        "{}",
        run.err
    );
    assert_eq!(run.out, "\n3\n\nb c\none\ntwo\n\n\n");

    let mut command = place.command("rx");
    let mut child = command
        .args(["repl", "a.nix"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdin.write_all(b"one\n").unwrap();
    let mut seen = [0; 1];
    stdout.read_exact(&mut seen).unwrap();
    place.write("a.nix", "{ one = 5; }");
    stdin.write_all(b"one\n:r\none\n").unwrap();
    drop(stdin);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    child.wait().unwrap();
    let lines: Vec<&str> = rest.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!((seen, lines), (*b"1", vec!["1", "5"]));
}

#[test]
fn the_command_line_says_what_is_loaded() {
    let place = place();
    place.write("f.nix", "{ x ? 1 }: { inherit x; s.y = 2; }");
    let loaded = |args: &[&str], line: &str| {
        let args: Vec<&str> = ["repl"].iter().chain(args).copied().collect();
        let run = place.feed("rx", &args, line);
        assert_eq!(run.code, 0, "{}", run.err);
        run.out.trim().to_owned() + &complaints(&run.err).replace("\nAdded", " Added")
    };
    let file = loaded(&["--file", "f.nix", "--arg", "x", "7"], "x\n");
    assert!(
        file.starts_with("7\nLoading installable ''... Added 2"),
        "{file}"
    );
    assert!(loaded(&["-f", "f.nix", "s"], "y\n").starts_with('2'));
    assert!(loaded(&["-f", "f.nix", "-A", "s"], "y\n").starts_with('2'));
    assert!(loaded(&["--expr", "{ q = 9; }"], "q\n").starts_with('9'));
    assert!(loaded(&["f.nix"], "x\n").starts_with('1'));
    for wrong in [
        &["--expr", "{ x ? 1 }: { }"][..],
        &["-f", "f.nix", "q"],
        &["g.nix"],
    ] {
        let run = place.feed("rx", &[&["repl"], wrong].concat(), "1\n");
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
    }
    let own = place.feed("rx-repl", &["--expr", "{ q = 9; }"], "q\n");
    assert_eq!(own.out.trim(), "9");
}

#[test]
fn flakes_on_the_command_line_are_found_as_everywhere_else() {
    let place = place().with(
        "NIX_CONFIG",
        "experimental-features = flakes\nsystem = x86_64-linux",
    );
    place.write(
        "flake/flake.nix",
        "{ outputs = { self }: { a = 1; b.c = 2; packages.x86_64-linux.a.d = 3; }; }",
    );
    std::fs::create_dir(place.work().join("flake/below")).unwrap();
    let said = |what: &str| {
        let run = place.feed("nix", &["repl", what], "");
        let lines: Vec<&str> = run.err.lines().skip(2).collect();
        (run.code, lines.join("\n"))
    };
    let names = |what: &str| said(what).1.lines().last().unwrap().to_owned();
    assert_eq!(names("./flake"), "a, b, packages");
    assert_eq!(names("./flake/below"), "a, b, packages");
    assert_eq!(names("./flake#b"), "c");
    assert_eq!(names("./flake#a"), "d");
    let (code, text) = said("./flake#.a");
    assert!(code == 1 && text.contains("expected a set"), "{text}");
    let (code, text) = said("./flake#bb");
    assert!(
        code == 1 && text.ends_with("help: Did you mean b?"),
        "{text}"
    );
    let lines = place.feed("nix", &["repl"], ":lf ./flake\nb.c\n").out;
    assert_eq!(lines.trim(), "2");
}

#[test]
fn called_as_nix_an_argument_is_a_flake_even_if_it_is_a_file() {
    let place = place();
    place.write("f.nix", "{ x = 1; }");
    assert_eq!(place.feed("rx", &["repl", "f.nix"], "x\n").out.trim(), "1");
    let run = place.feed("nix", &["repl", "./f.nix"], "x\n");
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    insta::assert_snapshot!(complaints(&run.err).trim(), @r#"
    error: path "DIR/work/f.nix" is not a flake (because it's not a directory)
    help: a flake is a directory with a 'flake.nix'; an expression in a file is given with '--file FILE'
    "#);
}

#[test]
fn documentation_of_builtins_functions_and_attributes() {
    let place = place();
    place.write(
        "d.nix",
        "{\n  /**\n    Doubles *x*.\n  */\n  double = x: x * 2;\n  /** The answer. */\n  answer = 42;\n  curried =\n    a:\n    /** Inner. */\n    b: a;\n  called.__functor = self: x: x;\n\
         \x20 endless = let f = x: { __functor = self: f (x + 1); }; in f 1;\n}\n",
    );
    let doc = |expression: &str| {
        let run = repl(&place, &format!(":l d.nix\n:doc {expression}\n"));
        format!("{}{}", run.out.trim(), complaints(&run.err))
    };
    let text = doc("double");
    assert!(text.contains("Function `double`"), "{text}");
    assert!(text.contains("… defined at DIR/work/d.nix:5:12"), "{text}");
    assert!(text.contains("\n\nDoubles *x*."), "{text}");
    let text = doc("(import ./d.nix).answer");
    assert!(
        text.contains("Attribute `answer`") && text.contains("The answer."),
        "{text}"
    );
    assert!(doc("curried 1").contains("Inner."));
    assert!(doc("called").contains("d.nix:12:28"));
    let text = doc("endless");
    assert!(
        text.contains("max-call-depth exceeded\n       at DIR/work/d.nix:13:"),
        "{text}"
    );
    assert!(doc("map").contains("`builtins.map` *f* *list*"));
    assert!(doc("answer").contains("value does not have documentation"));
}

#[test]
fn builds_logs_and_links() {
    let place = place();
    place.write(
        "b.nix",
        r#"{ d = derivation { name = "d"; system = builtins.currentSystem; builder = "/bin/sh";
             args = [ "-c" "echo from the builder; echo text > $out" ]; }; }"#,
    );
    let run = repl(
        &place,
        ":l b.nix\n:b d\n:bl d\n:log d\nbuiltins.readFile d\n",
    );
    assert_eq!(run.code, 0);
    let said = "This derivation produced the following outputs:\n";
    assert_eq!(run.out.matches(said).count(), 2, "{}{}", run.out, run.err);
    assert!(run.out.contains("  out -> DIR/store/"), "{}", run.out);
    assert!(
        run.out.contains("  ./repl-result-out -> DIR/store/"),
        "{}",
        run.out
    );
    assert!(run.out.contains("\nfrom the builder\n"), "{}", run.out);
    assert!(run.out.contains("\n\"text\\n\"\n"), "{}", run.out);
    assert!(
        place
            .work()
            .join("repl-result-out")
            .symlink_metadata()
            .is_ok()
    );
}

#[test]
fn the_editor_gets_the_place_of_a_definition() {
    let place = place().with("EDITOR", "cat");
    place.write("e.nix", "{ f = x: x; }\n");
    let run = repl(&place, ":e (import ./e.nix).f\n:e derivation\n:e 1\n");
    assert!(run.out.starts_with("{ f = x: x; }\n"), "{}", run.out);
    assert!(run.out.contains("derivationStrict"), "{}", run.out);
    assert!(
        run.err
            .contains("package '1' has no source location information")
    );
}

#[test]
fn traces_are_switched_and_quit_ends() {
    let run = repl(&place(), ":te\n:te false\n:te maybe\n:q\n1\n");
    assert_eq!(
        run.out,
        "showing error traces\n\nnot showing error traces\n\n\n"
    );
    assert!(run.err.contains("unexpected argument 'maybe' to :te"));
}

#[test]
fn a_session_that_becomes_large_goes_on_with_its_variables() {
    // Every process is larger than a byte: each line is answered by a fresh one.
    let place = place().with("RX_REPL_MEMORY", "1");
    place.write("a.nix", "{ loaded = 100; }");
    let input = "x = 1\n:l a.nix\n:a { added = 10; }\nx = x + added\nx + loaded\n[ 1\n2 ]\n";
    let run = place.feed(
        "rx-repl",
        &["--expr", "{ given = 1000; }"],
        &format!("{input}given\n"),
    );
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(
        run.out.split_whitespace().collect::<String>(),
        "111[12]1000"
    );
    assert_eq!(run.err.matches("Type :?").count(), 1, "{}", run.err);
    assert_eq!(run.err.matches("Added").count(), 3, "{}", run.err);
}

// ---- at a terminal ------------------------------------------------------------------------------------

#[test]
fn at_a_terminal_lines_are_edited_completed_and_remembered() {
    let place = place();
    let Some(mut session) = Session::start(&place) else {
        return;
    };
    session.type_keys("abc = { delta = 1230 + 4; }\r");
    session.ask("abc.de\t\r", "1234");
    session.ask("\u{1b}[A0\r", "attribute 'delta0' missing");
    session.type_keys("let a = 4;\r");
    session.ask("in a + 38\r", "42");
    session.end();
    let history = place.root().join("home/.local/share/nix/repl-history");
    let history = std::fs::read_to_string(history).unwrap();
    assert!(history.contains("abc.delta\n"), "{history}");
    assert!(history.contains("let a = 4; in a + 38\n"), "{history}");

    let mut session = Session::start(&place).unwrap();
    // Before `:q`.
    session.ask("\u{1b}[A\u{1b}[A\r", "42");
    session.end();
}

/// A program that runs for minutes.
const ENDLESS: &str = "let g = n: if n == 0 then 0 else g (n - 1); in \
     builtins.foldl' (a: b: if g 900 == 0 then a else b) { } (builtins.genList (x: x) 3000000)";

#[test]
fn completion_does_not_wait_for_what_takes_long() {
    let place = place();
    let Some(mut session) = Session::start(&place) else {
        return;
    };
    session.type_keys("quick = { zeta = 1230; }\r");
    session.ask("quick.ze\t + 4\r", "1234");
    session.type_keys(&format!("endless = {ENDLESS}\r"));
    session.ask("endless.x\t\u{15}5000 + 678\r", "5678");
    session.end();
}

#[test]
fn ctrl_c_ends_an_evaluation_and_not_the_session() {
    let place = place();
    let Some(mut session) = Session::start(&place) else {
        return;
    };
    // The status line says that it is being evaluated, not typed.
    session.ask(&format!("{ENDLESS}\r"), "[evaluated");
    session.ask("\u{3}", "interrupted by the user");
    session.ask("5000 + 678\r", "5678");
    session.end();
}

#[test]
fn ctrl_c_ends_a_build_and_a_completion_and_not_the_session() {
    let place = place();
    let Some(mut session) = Session::start(&place) else {
        return;
    };
    session.type_keys(&format!("endless = {ENDLESS}\r"));
    // The key comes while the attributes are being looked for, or after that.
    session.type_keys("endless.x\t\u{3}");
    session.insist("\u{15}5000 + 678\r", "5678");
    let builder = r#"args = [ "-c" "while :; do :; done" ]; system = builtins.currentSystem"#;
    let build =
        format!(":b derivation {{ name = \"endless\"; builder = \"/bin/sh\"; {builder}; }}\r");
    session.type_keys(&build);
    session.wait_for("building");
    session.ask("\u{3}", "interrupted by the user");
    session.ask("5000 + 321\r", "5321");
    session.end();
}

#[test]
fn a_session_that_is_told_to_end_ends_and_leaves_the_terminal_as_it_was() {
    use rustix::process::{Signal, kill_process};
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        for line in ["1 + 1", ENDLESS] {
            let place = place();
            let Some(mut session) = Session::start(&place) else {
                return;
            };
            let answer = if line == ENDLESS { "[evaluated" } else { "2" };
            session.ask(&format!("{line}\r"), answer);
            kill_process(session.process(), signal).unwrap();
            let ended = session.ended();
            assert_eq!(ended, Some(status), "{signal:?} {line}");
        }
    }
}

#[test]
fn the_history_is_for_nobody_else_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let Some(mut session) = Session::start(&place) else {
        return;
    };
    session.ask("20 + 3\r", "23");
    session.end();
    let history = place.root().join("home/.local/share/nix/repl-history");
    let mode = history.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_lacks_an_attribute_is_shown_where_it_stands() {
    let text = answer("let s = { a = { }; }; in s.a.b");
    assert!(text.contains("attribute 'b' missing"), "{text}");
    assert!(
        text.contains("from the definition of 'a'\n         at «string»:1:11"),
        "{text}"
    );
    let text = answer("let s.a = { }; in s.a.${\"b\"}");
    assert!(text.contains("from the definition of 'a'"), "{text}");
}

#[test]
fn loaded_names_with_numbers_are_in_the_order_of_the_numbers() {
    let text = answer(":a { p10 = 1; p9 = 1; a = 1; }\n:ll");
    assert!(
        text.starts_with("\na\np9\np10\n") || text.starts_with("a\np9\np10"),
        "{text}"
    );
}

#[test]
fn who_types_exit_is_told_how() {
    assert!(answer("exit").contains("':q' or Ctrl-D ends the session"));
    assert_eq!(answer("exit = 3\nexit"), "\n3");
}

#[test]
fn a_package_is_installed_and_its_build_looked_into_from_a_session() {
    let place = place();
    let Some(mut session) = Session::start(&place) else {
        return;
    };
    let script = "mkdir $out; echo hi > $out/greeting";
    let drv = format!(
        "drv = derivation {{ name = \"greeting\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
         PATH = \"/bin:/usr/bin\"; args = [ \"-c\" \"{script}\" ]; }}\r"
    );
    session.type_keys(&drv);
    session.ask(":i drv\r", "installing 'greeting");
    session.insist("40 + 2\r", "42");
    if std::path::Path::new("/bin/bash").exists() {
        session.ask(":sh drv\r", "nix-shell:");
        session.ask("echo \"it is $name\"; exit\r", "it is greeting");
        session.insist("40 + 3\r", "43");
    } else {
        eprintln!("skipped in part: there is no bash");
    }
    session.end();
    let installed = place.line("rx-env -q").success();
    assert!(installed.contains("greeting"), "{installed}");
}
