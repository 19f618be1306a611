//! `rx-instantiate` and `rx eval` as scripts use them.

mod common;

use common::Place;
use common::processes::{tell, until_it_listens};
use rustix::process::Signal;

fn with_packages() -> Place {
    let place = Place::new();
    place.write(
        "default.nix",
        r#"{ suffix ? "x", number ? 1 }: rec {
             tool = derivation {
               name = "tool-${suffix}"; system = "x86_64-linux"; builder = "/bin/sh";
               args = [ "-c" number ]; outputs = [ "out" "dev" ];
             };
             headers = tool.dev;
             list = [ 1 { inner = tool; } ];
             "dotted.name" = { deep = "found"; };
             set = { recurseForDerivations = true; inherit headers; hidden = { inherit tool; }; };
           }"#,
    );
    place
}

#[test]
fn values_are_printed_as_the_language_writes_them() {
    let place = Place::new();
    let eval = |text: &str| {
        place
            .run("nix-instantiate", ["--eval", "-E", text])
            .success()
    };
    assert_eq!(eval("1 + 1"), "2\n");
    assert_eq!(
        eval("{ a = \"x\\n\"; b = throw \"\"; }"),
        "{ a = \"x\\n\"; b = <CODE>; }\n"
    );
    assert_eq!(eval("x: x"), "<LAMBDA>\n");
    let strict = ["--eval", "--strict", "-E", "{ a = [ (1 + 1) ]; }"];
    assert_eq!(
        place.run("nix-instantiate", strict).success(),
        "{ a = [ 2 ]; }\n"
    );
}

#[test]
fn several_expressions_and_attributes_give_a_line_each() {
    let place = with_packages();
    let out = place
        .run("nix-instantiate", ["--eval", "-E", "1", "\"two\""])
        .success();
    assert_eq!(out, "1\n\"two\"\n");
    let out = place
        .line("nix-instantiate --eval -A list.0 -A \"dotted.name\".deep")
        .success();
    assert_eq!(out, "1\n\"found\"\n");
}

#[test]
fn default_nix_is_read_when_no_file_is_named() {
    let place = with_packages();
    let out = place
        .line("nix-instantiate --readonly-mode -A tool")
        .success();
    assert!(
        out.starts_with("DIR/store/") && out.ends_with("-tool-x.drv\n"),
        "{out}"
    );
}

#[test]
fn an_output_other_than_the_first_is_named_after_the_derivation() {
    let place = with_packages();
    let out = place
        .line("nix-instantiate --readonly-mode -A headers --argstr suffix y")
        .success();
    assert!(out.ends_with("-tool-y.drv!dev\n"), "{out}");
}

#[test]
fn sets_are_searched_only_where_they_ask_for_it() {
    let place = with_packages();
    let out = place
        .line("nix-instantiate --readonly-mode -A set")
        .success();
    assert_eq!(out.lines().count(), 1, "{out}");
    let failed = place
        .line("nix-instantiate --readonly-mode -A list")
        .failure();
    assert!(
        failed.contains("error: expression does not evaluate to a derivation"),
        "{failed}"
    );
}

#[test]
fn derivations_are_in_the_store_afterwards_and_roots_keep_them() {
    let place = with_packages();
    let out = place
        .line("nix-instantiate -A tool --add-root link --indirect")
        .success();
    assert_eq!(out, "DIR/work/link\n");
    let target = std::fs::read_link(place.work().join("link")).unwrap();
    let text = std::fs::read_to_string(target).unwrap();
    assert!(text.starts_with("Derive([(\"dev\",\""), "{text}");
}

#[test]
fn reading_only_writes_nothing() {
    let place = with_packages();
    place
        .line("nix-instantiate --readonly-mode -A tool")
        .success();
    assert!(!place.root().join("store").exists());
}

#[test]
fn arguments_come_as_expressions_texts_files_and_standard_input() {
    let place = Place::new();
    place.write("text", "from a file");
    let function = "{ a, b, c, d }: \"${toString a} ${b} ${c} ${d}\"";
    let args = [
        "--eval",
        "-E",
        function,
        "--arg",
        "a",
        "1 + 1",
        "--argstr",
        "b",
        "1 + 1",
        "--arg-from-file",
        "c",
        "text",
        "--arg-from-stdin",
        "d",
    ];
    assert_eq!(
        place.feed("nix-instantiate", &args, "typed").success(),
        "\"2 1 + 1 from a file typed\"\n"
    );
    let missing = place
        .run(
            "nix-instantiate",
            ["--eval", "-E", function, "--arg", "a", "1"],
        )
        .failure();
    assert!(
        missing.contains("cannot evaluate a function that has an argument without a value ('b')"),
        "{missing}"
    );
}

