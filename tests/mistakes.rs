//! More mistakes, as they are asked about in forums and trackers: on command lines, in flakes, in settings, in modules.
//!
//! `diagnostics.rs` has those of the language itself, of builds and of the store.

mod common;

use common::{Outcome, Place};

/// A place without caches, where hashes do not depend on the place.
fn place() -> Place {
    let place = Place::new().with("NIX_STORE_DIR", "/nix/store");
    place.configure("substituters =\nbuild-users-group =\ndownload-attempts = 1\n");
    place
}

/// Checks what was said of a mistake.
fn said(name: &str, line: &str, outcome: &Outcome) {
    if common::tells_of_no_sandbox(&outcome.err) {
        return;
    }
    let text = format!("$ {line}\n{}", outcome.err);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

/// A command line that must fail.
fn line(name: &str, place: &Place, line: &str) {
    let mut outcome = place.line(line);
    assert_ne!(outcome.code, 0, "{name} succeeded: {}", outcome.out);
    // How large a directory is depends on the file system.
    let size = place.work().metadata().unwrap().len();
    let read = format!("read of {size} bytes: Is a directory");
    outcome.err = outcome
        .err
        .replace(&read, "read of 4096 bytes: Is a directory");
    said(name, line, &outcome);
}

macro_rules! expressions {
    ($($name:ident: $text:expr;)*) => { $(
        #[test]
        fn $name() {
            let place = place();
            place.write("default.nix", $text);
            line(stringify!($name), &place, "rx-instantiate --eval --strict");
        }
    )* };
}

macro_rules! lines {
    ($($name:ident: $line:expr;)*) => { $(
        #[test]
        fn $name() {
            line(stringify!($name), &place(), $line);
        }
    )* };
}

// Language.
expressions! {
    attribute_of_the_argument_and_not_of_the_result: "let f = x: x; in f { a = 1; }.out\n";
    attribute_of_a_text: "let version = \"1.0\"; in version.major\n";
    attribute_of_a_number: "let port = 80; in port.http\n";
    difference_without_spaces: "let days = 7; in days-1\n";
    names_with_a_minus_between_them: "let a = 3; b = 1; in a-b\n";
    default_without_an_attribute: "null or 3\n";
    interpolation_outside_of_a_string: "{ version = ${toString 3}; }\n";
    module_function_without_a_colon: "{ config, pkgs, ... } { services.web.enable = true; }\n";
    brace_too_many: "{ a = 1; }}\n";
    let_without_anything: "let x = 1;\n";
    builtin_behind_a_feature: "builtins.fetchTree { type = \"git\"; url = \"/x\"; }\n";
    operator_behind_a_feature: "1 |> (x: x + 1)\n";
    file_read_that_is_a_directory: "builtins.readFile ./.\n";
    directory_read_that_is_a_file: "builtins.readDir ./default.nix\n";
    texts_to_replace_of_another_number: "builtins.replaceStrings [ \"a\" ] [ ] \"b\"\n";
    list_to_set_without_names: "builtins.listToAttrs [ { nme = \"a\"; value = 1; } ]\n";
    values_that_cannot_be_sorted: "builtins.sort (a: b: a < b) [ 1 \"a\" ]\n";
    function_in_json: "builtins.toJSON { greet = name: \"hello ${name}\"; }\n";
    variable_of_the_shell_in_a_string: "{ buildPhase = \"mkdir ${out}/bin\"; }\n";
    hash_that_is_not_complete: "
derivation { name = \"x\"; system = \"s\"; builder = \"b\"; outputHashMode = \"flat\"; outputHash = \"sha256-abc\"; }
";
    hash_of_a_wrong_length: "builtins.fetchTarball { url = \"https://example.org/x.tar.gz\"; sha256 = \"abc\"; }\n";
}

// The package library.
expressions! {
    version_without_quotes: "
(import <rx> { system = \"x86_64-linux\"; }).mkDerivation {
  pname = \"tool\";
  version = 1.5;
}
";
    package_file_that_is_missing: "(import <rx> { system = \"x86_64-linux\"; }).callPackage ./pkgs/tool.nix { }\n";
    library_argument_with_a_typo: "(import <rx> { sytem = \"x86_64-linux\"; }).hello\n";
    override_with_a_typo: "(import <rx> { system = \"x86_64-linux\"; }).hello.overrideAttr { version = \"2\"; }\n";
    module_that_is_missing: "
((import <rx/lib>).evalModules { modules = [ ./services/web.nix ]; }).config
";
    option_of_the_wrong_kind_in_a_list: "
((import <rx/lib>).evalModules {
  modules = [
    ({ lib, ... }: { options.ports = lib.mkOption { type = lib.types.listOf lib.types.port; }; })
    { ports = [ 80 \"443\" ]; }
  ];
}).config
";
    option_that_is_none_of_the_choices: "
((import <rx/lib>).evalModules {
  modules = [
    ({ lib, ... }: { options.level = lib.mkOption { type = lib.types.enum [ \"info\" \"debug\" ]; }; })
    { level = \"verbose\"; }
  ];
}).config
";
}

// Command lines.
lines! {
    command_with_a_typo_in_a_group: "rx flake shwo";
    command_that_a_group_lacks: "rx os swich-over";
    group_without_its_command: "rx profile";
    help_for_a_command_that_is_not_there: "rx help frobnicate";
    option_of_a_setting_with_a_typo: "rx-instantiate --eval -E 1 --extra-experimental-feature flakes";
    option_that_wants_a_number: "rx-build --max-jobs many";
    file_for_eval_that_is_missing: "rx eval -f packages.nix hello";
    flake_directory_that_is_missing: "rx build ./tools#hello --extra-experimental-features flakes";
    flake_reference_with_a_typo: "rx build gitub:owner/project#hello --extra-experimental-features flakes";
    store_address_that_is_none: "rx store info --store ftp://example.org";
    copy_without_a_direction: "rx copy ./result";
    hash_without_its_kind: "rx hash convert 0123";
    archive_that_is_none: "rx-store --restore tree";
    import_of_nothing: "rx-store --import";
    channel_that_is_no_address: "rx-channel --add unstable";
    generation_that_is_not_there: "rx-env --switch-generation 7";
    age_without_its_unit: "rx-collect-garbage --delete-older-than 30";
    program_of_a_script_elsewhere: "rx-shell -i bash";
}

#[test]
fn file_with_a_name_that_is_nearly_right() {
    let place = place();
    place.write("packages.nix", "{ }");
    line(
        "file_with_a_name_that_is_nearly_right",
        &place,
        "rx-build package.nix",
    );
}

/// A collection of packages that was found by the search path, with a file of one's own that uses it.
fn collection() -> Place {
    let place = place();
    place.write(
        "collection/default.nix",
        "let
  lib = import ./lib.nix;
in
lib.fix (lib.extend ({ overlays ? [ ] }: overlays) { } (final: {
  fetch = lib.checked (name: throw \"fetch is called 'fetchurl' now\");
  make = attrs: derivation ({ system = \"x86_64-linux\"; builder = \"/bin/sh\"; } // attrs);
}))
",
    );
    place.write(
        "collection/lib.nix",
        "rec {
  fix = f: arguments: let self = f arguments self; in self;
  checked = f: argument: apply f (prepare argument);
  apply = f: argument: builtins.seq argument (f argument);
  prepare = argument: assert builtins.isString argument; argument;
  extend = read: none: base: arguments: final:
    builtins.foldl' (prev: overlay:
      prev // overlay final prev
    ) (base final) (read arguments);
}
",
    );
    let path = format!("pkgs={}", place.work().join("collection").display());
    place.with("NIX_PATH", &path)
}

#[test]
fn mistakes_in_the_use_of_a_collection_are_shown_in_ones_own_code() {
    let place = collection();
    place.write(
        "default.nix",
        "let
  pkgs = import <pkgs> { };
in
pkgs.make {
  name = \"tool\";
  src = pkgs.fetch \"tool.tar.gz\";
}
",
    );
    line(
        "mistake_in_the_use_of_a_collection",
        &place,
        "rx-instantiate",
    );
    place.write(
        "default.nix",
        "(import <pkgs> { overlays = [ (prev: { make = 1; }) ]; }).make\n",
    );
    line("overlay_of_one_argument", &place, "rx-instantiate --eval");
    // Who works on the collection is shown the place in it.
    let mut here = place.command("rx-instantiate");
    let run = here
        .arg("--eval")
        .args(["-E", "(import ./. { }).fetch \"x\""]);
    let run = run.current_dir(place.work().join("collection")).output();
    let run = place.outcome(&run.unwrap());
    said("mistake_in_the_collection_itself", "rx-instantiate", &run);
}

#[test]
fn settings_in_files_are_told_with_their_lines() {
    let place = place();
    place.configure("# builds\nsandbox = ture\n");
    let check = "rx-instantiate --eval -E 1";
    line("value_of_a_setting_in_a_file", &place, check);
    place.configure("substituters =\nmax-job = 3\nexperimental-features = flaeks\n");
    let outcome = place.line(check);
    assert_eq!(outcome.code, 0);
    said("names_in_a_file_that_nobody_knows", check, &outcome);
    let place = place.with("NIX_CONFIG", "cores = four");
    line("value_of_a_setting_in_the_environment", &place, check);
    let place = place.with("NIX_CONFIG", "include more.conf");
    line("included_configuration_that_is_missing", &place, check);
}

#[test]
fn proxy_that_does_not_answer() {
    let place = place().with("http_proxy", "http://127.0.0.1:1");
    let command = "rx-prefetch-url http://example.org/x --option download-attempts 1";
    line("proxy_that_does_not_answer", &place, command);
}

#[test]
fn directory_for_temporary_files_that_is_missing() {
    let place = Place::new().with("TMPDIR", "/no-such-directory");
    let outcome = place.line("rx-build <rx> -A handbook --host-tools");
    assert_ne!(outcome.code, 0);
    assert!(
        outcome.err.contains("/no-such-directory") && outcome.err.contains("TMPDIR"),
        "{}",
        outcome.err
    );
}

/// A flake in a git repository; nothing where there is no git.
fn flake(text: &str) -> Option<Place> {
    let place = Place::new();
    place.configure("substituters =\nbuild-users-group =\nextra-experimental-features = flakes\nwarn-dirty = false\nsystem = x86_64-linux\n");
    place.write("project/flake.nix", text);
    place.write("project/hello.nix", "1");
    for words in [&["init", "-q"][..], &["add", "flake.nix"]] {
        let done = std::process::Command::new("git")
            .args(words)
            .current_dir(place.work().join("project"))
            .env("HOME", place.root())
            .status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no git");
            return None;
        }
    }
    Some(place)
}

macro_rules! flakes {
    ($($name:ident: $line:expr, $text:expr;)*) => { $(
        #[test]
        fn $name() {
            if let Some(place) = flake($text) {
                line(stringify!($name), &place, $line);
            }
        }
    )* };
}

flakes! {
    file_that_git_does_not_know: "rx eval ./project#hello",
        "{ outputs = { self }: { hello = import ./hello.nix; }; }";
    output_with_a_typo: "rx eval ./project#helo", "{ outputs = { self }: { hello = 1; }; }";
    outputs_with_a_typo: "rx eval ./project#hello", "{ output = { self }: { hello = 1; }; }";
    outputs_that_do_not_take_self: "rx eval ./project#hello", "{ outputs = { }: { hello = 1; }; }";
    input_that_is_computed: "rx eval ./project#hello",
        "{ inputs.lib.url = import ./lib.nix; outputs = { self, lib }: { hello = 1; }; }";
    packages_without_a_system: "rx build ./project", "{ outputs = { self }: { packages.default = 1; }; }";
    package_that_is_none: "rx build ./project",
        "{ outputs = { self }: { packages.x86_64-linux.default = 3; }; }";
    mistake_in_a_flake_is_shown_where_it_can_be_edited: "rx eval ./project#hello",
        "{ outputs = { self }: {\n  hello = self.greeting.text;\n  greting = 1;\n}; }";
}

#[test]
fn a_directory_without_a_flake() {
    let place = place();
    place.write("project/default.nix", "{ }");
    let command = "rx build ./project --extra-experimental-features flakes";
    let outcome = place.line(command);
    assert_ne!(outcome.code, 0);
    // The search ends where temporary files have a disk of their own.
    if outcome
        .err
        .contains("before encountering filesystem boundary")
    {
        return println!("not compared: directories for temporary files are on another disk");
    }
    said("a_directory_without_a_flake", command, &outcome);
}
