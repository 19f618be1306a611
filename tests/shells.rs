//! Shells and environments from the command line, with packages that need nothing but a shell.

mod common;

use common::Place;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A small world of packages. `BASH` is the host's, `stdenv` only exports a variable.
const WORLD: &str = r#"
{ inNixShell ? false, greeting ? "hi", ... }:
let
  make = attrs: derivation ({
    system = builtins.currentSystem;
    builder = "BASH";
    args = [ "-c" attrs.buildCommand or "echo > $out" ];
    PATH = "/bin:/usr/bin";
  } // attrs);
  setup = builtins.toFile "setup" ''
    export FROM_SETUP=yes
    for package in $buildInputs; do export PATH=$PATH:$package/bin; done
    list=(1 "2 3")
    greet() { echo "greet $1"; }
    runHook() { eval "''${!1}"; }
    runPhase() { eval "''${!1}"; }
  '';
  stdenv = make { name = "stdenv"; buildCommand = "mkdir $out; ln -s ${setup} $out/setup"; };
  tool = name: make {
    inherit name;
    pname = name;
    buildCommand = ''
      mkdir -p $out/bin
      printf '#!/bin/sh\necho ${name} ${greeting} "$@"\n' > $out/bin/${name}
      chmod +x $out/bin/${name}
    '';
  };
in
rec {
  one = tool "one";
  two = tool "two";
  shell = make {
    name = "shell-1.0";
    inherit stdenv;
    builder = "BASH";
    buildInputs = [ one ];
    shellHook = "echo hook";
    FOO = "foo'bar";
    SHELL_ARG = if inNixShell then "inside" else "outside";
    passAsFile = [ "big" ];
    big = "a large text";
    outputs = [ "out" "dev" ];
    buildPhase = "echo building";
  };
  structured = make {
    name = "structured";
    __structuredAttrs = true;
    inherit stdenv;
    words = [ "a b" "c" ];
    outputs = [ "out" ];
  };
  runCommand = name: attrs: buildCommand: make (attrs // { inherit name stdenv buildCommand; });
  linksOut = make { name = "links-out"; buildCommand = "mkdir $out; ln -s /outside $out/bin"; };
  pkgs = runCommandOnly;
  runCommandOnly = { inherit runCommand; };
}
"#;

fn bash() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join("bash"))
        .find(|file| file.is_file());
    if found.is_none() {
        eprintln!("skipped: this machine has no bash");
    }
    found
}

fn place() -> Option<Place> {
    let bash = bash()?;
    let place = Place::new();
    place.configure(
        "substituters =\nbuild-users-group =\nsandbox = false\nexperimental-features = nix-command flakes\n",
    );
    let world = WORLD.replace("BASH", &bash.display().to_string());
    let file = place.write("default.nix", &world);
    let place = place.with("NIX_PATH", &format!("nixpkgs={}", file.display()));
    Some(place.with("NIX_BUILD_SHELL", &bash.display().to_string()))
}

#[test]
fn a_shell_has_what_the_builder_would_have() {
    let Some(place) = place() else { return };
    let command = "echo \"$FOO $FROM_SETUP $SHELL_ARG $IN_NIX_SHELL\"; cat $bigPath; echo; one x";
    let run = place.run("rx-shell", ["-A", "shell", "--run", command]);
    assert_eq!(
        run.success(),
        "hook\nfoo'bar yes inside impure\na large text\none hi x\n"
    );
}

#[test]
fn a_shell_ends_with_the_status_of_its_command_and_leaves_nothing_behind() {
    let Some(place) = place() else { return };
    let run = place.run("rx-shell", ["-A", "shell", "--run", "exit 7"]);
    assert_eq!(run.code, 7, "{}", run.err);
    assert_eq!(
        std::fs::read_dir(place.root().join("tmp")).unwrap().count(),
        0
    );
}

