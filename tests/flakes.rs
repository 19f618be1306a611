//! Flakes as people use them: inputs, lock files, references on the command line.

mod common;

use common::Place;
use common::flakes::{git, place, place_with, reference, repository};

/// A flake `a` that needs `b`, and `c` whose own `b` follows it; all in one directory.
fn flakes() -> Place {
    let place = place();
    let at = |name: &str| reference(&place, name);
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
    let program = format!("(builtins.getFlake \"{}\").all", reference(&place, "a"));
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
    let to = reference(&place, "b");
    place.run("rx", ["registry", "add", "mine", &to]).success();
    let list = place.line("rx registry list").success();
    assert!(list.contains("flake:mine"), "{list}");
    assert_eq!(place.line("rx eval --raw mine#v").success(), "b");
    place.line("rx registry remove mine").success();
}

/// A flake of its own with these outputs, and what `rx flake check` says of it.
fn check(outputs: &str, options: &str) -> common::Outcome {
    let place = place_with(&format!(
        "{{ outputs = {{ self }}: let
                system = \"{}-linux\";
                run = name: script: derivation {{
                  inherit name system; builder = \"/bin/sh\"; args = [ \"-c\" script ];
                }};
              in {{ {outputs} }}; }}",
        std::env::consts::ARCH
    ));
    place.line(&format!("rx flake check {options} path:."))
}

