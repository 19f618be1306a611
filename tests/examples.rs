//! Every package in `examples/` is built as its head says, and its program does what it is for.

mod common;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::Place;

/// Builds an example in a place of its own and gives the real path of the result.
#[track_caller]
fn built(example: &str, args: &[&str]) -> Option<(Place, PathBuf)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for tool in ["cc", "make", "patch"] {
        if !std::env::split_paths(&path).any(|dir| dir.join(tool).exists()) {
            eprintln!("skipped: this machine has no '{tool}'");
            return None;
        }
    }
    let place = Place::new();
    place.configure("substituters =\nbuild-users-group =\n");
    let expression = format!("{}/examples/{example}", env!("CARGO_MANIFEST_DIR"));
    let mut all = vec![expression.as_str(), "--host-tools"];
    all.extend(args);
    let run = place.run("rx-build", all);
    assert_eq!(run.code, 0, "{}", run.err);
    let result = std::fs::canonicalize(place.work().join("result")).unwrap();
    Some((place, result))
}

#[track_caller]
fn said(program: PathBuf, args: &[&str]) -> String {
    let output = Command::new(&program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", program.display());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_derivation_without_any_library() {
    let Some((_place, result)) = built("hello.nix", &[]) else {
        return;
    };
    assert_eq!(
        said(result.join("bin/hello"), &[]),
        "Hello from a package that rx built.\n"
    );
}

#[test]
fn a_shell_script() {
    let Some((_place, result)) = built("script", &[]) else {
        return;
    };
    assert_eq!(said(result.join("bin/roman"), &["1994"]), "MCMXCIV\n");
}

#[test]
fn a_c_program_with_a_makefile() {
    let Some((_place, result)) = built("c-program", &[]) else {
        return;
    };
    assert_eq!(said(result.join("bin/primes"), &["12"]), "2 3 5 7 11\n");
}

#[test]
fn a_c_program_with_a_library_of_two_outputs() {
    let Some((place, result)) = built("library", &["-A", "stats"]) else {
        return;
    };
    place.write("numbers", "1 2 3 4\n");
    let output = Command::new(result.join("bin/stats"))
        .stdin(std::fs::File::open(place.work().join("numbers")).unwrap())
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "n=4 mean=2.5 deviation=1.11803\n"
    );
    // It needs the library when it runs, and not the headers.
    let needs = place
        .run("rx-store", ["-q", "-R", result.to_str().unwrap()])
        .success();
    assert!(needs.contains("-libstats-2.0\n"), "{needs}");
    assert!(!needs.contains("-dev"), "{needs}");
}

#[test]
fn an_overlay_that_changes_a_library_and_what_is_built_with_it() {
    let Some((_place, result)) = built("overlay", &["-A", "greet"]) else {
        return;
    };
    let greet = || result.join("bin/greet");
    assert_eq!(said(greet(), &["es", "mundo"]), "Hola, mundo.\n");
    assert_eq!(said(greet(), &["en", "world"]), "Hello, world.\n");
}

#[test]
fn pages_made_from_settings_that_are_checked() {
    let Some((place, result)) = built("site", &[]) else {
        return;
    };
    let garden = std::fs::read_to_string(result.join("garden.html")).unwrap();
    assert!(garden.contains("They like rain."), "{garden}");
    let index = std::fs::read_to_string(result.join("index.html")).unwrap();
    assert!(
        index.contains("<a href=\"sea.html\">Sea snails</a>"),
        "{index}"
    );
    drop(place);
}

#[test]
fn a_flake_without_inputs() {
    let place = Place::new();
    place.configure(
        "substituters =\nbuild-users-group =\nexperimental-features = flakes\nhost-tools = true\n",
    );
    let flake = std::fs::read_to_string(format!(
        "{}/examples/flake/flake.nix",
        env!("CARGO_MANIFEST_DIR")
    ));
    place.write("flake.nix", &flake.unwrap());
    let installable = format!("path:{}", place.work().display());
    let run = place.run("rx", ["run", &installable]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.out, "It is later than you think.\n");
}
