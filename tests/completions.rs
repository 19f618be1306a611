//! Completion in the shells themselves: the script is loaded, a key is pressed, the shell says what it found.

mod common;

use std::process::Command;

use common::Place;

/// A place with the script for a shell, if that is here.
fn with_script(shell: &str) -> Option<Place> {
    if !Command::new(shell)
        .arg("--version")
        .output()
        .is_ok_and(|run| run.status.success())
    {
        eprintln!("skipped: no {shell}");
        return None;
    }
    let place = Place::new();
    let script = place.run("rx", ["completions", shell]).success();
    place.write("_rx", &script);
    place.write(
        "packages.nix",
        "{ tools.hello = 1; tools.help = throw \"not evaluated\"; texts = 2; }",
    );
    Some(place)
}

/// What a shell prints when it runs a program of its own.
fn run(place: &Place, shell: &str, args: &[&str]) -> String {
    let rx = place.command("rx");
    let mut path = rx.get_program().to_owned();
    let directory = std::path::Path::new(&path).parent().unwrap().to_owned();
    path = directory.into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    // A shell that waits for a terminal must not stop the tests.
    let mut command = Command::new("timeout");
    command.args(["60", shell]).args(args);
    command.env_clear();
    for (name, value) in rx.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env("PATH", path).env("TERM", "dumb");
    let output = command.current_dir(place.work()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn bash_completes_commands_options_attributes_and_files() {
    let Some(place) = with_script("bash") else {
        return;
    };
    let completed = |line: &str| {
        let program =
            "source ./_rx; COMP_LINE=$1; COMP_POINT=${#1}; _rx; printf '%s\\n' \"${COMPREPLY[@]}\"";
        run(&place, "bash", &["--norc", "-c", program, "bash", line])
    };
    assert_eq!(completed("rx bui"), "build\n");
    assert_eq!(completed("rx profile hist"), "history\n");
    assert_eq!(completed("rx build --no-out"), "--no-out-link\n");
    assert_eq!(completed("rx eval -f packages.nix t"), "texts\ntools\n");
    assert_eq!(
        completed("rx eval -f packages.nix tools.hel"),
        "tools.hello\ntools.help\n"
    );
    assert_eq!(completed("rx eval -f pack"), "packages.nix\n");
    assert_eq!(completed("rx doc lib.mkEn"), "lib.mkEnableOption\n");
}

#[test]
fn fish_completes_commands_options_attributes_and_files() {
    let Some(place) = with_script("fish") else {
        return;
    };
    let completed = |line: &str| {
        let program = "source ./_rx; complete --do-complete $argv[1]";
        run(&place, "fish", &["--no-config", "-c", program, line])
    };
    assert_eq!(completed("rx bui"), "build\n");
    assert_eq!(completed("rx profile hist"), "history\n");
    let options = completed("rx build --no-out");
    assert!(options.starts_with("--no-out-link\t"), "{options}");
    assert_eq!(
        completed("rx eval -f packages.nix tools.hel"),
        "tools.hello\ntools.help\n"
    );
    let files = completed("rx eval -f pack");
    assert!(files.starts_with("packages.nix"), "{files}");
}

#[test]
fn zsh_completes_commands_options_attributes_and_files() {
    let Some(place) = with_script("zsh") else {
        return;
    };
    // A second zsh in a terminal of the first, which types and reads.
    let program = r#"
        zmodload zsh/zpty || exit 3
        zpty shell "zsh -f -i"
        zpty -w shell "PS1='> '; fpath=($PWD \$fpath); autoload -Uz compinit; compinit -u -D; unsetopt beep; print REA''DY"
        zpty -r shell out '*READY*'
        zpty -w -n shell "$1"$'\t'
        zpty -r shell out "*$2*" && print -r -- found
        zpty -d shell
    "#;
    for (line, found) in [
        ("rx bui", "rx build "),
        ("rx profile hist", "rx profile history "),
        ("rx build --no-out", "--no-out-link "),
        ("rx eval -f packages.nix te", "texts"),
        ("rx eval -f packages.nix tools.hell", "tools.hello"),
        ("rx eval -f pack", "packages.nix "),
    ] {
        let said = run(&place, "zsh", &["-f", "-c", program, "zsh", line, found]);
        assert_eq!(said, "found\n", "{line}");
    }
}
