//! The command line as scripts rely on it: names, options, settings, exit codes.

mod common;

use common::Place;

#[test]
fn the_version_is_what_scripts_parse() {
    let place = Place::new();
    for name in ["nix", "nix-hash"] {
        assert_eq!(
            place.run(name, ["--version"]).success(),
            format!("{name} (Nix) 2.34.8\n")
        );
    }
    let own = place.run("rx-hash", ["--version"]).success();
    assert!(
        own.starts_with("rx-hash ") && own.contains("(Nix) 2.34.8"),
        "{own}"
    );
}

#[test]
fn more_verbosity_before_version_says_where_things_are() {
    let place = Place::new();
    let text = place.line("nix-hash -vv --version").success();
    assert!(text.contains("Store directory: DIR/store\n"), "{text}");
}

#[test]
fn unknown_flags_and_commands_are_usage_errors_with_suggestions() {
    let place = Place::new();
    insta::assert_snapshot!(place.line("rx-hash --flta x").failure(), @r"
    error: unrecognised flag '--flta'
    help: did you mean '--flat'?
    Try 'rx-hash --help' for more information.
    ");
    insta::assert_snapshot!(place.line("rx confg show").failure(), @r"
    error: 'confg' is not a recognised command
    help: did you mean 'config'?
    Try 'rx --help' for more information.
    ");
    insta::assert_snapshot!(place.line("rx config show --jsno").failure(), @r"
    error: unrecognised flag '--jsno'
    help: did you mean '--json'?
    Try 'rx config show --help' for more information.
    ");
    insta::assert_snapshot!(place.line("rx").failure(), @r"
    error: no subcommand specified
    Try 'rx --help' for more information.
    ");
    let group = place.line("rx store nope").failure();
    assert!(
        group
            .trim_end()
            .ends_with("Try 'rx store --help' for more information."),
        "{group}"
    );
    insta::assert_snapshot!(place.line("nix-hash --option cores").failure(), @r"
    error: flag '--option' requires 2 argument(s), but only 1 were given
    Try 'nix-hash --help' for more information.
    ");
}

#[test]
fn every_setting_is_a_flag_anywhere_on_the_line() {
    let place = Place::new();
    let value = |line: &str| place.line(line).success();
    assert_eq!(value("rx --cores 3 config show cores"), "3\n");
    assert_eq!(value("rx config --cores 3 show cores"), "3\n");
    assert_eq!(value("rx config show cores --cores 3"), "3\n");
    assert_eq!(value("rx config show -j7 max-jobs"), "7\n");
    assert_eq!(
        value("rx config show --no-substitute substitute"),
        "false\n"
    );
    assert_eq!(
        value("rx config show --relaxed-sandbox sandbox"),
        "relaxed\n"
    );
    assert_eq!(
        value("rx config show --option log-lines 5 --log-lines 6 log-lines"),
        "6\n"
    );
    assert_eq!(
        value("rx config show --log-lines 6 --option log-lines 5 log-lines"),
        "5\n"
    );
    assert_eq!(
        value("rx config show --substituters a --extra-substituters b substituters"),
        "a b\n"
    );
}

#[test]
fn bad_values_are_errors_for_flags_and_warnings_for_option() {
    let place = Place::new();
    let outcome = place.line("rx config show --option max-jobs many max-jobs");
    assert_eq!(
        outcome.err,
        "warning: configuration setting 'max-jobs' should be 'auto' or an integer\n"
    );
    assert_eq!(outcome.out, "1\n");
    let error = place.line("rx config show --max-jobs many").failure();
    assert!(
        error.starts_with("error: configuration setting 'max-jobs' should be"),
        "{error}"
    );
}

#[test]
fn configuration_comes_from_files_then_the_environment_then_the_line() {
    let place = Place::new().with("NIX_CONFIG", "log-lines = 3\ntimeout = 3");
    place.configure("cores = 2 # two\nlog-lines = 2\ntimeout = 2\nnonsense = 1\n");
    let outcome = place.line("rx config show --timeout 4 timeout");
    assert_eq!(outcome.out, "4\n");
    assert_eq!(
        outcome.err,
        "warning: unknown setting 'nonsense', at DIR/conf/nix.conf:4\n"
    );
    assert_eq!(place.line("rx config show log-lines").out, "3\n");
    assert_eq!(place.line("rx config show cores").out, "2\n");
    assert_eq!(
        place
            .line("rx --quiet --quiet --quiet config show cores")
            .err,
        ""
    );
}

#[test]
fn a_broken_configuration_file_is_named_with_the_line() {
    let place = Place::new();
    place.configure("cores: 3\n");
    insta::assert_snapshot!(place.line("rx config show").failure(), @r#"
    error: syntax error in configuration line 'cores: 3' in "DIR/conf/nix.conf"
    help: a line is 'NAME = VALUE', with spaces around '='; what follows '#' is a comment
    "#);
}

#[test]
fn experimental_features_gate_their_flags() {
    let place = Place::new();
    insta::assert_snapshot!(place.line("rx config show --accept-flake-config").failure(), @r"
    warning: Ignoring setting 'accept-flake-config' because experimental feature 'flakes' is not enabled
    error: experimental Nix feature 'flakes' is disabled; add '--extra-experimental-features flakes' to enable it
    ");
    let line = "rx --extra-experimental-features flakes config show --accept-flake-config accept-flake-config";
    assert_eq!(place.line(line).success(), "true\n");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut command = place.command("rx");
    command.args(["completions", "fish"]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn hashes_have_all_notations() {
    let place = Place::new();
    place.write("file", "hello\n");
    let run = |line: &str| place.line(line).success();
    assert_eq!(
        run("nix-hash --flat file"),
        "b1946ac92492d2347c6235b4d2611184\n"
    );
    assert_eq!(
        run("nix-hash --flat --type sha256 --base32 file"),
        "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq\n"
    );
    let sri = run("rx hash file file");
    let base16 = run(&format!("rx hash convert --to base16 {}", sri.trim()));
    assert_eq!(
        run(&format!(
            "nix-hash --to-sri --type sha256 {}",
            base16.trim()
        )),
        sri
    );
}

#[test]
fn all_commands_have_help_completions_and_pages() {
    let place = Place::new();
    let names: Vec<String> = rx::commands::modern()
        .iter()
        .map(|entry| entry.path.to_owned())
        .collect();
    for name in &names {
        let text = place.line(&format!("rx {name} --help")).success();
        assert!(
            text.contains(&format!("Usage: rx {name}")),
            "{name}: {text}"
        );
    }
    for entry in rx::commands::classic() {
        let text = place
            .run(&format!("rx-{}", entry.name), ["--help"])
            .success();
        assert!(text.contains("Usage:"), "{text}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.run("rx", ["completions", shell]).success().len() > 500);
    }
    let pages = place.line("rx man pages").success();
    // One is a command of its own as well: rx-repl.
    assert!(pages.contains("pages/rx-repl.1\n"), "{pages}");
    assert_eq!(
        pages.lines().count(),
        2 + names.len() + rx::commands::classic().len()
    );
    let script = place
        .line("rx completions bash --command rx-repl")
        .success();
    assert!(script.contains("--debugger"), "{script}");
    let help = place.line("rx-repl --help").success();
    assert!(help.contains("Usage: rx-repl [OPTIONS]"), "{help}");
}

#[test]
fn links_make_rx_each_of_the_classic_commands() {
    let place = Place::new();
    let links = place.line("rx links --nix bin").success();
    assert!(
        links.contains("bin/nix-build\n") && links.contains("bin/nix\n"),
        "{links}"
    );
    let version = std::process::Command::new(place.work().join("bin/nix-hash"))
        .arg("--version")
        .output();
    assert_eq!(version.unwrap().stdout, b"nix-hash (Nix) 2.34.8\n");
    assert_eq!(place.line("rx links --nix bin").success(), links);
}

#[test]
fn settings_as_json_have_the_references_keys() {
    let place = Place::new();
    let text = place.line("rx config show --json").success();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    // The reference's 129, and `host-tools`.
    assert_eq!(json.as_object().unwrap().len(), 130);
    insta::assert_snapshot!(json["keep-going"].to_string(), @r#"{"aliases":[],"defaultValue":false,"description":"Go on with other builds after one has failed.","documentDefault":true,"experimentalFeature":null,"value":false}"#);
}

#[test]
fn the_references_shell_scripts_get_completions() {
    let place = Place::new().with("NIX_GET_COMPLETIONS", "2");
    assert_eq!(place.line("nix hash conv").success(), "normal\nconvert\t\n");
}

#[test]
fn files_are_not_evaluated_purely() {
    let place = Place::new();
    place.write("one.nix", "1");
    assert_eq!(place.line("rx eval --file one.nix").success(), "1\n");
    assert!(
        place
            .line("rx eval --pure-eval --file one.nix")
            .failure()
            .contains("'--file' is not compatible with '--pure-eval'")
    );
}

#[test]
fn colours_are_for_terminals_unless_they_are_wanted_elsewhere() {
    let show = |variables: &[(&str, &str)]| {
        let mut place = Place::new();
        for (name, value) in variables {
            place = place.with(name, value);
        }
        place.configure("experimental-features = nix-command flakes\n");
        place.write("flake/flake.nix", "{ outputs = _: { lib.x = 1; }; }");
        place.line("rx flake show ./flake").success()
    };
    let escape = |text: &str| text.contains('\x1b');
    assert!(!escape(&show(&[])));
    assert!(escape(&show(&[("CLICOLOR_FORCE", "1")])));
    assert!(escape(&show(&[("FORCE_COLOR", "1")])));
    assert!(!escape(&show(&[("FORCE_COLOR", "0")])));
    assert!(!escape(&show(&[("FORCE_COLOR", "1"), ("NO_COLOR", "1")])));
}

#[test]
fn the_doctor_sees_a_damaged_database_a_store_of_nobodys_and_an_address_that_is_none() {
    let place = Place::new();
    let finding = |line: &str, subject: &str| {
        let report = place.line(line).out;
        let findings: serde_json::Value = serde_json::from_str(&report).unwrap();
        let found = findings.as_array().unwrap().iter();
        let found = found.clone().find(|one| one["subject"] == subject).cloned();
        let found = found.unwrap();
        assert_ne!(found["verdict"], "good", "{found}");
        found.to_string()
    };
    let database = place.work().join("mine/nix/var/nix/db");
    std::fs::create_dir_all(&database).unwrap();
    std::fs::write(database.join("db.sqlite"), "this is no database at all").unwrap();
    let line = "rx doctor --offline --json --store ./mine";
    assert!(finding(line, "database").contains("rx store fsck"));
    std::fs::write(database.join("schema"), "99").unwrap();
    assert!(finding(line, "database").contains("newer program"));
    let file = std::fs::File::options()
        .append(true)
        .open(database.join("db.sqlite"));
    let year = std::time::Duration::from_secs(365 * 24 * 60 * 60);
    file.unwrap()
        .set_modified(std::time::SystemTime::now() + year)
        .unwrap();
    assert!(finding(line, "clock").contains("set the clock"));
    let line = "rx doctor --offline --json --store /dev/null/store";
    assert!(finding(line, "store").contains("cannot be written"));
    let line = "rx doctor --offline --json --store nonsense";
    assert!(finding(line, "store").contains("NIX_REMOTE"));
}

#[test]
fn manual_pages_are_set_without_a_warning() {
    let place = Place::new();
    let pages = place.line("rx man pages").success();
    let mut groff = std::process::Command::new("groff");
    groff.args(["-Kutf8", "-man", "-Tutf8", "-ww", "-z"]);
    for page in pages.lines() {
        groff.arg(page.replace("DIR", &place.root().display().to_string()));
    }
    let Ok(output) = groff.current_dir(place.work()).output() else {
        eprintln!("skipped: no groff");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("cannot open") || said.contains("can't find") {
        eprintln!("skipped: groff has no macros for pages here: {said}");
        return;
    }
    assert_eq!(said, "");
}
