//! Derivations that are built: their outputs on the command line, as inputs, and during evaluation.

mod common;

use common::Place;

const FEATURES: &str = "ca-derivations dynamic-derivations nix-command";

/// `producer` builds the derivation of `hello`.
const PACKAGES: &str = r#"
let
  make = name: mode: text: derivation {
    inherit name; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" text ];
    __contentAddressed = true; outputHashMode = mode; outputHashAlgo = "sha256";
  };
  copy = path: "while IFS= read -r line || [ -n \"$line\" ]; do printf %s \"$line\"; done < ${path} > $out";
in rec {
  hello = make "hello" "nar" "echo Hello > $out";
  producer = make "hello.drv" "text" (copy (builtins.unsafeDiscardOutputDependency hello.drvPath));
  built = builtins.outputOf producer.outPath "out";
  user = make "user" "nar" "read x < ${built}; echo got $x > $out";
  addressed = derivation {
    name = "addressed"; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" "read x < ${built}; echo found $x > $out" ];
  };
  both = make "both" "nar" "read x < ${built}; read y < ${user}; echo $x, $y > $out";
  failing = make "failing" "nar" "read x < ${built}; exit 3";
  no-producer = make "no.drv" "text" "exit 1";
  outer = make "outer" "nar" "echo ${builtins.outputOf no-producer.outPath "out"} > $out";
  wrong = make "wrong" "nar" "echo ${builtins.outputOf hello.outPath "out"} > $out";
  read = builtins.readFile built;
}
"#;

fn place() -> Place {
    let place = Place::new();
    place.configure(&format!(
        "experimental-features = {FEATURES}\nsandbox = false\nbuild-users-group =\nsubstituters =\n"
    ));
    place.write("default.nix", PACKAGES);
    place
}

fn contents(place: &Place, shown: &str) -> String {
    let real = shown
        .trim()
        .replace("DIR", &place.root().display().to_string());
    std::fs::read_to_string(real).unwrap()
}

fn build(place: &Place, attribute: &str) -> String {
    let built = place.run("rx-build", ["--no-out-link", "-A", attribute]);
    contents(place, &built.success())
}

#[test]
fn what_a_built_derivation_builds_can_be_an_input() {
    let place = place();
    assert_eq!(build(&place, "user"), "got Hello\n");
    assert_eq!(build(&place, "addressed"), "found Hello\n");
    assert_eq!(build(&place, "both"), "Hello, got Hello\n");
    let again = place.run("rx-build", ["--no-out-link", "-A", "both"]);
    assert!(!again.err.contains("building"), "{again:?}");
}

#[test]
fn what_a_built_derivation_builds_can_be_named() {
    let place = place();
    let producer = place.line("rx-instantiate -A producer").success();
    let producer = producer
        .trim()
        .replace("DIR", &place.root().display().to_string());
    let named = format!("{producer}^out^out");
    let path = place
        .run("rx", ["build", "--no-link", "--print-out-paths", &named])
        .success();
    assert_eq!(contents(&place, &path), "Hello\n");
    let all = format!("{producer}^out^*");
    let json = place
        .run("rx", ["build", "--no-link", "--json", &all])
        .success();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["drvPath"]["output"], "out");
    assert!(
        json[0]["drvPath"]["outputPath"]
            .as_str()
            .unwrap()
            .ends_with("-hello.drv")
    );
    assert_eq!(json[0]["outputs"]["out"], path.trim());
    let info = place.run("rx", ["path-info", &named]).success();
    assert_eq!(info, path);
    let shown = place.run("rx", ["derivation", "show", &named]).success();
    assert!(shown.contains("\"name\":\"hello\""), "{shown}");
    let missing = place
        .run("rx", ["build", &format!("{producer}^out^nope")])
        .failure();
    assert!(
        missing.contains("-hello.drv' does not have output 'nope'"),
        "{missing}"
    );
    place.run("rx", ["build", "-o", "link", &named]).success();
    assert_eq!(
        std::fs::read_to_string(place.work().join("link")).unwrap(),
        "Hello\n"
    );
}

#[test]
fn what_a_built_derivation_builds_can_be_read_and_installed_by_expressions() {
    let place = place();
    let read = place.run("rx", ["eval", "-f", ".", "read", "--raw"]);
    assert_eq!(read.success(), "Hello\n");
    let built = place.run(
        "rx",
        [
            "build",
            "--no-link",
            "--print-out-paths",
            "-f",
            ".",
            "built",
        ],
    );
    assert_eq!(contents(&place, &built.success()), "Hello\n");
}

#[test]
fn failures_on_the_way_to_a_built_derivation_are_told() {
    let place = place();
    let failing = place.run("rx-build", ["--no-out-link", "-A", "failing"]);
    assert_eq!(failing.code, 100, "{failing:?}");
    assert!(
        failing
            .err
            .contains("error: build of resolved derivation 'DIR/store/")
            && failing.err.contains("resolved derivation: 'DIR/store/"),
        "{failing:?}"
    );
    let outer = place.run("rx-build", ["--no-out-link", "-A", "outer"]);
    assert_eq!(outer.code, 100, "{outer:?}");
    assert!(
        outer.err.contains("-no.drv.drv^out'")
            && outer.err.contains("failed to obtain derivation of"),
        "{outer:?}"
    );
    let wrong = place.run("rx-build", ["--no-out-link", "-A", "wrong"]);
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(
        wrong.err.contains("-hello' is not a valid derivation path"),
        "{wrong:?}"
    );
}

#[test]
fn built_derivations_need_the_feature() {
    let place = place();
    let drv = place.line("rx-instantiate -A user").success();
    let drv = drv
        .trim()
        .replace("DIR", &place.root().display().to_string());
    let refused = place
        .run(
            "rx-store",
            [
                "--realise",
                &drv,
                "--option",
                "experimental-features",
                "ca-derivations",
            ],
        )
        .failure();
    assert!(
        refused.contains("experimental Nix feature 'dynamic-derivations' is disabled"),
        "{refused}"
    );
}
