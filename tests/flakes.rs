//! Flakes as people use them: inputs, lock files, references on the command line.

mod common;

use common::Place;

/// A flake `a` that needs `b`, and `c` whose own `b` follows it; all in one directory.
fn flakes() -> Place {
    let place = Place::new().with(
        "NIX_CONFIG",
        "experimental-features = nix-command flakes\nflake-registry =",
    );
    let at = |name: &str| format!("path:{}/{name}", place.work().display());
    place.write("b/flake.nix", "{ outputs = { self }: { v = \"b\"; }; }");
    place.write(
        "c/flake.nix",
        "{ inputs.b.url = \"path:/nonexistent\"; outputs = { self, b }: { v = \"c with ${b.v}\"; }; }",
    );
    place.write("tree/file", "text");
    place.write(
        "a/flake.nix",
        &format!(
            "{{
              description = \"A\";
              inputs = {{
                b.url = \"{}\";
                c = {{ url = \"{}\"; inputs.b.follows = \"b\"; }};
                tree = {{ url = \"{}\"; flake = false; }};
                alias.follows = \"c\";
              }};
              outputs = {{ self, b, c, tree, alias }}: {{
                all = [ b.v c.v alias.v (builtins.readFile \"${{tree}}/file\") ];
                packages.x86_64-linux.default = derivation {{ name = \"d\"; system = \"x86_64-linux\"; builder = \"b\"; outputs = [ \"out\" \"dev\" ]; }};
              }};
            }}",
            at("b"),
            at("c"),
            at("tree"),
        ),
    );
    place
}

const ALL: &str = "[ \"b\" \"c with b\" \"c with b\" \"text\" ]\n";

#[test]
fn inputs_follow_each_other_and_end_in_a_lock_file() {
    let place = flakes();
    assert_eq!(place.line("rx eval ./a#all").success(), ALL);
    let lock = std::fs::read_to_string(place.work().join("a/flake.lock")).unwrap();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap();
    assert_eq!(lock["version"], 7);
    assert_eq!(
        lock["nodes"]["root"]["inputs"]["alias"],
        serde_json::json!(["c"])
    );
    assert_eq!(lock["nodes"]["c"]["inputs"]["b"], serde_json::json!(["b"]));
    assert_eq!(lock["nodes"]["tree"]["flake"], false);
    assert_eq!(
        place
            .line("rx eval ./a#all --no-update-lock-file")
            .success(),
        ALL
    );
}

#[test]
fn a_locked_input_stays_until_it_is_updated() {
    let place = flakes();
    place.line("rx flake lock ./a").success();
    place.write("b/flake.nix", "{ outputs = { self }: { v = \"new\"; }; }");
    place.line("rx flake update b --flake ./a").success();
    let all = place.line("rx eval ./a#all").success();
    assert_eq!(
        all,
        ALL.replace("\"b\"", "\"new\"")
            .replace("with b", "with new")
    );
}

#[test]
fn an_input_can_be_replaced_for_one_run() {
    let place = flakes();
    place.write(
        "other/flake.nix",
        "{ outputs = { self }: { v = \"other\"; }; }",
    );
    let all = place
        .line("rx eval ./a#all --override-input b ./other")
        .success();
    assert!(all.starts_with("[ \"other\" \"c with other\""), "{all}");
    assert!(!place.work().join("a/flake.lock").exists());
}

#[test]
fn lock_files_that_may_not_change_are_an_error() {
    let place = flakes();
    let error = place
        .line("rx eval ./a#all --no-update-lock-file")
        .failure();
    assert!(
        error.contains("requires lock file changes but they're not allowed"),
        "{error}"
    );
}

#[test]
fn missing_attributes_are_told_with_all_that_was_tried() {
    let place = flakes();
    let error = place
        .line("rx build ./a#nope --no-write-lock-file")
        .failure();
    assert!(
        error.contains("does not provide attribute 'packages.x86_64-linux.nope', 'legacyPackages.x86_64-linux.nope' or 'nope'"),
        "{error}"
    );
}

#[test]
fn a_program_can_call_a_flake_and_writes_nothing() {
    let place = flakes();
    let program = format!(
        "(builtins.getFlake \"path:{}/a\").all",
        place.work().display()
    );
    let all = place
        .run("rx-instantiate", ["--eval", "--strict", "-E", &program])
        .success();
    assert_eq!(all, ALL);
    assert!(!place.work().join("a/flake.lock").exists());
    let error = place
        .run("rx-instantiate", ["--eval", "--pure-eval", "-E", &program])
        .failure();
    assert!(
        error.contains("cannot call 'getFlake' on unlocked flake reference"),
        "{error}"
    );
}

#[test]
fn what_a_flake_offers_is_shown_as_a_tree() {
    let place = flakes();
    let shown = place
        .line("rx flake show --json ./a --no-write-lock-file")
        .success();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["packages"]["x86_64-linux"]["default"]["name"], "d");
    assert_eq!(shown["all"]["type"], "unknown");
}

#[test]
fn names_of_the_users_registry_stand_for_flakes() {
    let place = flakes();
    let to = format!("path:{}/b", place.work().display());
    place.run("rx", ["registry", "add", "mine", &to]).success();
    let list = place.line("rx registry list").success();
    assert!(list.contains("flake:mine"), "{list}");
    assert_eq!(place.line("rx eval --raw mine#v").success(), "b");
    place.line("rx registry remove mine").success();
}