#[test]
fn a_pure_shell_keeps_only_what_it_is_told_to() {
    let Some(place) = place() else { return };
    let place = place.with("MINE", "mine").with("OTHER", "other");
    let run = place.run(
        "rx-shell",
        [
            "-A",
            "shell",
            "--pure",
            "--keep",
            "MINE",
            "--run",
            "echo $MINE-$OTHER-$IN_NIX_SHELL",
        ],
    );
    assert_eq!(run.success(), "hook\nmine--pure\n");
}

#[test]
fn packages_are_put_together_on_the_spot() {
    let Some(place) = place() else { return };
    let run = place.run(
        "rx-shell",
        [
            "-p", "one", "two", "--argstr", "greeting", "hello", "--run", "one; two",
        ],
    );
    assert_eq!(run.success(), "one hello\ntwo hello\n");
    let both = place.run("rx-shell", ["-p", "one", "-E", "1"]);
    assert!(both.err.contains("mutually exclusive"), "{}", both.err);
}

#[test]
fn scripts_name_what_they_need_and_what_runs_them() {
    let Some(place) = place() else { return };
    let script = place.write(
        "dir/a script",
        "#! /usr/bin/env nix-shell\n#! nix-shell -i bash\n#! nix-shell -A 'shell' ../default.nix\n\
         echo \"$FOO: $1, $2\"\n",
    );
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = script.display().to_string();
    let run = place.run("nix-shell", [script.as_str(), "a b", "--pure"]);
    assert_eq!(run.success(), "hook\nfoo'bar: a b, --pure\n");
}

#[test]
fn structured_attributes_are_declared_in_the_shell() {
    let Some(place) = place() else { return };
    let command = "echo ${#words[@]} \"${words[0]}\"; test -e $NIX_ATTRS_JSON_FILE && echo json";
    let run = place.run("rx-shell", ["-A", "structured", "--run", command]);
    assert_eq!(run.success(), "2 a b\njson\n");
}

#[test]
fn a_directory_without_a_file_for_shells_is_told_about() {
    let Some(place) = place() else { return };
    std::fs::remove_file(place.work().join("default.nix")).unwrap();
    let run = place.line("rx-shell");
    assert_eq!(run.code, 1);
    assert!(
        run.err
            .contains("no argument specified and no 'shell.nix' or 'default.nix' file found"),
        "{}",
        run.err
    );
}

#[test]
fn several_derivations_are_too_many_for_a_shell() {
    let Some(place) = place() else { return };
    let run = place.run("rx-shell", ["-A", "one", "-A", "two", "--run", "true"]);
    assert!(
        run.err.contains("requires a single derivation"),
        "{}",
        run.err
    );
}

#[test]
fn programs_of_packages_are_run_with_their_arguments() {
    let Some(place) = place() else { return };
    let run = place.run("rx", ["run", "-f", ".", "two", "--", "-x", "y"]);
    assert_eq!(run.success(), "two hi -x y\n");
    let run = place.run(
        "rx",
        ["shell", "-f", ".", "one", "two", "-c", "two", "--help"],
    );
    assert_eq!(run.success(), "two hi --help\n");
    let run = place.run("rx", ["env", "shell", "-f", ".", "linksOut", "-c", "true"]);
    assert!(run.err.contains("is not in the Nix store"), "{}", run.err);
}

#[test]
fn a_command_can_be_given_an_environment_of_its_own() {
    let Some(place) = place() else { return };
    let place = place.with("MINE", "mine").with("OTHER", "other");
    let command = ["-c", "/bin/sh", "-c", "echo $MINE-$OTHER-$NEW"];
    let shell = |flags: &[&str]| {
        let mut args = vec!["shell", "-f", ".", "one"];
        args.extend(flags);
        args.extend(command);
        place.run("rx", args)
    };
    assert_eq!(
        shell(&["-i", "-k", "MINE", "-s", "NEW", "1"]).success(),
        "mine--1\n"
    );
    assert_eq!(shell(&["--unset", "MINE"]).success(), "-other-\n");
    assert!(shell(&["-k", "MINE"]).err.contains("--ignore-env"));
}

