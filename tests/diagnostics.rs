//! What people read when they have made a mistake: what happened, where, why, what to do.
//!
//! Each case is a mistake that people really make. The answers are kept as snapshots; the first line
//! of each is the reference's message, since that is what people search for.

mod common;

use common::Place;

/// Evaluates an expression that is wrong and checks what is said.
fn expression(name: &str, text: &str) {
    // Hashes in messages must not depend on the place.
    let place = Place::new().with("NIX_STORE_DIR", "/nix/store");
    place.write("default.nix", text);
    check(name, &place, "rx-instantiate --eval --strict");
}

/// Runs a command line that must fail and checks what is said.
fn check(name: &str, place: &Place, line: &str) {
    let outcome = place.line(line);
    assert_ne!(outcome.code, 0, "{name} succeeded: {}", outcome.out);
    snapshot(name, line, &outcome.err);
}

/// Checks what was said.
fn snapshot(name: &str, line: &str, err: &str) {
    if common::tells_of_no_sandbox(err) {
        return;
    }
    let text = format!("$ {line}\n{err}");
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

macro_rules! expressions {
    ($($name:ident: $text:expr;)*) => { $(
        #[test]
        fn $name() {
            expression(stringify!($name), $text);
        }
    )* };
}

// Text that is no program.
expressions! {
    missing_semicolon_in_let: "let\n  x = 1\n  y = 2;\nin x + y\n";
    missing_semicolon_after_the_last_attribute: "{\n  name = \"hello\";\n  version = \"2.12\"\n}\n";
    missing_brace_at_the_end: "{\n  a = {\n    b = 1;\n}\n";
    missing_parenthesis: "let f = x: x + 1; in [ (f 1 (f 2) ]\n";
    missing_in: "let\n  x = 1;\nx\n";
    unfinished_string: "{\n  name = \"hello;\n}\n";
    unfinished_comment: "/* about this package\n{ }\n";
    assignment_for_comparison: "if 1 = 1 then \"yes\" else \"no\"\n";
    if_without_else: "if true then 1\n";
    commas_in_a_list: "[ 1, 2, 3 ]\n";
    commas_between_attributes: "{ a = 1, b = 2 }\n";
    colons_in_a_set: "{ a: 1; }\n";
    quotes_that_are_no_quotes: "{ name = 'hello'; }\n";
    comment_of_another_language: "// the package\n{ }\n";
    dynamic_name_in_let: "let name = \"a\"; ${name} = 1; in name\n";
    the_same_attribute_twice: "{\n  a = 1;\n  b = 2;\n  a = 3;\n}\n";
    the_same_argument_twice: "{ a, b, a }: a\n";
    several_mistakes_in_one_file: "{\n  a = 1\n  b = [ 1, 2 ];\n  c = (3;\n}\n";
}

// Names and attributes.
expressions! {
    variable_with_a_typo: "let version = \"1.0\"; in \"hello-${verison}\"\n";
    variable_that_nobody_defined: "{ stdenv }: stdenv.mkDerivation { src = fetchurl; }\n";
    attribute_with_a_typo: "let pkgs = { hello = 1; curl = 2; }; in pkgs.helo\n";
    attribute_of_something_that_is_no_set: "let pkgs = [ 1 2 ]; in pkgs.hello\n";
    inherited_from_a_set_that_lacks_it: "let s = { a = 1; }; in { inherit (s) b; }.b\n";
    attribute_asked_for_by_name: "builtins.getAttr \"b\" { a = 1; }\n";
    builtin_with_a_typo: "builtins.lenght [ 1 ]\n";
}

// Calls.
expressions! {
    required_argument_missing: "let f = { a, b }: a + b; in f { a = 1; }\n";
    unexpected_argument_with_a_typo: "let f = { version, src }: version; in f { verison = \"1\"; src = ./.; }\n";
    calling_what_is_no_function: "let x = { a = 1; }; in x 2\n";
    list_elements_without_parentheses: "let f = x: x * 2; in builtins.head (map (x: x + 1) [ f 1 ])\n";
    arguments_in_the_wrong_order: "map [ 1 2 ] (x: x)\n";
    function_given_for_a_set: "(x: x) // { a = 1; }\n";
    function_for_its_result: "let name = x: \"a\"; in \"b-${name}\"\n";
}

// Types.
expressions! {
    number_in_a_string: "let n = 3; in \"version ${n}\"\n";
    text_plus_number: "\"a\" + 1\n";
    number_plus_text: "1 + \"a\"\n";
    set_in_a_string: "let p = { name = \"x\"; }; in \"${p}\"\n";
    condition_that_is_no_boolean: "if \"true\" then 1 else 2\n";
    list_plus_list: "[ 1 ] + [ 2 ]\n";
    comparison_of_different_types: "1 < \"2\"\n";
    null_in_a_string: "let x = null; in \"a${x}\"\n";
    wrong_type_in_an_option: "
let
  check = name: type: value:
    if builtins.typeOf value == type then value
    else throw \"A definition for option `${name}' is not of type `${type}'.\";
in { enable = check \"services.web.enable\" \"bool\" \"yes\"; }
";
    name_of_the_option_misspelt: "
(import <rx/lib>).evalModules {
  modules = [
    ({ lib, ... }: { options.services.web.enable = lib.mkEnableOption \"the web server\"; })
    { services.web.enabel = true; }
  ];
}
";
    option_of_a_module_of_the_wrong_type: "
((import <rx/lib>).evalModules {
  modules = [
    ({ lib, ... }: { options.services.web.port = lib.mkOption { type = lib.types.port; }; })
    { services.web.port = \"80\"; }
  ];
}).config
";
    option_that_nobody_sets: "
((import <rx/lib>).evalModules {
  modules = [ ({ lib, ... }: { options.domain = lib.mkOption { type = lib.types.str; description = \"the site's name\"; }; }) ];
}).config
";
    option_that_two_modules_set: "
((import <rx/lib>).evalModules {
  modules = [
    ({ lib, ... }: { options.domain = lib.mkOption { type = lib.types.str; }; })
    { domain = \"a.example\"; }
    { domain = \"b.example\"; }
  ];
}).config
";
}

// Values.
expressions! {
    a_value_that_needs_itself: "let x = x + 1; in x\n";
    overlay_that_uses_final_for_what_it_changes: "
let
  fix = f: let x = f x; in x;
  base = final: { hello = \"hello\"; };
  overlay = final: prev: { hello = final.hello + \"-patched\"; };
in (fix (final: base final // overlay final (base final))).hello
";
    recursion_without_end: "let f = n: 1 + f (n + 1); in f 0\n";
    failed_assertion: "let version = \"1.0\"; in assert version != \"1.0\"; version\n";
    thrown_error: "throw \"this package needs a licence key\"\n";
    error_with_context: "builtins.addErrorContext \"while preparing the release\" (throw \"no tag\")\n";
    aborted: "builtins.abort \"stop here\"\n";
    division_by_zero: "1 / 0\n";
    number_too_large: "9223372036854775807 + 1\n";
    head_of_nothing: "builtins.head [ ]\n";
    element_that_is_not_there: "builtins.elemAt [ 1 2 ] 5\n";
    json_that_is_none: "builtins.fromJSON \"{ a: 1 }\"\n";
    regular_expression_that_is_none: "builtins.match \"a(\" \"b\"\n";
    hash_that_is_none: "derivation { name = \"x\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; outputHash = \"123\"; outputHashAlgo = \"sha256\"; }\n";
}

// Package sets.
expressions! {
    overlay_of_the_library_that_uses_final_for_what_it_changes: "
(import <rx> {
  system = \"x86_64-linux\";
  overlays = [ (final: prev: { hello = final.hello.overrideAttrs { version = \"2\"; }; }) ];
}).hello.name
";
    package_that_asks_for_one_that_is_not_there: "
(import <rx> { system = \"x86_64-linux\"; }).callPackage ({ mkDerivation, libgret }: libgret) { }
";
    package_without_a_name: "((import <rx> { system = \"x86_64-linux\"; }).mkDerivation { src = ./.; }).name\n";
    null_among_the_inputs: "
((import <rx> { system = \"x86_64-linux\"; }).mkDerivation { name = \"a\"; buildInputs = [ null ]; }).drvPath
";
    derivations_that_need_each_other: "
let
  make = name: needs: derivation { inherit name needs; system = \"x86_64-linux\"; builder = \"/bin/sh\"; };
  a = make \"a\" b;
  b = make \"b\" a;
in a.drvPath
";
}

// Files.
expressions! {
    imported_file_that_is_missing: "import ./pkgs/hello.nix\n";
    file_that_is_read_is_missing: "builtins.readFile ./VERSION\n";
    path_in_a_string_that_is_missing: "\"${./missing}\"\n";
    search_path_without_nixpkgs: "import <nixpkgs> { }\n";
    search_path_without_the_name: "<home-manager/modules>\n";
    derivation_without_a_name: "(derivation { system = \"x\"; builder = \"b\"; }).drvPath\n";
    derivation_with_a_bad_name: "(derivation { name = \"a b\"; system = \"x\"; builder = \"b\"; }).drvPath\n";
    derivation_without_a_builder: "(derivation { name = \"x\"; system = \"y\"; }).drvPath\n";
    file_of_a_derivation_in_to_file: "let d = derivation { name = \"x\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; }; in builtins.toFile \"t\" \"${d}\"\n";
}

#[test]
fn mistake_in_an_imported_file() {
    let place = Place::new();
    place.write("lib/strings.nix", "{ upper = s: builtins.toUper s; }\n");
    place.write(
        "default.nix",
        "let strings = import ./lib/strings.nix; in strings.upper \"a\"\n",
    );
    check(
        "mistake_in_an_imported_file",
        &place,
        "rx-instantiate --eval",
    );
}

#[test]
fn imported_directory_without_default_nix() {
    let place = Place::new();
    place.write("pkgs/hello.nix", "{ }\n");
    place.write("default.nix", "import ./pkgs\n");
    check(
        "imported_directory_without_default_nix",
        &place,
        "rx-instantiate --eval",
    );
}

#[test]
fn file_with_a_typo() {
    let place = Place::new();
    place.write("pkgs/hello.nix", "{ }\n");
    place.write("default.nix", "import ./pkgs/helo.nix\n");
    check("file_with_a_typo", &place, "rx-instantiate --eval");
}

#[test]
fn attribute_path_on_the_command_line() {
    let place = Place::new();
    place.write("default.nix", "{ hello = { bin = 1; }; curl = 2; }\n");
    check(
        "attribute_path_on_the_command_line",
        &place,
        "rx-instantiate --eval -A helo.bin",
    );
}

#[test]
fn argument_that_the_command_line_must_give() {
    let place = Place::new();
    place.write("default.nix", "{ pkgs, version ? \"1\" }: version\n");
    check(
        "argument_that_the_command_line_must_give",
        &place,
        "rx-instantiate --eval -A version",
    );
}

#[test]
fn file_on_the_command_line_that_is_missing() {
    check(
        "file_on_the_command_line_that_is_missing",
        &Place::new(),
        "rx-instantiate --eval relese.nix",
    );
}

#[test]
fn misspelt_option() {
    check(
        "misspelt_option",
        &Place::new(),
        "rx-instantiate --evla -E 1",
    );
}

#[test]
fn option_without_its_value() {
    check(
        "option_without_its_value",
        &Place::new(),
        "rx-instantiate --eval --arg x",
    );
}

#[test]
fn deeply_nested_error_shows_the_way() {
    let place = Place::new();
    place.write(
        "default.nix",
        "let\n  a = b + 1;\n  b = c + 1;\n  c = d.e;\n  d = { e = f 3; };\n  f = x: x.y;\nin a\n",
    );
    check(
        "deeply_nested_error_shows_the_way",
        &place,
        "rx-instantiate --eval",
    );
    check(
        "deeply_nested_error_shows_the_whole_trace",
        &place,
        "rx-instantiate --eval --show-trace",
    );
}

#[test]
fn something_that_is_no_store_path() {
    check(
        "something_that_is_no_store_path",
        &Place::new(),
        "rx-store -q --references /etc/passwd",
    );
}

#[test]
fn store_path_that_is_not_there() {
    let place = Place::new().with("NIX_STORE_DIR", "/nix/store");
    let line = "rx-store -q --references /nix/store/00000000000000000000000000000000-hello";
    check("store_path_that_is_not_there", &place, line);
}

#[test]
fn store_command_without_an_operation() {
    check(
        "store_command_without_an_operation",
        &Place::new(),
        "rx-store",
    );
}

#[test]
fn misspelt_subcommand() {
    check("misspelt_subcommand", &Place::new(), "rx hahs path .");
}

#[test]
fn subcommand_without_its_argument() {
    check(
        "subcommand_without_its_argument",
        &Place::new(),
        "rx nar cat",
    );
}

#[test]
fn hash_in_another_notation() {
    let line = "rx hash convert --hash-algo sha256 0123";
    check("hash_in_another_notation", &Place::new(), line);
}

#[test]
fn setting_with_a_typo() {
    check(
        "setting_with_a_typo",
        &Place::new(),
        "rx config show max-job",
    );
}

#[test]
fn configuration_file_that_cannot_be_read() {
    let place = Place::new();
    place.configure("substituters https://cache.example.org\n");
    check(
        "configuration_file_that_cannot_be_read",
        &place,
        "rx-instantiate --eval -E 1",
    );
}

#[test]
fn pure_evaluation_forbids_a_file() {
    let place = Place::new().with("NIX_STORE_DIR", "/nix/store");
    place.write("default.nix", "builtins.readFile /etc/hostname\n");
    let line = "rx-instantiate --eval --pure-eval -E builtins.readFile(/etc/hostname)";
    check("pure_evaluation_forbids_a_file", &place, line);
}

/// Builds that go wrong, each in its own way.
const BUILDS: &str = r#"
let
  make = name: text: attrs: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" text ];
  } // attrs);
  fetch = url: import <nix/fetchurl.nix> { inherit url; sha256 = builtins.hashString "sha256" "x"; };
in rec {
  fails = make "fails" "echo checking for libfoo... no; echo configure: error: libfoo not found; exit 77" { };
  needs = make "needs" "echo > $out" { inherit fails; };
  wrong = make "wrong" "echo content > $out" {
    outputHashAlgo = "sha256";
    outputHash = builtins.hashString "sha256" "another";
  };
  refused = fetch "http://127.0.0.1:1/hello.tar.gz";
  unknown = fetch "http://no-such-host.invalid/hello.tar.gz";
  builder = derivation { name = "b"; system = builtins.currentSystem; builder = "/bin/bahs"; };
  context = derivation {
    name = "c";
    system = builtins.currentSystem;
    builder = builtins.unsafeDiscardStringContext "${make "tool" "echo > $out" { }}/bin/tool";
  };
  feature = make "feature" "echo > $out" { requiredSystemFeatures = [ "gpu" ]; };
  tools = make "tools" "cc --version > $out" { requiredSystemFeatures = [ "host-tools" ]; };
  other = make "other" "echo > $out" { system = "m68k-amigaos"; };
  nothing = make "nothing" "true" { };
  circle = make "circle" "echo $b > $a; echo $a > $b" { outputs = [ "a" "b" ]; };
  refers = make "refers" "echo $tool > $out" rec { tool = make "tool" "echo > $out" { }; disallowedReferences = [ tool ]; };
  program = make "program" "exec 2> /dev/null; gcc -o hello hello.c" { };
  slow = make "slow" "while :; do :; done" { };
  imported = import (make "imported" "echo 1 > $out" { });
  number = 1;
  big = make "big" "set -e; exec 2> /dev/null; while :; do echo 0123456789012345678901234567890123456789; done > $out" { };
  lacks = (import <rx> { }).runCommand "lacks" { hostTools = [ "no-such-tool" ]; } "no-such-tool > $out";
}
"#;

fn building() -> Place {
    let place = Place::new();
    place.configure("substituters =\nbuild-users-group =\ndownload-attempts = 1\n");
    place.write("default.nix", BUILDS);
    place
}

/// What differs between machines and moments, made the same.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        for known in ["/store/", "DIR/work/"] {
            let mut from = 0;
            while let Some(at) = line[from..].find(known) {
                let start = from + at + known.len();
                let digits = line[start..]
                    .bytes()
                    .take_while(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
                    .count();
                if digits == 32 {
                    line.replace_range(start..start + digits, "HASH");
                }
                from = start;
            }
        }
        if line.starts_with("Available features:") {
            "Available features: {…}".clone_into(&mut line);
        }
        if line.starts_with("Current system:") {
            "Current system: '…'".clone_into(&mut line);
        }
        if let Some(at) = line.find("/builds/nix-") {
            let rest = line[at..]
                .find("/build'")
                .map_or("", |end| &line[at + end..]);
            line = format!("{}/builds/nix-…{rest}", &line[..at]);
        }
        steady.push_str(&line);
        steady.push('\n');
    }
    steady
}

/// Runs a command line in `place` and checks what is said; `false` if it succeeded.
fn check_building(name: &str, place: &Place, line: &str) {
    let outcome = place.line(line);
    assert_ne!(outcome.code, 0, "{name} succeeded: {}", outcome.out);
    snapshot(name, line, &steady(&outcome.err));
}

macro_rules! builds {
    ($($name:ident: $arguments:expr;)*) => { $(
        #[test]
        fn $name() {
            let line = format!("rx-build --no-out-link -A {}", $arguments);
            check_building(stringify!($name), &building(), &line);
        }
    )* };
}

builds! {
    builder_that_fails: "fails";
    builder_that_fails_with_its_log_hidden: "fails -Q";
    builder_that_fails_and_leaves_its_directory: "fails --keep-failed";
    dependency_that_fails: "needs";
    program_that_builders_do_not_see: "program";
    builder_that_is_not_there: "builder";
    builder_named_by_a_string_without_context: "context";
    hash_of_a_fixed_output_that_differs: "wrong";
    server_that_does_not_answer: "refused";
    server_that_nobody_knows: "unknown";
    feature_that_the_machine_lacks: "feature";
    tools_of_the_host_that_are_not_allowed: "tools";
    system_that_this_is_not: "other";
    output_that_was_not_made: "nothing";
    cycle_between_outputs: "circle";
    reference_that_is_not_allowed: "refers";
    build_that_takes_too_long: "slow --timeout 1";
    import_of_what_must_be_built_first: "imported --option allow-import-from-derivation false";
    value_that_is_no_package: "number";
    attribute_that_no_package_has: "wrnog";
    jobs_that_are_none: "fails --max-jobs 0";
    tool_that_the_machine_lacks: "lacks --host-tools";
}

/// Whether builds are isolated here: paths of the sandbox matter only then.
fn isolates(place: &Place) -> bool {
    let report = place.run("rx", ["doctor", "--offline", "--json"]).out;
    let findings: serde_json::Value = serde_json::from_str(&report).unwrap_or_default();
    let good = findings.as_array().is_some_and(|list| {
        list.iter()
            .any(|one| one["subject"] == "isolation" && one["verdict"] == "good")
    });
    if !good {
        eprintln!("skipped: builds are not isolated on this machine");
    }
    good
}

#[test]
fn sandbox_path_that_is_missing() {
    let place = building();
    if isolates(&place) {
        let line =
            "rx-build --no-out-link -A fails --option extra-sandbox-paths /opt/no-such-tools";
        check_building("sandbox_path_that_is_missing", &place, line);
    }
}

#[test]
fn settings_that_nobody_knows() {
    let place = building();
    let line = "rx-instantiate --eval -E 1 --option sandbxo false";
    let outcome = place.line(line);
    assert_eq!(outcome.code, 0);
    snapshot("setting_that_nobody_knows", line, &outcome.err);
    place.configure("max-job = 3\n");
    let line = "rx-instantiate --eval -E 1";
    let outcome = place.line(line);
    assert_eq!(outcome.code, 0);
    snapshot("setting_in_a_file_that_nobody_knows", line, &outcome.err);
}

#[test]
fn setting_with_a_wrong_value() {
    let place = building();
    place.configure("max-jobs = many\n");
    let line = "rx-instantiate --eval -E 1";
    check("setting_with_a_wrong_value", &place, line);
}

#[test]
fn restricted_evaluation() {
    let place = building();
    let line = "rx-instantiate --restrict-eval --eval -E builtins.readFile(/etc/hostname)";
    check("restricted_evaluation_forbids_a_file", &place, line);
    let line =
        "rx-instantiate --restrict-eval --eval -E builtins.fetchurl(\"http://example.org/x\")";
    check("restricted_evaluation_forbids_a_uri", &place, line);
}

#[test]
fn database_that_is_damaged() {
    let place = building();
    place.line("rx-store --init").success();
    let file = place.root().join("var/nix/db/db.sqlite");
    std::fs::write(&file, "this is no database, whatever its name says").unwrap();
    let line = "rx-build --no-out-link -A nothing";
    check_building("database_that_is_damaged", &place, line);
}

#[test]
fn database_of_a_newer_program() {
    let place = building();
    place.line("rx-store --init").success();
    std::fs::write(place.root().join("var/nix/db/schema"), "99").unwrap();
    let line = "rx-build --no-out-link -A nothing";
    check_building("database_of_a_newer_program", &place, line);
}

#[test]
fn disk_that_is_full() {
    let place = building();
    let root = place.root().display().to_string();
    std::fs::create_dir(place.root().join("store")).unwrap();
    std::fs::create_dir(place.root().join("var")).unwrap();
    // Builders write where the store is, and the database is beside it.
    let mounts = format!("mount -t tmpfs -o size=2m none {root}/store");
    let line = "rx-build --no-out-link -A big";
    let Some(outcome) = place.inside(&mounts, line) else {
        return;
    };
    assert_ne!(outcome.code, 0);
    snapshot("disk_that_is_full", line, &steady(&outcome.err));
}

#[test]
fn store_that_is_read_only() {
    let place = building();
    let root = place.root().display().to_string();
    place.line("rx-store --init").success();
    let _ = std::fs::create_dir(place.root().join("store"));
    let mounts =
        format!("mount --bind {root}/store {root}/store && mount -o remount,bind,ro {root}/store");
    let line = "rx-build --no-out-link -A nothing";
    let Some(outcome) = place.inside(&mounts, line) else {
        return;
    };
    assert_ne!(outcome.code, 0);
    snapshot("store_that_is_read_only", line, &steady(&outcome.err));
}

#[test]
fn store_of_somebody_else() {
    use std::os::unix::fs::PermissionsExt;
    let place = building();
    place.line("rx-store --init").success();
    let line = "rx-build --no-out-link -A nothing";
    let outcome = if rustix::process::geteuid().is_root() {
        // Root may write anywhere: be nobody.
        for dir in [
            "",
            "home",
            "conf",
            "work",
            "tmp",
            "var",
            "var/nix",
            "var/nix/db",
        ] {
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(place.root().join(dir), mode).unwrap();
        }
        let ordinary = place.command("rx-build");
        let mut command = std::process::Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(ordinary.get_program())
            .args(line.split(' ').skip(1))
            .current_dir(place.work());
        for (name, value) in ordinary.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let Ok(output) = command.output() else {
            eprintln!("skipped: no setpriv");
            return;
        };
        let err = place.neutral(&String::from_utf8_lossy(&output.stderr));
        if err.contains("setpriv:") {
            eprintln!("skipped: {err}");
            return;
        }
        err
    } else {
        let mode = std::fs::Permissions::from_mode(0o555);
        std::fs::set_permissions(place.root().join("var/nix/db"), mode.clone()).unwrap();
        let lock = place.root().join("var/nix/db/big-lock");
        let _ = std::fs::set_permissions(lock, std::fs::Permissions::from_mode(0o444));
        place.line(line).err
    };
    snapshot("store_of_somebody_else", line, &steady(&outcome));
}

#[test]
fn path_that_can_be_had_nowhere() {
    let place = building();
    let root = place.root().display().to_string();
    let line = format!("rx-store --realise {root}/store/00000000000000000000000000000000-hello");
    let outcome = place.line(&line);
    assert_ne!(outcome.code, 0);
    let line = place.neutral(&line);
    snapshot(
        "path_that_can_be_had_nowhere",
        steady(&line).trim(),
        &steady(&outcome.err),
    );
}

#[test]
fn log_that_is_not_there() {
    let place = building();
    let root = place.root().display().to_string();
    let line = format!("rx log {root}/store/00000000000000000000000000000000-hello");
    let outcome = place.line(&line);
    assert_ne!(outcome.code, 0);
    let line = place.neutral(&line);
    snapshot(
        "log_that_is_not_there",
        steady(&line).trim(),
        &steady(&outcome.err),
    );
}

#[test]
fn installing_what_nobody_offers() {
    let place = building();
    let line = "rx-env -f default.nix -i no-such-package";
    check_building("installing_what_nobody_offers", &place, line);
}
