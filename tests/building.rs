//! Building from the command line: results, links, exit codes, and what outsiders see.

mod common;

use common::Place;

/// Derivations that need nothing but a shell.
const FILE: &str = r#"
let
  make = name: text: attrs:
    derivation ({
      inherit name;
      system = builtins.currentSystem;
      builder = "/bin/sh";
      args = [ "-c" text ];
    } // attrs);
in rec {
  good = make "good" "echo good > $out" { };
  two = make "two" "echo $out > $dev; echo two > $out" { outputs = [ "out" "dev" ]; };
  uses = make "uses" "read x < $good; echo got $x > $out" { inherit good; };
  bad = make "bad" "echo it went wrong; exit 3" { };
  needs = make "needs" "echo > $out" { inherit bad; };
  slow = make "slow" "while :; do :; done" { };
  wrong = make "wrong" "echo content > $out" {
    outputHashAlgo = "sha256";
    outputHashMode = "flat";
    outputHash = builtins.hashString "sha256" "another";
  };
  floating = make "floating" "echo $out > $out" {
    __contentAddressed = true;
    outputHashAlgo = "sha256";
    outputHashMode = "recursive";
  };
  imported = builtins.readFile good;
}
"#;

fn place() -> Place {
    let place = Place::new();
    place.configure(
        "substituters =\nbuild-users-group =\nexperimental-features = nix-command ca-derivations\n",
    );
    place.write("default.nix", FILE);
    place
}

#[test]
fn a_result_is_linked_and_its_path_printed() {
    let place = place();
    let run = place.run("rx-build", ["-A", "uses"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let link = place.work().join("result");
    let target = std::fs::read_link(&link).unwrap().display().to_string();
    assert_eq!(place.neutral(&target), run.out.trim());
    let again = place.run("rx-build", ["-A", "uses"]);
    assert_eq!(again.out, run.out);
    assert!(!again.err.contains("building"), "{}", again.err);
}

#[test]
fn several_results_get_numbers_and_outputs_suffixes() {
    let place = place();
    let run = place.run("rx-build", ["-A", "good", "-A", "two.dev", "-o", "x"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.out.lines().count(), 2);
    for name in ["x", "x-2-dev"] {
        assert!(place.work().join(name).symlink_metadata().is_ok(), "{name}");
    }
}

#[test]
fn exit_codes_say_what_kind_of_failure_it_was() {
    let place = place();
    let code = |args: &[&str]| {
        let mut all = vec!["--no-out-link"];
        all.extend(args);
        place.run("rx-build", &all).code
    };
    assert_eq!(code(&["-A", "bad"]), 100);
    assert_eq!(code(&["-A", "needs"]), 100);
    assert_eq!(code(&["-A", "wrong"]), 102);
    assert_eq!(code(&["-A", "slow", "--timeout", "1"]), 101);
    assert_eq!(code(&["-A", "slow", "--max-silent-time", "1"]), 101);
    assert_eq!(code(&["-A", "missing"]), 1);
}

#[test]
fn a_failure_shows_the_builders_last_words_and_names_every_victim() {
    let place = place();
    let run = place.run("rx-build", ["-A", "needs", "-Q", "--no-out-link"]);
    assert!(
        run.err.contains("builder failed with exit code 3"),
        "{}",
        run.err
    );
    assert!(run.err.contains("> it went wrong"), "{}", run.err);
    assert!(run.err.contains("1 dependency failed"), "{}", run.err);
}

#[test]
fn an_expression_can_read_what_a_derivation_builds() {
    let place = place();
    let run = place.run(
        "rx-instantiate",
        ["--eval", "--read-write-mode", "-A", "imported"],
    );
    assert_eq!(
        (run.code, run.out.trim()),
        (0, "\"good\\n\""),
        "{}",
        run.err
    );
}

#[test]
fn what_would_be_built_is_said_without_doing_it() {
    let place = place();
    let run = place.run("rx-build", ["-A", "uses", "--dry-run"]);
    assert_eq!((run.code, run.out.as_str()), (0, ""));
    assert!(
        run.err.contains("these 2 derivations will be built:"),
        "{}",
        run.err
    );
}

#[test]
fn the_new_command_builds_attributes_and_tells_their_outputs() {
    let place = place();
    let args = [
        "build",
        "-f",
        "default.nix",
        "two",
        "good",
        "--no-link",
        "--json",
    ];
    let run = place.run("rx", args);
    assert_eq!(run.code, 0, "{}", run.err);
    let list: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert!(list[0]["outputs"]["dev"].is_string(), "{list}");
    assert!(list[1]["outputs"]["out"].is_string(), "{list}");
}

#[test]
fn a_path_named_after_content_that_mentions_it_can_be_exported_and_imported() {
    let place = place();
    let path = place
        .run("rx-build", ["-A", "floating", "--no-out-link"])
        .success();
    let path = path
        .trim()
        .replace("DIR", &place.root().display().to_string());
    let archive = place
        .command("rx-store")
        .args(["--export", &path])
        .output()
        .unwrap();
    place.run("rx-store", ["--delete", &path]).success();
    let file = place.work().join("archive");
    std::fs::write(&file, &archive.stdout).unwrap();
    let imported = place
        .command("rx-store")
        .arg("--import")
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    assert!(
        imported.status.success(),
        "{}",
        String::from_utf8_lossy(&imported.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&imported.stdout).trim(), path);
}

/// A path that was printed, as it really is.
fn real(place: &Place, printed: &str) -> String {
    printed
        .trim()
        .replace("DIR", &place.root().display().to_string())
}

#[test]
fn attributes_can_be_named_wherever_store_paths_can() {
    let place = place();
    let rx = |args: &[&str]| {
        let run = place.run("rx", args);
        assert_eq!(run.code, 0, "{args:?}: {}", run.err);
        run.out
    };
    let path = rx(&["path-info", "-f", "default.nix", "good", "--derivation"]);
    assert!(path.trim().ends_with("-good.drv"), "{path}");
    // What is not built is needed by nothing; what needs it is built.
    rx(&["why-depends", "-f", "default.nix", "good", "bad"]);
    let built = rx(&["path-info", "-f", "default.nix", "good"]);
    let shown = rx(&["derivation", "show", "-f", "default.nix", "good"]);
    assert!(shown.contains(path.trim().rsplit('/').next().unwrap()));
    let cache = format!("file://{}", place.work().join("cache").display());
    rx(&["copy", "--to", &cache, "-f", "default.nix", "good"]);
    let there = rx(&["path-info", "--store", &cache, "--all"]);
    assert_eq!(there, built);
    rx(&["store", "delete", "-f", "default.nix", "good"]);
    let gone = place.run("rx", ["path-info", "-f", "default.nix", "good"]);
    assert_eq!(gone.code, 1, "{}", gone.out);
    let built = real(&place, &built);
    rx(&["copy", "--from", &cache, "--no-check-sigs", &built]);
    rx(&["path-info", &built]);
}

#[test]
fn names_from_standard_input_replace_the_default() {
    let place = place();
    let run = place.feed("rx", &["build", "--stdin", "--json", "--no-link"], "");
    assert_eq!((run.code, run.out.trim()), (0, "[]"), "{}", run.err);
}

#[test]
fn derivations_can_live_in_another_store_than_their_outputs() {
    let place = place();
    let evaluated = place.work().join("evaluated");
    let evaluated = evaluated.to_str().unwrap();
    let run = place.run(
        "rx-build",
        ["-A", "uses", "--no-out-link", "--eval-store", evaluated],
    );
    assert_eq!(run.code, 0, "{}", run.err);
    let all = place.run("rx", ["path-info", "--all"]);
    assert!(all.out.contains("-uses\n"), "{}", all.out);
    assert!(!all.out.contains(".drv"), "{}", all.out);
}

#[test]
fn a_path_can_be_renamed_after_its_contents() {
    let place = place();
    let built = place.run("rx-build", ["-A", "two.dev", "--no-out-link"]);
    assert_eq!(built.code, 0, "{}", built.err);
    let path = real(&place, &built.out);
    let run = place.run("rx", ["store", "make-content-addressed", "--json", &path]);
    assert_eq!(run.code, 0, "{}", run.err);
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let renamed = json["rewrites"][built.out.trim()].as_str().unwrap();
    assert_ne!(renamed, built.out.trim());
    let renamed = real(&place, renamed);
    let checked = place.run("rx", ["store", "verify", "--sigs-needed", "9", &renamed]);
    assert_eq!(checked.code, 0, "{}", checked.err);
}

#[test]
fn lines_of_builders_are_told_apart_where_they_are_asked_for() {
    let place = place();
    place.write(
        "lines.nix",
        "derivation { name = \"talks\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
         args = [ \"-c\" \"echo one; echo two >&2; echo > $out\" ]; }",
    );
    let build = |more: &[&str]| {
        let mut all = vec!["build", "--no-link", "-f", "lines.nix"];
        all.extend(more);
        let built = place.run("rx", all);
        assert_eq!(built.code, 0, "{built:?}");
        built.err
    };
    let named = build(&["-L"]);
    assert!(named.contains("\ntalks> one\ntalks> two\n"), "{named}");
    let plain = build(&["--rebuild", "--log-format", "raw-with-logs"]);
    assert!(plain.contains("\none\ntwo\n"), "{plain}");
    let quiet = build(&["--rebuild"]);
    assert!(!quiet.contains("one"), "{quiet}");
    let classic = place.run("rx-build", ["--no-out-link", "--check", "lines.nix"]);
    assert!(classic.err.contains("\none\ntwo\n"), "{classic:?}");
}
