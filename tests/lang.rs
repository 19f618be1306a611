//! Programs of the language with their answers, by topic, under `tests/lang`.
//!
//! `NAME.nix` is a program; `NAME.out` is what `nix-instantiate --eval --strict` prints for it, or `NAME.err` the core
//! message with which it fails (`FILE` stands for the program's path). All of them run on rx, and on a
//! `nix-instantiate` too when there is one that is not rx.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

fn programs() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lang");
    let mut programs = walkdir::WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|e| e == "nix"))
        .collect::<Vec<_>>();
    programs.sort();
    programs
}

/// Text without colours and with every run of white space as one space.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            out.push(c);
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is wrong with an answer, if anything is.
fn complaint(program: &Path, answer: &Output) -> Option<String> {
    let stdout = String::from_utf8_lossy(&answer.stdout);
    let stderr = String::from_utf8_lossy(&answer.stderr);
    let name = program.display();
    if let Ok(wanted) = std::fs::read(program.with_extension("out")) {
        return (answer.stdout != wanted || !answer.status.success()).then(|| {
            let wanted = String::from_utf8_lossy(&wanted);
            format!("{name}\n  wanted {wanted}  got    {stdout}{stderr}")
        });
    }
    let wanted = std::fs::read_to_string(program.with_extension("err"))
        .unwrap_or_else(|e| panic!("{name} has no answer: {e}"));
    let wanted = plain(&wanted.replace("FILE", &name.to_string()));
    let fails = answer.status.code().is_some_and(|code| code != 0);
    (!fails || !plain(&stderr).contains(&wanted))
        .then(|| format!("{name}\n  wanted the error: {wanted}\n  got {stdout}{stderr}"))
}

/// Runs all programs, a few at a time, and fails with all complaints.
fn all_answer(command: impl Fn() -> Command + Sync) {
    let programs = programs();
    assert!(programs.len() > 400, "only {} programs", programs.len());
    let next = AtomicUsize::new(0);
    let complaints = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(program) = programs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = command()
                        .args(["--eval", "--strict"])
                        .arg(program)
                        .output()
                        .expect("the program starts");
                    if let Some(complaint) = complaint(program, &answer) {
                        complaints.lock().expect("no panic").push(complaint);
                    }
                }
            });
        }
    });
    let complaints = complaints.into_inner().expect("no panic");
    assert!(
        complaints.is_empty(),
        "{} of {} programs are answered wrongly:\n{}",
        complaints.len(),
        programs.len(),
        complaints.join("\n")
    );
}

#[test]
fn rx_answers_every_program_as_the_language_says() {
    let home = tempfile::tempdir().expect("a directory");
    all_answer(|| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rx"));
        command
            .arg("instantiate")
            .env("HOME", home.path())
            .env_remove("NIX_PATH");
        command
    });
}

#[test]
fn a_real_nix_answers_every_program_in_the_same_way() {
    let is_real = Command::new("nix-instantiate")
        .arg("--version")
        .output()
        .is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains("(Nix) 2.34"));
    if is_real {
        all_answer(|| {
            let mut command = Command::new("nix-instantiate");
            command.env_remove("NIX_PATH");
            command
        });
    }
}
