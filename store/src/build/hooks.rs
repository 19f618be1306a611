//! Programs of the user that run around builds: before (paths for the sandbox), after (uploads,
//! say), and when a repeated build differs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::backend::Backend;
use super::error::BuildError;
use crate::path::StorePath;
use crate::progress::{self, Activity, ActivityKind, Level, ResultKind};
use crate::settings::Settings;

/// Runs `pre-build-hook`; gives paths inside and the host paths that they show.
pub fn run_pre_build_hook(
    program: &str,
    derivation: &str,
    root: Option<&Path>,
) -> Result<BTreeMap<PathBuf, PathBuf>, BuildError> {
    let mut command = Command::new(program);
    command.arg(derivation).stdin(Stdio::null());
    if let Some(root) = root {
        command.arg(root);
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| BuildError::misc(format!("executing '{program}': {error}")))?;
    if !output.status.success() {
        return Err(BuildError::misc(format!(
            "program '{program}' {}",
            describe(output.status)
        )));
    }
    let mut paths = BTreeMap::new();
    let mut in_list = false;
    for line in output.stdout.split(|&b| b == b'\n') {
        match line {
            b"extra-sandbox-paths" | b"extra-chroot-dirs" if !in_list => in_list = true,
            b"" => in_list = false,
            line if in_list => {
                let (inside, outside) = match line.iter().position(|&b| b == b'=') {
                    Some(at) => (&line[..at], &line[at + 1..]),
                    None => (line, line),
                };
                let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
                paths.insert(path(inside), path(outside));
            }
            other => {
                return Err(BuildError::misc(format!(
                    "unknown pre-build hook command '{}'",
                    String::from_utf8_lossy(other)
                )));
            }
        }
    }
    Ok(paths)
}

/// Runs `post-build-hook`, if there is one, with the outputs of a build.
pub fn run_post_build_hook(
    store: &dyn Backend,
    settings: &Settings,
    derivation: &StorePath,
    outputs: &BTreeSet<StorePath>,
) -> Result<(), BuildError> {
    let program = &settings.post_build_hook;
    if program.is_empty() {
        return Ok(());
    }
    let derivation = store.dir().display(derivation).to_string();
    let activity = Activity::start(
        Level::Talkative,
        ActivityKind::PostBuildHook,
        format!("running post-build-hook '{program}'"),
        &[derivation.as_str().into()],
    );
    let outputs: Vec<String> = outputs
        .iter()
        .map(|path| store.dir().display(path).to_string())
        .collect();
    let configuration: String = settings
        .overrides()
        .map(|(name, value)| format!("{name} = {value}\n"))
        .collect();
    let (reader, writer) = std::io::pipe().map_err(BuildError::misc)?;
    let second = writer.try_clone().map_err(BuildError::misc)?;
    let mut child = Command::new(program)
        .env("DRV_PATH", &derivation)
        .env("OUT_PATHS", outputs.join(" "))
        .env("NIX_CONFIG", configuration)
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(second)
        .spawn()
        .map_err(|error| BuildError::misc(format!("executing '{program}': {error}")))?;
    let mut reader = BufReader::new(reader).take(u64::MAX);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|count| count > 0)
    {
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        activity.result(ResultKind::PostBuildLogLine, &[text.into()]);
        line.clear();
    }
    let status = child.wait().map_err(BuildError::misc)?;
    if status.success() {
        Ok(())
    } else {
        Err(BuildError::misc(format!(
            "program \"{program}\" {}",
            describe(status)
        )))
    }
}

/// Shows how two results differ. What goes wrong here is only told: the difference matters more.
pub fn run_diff_hook(
    program: &Path,
    user: Option<u32>,
    first: &Path,
    second: &Path,
    derivation: &str,
    build_dir: &Path,
) {
    let mut command = Command::new(program);
    command
        .args([first, second])
        .arg(derivation)
        .arg(build_dir)
        .current_dir("/")
        .stdin(Stdio::null());
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    match command.output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            if !text.trim_end().is_empty() {
                progress::log(Level::Error, text.trim_end());
            }
            let text = String::from_utf8_lossy(&output.stderr);
            if !text.trim_end().is_empty() {
                progress::log(Level::Error, text.trim_end());
            }
            if !output.status.success() {
                progress::log(
                    Level::Error,
                    format!(
                        "error: diff hook execution failed: diff-hook program '{}' {}",
                        program.display(),
                        describe(output.status)
                    ),
                );
            }
        }
        Err(error) => progress::log(
            Level::Error,
            format!(
                "error: diff hook execution failed: '{}': {error}",
                program.display()
            ),
        ),
    }
}

fn describe(status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => super::sandbox::ExitStatus::Code(code).to_string(),
        (None, Some(signal)) => super::sandbox::ExitStatus::Signal(signal).to_string(),
        (None, None) => "died abnormally".to_owned(),
    }
}
