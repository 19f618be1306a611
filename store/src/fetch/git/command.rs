//! Running `git`.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A failure of Git or of what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program could not be run.
    #[error("cannot run 'git': {0}")]
    Run(#[source] io::Error),
    /// The program failed.
    #[error("program 'git' failed with {status}{}", shown(output))]
    Failed {
        /// How it ended.
        status: String,
        /// What it said.
        output: String,
    },
    /// The answer of the program makes no sense.
    #[error("cannot understand the answer of 'git {0}'")]
    Answer(&'static str),
    /// A file in the way.
    #[error("{action} '{path}': {source}")]
    File {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The user interrupted.
    #[error(transparent)]
    Interrupted(#[from] crate::interrupt::Interrupted),
    /// Writing an archive failed.
    #[error(transparent)]
    Nar(#[from] crate::nar::NarError),
    /// A repository that means harm, or is damaged.
    #[error("{0}")]
    Refused(String),
    /// Large files of a repository could not be downloaded.
    #[error(transparent)]
    Download(#[from] crate::fetch::download::DownloadError),
}

fn shown(output: &str) -> String {
    let output = output.trim_end();
    if output.is_empty() {
        String::new()
    } else {
        format!(":\n{output}")
    }
}

impl GitError {
    pub(super) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        GitError::File {
            action,
            path: path.display().to_string(),
            source,
        }
    }
}

/// Variables that would turn the program to another repository.
const REDIRECTIONS: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
    "GIT_EXTERNAL_DIFF",
];

/// Settings that a repository's own configuration must not decide.
const SAFE_CONFIG: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.alternateRefsCommand=",
    "core.pager=cat",
    "protocol.ext.allow=never",
    "safe.directory=*",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "log.showSignature=false",
    "advice.detachedHead=false",
    "init.defaultBranch=master",
];

/// A `git` command that is about to run.
pub(super) struct Git {
    command: Command,
}

/// What a command printed.
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Git {
    /// A command with neither repository nor arguments.
    pub(super) fn new() -> Self {
        let mut command = Command::new("git");
        for name in REDIRECTIONS {
            command.env_remove(name);
        }
        command
            .env("LC_ALL", "C")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .stdin(Stdio::null());
        for setting in SAFE_CONFIG {
            command.args(["-c", setting]);
        }
        Git { command }
    }

    /// A command in a repository: a work tree with `.git`, or a bare repository.
    pub(super) fn at(path: &Path, bare: bool) -> Self {
        let mut git = Self::new();
        git.command.arg("-C").arg(path);
        if bare {
            git.command.args(["--git-dir", "."]);
        } else if let Some(parent) = path.parent() {
            // A broken `.git` must not lead to the repository around it.
            git.command.env("GIT_CEILING_DIRECTORIES", parent);
        }
        git
    }

    pub(super) fn config(mut self, setting: &str) -> Self {
        self.command.args(["-c", setting]);
        self
    }

    pub(super) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Adds settings whose names may hold anything, also `=`.
    pub(super) fn any_config(mut self, settings: &[(String, &str)]) -> Self {
        let count: usize = std::env::var("GIT_CONFIG_COUNT")
            .ok()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        for (i, (name, value)) in settings.iter().enumerate() {
            self.command
                .env(format!("GIT_CONFIG_KEY_{}", count + i), name);
            self.command
                .env(format!("GIT_CONFIG_VALUE_{}", count + i), value);
        }
        self.command
            .env("GIT_CONFIG_COUNT", (count + settings.len()).to_string());
        self
    }

    pub(super) fn spawn(mut self, input: bool) -> Result<Child, GitError> {
        self.command
            .stdin(if input { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(GitError::Run)
    }

    /// Runs to the end, however it ends; an interrupt ends it at once.
    pub(super) fn output(mut self) -> Result<Output, GitError> {
        let mut child = self
            .command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(GitError::Run)?;
        let collect = |pipe: Option<Box<dyn Read + Send>>| {
            std::thread::spawn(move || {
                let mut data = Vec::new();
                // What could be read before a fault is what there is.
                let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut data));
                data
            })
        };
        let stdout = collect(
            child
                .stdout
                .take()
                .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        );
        let stderr = collect(
            child
                .stderr
                .take()
                .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        );
        let mut pause = Duration::from_micros(200);
        let status = loop {
            if let Some(status) = child.try_wait().map_err(GitError::Run)? {
                break status;
            }
            if crate::interrupt::is_set() {
                // It may be gone already.
                let _ = child.kill();
                let _ = child.wait();
                return Err(crate::interrupt::Interrupted.into());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        };
        Ok(Output {
            status,
            stdout: stdout.join().unwrap_or_default(),
            stderr: stderr.join().unwrap_or_default(),
        })
    }

    /// Runs and gives what it printed; anything but success is an error.
    pub(super) fn run(self) -> Result<Vec<u8>, GitError> {
        let output = self.output()?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(GitError::Failed {
                status: status_text(output.status),
                output: String::from_utf8_lossy(&output.stderr).into_owned(),
            })
        }
    }

    /// Runs and gives the first line that it printed, or nothing if it failed.
    pub(super) fn line(self) -> Result<Option<String>, GitError> {
        let output = self.output()?;
        if !output.status.success() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text
            .lines()
            .next()
            .map(str::to_owned)
            .filter(|line| !line.is_empty()))
    }
}

pub(super) fn status_text(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".into(),
    }
}
