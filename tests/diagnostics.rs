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
    let text = format!("$ {line}\n{}", outcome.err);
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