#[test]
fn wrong_attribute_paths_say_what_is_there() {
    let place = with_packages();
    let error = |path: &str| {
        place
            .run("nix-instantiate", ["--eval", "-A", path])
            .failure()
    };
    let missing = error("tol");
    assert!(
        missing.contains("error: attribute 'tol' in selection path 'tol' not found"),
        "{missing}"
    );
    assert!(missing.contains("Did you mean tool?"), "{missing}");
    assert!(error("list.7").contains("list index 7 in selection path 'list.7' is out of range"));
    assert!(error("list.x").contains("should be a set but is a list"));
    assert!(error("a.\"b").contains("missing closing quote in selection path"));
}

#[test]
fn json_xml_and_raw_text_are_for_other_programs() {
    let place = Place::new();
    let eval = |format: &str, text: &str| {
        place
            .run(
                "nix-instantiate",
                ["--eval", "--strict", format, "-E", text],
            )
            .success()
    };
    assert_eq!(
        eval("--json", "{ b = [ 1 true null ]; a = 1.5; }"),
        "{\"a\":1.5,\"b\":[1,true,null]}\n"
    );
    assert_eq!(eval("--raw", "\"a\" + \"b\""), "ab");
    assert!(eval("--xml", "1").contains("<int value=\"1\" />"));
    let lazy = place
        .run(
            "nix-instantiate",
            ["--eval", "--json", "-E", "{ a = 1 + 1; }"],
        )
        .failure();
    assert!(
        lazy.contains("error: cannot convert a thunk to JSON"),
        "{lazy}"
    );
}

#[test]
fn files_are_found_in_the_search_path() {
    let place = Place::new();
    place.write("lib/x.nix", "\"found\"");
    let out = place
        .line("nix-instantiate --find-file -I some=lib some/x.nix")
        .success();
    assert_eq!(out, "DIR/work/lib/x.nix\n");
    let out = place
        .line("nix-instantiate --eval -I some=lib <some/x.nix>")
        .success();
    assert_eq!(out, "\"found\"\n");
    let place = place.with("NIX_PATH", "lib");
    let out = place
        .run("nix-instantiate", ["--eval", "-E", "import <x.nix>"])
        .success();
    assert_eq!(out, "\"found\"\n");
    let missing = place
        .run("nix-instantiate", ["--eval", "-E", "<none>"])
        .failure();
    assert!(
        missing.contains("error: file 'none' was not found in the Nix search path"),
        "{missing}"
    );
}

#[test]
fn standard_input_is_a_program_too() {
    let place = Place::new();
    let out = place
        .feed("nix-instantiate", &["--eval", "-"], "6 * 7")
        .success();
    assert_eq!(out, "42\n");
}

#[test]
fn files_and_directories_become_store_objects_under_their_names() {
    let place = Place::new();
    place.write("tree/keep", "kept");
    place.write("tree/drop", "dropped");
    let text = r#"builtins.attrNames (builtins.readDir (builtins.path {
        path = ./tree; name = "chosen"; filter = path: type: baseNameOf path != "drop";
    }))"#;
    let args = ["--eval", "--strict", "--read-write-mode", "-E", text];
    assert_eq!(
        place.run("nix-instantiate", args).success(),
        "[ \"keep\" ]\n"
    );
    let args = ["--eval", "-E", "\"${./tree/keep}\""];
    let out = place.run("nix-instantiate", args).success();
    assert!(
        out.starts_with("\"DIR/store/") && out.ends_with("-keep\"\n"),
        "{out}"
    );
}

#[test]
fn pure_evaluation_sees_no_files_no_environment_and_no_clock() {
    let place = Place::new();
    place.write("x.nix", "1");
    let pure = |text: &str| {
        place.run(
            "nix-instantiate",
            ["--eval", "--option", "pure-eval", "true", "-E", text],
        )
    };
    let error = pure("import ./x.nix").failure();
    assert!(
        error.contains("access to absolute path 'DIR/work/x.nix' is forbidden in pure evaluation mode (use '--impure' to override)"),
        "{error}"
    );
    assert_eq!(pure("builtins.getEnv \"HOME\"").success(), "\"\"\n");
    assert_eq!(
        pure("builtins ? currentTime || builtins ? currentSystem").success(),
        "false\n"
    );
    assert_eq!(
        pure("builtins.readFile (builtins.toFile \"a\" \"b\")").code,
        1
    );
    assert_eq!(pure("builtins.pathExists ./x.nix").success(), "false\n");
}

