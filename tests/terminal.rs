//! Builds at a terminal: the tree of what is under way, what stays on the screen, and Ctrl-C.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::Place;
use common::processes::{until, with_argument};
use common::terminal::Session;

/// Builders that go on until a file appears, and so do not depend on how fast a machine is.
fn place(settings: &str) -> Place {
    let place = Place::new();
    let gate = place.work().join("gate");
    place.configure(&format!(
        "substituters =\nbuild-users-group =\nsandbox = false\nmax-jobs = 3\n\
         experimental-features = nix-command\n{settings}\n"
    ));
    place.write(
        "default.nix",
        &format!(
            r#"
let
  make = name: text: attrs: derivation ({{
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" text ];
  }} // attrs);
  wait = "while ! test -e {gate}; do :; done";
  phase = name: "echo '@nix {{\"action\": \"setPhase\", \"phase\": \"${{name}}\"}}' >&2";
in rec {{
  first = make "first" "${{phase "buildPhase"}}; echo compiling; ${{wait}}; echo x > $out" {{ }};
  second = make "second" "${{wait}}; echo it broke; exit 3" {{ }};
  middle = make "middle" "echo > $out" {{ inherit first; }};
  top = make "top" "echo > $out" {{ inherit middle second quick; }};
  endless = make "endless" "echo begun; (while :; do :; done) & while :; do :; done # {gate}" {{ }};
  above = make "above" "echo > $out" {{ inherit endless; }};
  quick = make "quick" "echo x > $out" {{ }};
}}
"#,
            gate = gate.display()
        ),
    );
    place
}

/// `rx build` of one of them.
fn build<'a>(attribute: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    let line = ["build", "-f", "default.nix", attribute, "--no-link"];
    [&line, options].concat()
}

/// What a screen shows, without what moves the cursor.
fn plain(screen: &str) -> String {
    let mut text = String::new();
    let mut rest = screen.chars();
    while let Some(char) = rest.next() {
        if char == '\u{1b}' {
            // `[`, digits, a letter
            rest.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else {
            text.push(char);
        }
    }
    text
}

#[test]
fn what_is_built_is_drawn_as_a_tree_and_summed_up_in_the_end() {
    let place = place("");
    let build = build("top", &["--keep-going"]);
    let Some(terminal) = Session::of_program(&place, "rx", &build) else {
        return;
    };
    terminal.wait_for("first (buildPhase)");
    terminal.wait_for("compiling");
    terminal.wait_for("[1/5 built, 2 running]");
    let screen = plain(&terminal.shown());
    assert!(screen.contains("top  waits for 2"), "{screen}");
    assert!(screen.contains("⏵ first (buildPhase)"), "{screen}");
    assert!(screen.contains("← middle"), "{screen}");
    place.write("gate", "");
    let (code, screen) = terminal.last_words();
    assert_eq!(code, Some(1), "{screen}");
    let screen = plain(&screen);
    assert!(screen.contains("> it broke"), "{screen}");
    assert!(
        screen.contains("1 derivation failed, 3 were built, 0 paths were fetched"),
        "{screen}"
    );
    let (_, summary) = screen.split_once("1 derivation failed").unwrap();
    assert!(
        summary.contains("-second.drv: builder failed with exit code 3"),
        "{screen}"
    );
    // The tree is gone when all is said.
    assert!(!summary.contains('⏵'), "{screen}");
}

#[test]
fn one_line_tells_what_is_built_where_that_is_wanted() {
    let place = place("");
    let build = build("top", &["--log-format", "bar"]);
    let Some(terminal) = Session::of_program(&place, "rx", &build) else {
        return;
    };
    terminal.wait_for("first (buildPhase)");
    terminal.wait_for("[1/5 built, 2 running] building ");
    let screen = plain(&terminal.shown());
    assert!(!screen.contains('⏵'), "{screen}");
    place.write("gate", "");
    assert_eq!(terminal.ended(), Some(1));
}

#[test]
fn the_classic_command_shows_what_builders_print_above_the_tree() {
    let place = place("");
    let build = ["--no-out-link", "-A", "top", "-k"];
    let Some(terminal) = Session::of_program(&place, "rx-build", &build) else {
        return;
    };
    terminal.wait_for("first> compiling");
    terminal.wait_for("waits for");
    place.write("gate", "");
    let (code, screen) = terminal.last_words();
    assert_eq!(code, Some(100), "{screen}");
    assert!(screen.contains("second> it broke"), "{screen}");
}

#[test]
fn the_path_of_what_was_built_stays_on_the_screen() {
    let place = place("");
    let build = ["--no-out-link", "-A", "middle"];
    let Some(terminal) = Session::of_program(&place, "rx-build", &build) else {
        return;
    };
    terminal.wait_for("first (buildPhase)");
    place.write("gate", "");
    let (code, screen) = terminal.last_words();
    assert_eq!(code, Some(0), "{screen}");
    let (_, after) = screen.rsplit_once("-middle").unwrap();
    assert!(!after.contains('\u{1b}'), "{screen:?}");
}

#[test]
fn without_a_terminal_no_format_draws_anything() {
    let place = place("");
    for format in [
        "bar",
        "multiline",
        "raw",
        "bar-with-logs",
        "multiline-with-logs",
    ] {
        let run = place.run("rx", build("quick", &["--log-format", format]));
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(!run.err.contains('\u{1b}'), "{format}: {:?}", run.err);
    }
    let again = build("quick", &["--rebuild", "--log-format", "internal-json"]);
    let run = place.run("rx", again);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.err.lines().all(|line| line.starts_with("@nix {")),
        "{}",
        run.err
    );
    let run = place.run("rx", ["build", "--log-format", "colourful"]);
    assert!(run.err.contains("invalid value 'colourful'"), "{}", run.err);
}

