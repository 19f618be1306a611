//! How users find out where an evaluation spends its time: traces and counts of calls, profiles.

mod common;

use std::fs;

use common::Place;

const PROGRAM: &str = "\
let
  twice = f: x: f (f x);
  add = { a }: b: a + b;
in builtins.deepSeq (map (twice (add { a = 1; })) [ 1 2 ]) (builtins.length [ 1 ])
";

#[test]
fn every_call_and_its_end_are_traced_when_asked_for() {
    let place = Place::new();
    place.write("default.nix", PROGRAM);
    let args = ["--eval", "--trace-function-calls", "default.nix"];
    let output = place
        .command("nix-instantiate")
        .args(args)
        .output()
        .expect("runs");
    assert_eq!(output.stdout, b"1\n");
    let told = String::from_utf8_lossy(&output.stderr);
    let (mut open, mut calls) = (Vec::new(), 0);
    for line in told.lines() {
        let line = line.strip_prefix("function-trace ").expect("a trace");
        let (what, rest) = line.split_once(' ').expect("two words");
        let (at, _) = rest.rsplit_once(" at ").expect("a time");
        match what {
            "entered" => {
                calls += 1;
                open.push(at.to_owned());
            }
            "exited" => assert_eq!(open.pop().as_deref(), Some(at)),
            other => panic!("{other}"),
        }
    }
    assert!(open.is_empty());
    assert!(calls >= 9, "{told}");
    assert!(told.contains("default.nix:4:4 at "), "{told}");
}

#[test]
fn calls_are_counted_when_asked_for() {
    let place = Place::new()
        .with("NIX_SHOW_STATS", "1")
        .with("NIX_COUNT_CALLS", "1")
        .with("NIX_SHOW_STATS_PATH", "stats.json");
    place.write("default.nix", PROGRAM);
    let shown = place.run("nix-instantiate", ["--eval", "default.nix"]);
    assert_eq!(shown.success(), "1\n");
    let text = fs::read_to_string(place.work().join("stats.json")).expect("statistics");
    let stats: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(stats["primops"]["deepSeq"], 1);
    assert_eq!(stats["primops"]["length"], 1);
    let functions = stats["functions"].as_array().expect("a list");
    let count = |name: &str| {
        let of_name = functions.iter().filter(|one| one["name"] == name);
        of_name
            .map(|one| one["count"].as_u64().expect("a number"))
            .sum::<u64>()
    };
    assert_eq!(count("twice"), 2);
    assert!(count("add") >= 1, "{text}");
    assert!(
        functions[0]["file"]
            .as_str()
            .is_some_and(|file| file.ends_with("default.nix"))
    );
}

#[test]
fn a_profile_has_a_line_for_every_stack() {
    let place = Place::new();
    place.write("default.nix", PROGRAM);
    let args = [
        "--eval",
        "--eval-profiler",
        "flamegraph",
        "--eval-profile-file",
        "profile",
        "--eval-profiler-frequency",
        "0",
        "default.nix",
    ];
    assert_eq!(place.run("nix-instantiate", args).success(), "1\n");
    let profile = fs::read_to_string(place.work().join("profile")).expect("a profile");
    for line in profile.lines() {
        let (stack, count) = line.rsplit_once(' ').expect("a stack and a number");
        assert!(count.parse::<u64>().is_ok(), "{line}");
        assert!(stack.contains("default.nix:"), "{line}");
    }
    assert!(profile.contains("primop deepSeq;"), "{profile}");
    assert!(profile.contains(":twice;"), "{profile}");
}

#[test]
fn watching_changes_no_value() {
    let place = Place::new();
    place.write(
        "default.nix",
        "let f = n: if n == 0 then [ ] else f (n - 1) ++ [ n ]; o = { __functor = self: x: x + self.y; y = 2; };
         in { a = f 20; b = o 3; c = builtins.foldl' (a: b: a + b) 0 (f 9); d = (builtins.tryEval (throw \"x\")).success;
              e = map (builtins.add 1) [ 1 2 ]; g = builtins.seq (o 1) (builtins.elemAt [ 1 (o 5) ] 1); }",
    );
    let plain = ["--eval", "--strict", "default.nix"];
    let watched = [
        "--eval",
        "--strict",
        "--eval-profiler",
        "flamegraph",
        "default.nix",
    ];
    assert_eq!(
        place.run("nix-instantiate", plain).success(),
        place.run("nix-instantiate", watched).success()
    );
    // The file of a profile is by default in the working directory.
    assert!(place.work().join("nix.profile").exists());
}

#[test]
fn a_whole_trace_names_functions_that_end_with_a_call() {
    let place = Place::new();
    let text = "let inner = x: x + 1; outer = z: inner z; in outer { }";
    let shown = place.run("nix-instantiate", ["--eval", "--show-trace", "-E", text]);
    let told = shown.failure();
    assert!(told.contains("while calling 'inner'"), "{told}");
    assert!(told.contains("while calling 'outer'"), "{told}");
}
