//! Runs rx as a user does: under any of its names, in a home and store of its own.

#![allow(dead_code)]

pub mod flakes;
pub mod processes;
pub mod reference;
pub mod server;
pub mod terminal;
pub mod watchdog;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A place to run rx in: an empty home, a store below a temporary directory, no configuration.
pub struct Place {
    dir: tempfile::TempDir,
    variables: Vec<(String, String)>,
    _watch: watchdog::Watch,
}

/// What a run gave.
#[derive(Debug)]
pub struct Outcome {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// The exit code; -1 after a signal.
    pub code: i32,
}

impl Place {
    /// An empty place.
    pub fn new() -> Place {
        let dir = tempfile::Builder::new()
            .prefix("rx-test")
            .tempdir()
            .unwrap();
        for name in ["home", "conf", "work", "tmp"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let watch = watchdog::Watch::new(dir.path());
        Place {
            dir,
            _watch: watch,
            variables: Vec::new(),
        }
    }

    /// Sets a variable for all runs.
    pub fn with(mut self, name: &str, value: &str) -> Place {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The directory that runs start in.
    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// The directory of everything.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file below the working directory.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.work().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Writes the system's nix.conf.
    pub fn configure(&self, text: &str) {
        std::fs::write(self.dir.path().join("conf/nix.conf"), text).unwrap();
    }

    /// A command under this name (`rx`, `rx-build`, `nix-store`), ready to be run.
    pub fn command(&self, program: &str) -> Command {
        let link = self.dir.path().join(program);
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rx"), &link).unwrap();
        }
        let at = |name: &str| self.dir.path().join(name);
        let mut command = Command::new(link);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", at("home"))
            .env("TMPDIR", at("tmp"))
            .env("NIX_CONF_DIR", at("conf"))
            .env("NIX_STATE_DIR", at("var/nix"))
            .env("NIX_LOG_DIR", at("var/log/nix"))
            .env("NIX_STORE_DIR", at("store"))
            .env("NIX_USER_CONF_FILES", "")
            .envs(self.variables.iter().cloned())
            .current_dir(self.work())
            .stdin(Stdio::null());
        command
    }

    /// Runs a program with arguments.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Outcome {
        let mut command = self.command(program);
        command.args(args);
        self.outcome(&command.output().unwrap())
    }

    /// Runs a command line, split at spaces.
    pub fn line(&self, line: &str) -> Outcome {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let program = words.next().unwrap_or("rx");
        self.run(program, words)
    }

    /// Runs a command line, split at spaces, as root of a user namespace, where things can be mounted, after `before` has been
    /// run there by a shell; nothing if that is not allowed.
    pub fn inside(&self, before: &str, line: &str) -> Option<Outcome> {
        let (program, args) = line.split_once(' ').unwrap_or((line, ""));
        let rx = self.command(program);
        let script = format!("{before} && exec \"$0\" \"$@\" || exit 199");
        let mut command = Command::new("unshare");
        command
            .args(["-rm", "/bin/sh", "-c", &script])
            .arg(rx.get_program());
        command.args(args.split(' ').filter(|word| !word.is_empty()));
        for (name, value) in rx.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command.current_dir(self.work()).output().ok()?;
        let outcome = self.outcome(&output);
        if outcome.code == 199 || outcome.err.contains("unshare") || outcome.err.contains("mount:")
        {
            eprintln!("skipped: there can be no namespace here: {}", outcome.err);
            return None;
        }
        Some(outcome)
    }

    /// Runs a program with text on its standard input.
    pub fn feed(&self, program: &str, args: &[&str], input: &str) -> Outcome {
        let mut command = self.command(program);
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // The program may end without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        self.outcome(&child.wait_with_output().unwrap())
    }

    /// The text with this place's directory as `DIR`.
    pub fn neutral(&self, text: &str) -> String {
        text.replace(&self.dir.path().display().to_string(), "DIR")
    }

    /// What a finished run gave.
    pub fn outcome(&self, output: &std::process::Output) -> Outcome {
        let text = |bytes: &[u8]| self.neutral(&String::from_utf8_lossy(bytes));
        Outcome {
            out: text(&output.stdout),
            err: text(&output.stderr),
            code: output.status.code().unwrap_or(-1),
        }
    }
}

/// Whether a message tells that this machine has no sandboxes (containers within containers): then it is not the usual one.
/// Says so, for those who wonder what was skipped.
pub fn tells_of_no_sandbox(message: &str) -> bool {
    let found = message.contains("prerequisite namespaces are not available")
        || message.contains("does not support the kernel namespaces");
    if found {
        println!("not compared: this machine gives no namespaces for sandboxes");
    }
    found
}

impl Outcome {
    /// Standard output of a run that must have succeeded.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }

    /// Standard error of a run that must have failed with exit code 1.
    #[track_caller]
    pub fn failure(self) -> String {
        assert_eq!(self.code, 1, "{}{}", self.out, self.err);
        self.err
    }
}

/// A compressed archive of one file, as channels and downloads are.
pub fn archive_of(name: &str, text: &str) -> Vec<u8> {
    let compression = flate2::Compression::fast();
    let encoder = flate2::write::GzEncoder::new(Vec::new(), compression);
    let mut archive = tar::Builder::new(encoder);
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(1);
    archive
        .append_data(&mut header, name, text.as_bytes())
        .unwrap();
    archive.into_inner().unwrap().finish().unwrap()
}