#[test]
fn ctrl_c_ends_all_that_builders_have_started_and_leaves_the_store_valid() {
    let place = place("");
    let marker = place.work().join("gate").display().to_string();
    let build = ["--no-out-link", "-A", "above"];
    let Some(mut terminal) = Session::of_program(&place, "rx-build", &build) else {
        return;
    };
    terminal.wait_for("endless> begun");
    until("the builder starts", || with_argument(&marker).len() >= 2);
    terminal.type_keys("\u{3}");
    let (code, screen) = terminal.last_words();
    assert_eq!(code, Some(1), "{screen}");
    assert!(screen.contains("interrupted by the user"), "{screen}");
    assert!(!screen.contains("failed"), "{screen}");
    until("nothing survives", || with_argument(&marker).is_empty());
    place
        .run("rx-store", ["--verify", "--check-contents"])
        .success();
    place
        .run("rx-build", ["--no-out-link", "-A", "quick"])
        .success();
}

#[test]
fn a_second_ctrl_c_ends_at_once_whatever_is_being_waited_for() {
    let place = place("");
    // Deaf, as programs that are waited for can be.
    let hook = place.write(
        "hook",
        "#!/bin/sh\ntrap '' INT\necho I am deaf\nn=0\nwhile test $n -lt 9000000 && ! test -e gate; do n=$((n + 1)); done\n",
    );
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let hook = hook.display().to_string();
    let build = [
        "--no-out-link",
        "-A",
        "quick",
        "--option",
        "post-build-hook",
        &hook,
    ];
    let Some(mut terminal) = Session::of_program(&place, "rx-build", &build) else {
        return;
    };
    terminal.wait_for("I am deaf");
    terminal.type_keys("\u{3}");
    std::thread::sleep(Duration::from_millis(200));
    terminal.type_keys("\u{3}");
    assert!(matches!(terminal.ended(), Some(1 | 130)));
    place.write("gate", "");
    place
        .run("rx-store", ["--verify", "--check-contents"])
        .success();
}