#[test]
fn outputs_of_every_kind_are_checked_by_their_rules() {
    let good = check(
        "packages.${system}.a = run \"a\" \"\";
         devShells.${system}.default = run \"b\" \"\";
         formatter.${system} = run \"c\" \"\";
         apps.${system}.x = { type = \"app\"; program = \"/x\"; meta.description = \"X\"; };
         overlays.default = final: prev: { };
         nixosModules.m = { config, ... }: { };
         nixosConfigurations.n.config.system.build.toplevel = run \"system\" \"\";
         templates.t = { path = ./.; description = \"T\"; };
         bundlers.${system}.b = drv: drv;
         hydraJobs.one.two = run \"job\" \"\";
         legacyPackages.${system} = { };
         lib.f = x: x;",
        "",
    );
    good.success();
    for (bad, message) in [
        ("packages.${system}.a = \"a\";", "is not a derivation"),
        ("formatter.${system} = { };", "is not a derivation"),
        (
            "packages.linux.a = run \"a\" \"\";",
            "'linux' is not a valid system type",
        ),
        (
            "apps.${system}.x = { type = \"app\"; };",
            "lacks attribute 'program'",
        ),
        (
            "apps.${system}.x = { type = \"app\"; program = \"/x\"; more = 1; };",
            "has unsupported attribute 'more'",
        ),
        (
            "overlays.default = self: super: { };",
            "overlay does not take an argument named 'final'",
        ),
        (
            "overlays.default = { final }: { };",
            "overlay does not take an argument named 'final'",
        ),
        (
            "overlays.default = { };",
            "overlay is not a function, but a set instead",
        ),
        ("nixosModules.m = throw \"no\";", "no"),
        (
            "nixosConfigurations.n.config.system.build.toplevel = 1;",
            "'config.system.build.toplevel' is not a derivation",
        ),
        (
            "templates.t = { path = ./none; description = \"T\"; };",
            "refers to a non-existent path",
        ),
        ("bundlers.${system}.b = 1;", "bundler must be a function"),
        (
            "hydraJobs = run \"job\" \"\";",
            "jobset should not be a derivation at top-level",
        ),
    ] {
        let error = check(bad, "--all-systems").failure();
        assert!(error.contains(message), "{bad}: {error}");
    }
}

#[test]
fn checks_of_this_system_are_built_and_a_failure_names_its_attribute() {
    let checks =
        "checks.${system} = { good = run \"good\" \"echo > $out\"; bad = run \"bad\" \"exit 1\"; };
         checks.other-system.x = throw \"never looked at\";";
    let error = check(checks, "").failure();
    assert!(
        error.contains("failed to build attribute 'checks.") && error.contains(".bad'"),
        "{error}"
    );
    check(checks, "--no-build").success();
    let good = check(
        "checks.${system}.good = run \"good\" \"echo > $out\";",
        "--print-out-paths",
    );
    assert!(good.success().trim_end().ends_with("-good"));
}

#[test]
fn all_mistakes_of_a_flake_are_told_when_asked_to_keep_going() {
    let error = check(
        "packages.${system} = { a = 1; b = 2; }; overlays.o = 3;",
        "--keep-going",
    )
    .failure();
    for message in [
        ".a' is not a derivation",
        ".b' is not a derivation",
        "overlay is not",
    ] {
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn settings_of_a_flake_count_only_when_they_are_accepted() {
    let place = place_with(
        "{ nixConfig.eval-system = \"a-b\"; nixConfig.bash-prompt = \"x\";
           outputs = { self }: { v = builtins.currentSystem or \"pure\"; }; }",
    );
    let told = place.line("rx eval --raw --impure path:.#v");
    assert!(
        told.err
            .contains("ignoring untrusted flake configuration setting 'eval-system'"),
        "{}",
        told.err
    );
    assert!(!told.err.contains("bash-prompt"), "{}", told.err);
    assert_ne!(told.success(), "a-b");
    let accepted = place.line("rx eval --raw --impure --accept-flake-config path:.#v");
    assert_eq!(accepted.success(), "a-b");
    let data = place.root().join("home/.local/share/nix");
    std::fs::create_dir_all(&data).unwrap();
    let file = data.join("trusted-settings.json");
    std::fs::write(&file, "{\"eval-system\":{\"a-b\":true}}").unwrap();
    let saved = place.line("rx eval --raw --impure path:.#v");
    assert_eq!(saved.success(), "a-b");
    std::fs::write(&file, "{\"eval-system\":{\"a-b\":false,\"other\":true}}").unwrap();
    let refused = place.line("rx eval --raw --impure path:.#v");
    assert_ne!(refused.success(), "a-b");
}

/// A flake with a program in every place where one can be.
fn programs() -> Place {
    let place = place_with(
        &format!(
            "{{ outputs = {{ self }}: let
                system = \"{}-linux\";
                tool = derivation {{
                  inherit system;
                  name = \"tool\"; builder = \"/bin/sh\";
                  args = [ \"-c\" ''
                    PATH=/bin:/usr/bin
                    mkdir -p $out/bin
                    printf '#!/bin/sh\\necho \"[$(basename \"$PRJ_ROOT\")]\" \"$@\"\\n' > $out/bin/tool
                    chmod +x $out/bin/tool
                  '' ];
                }} // {{ meta.position = toString ./tool.nix + \":3\"; }};
              in {{
                packages.${{system}} = {{ default = tool; app = self.apps.${{system}}.app; }};
                apps.${{system}} = {{
                  app = {{ type = \"app\"; program = \"${{tool}}/bin/tool\"; }};
                  package = tool;
                }};
                formatter.${{system}} = tool;
                bundlers.${{system}}.same = drv: drv;
              }}; }}",
            std::env::consts::ARCH
        ),
    );
    place.write("tool.nix", "the definition of the tool\n");
    place
}

#[test]
fn applications_are_run_and_told_from_packages() {
    let place = programs();
    assert_eq!(place.line("rx run path:.#app a b").success(), "[] a b\n");
    assert_eq!(place.line("rx run path:. -- -x").success(), "[] -x\n");
    let arch = std::env::consts::ARCH;
    for (what, wanted) in [
        (format!("packages.{arch}-linux.app"), "derivation"),
        ("package".to_owned(), "app"),
    ] {
        let error = place.line(&format!("rx run path:.#{what}")).failure();
        let wanted = format!("should have type '{wanted}'");
        assert!(error.contains(&wanted), "{error}");
    }
}

#[test]
fn the_formatter_of_a_flake_runs_with_the_directory_of_the_flake() {
    let place = programs();
    assert_eq!(place.line("rx fmt a.nix").success(), "[work] a.nix\n");
    let built = place.line("rx formatter build").success();
    assert!(built.trim_end().ends_with("-tool/bin/tool"), "{built}");
    assert!(place.work().join("result/bin/tool").exists());
}

#[test]
fn a_bundler_of_a_flake_makes_something_of_a_package() {
    let place = programs();
    place
        .line("rx bundle --bundler path:.#same path:.")
        .success();
    assert!(place.work().join("tool/bin/tool").exists());
}

#[test]
fn the_definition_of_a_package_is_opened_in_the_editor() {
    let place = programs().with("EDITOR", "cat");
    let shown = place.line("rx edit path:.").success();
    assert_eq!(shown, "the definition of the tool\n");
}

#[test]
fn inputs_can_be_fetched_before_they_are_needed() {
    let place = flakes();
    place.line("rx flake prefetch-inputs ./a").success();
    std::fs::remove_dir_all(place.work().join("tree")).unwrap();
    let error = place
        .line("rx flake prefetch-inputs ./a --recreate-lock-file")
        .failure();
    assert!(error.contains("tree"), "{error}");
}

#[test]
fn errors_in_a_git_tree_name_the_file_that_is_edited() {
    let flake =
        "{ outputs = { self }: {\n  y = assert false; 1;\n  z = builtins.readFile ./foo;\n}; }";
    let Some(place) = repository(flake) else {
        return;
    };
    let error = place.line("rx eval .#y").failure();
    assert!(error.contains("at DIR/work/flake.nix:2:"), "{error}");
    let error = place.line("rx eval .#z").failure();
    assert!(
        error.contains("Path 'foo' does not exist in Git repository \"DIR/work\"."),
        "{error}"
    );
    place.write("foo", "text");
    let error = place.line("rx eval .#z").failure();
    assert!(
        error.contains("Path 'foo' in the repository \"DIR/work\" is not tracked by Git."),
        "{error}"
    );
    assert!(error.contains("add -N \"foo\""), "{error}");
    git(&place, "add foo");
    assert_eq!(place.line("rx eval --raw .#z").success(), "text");
    git(&place, "commit -qm one");
    let error = place.line("rx eval git+file:.?ref=main#y").failure();
    assert!(error.contains("at «git+file:"), "{error}");
}

#[test]
fn a_changed_tree_has_a_fingerprint_that_follows_its_changes() {
    let Some(place) = repository("{ outputs = { self }: { }; }") else {
        return;
    };
    let fingerprint = || {
        let text = place.line("rx flake metadata --json").success();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        json["fingerprint"].as_str().map(str::to_owned)
    };
    let first = fingerprint();
    assert!(first.is_some());
    assert_eq!(fingerprint(), first);
    place.write("flake.nix", "{ outputs = { self }: { x = 1; }; }");
    let second = fingerprint();
    assert!(second.is_some() && second != first);
    git(&place, "commit -qam one");
    let third = fingerprint();
    assert!(third.is_some() && third != second);
}

#[test]
fn a_flake_can_be_got_by_the_path_of_its_directory() {
    let place = place_with("{ outputs = { self }: { number = 123; }; }");
    place.write(
        "sub/flake.nix",
        "{ outputs = { self }: { x = (builtins.getFlake ./..).number; }; }",
    );
    assert_eq!(place.line("rx eval path:.?dir=sub#x").success(), "123\n");
}

#[test]
fn a_repository_without_all_of_its_history_is_fetched_without_the_number_of_commits() {
    let Some(place) = repository("{ outputs = { self }: { has = self ? revCount; x = 1; }; }")
    else {
        return;
    };
    git(&place, "commit -qm one");
    git(&place, "commit -qm two --allow-empty");
    let source = format!("file://{}", place.work().display());
    git(&place, &format!("clone -q --depth 1 {source} shallow"));
    assert_eq!(place.line("rx eval ./shallow#x").success(), "1\n");
    assert_eq!(place.line("rx eval ./shallow#has").success(), "false\n");
    assert_eq!(place.line("rx eval .#has").success(), "true\n");
}

#[test]
fn trees_without_history_can_be_cloned_as_files() {
    let place = flakes();
    place.line("rx flake clone ./c --dest ./copy").success();
    place.write("copy/more", "the copy can be changed");
    assert!(place.work().join("copy/flake.nix").exists());
    let error = place.line("rx flake clone ./c --dest ./copy").failure();
    assert!(error.contains("existing path"), "{error}");
}

#[test]
fn a_queer_query_is_warned_of() {
    let place = flakes();
    let address = reference(&place, "b?odd#v");
    let run = place.run("rx", ["eval", &address]);
    assert!(
        run.err
            .contains("dubious URI query 'odd' is missing equal sign '=', ignoring"),
        "{}",
        run.err
    );
    assert_eq!(run.success(), "\"b\"\n");
}

#[test]
fn a_lock_file_that_is_written_leaves_the_revision_for_this_run() {
    let flake = "{ inputs.b.url = \"path:./b\"; outputs = { self, b }: { r = self ? rev; }; }";
    let Some(place) = repository(flake) else {
        return;
    };
    place.write("b/flake.nix", "{ outputs = { self }: { }; }");
    git(&place, "add .");
    git(&place, "commit -qm one");
    assert_eq!(place.line("rx eval .#r").success(), "true\n");
    assert!(place.work().join("flake.lock").exists());
    // What is committed with it has a revision again.
    assert_eq!(place.line("rx eval .#r").success(), "false\n");
    git(&place, "add flake.lock");
    git(&place, "commit -qm two");
    assert_eq!(place.line("rx eval .#r").success(), "true\n");
}

#[test]
fn what_only_calls_itself_a_derivation_passes_a_check() {
    let run = check(
        "packages.${system}.a = { type = \"derivation\"; name = \"x\"; };",
        "",
    );
    run.success();
}

#[test]
fn the_hash_of_a_fetched_tree_stands_beside_its_reference() {
    let place = flakes();
    let fetched = place.line("rx flake prefetch --json path:./tree").success();
    let fetched: serde_json::Value = serde_json::from_str(&fetched).unwrap();
    assert!(fetched["hash"].as_str().is_some());
    assert!(fetched["locked"].get("narHash").is_none(), "{fetched}");
    // Archives are known by it.
    let tar = ["-cf", "tree.tar", "tree"];
    let packed = std::process::Command::new("tar")
        .args(tar)
        .current_dir(place.work())
        .status();
    assert!(packed.unwrap().success());
    let archive = format!("tarball+file://{}/tree.tar", place.work().display());
    let fetched = place
        .run("rx", ["flake", "prefetch", "--json", &archive])
        .success();
    let fetched: serde_json::Value = serde_json::from_str(&fetched).unwrap();
    assert_eq!(fetched["locked"]["narHash"], fetched["hash"]);
}

#[test]
fn a_repository_can_be_fetched_by_a_path_from_here_with_a_warning() {
    let Some(place) = repository("{ outputs = { self }: { }; }") else {
        return;
    };
    git(&place, "commit -qm one");
    for path in ["./.", "../work"] {
        let program = format!("(builtins.fetchGit \"{path}\").revCount");
        let run = place.run("rx", ["eval", "--impure", "--expr", &program]);
        let warning = "uses a path relative to the current directory";
        assert!(run.err.contains(warning), "{}", run.err);
        assert_eq!(run.success(), "1\n");
    }
}