#[test]
fn restricted_evaluation_reads_the_search_path_only() {
    let place = Place::new();
    place.write("in/x.nix", "1");
    place.write("out/x.nix", "2");
    let restricted = |text: &str| {
        let args = [
            "--eval",
            "--option",
            "restrict-eval",
            "true",
            "-I",
            "in=in",
            "-E",
            text,
        ];
        place.run("nix-instantiate", args)
    };
    assert_eq!(restricted("import <in/x.nix>").success(), "1\n");
    assert_eq!(restricted("import ./in/x.nix").success(), "1\n");
    let error = restricted("import ./out/x.nix").failure();
    assert!(error.contains("is forbidden in restricted mode"), "{error}");
    let error = restricted("builtins.fetchurl \"http://localhost:1/x\"").failure();
    assert!(
        error.contains("access to URI 'http://localhost:1/x' is forbidden in restricted mode"),
        "{error}"
    );
}

#[test]
fn statistics_are_json() {
    let place = Place::new().with("NIX_SHOW_STATS", "1");
    let outcome = place.run("nix-instantiate", ["--eval", "-E", "1"]);
    let stats: serde_json::Value = serde_json::from_str(&outcome.err).unwrap();
    assert!(
        stats["heap"]["peakResident"]
            .as_u64()
            .is_some_and(|bytes| bytes > 0),
        "{stats}"
    );
    assert!(stats["cpuTime"].is_number(), "{stats}");
    // Tools read them under the reference's names.
    for (group, names) in [
        ("envs", &["bytes", "elements", "number"][..]),
        ("gc", &["cycles", "heapSize", "totalBytes"]),
        ("list", &["bytes", "concats", "elements"]),
        ("sets", &["bytes", "elements", "number"]),
        ("sizes", &["Attr", "Bindings", "Env", "Value"]),
        ("symbols", &["bytes", "number"]),
        ("time", &["cpu", "gc", "gcFraction"]),
        ("values", &["bytes", "number"]),
    ] {
        for name in names {
            assert!(stats[group][name].is_number(), "{group}.{name}: {stats}");
        }
    }
    for name in [
        "nrAvoided",
        "nrExprs",
        "nrFunctionCalls",
        "nrLookups",
        "nrOpUpdateValuesCopied",
        "nrOpUpdates",
        "nrPrimOpCalls",
        "nrThunks",
    ] {
        assert!(stats[name].is_number(), "{name}: {stats}");
    }
}

#[test]
fn rx_eval_prints_values_for_people_and_writes_trees() {
    let place = Place::new().with("NIX_CONFIG", "experimental-features = nix-command");
    let out = place
        .run("rx", ["eval", "--expr", "{ a = 1 + 1; b = x: x; }", "a"])
        .success();
    assert_eq!(out, "2\n");
    let args = [
        "eval",
        "--expr",
        "{ n = 2; }",
        "n",
        "--apply",
        "n: n * 21",
        "--json",
    ];
    assert_eq!(place.run("rx", args).success(), "42\n");
    let tree = "{ dir = { file = \"text\"; }; }";
    place
        .run("rx", ["eval", "--expr", tree, "--write-to", "made"])
        .success();
    let text = std::fs::read_to_string(place.work().join("made/dir/file")).unwrap();
    assert_eq!(text, "text");
    let error = place
        .run(
            "rx",
            [
                "eval",
                "--expr",
                "{ \"../x\" = \"\"; }",
                "--write-to",
                "bad",
            ],
        )
        .failure();
    assert!(error.contains("invalid file name '../x'"), "{error}");
}

#[test]
fn an_interrupt_ends_reading_a_program_that_never_ends() {
    let place = Place::new();
    let mut child = place
        .command("rx-instantiate")
        .args(["--parse", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let input = child.stdin.take();
    until_it_listens(&child, Signal::INT);
    tell(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    drop(input);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("interrupted by the user"), "{message}");
}

#[test]
fn a_search_path_of_a_program_opens_nothing_to_restricted_evaluation() {
    let place = Place::new();
    place.write("secret", "text");
    let program =
        "let __nixPath = [ { prefix = \"foo\"; path = ./.; } ]; in builtins.readFile <foo/secret>";
    let line = ["--restrict-eval", "--eval", "-E", program];
    let error = place.run("rx-instantiate", line).failure();
    assert!(error.contains("forbidden in restricted mode"), "{error}");
    let allowed = place.run("rx-instantiate", [&line[..], &["-I", "src=."]].concat());
    assert_eq!(allowed.success(), "\"text\"\n");
}

#[test]
fn what_is_pure_does_not_know_whose_home_it_is() {
    let place = Place::new();
    let line = ["--eval", "-E", "~/foo"];
    place.run("rx-instantiate", line).success();
    place
        .run("rx-instantiate", [&line[..], &["--pure-eval"]].concat())
        .failure();
}
