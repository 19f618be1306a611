//! Becoming another program that sees the store at its logical place.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use rx_store::build::sandbox;
use rx_store::progress;
use rx_store::store::Store;

use crate::ui::Failure;
use crate::ui::report::Report;

/// The word by which rx calls itself to make a store visible before it runs a program.
pub const HELPER: &str = "__run-in-store";

/// A program that this process becomes.
#[derive(Clone, Debug)]
pub struct Program {
    /// A path, or a name that is looked up in `PATH`.
    pub file: OsString,
    /// Its own name for itself.
    pub name: OsString,
    /// What follows the name.
    pub arguments: Vec<OsString>,
    /// The whole environment; nothing means that of this process.
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// The system it is made for.
    pub system: Option<String>,
}

impl Program {
    /// A program with arguments and the environment of this process.
    pub fn new(file: impl Into<OsString>, arguments: Vec<OsString>) -> Program {
        let file = file.into();
        Program {
            name: file.clone(),
            file,
            arguments,
            environment: None,
            system: None,
        }
    }

    /// Becomes the program; returns only when that fails.
    pub fn execute(self, store: &dyn Store) -> Failure {
        match self.try_execute(store) {
            Ok(never) => match never {},
            Err(failure) => failure,
        }
    }

    /// Runs the program and waits for its end.
    pub fn run(self, store: &dyn Store) -> Result<ExitStatus, Failure> {
        let file = self.file.clone();
        let mut command = self.command(store)?;
        progress::logger().finish();
        let umask = crate::cli::restore_umask();
        let status = command.status();
        crate::cli::set_umask(umask);
        status.map_err(|error| cannot_execute(&file, &error))
    }

    fn try_execute(self, store: &dyn Store) -> Result<std::convert::Infallible, Failure> {
        let file = self.file.clone();
        let mut command = self.command(store)?;
        progress::logger().finish();
        crate::cli::restore_umask();
        Err(cannot_execute(&file, &command.exec()))
    }

    fn command(self, store: &dyn Store) -> Result<Command, Failure> {
        let Some(local) = store.as_local() else {
            return Err(Failure::message(format!(
                "store '{}' is not a local store so it does not support command execution",
                store.url()
            )));
        };
        store.flush()?;
        let config = local.config();
        let logical = config.dir.as_path();
        let mut command = if config.real_store_dir == logical {
            if let Some(system) = &self.system {
                sandbox::adopt_personality(system);
            }
            let mut command = Command::new(&self.file);
            command.arg0(&self.name);
            command
        } else {
            let real = std::path::absolute(&config.real_store_dir)?;
            let mut command = Command::new(std::env::current_exe()?);
            command
                .arg0("rx")
                .arg(HELPER)
                .arg(logical)
                .arg(real)
                .arg(self.system.as_deref().unwrap_or_default())
                .arg(&self.file)
                .arg(&self.name);
            command
        };
        command.args(&self.arguments);
        if let Some(environment) = self.environment {
            command.env_clear().envs(environment);
        }
        Ok(command)
    }
}

fn cannot_execute(file: &OsStr, error: &std::io::Error) -> Failure {
    let message = format!("unable to execute '{}': {error}", file.display());
    let mut report = Report::of_message(&message);
    if error.kind() == std::io::ErrorKind::NotFound
        && let Some(help) = what_is_there(Path::new(file))
    {
        report.help = vec![help];
    }
    Failure::Report {
        report: Box::new(report),
        status: 1,
    }
}

/// What there is instead of a program that is not there.
fn what_is_there(file: &Path) -> Option<String> {
    if file.is_file() {
        // The kernel misses what is to run it.
        let mut start = [0; 256];
        let length = File::open(file).ok()?.read(&mut start).ok()?;
        let line = start[..length]
            .strip_prefix(b"#!")?
            .split(|&b| b == b'\n')
            .next()?;
        let line = String::from_utf8_lossy(line);
        let interpreter = line.split_whitespace().next()?;
        return Some(format!(
            "it is a script for '{interpreter}', which is not there"
        ));
    }
    let mut names: Vec<String> = std::fs::read_dir(file.parent()?)
        .ok()?
        .flatten()
        .map(|entry| format!("'{}'", entry.file_name().display()))
        .filter(|name| !name.starts_with("'."))
        .collect();
    names.sort();
    let [first, ..] = &names[..] else {
        return None;
    };
    let all = match names.len() {
        ..=8 => names.join(", "),
        many => format!("{} and {} more", names[..8].join(", "), many - 8),
    };
    Some(format!(
        "what there is: {all}; 'meta.mainProgram' of a package names its program, and 'rx shell … --command {}' runs any of them",
        first.trim_matches('\'')
    ))
}

/// What `rx __run-in-store LOGICAL REAL SYSTEM PROGRAM NAME ARGUMENT…` does. This process must have one thread.
pub fn run_helper(arguments: &[OsString]) -> Failure {
    let [logical, real, system, file, name, arguments @ ..] = arguments else {
        return Failure::message("too few arguments");
    };
    if let Err(error) = sandbox::show_store(Path::new(logical), Path::new(real)) {
        return error.into();
    }
    sandbox::adopt_personality(&system.to_string_lossy());
    cannot_execute(file, &Command::new(file).arg0(name).args(arguments).exec())
}

/// A word that a shell reads as this text.
pub fn quote(text: &OsStr) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in text.as_bytes() {
        if byte == b'\'' {
            quoted.extend_from_slice(br"'\''");
        } else {
            quoted.push(byte);
        }
    }
    quoted.push(b'\'');
    quoted
}

/// The file that a program's name stands for in `PATH`.
pub fn find_program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|file| {
            file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
        })
}
