//! What the README shows is what happens: every command of its tour is run, and its output compared.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command line of the tour, and the lines that it is said to print.
struct Step {
    line: usize,
    command: String,
    shown: Vec<String>,
}

/// The commands in the blocks of a page that are marked as `console`.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (number, line) in page.lines().enumerate() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step {
                    line: number + 1,
                    command: command.to_owned(),
                    shown: Vec::new(),
                }),
                None => steps
                    .last_mut()
                    .expect("a block begins with a command")
                    .shown
                    .push(line.to_owned()),
            },
        }
    }
    steps
}

/// With every hash of a store path as `HASH`: these differ between systems.
fn without_hashes(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("/nix/store/") {
        let (before, after) = rest.split_at(at + "/nix/store/".len());
        text += before;
        let digits = after
            .bytes()
            .take_while(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
            .count();
        if digits == 32 {
            text += "HASH";
            rest = &after[digits..];
        } else {
            rest = after;
        }
    }
    text + rest
}

/// A terminal would show the rest in colours.
fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut parts = text.split("\u{1b}[");
    plain += parts.next().unwrap_or_default();
    for part in parts {
        plain += part.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain
}

/// Whether a line is as shown, where `…` stands for anything.
fn fits(shown: &str, line: &str) -> bool {
    let (shown, line) = (without_hashes(shown), without_hashes(line));
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.trim_end().strip_prefix(first.trim_end()) else {
        return false;
    };
    let mut open = false;
    for part in parts {
        open = true;
        match rest.find(part.trim_end()) {
            Some(at) => rest = &rest[at + part.trim_end().len()..],
            None => return false,
        }
    }
    rest.is_empty() || (open && shown.ends_with('…'))
}

/// Whether all lines are as shown, where a line `…` stands for any lines.
fn all_fit(shown: &[String], lines: &[&str]) -> bool {
    match (shown.split_first(), lines.split_first()) {
        (None, None) => true,
        (Some((first, others)), _) if first == "…" => {
            all_fit(others, lines)
                || lines
                    .split_first()
                    .is_some_and(|(_, rest)| all_fit(shown, rest))
        }
        (Some((first, others)), Some((line, rest))) => fits(first, line) && all_fit(others, rest),
        _ => false,
    }
}

/// A home, a store and the commands of rx in the `PATH`, as after the first command of the README.
struct Tour {
    dir: tempfile::TempDir,
}

impl Tour {
    fn new() -> Tour {
        let dir = tempfile::Builder::new()
            .prefix("rx-tour")
            .tempdir()
            .unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["bin", "home", "work", "conf"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::os::unix::fs::symlink(root().join("examples"), at("work/examples")).unwrap();
        let rx = Path::new(env!("CARGO_BIN_EXE_rx"));
        std::os::unix::fs::symlink(rx, at("bin/rx")).unwrap();
        for entry in std::fs::read_dir(root().join("src/bin")).unwrap() {
            let name = entry.unwrap().path().file_stem().unwrap().to_owned();
            std::os::unix::fs::symlink(rx, dir.path().join("bin").join(name)).unwrap();
        }
        Tour { dir }
    }

    fn run(&self, command: &str) -> (String, Option<i32>) {
        let at = |name: &str| self.dir.path().join(name);
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("/bin/sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(at("work"))
            .env_clear()
            .env("PATH", format!("{}:{path}", at("bin").display()))
            .env("HOME", at("home"))
            .env("USER", "you")
            .env("NIX_CONF_DIR", at("conf"))
            // Nothing of the machine's own store, nor of the network.
            .env("NIX_REMOTE", at("root"))
            .env("NIX_STATE_DIR", at("state"))
            .env("NIX_CONFIG", "substituters =\nbuild-users-group =\n")
            .env("NIX_PATH", "")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = without_colours(&String::from_utf8_lossy(&output.stdout));
        let text = text.replace(&at("work").display().to_string(), "/home/you/rx");
        (
            text.replace(&at("home").display().to_string(), "/home/you"),
            output.status.code(),
        )
    }
}

#[test]
fn every_command_of_the_tour_prints_what_the_readme_shows() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for tool in ["cc", "make", "patch"] {
        if !std::env::split_paths(&path).any(|dir| dir.join(tool).exists()) {
            eprintln!("skipped: this machine has no '{tool}'");
            return;
        }
    }
    if !rx_store::build::sandbox::namespaces_supported().isolation {
        eprintln!(
            "skipped: this machine gives no namespaces, in which users without rights have their store"
        );
        return;
    }
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let tour = Tour::new();
    let mut wrong = String::new();
    for step in steps(&readme) {
        let (output, _) = tour.run(&step.command);
        let lines: Vec<&str> = output.trim_end().lines().collect();
        let shown: Vec<String> = step.shown.clone();
        if !all_fit(&shown, &lines) {
            wrong += &format!(
                "README.md:{}: $ {}\n--- shown\n{}\n--- printed\n{}\n\n",
                step.line,
                step.command,
                shown.join("\n"),
                output
            );
        }
    }
    // Directories of a store are not writable; they are to be removed.
    let _ = Command::new("chmod")
        .args(["-R", "u+w"])
        .arg(tour.dir.path())
        .status();
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_first_commands_result_is_as_shown() {
    if std::env::consts::ARCH != "x86_64" {
        eprintln!("skipped: the paths in the README are those of x86_64-linux");
        return;
    }
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let place = common::Place::new().with("NIX_STORE_DIR", "/nix/store");
    let example = root().join("examples/hello.nix");
    let run = place.run(
        "rx-instantiate",
        ["--readonly-mode", example.to_str().unwrap()],
    );
    let derivation = run.success();
    let shown = format!("derivation  {}", derivation.trim());
    assert!(readme.contains(&shown), "the README lacks: {shown}");
}

#[test]
fn the_page_of_mistakes_shows_what_the_snapshots_hold() {
    let page = std::fs::read_to_string(root().join("docs/diagnostics.md")).unwrap();
    let mut count = 0;
    for section in page.split("\n## ").skip(1) {
        let (title, body) = section.split_once('\n').unwrap();
        let title = title.split_once(". ").unwrap().1;
        let name = title.to_lowercase().replace(' ', "_");
        let file: PathBuf = root().join(format!("tests/snapshots/{name}.snap"));
        let snapshot = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let (_, held) = snapshot.split_once("\n$ ").unwrap();
        let (_, held) = held.split_once('\n').unwrap();
        let held = held
            .replace("DIR/work/", "")
            .replace("DIR/store/", "/nix/store/");
        let (_, shown) = body.split_once("\nrx:\n\n```text\n").unwrap();
        let (shown, _) = shown.split_once("\n```").unwrap();
        assert_eq!(shown.trim(), held.trim(), "{title}");
        count += 1;
    }
    assert!(count >= 20);
}
