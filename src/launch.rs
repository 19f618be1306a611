//! Becomes the program `rx` under another name.
//!
//! `rx` behaves as what it is called as. Cargo makes a program of its own for each name, so that nothing has to be
//! installed before `target/*/rx-build` works; whoever installs rx makes links instead (`rx links DIRECTORY`).

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Replaces this process by `rx`, which lies beside it, called `name`.
pub fn launch(name: &str) -> ExitCode {
    let Ok(here) = std::env::current_exe() else {
        eprintln!("error: cannot find out where {name} lies");
        return ExitCode::FAILURE;
    };
    let rx = here.with_file_name("rx");
    let error = Command::new(&rx)
        .arg0(name)
        .args(std::env::args_os().skip(1))
        .exec();
    eprintln!("error: cannot run '{}': {error}", rx.display());
    ExitCode::FAILURE
}