#[test]
fn a_development_environment_is_found_out_by_a_build() {
    let Some(place) = place() else { return };
    let run = place.run(
        "rx",
        [
            "develop",
            "-f",
            ".",
            "shell",
            "-c",
            "bash",
            "-c",
            "echo $FOO $FROM_SETUP $out",
        ],
    );
    assert_eq!(run.success(), "hook\nfoo'bar yes DIR/work/outputs/out\n");
    let run = place.run("rx", ["develop", "-f", ".", "shell", "--build"]);
    assert_eq!(run.success(), "hook\nbuilding\n");
    let json = place.run("rx", ["print-dev-env", "-f", ".", "shell", "--json"]);
    let json = json.success();
    for part in [
        r#""list":{"type":"array","value":["1","2 3"]}"#,
        r#""FROM_SETUP":{"type":"exported","value":"yes"}"#,
        r#""greet":"#,
    ] {
        assert!(json.contains(part), "{part} in {json}");
    }
}

#[test]
fn a_development_environment_is_sourced_by_a_users_own_bash() {
    let Some(place) = place() else { return };
    let script = place
        .run("rx", ["print-dev-env", "-f", ".", "shell"])
        .success();
    let script = script.replace("DIR/", &format!("{}/", place.root().display()));
    let file = place.write("env.sh", &script);
    let run = place.run(
        "rx",
        [
            "shell",
            "-f",
            ".",
            "one",
            "-c",
            "bash",
            "-c",
            &format!(
                "source {}; greet you; one; echo \"${{list[1]}}\"",
                file.display()
            ),
        ],
    );
    assert_eq!(run.success(), "hook\ngreet you\none hi\n2 3\n");
}

#[test]
fn a_private_store_is_visible_inside_of_shells() {
    if !rx_store::build::sandbox::namespaces_supported().isolation {
        return println!(
            "skipped: this machine gives no namespaces, in which such a store is visible"
        );
    }
    let Some(place) = place() else { return };
    let store = place.root().join("private");
    let store = store.display().to_string();
    let shell = |program: &str, args: &[&str]| {
        let mut all = vec![
            "--store",
            store.as_str(),
            "--option",
            "sandbox-paths",
            "/bin? /usr? /lib? /lib64? /nix/store?",
        ];
        all.extend(args);
        let mut command = place.command(program);
        command
            .env_remove("NIX_STORE_DIR")
            .env_remove("NIX_STATE_DIR");
        let output = command.args(all).output().unwrap();
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (out, err) = shell(
        "rx-shell",
        &["-A", "shell", "--run", "one; echo $NIX_STORE; pwd"],
    );
    if err.contains("cannot show the store") {
        eprintln!("skipped: this machine allows no namespaces: {err}");
        return;
    }
    let work = place.work().canonicalize().unwrap();
    assert_eq!(
        out,
        format!("hook\none hi\n/nix/store\n{}\n", work.display()),
        "{err}"
    );
    let (out, err) = shell("rx-shell", &["-p", "two", "--run", "two | tr a-z A-Z"]);
    assert_eq!(out, "TWO HI\n", "{err}");
}

#[test]
fn a_script_can_have_its_command_line_on_lines_of_its_own() {
    let Some(place) = place() else { return };
    let script = place.write(
        "scripts/run",
        "#! /usr/bin/env rx\n# a comment\n#! rx shell --file ../default.nix one\n#! nix --impure --command bash\n\none \"$@\"\n",
    );
    let script = script.display().to_string();
    let other = place.root().join("tmp");
    let mut command = place.command("rx");
    command.current_dir(other).args([&script, "a b", "--c"]);
    let run = command.output().unwrap();
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    assert_eq!(
        text,
        "one hi a b --c\n",
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let bad = place.write("scripts/bad", "#! /usr/bin/env rx\n#! rx shell *\n");
    let error = place.run("rx", [bad]).failure();
    assert!(
        error.contains("unsupported unquoted character in nix shebang: *"),
        "{error}"
    );
}
