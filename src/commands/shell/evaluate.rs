//! From the arguments of a shell to the one derivation that it is for, and to the bash that it will be.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rx_eval::io::{FileKind, resolve_links};
use rx_eval::packages::Assertions;
use rx_eval::selection::takes_argument;
use rx_eval::{Origin, Value};
use rx_lang::symbol;
use rx_store::path::StorePath;
use rx_store::progress;

use super::Shell;
use crate::cli::Invocation;
use crate::eval_session::EvalSession;
use crate::installables::FlakeInstallable;
use crate::ui::{Failure, UsageError};

/// What the arguments are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Arguments {
    /// Files and derivations.
    #[default]
    Files,
    /// Expressions (`-E`).
    Expressions,
    /// Packages of nixpkgs (`-p`).
    Packages,
}

impl Shell {
    /// The derivation that the shell is for.
    pub(super) fn derivation(
        &self,
        invocation: &Invocation,
        session: &mut EvalSession,
    ) -> Result<StorePath, Failure> {
        let mut found = Vec::new();
        for value in self.values(invocation, session, &mut found)? {
            self.select(session, value, &mut found)?;
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(UsageError::new("nix-shell requires a single derivation").into()),
            count => Err(UsageError::new("nix-shell requires a single derivation")
                .hint(format!(
                    "the arguments give {count}; select one with -A, or name packages with -p"
                ))
                .into()),
        }
    }

    fn values(
        &self,
        invocation: &Invocation,
        session: &mut EvalSession,
        found: &mut Vec<StorePath>,
    ) -> Result<Vec<Value>, Failure> {
        if self.stdin {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut text)?;
            return Ok(vec![session.eval_text(Origin::Stdin, &text)?]);
        }
        let mut values = Vec::new();
        match self.arguments_are {
            Arguments::Packages => {
                let text = packages_expression(&self.arguments);
                values.push(session.eval_text(Origin::String, &text)?);
            }
            Arguments::Expressions => {
                for argument in &self.arguments {
                    values.push(session.eval_text(Origin::String, argument.as_bytes())?);
                }
            }
            Arguments::Files => {
                for argument in &self.files()? {
                    match derivation_file(session, argument) {
                        Some(derivation) => found.push(derivation),
                        None => values.push(self.eval_file(invocation, session, argument)?),
                    }
                }
            }
        }
        Ok(values)
    }

    /// The files that are named, or the one of the directory.
    fn files(&self) -> Result<Vec<OsString>, Failure> {
        let directory = match &self.script {
            Some(script) => Some(script.directory()?),
            None => None,
        };
        if self.arguments.is_empty() {
            let here = directory.clone().unwrap_or_else(|| ".".into());
            let has = |name: &str| here.join(name).exists();
            if !has("shell.nix") && !has("default.nix") {
                return Err(Failure::message(
                    "no argument specified and no 'shell.nix' or 'default.nix' file found in the working directory",
                ));
            }
            return Ok(vec![here.into()]);
        }
        Ok(self
            .arguments
            .iter()
            .map(|argument| match &directory {
                // Files of a script lie beside it.
                Some(directory) if is_plain_file(argument) => directory.join(argument).into(),
                _ => argument.clone(),
            })
            .collect())
    }

    fn eval_file(
        &self,
        invocation: &Invocation,
        session: &mut EvalSession,
        argument: &OsStr,
    ) -> Result<Value, Failure> {
        let path = session.lookup_argument(argument)?;
        let resolved = resolve_links(&*session.vm.ev.io, &path);
        let (mut path, kind) = session.check(resolved)?;
        if kind == Some(FileKind::Directory) {
            path = choose_file(invocation, session, &path)?;
        }
        let value = session.vm.eval_file(&path);
        session.check(value)
    }

    fn select(
        &self,
        session: &mut EvalSession,
        root: Value,
        found: &mut Vec<StorePath>,
    ) -> Result<(), Failure> {
        let in_shell = symbol::intern(b"inNixShell");
        let mut shell_args = session.auto_args.clone();
        if !shell_args.iter().any(|(name, _)| *name == in_shell) {
            shell_args.push((in_shell, Value::bool(true)));
        }
        // Old nixpkgs pass on everything they get to functions that do not expect it.
        let arguments = |session: &EvalSession, value: Value| {
            if takes_argument(value, in_shell) {
                shell_args.clone()
            } else {
                session.auto_args.clone()
            }
        };
        for path in self.selection.paths() {
            let given = arguments(session, root);
            let selected = session.vm.find_along(path.as_bytes(), &given, root);
            let (value, _) = session.check(selected)?;
            let forced = session.vm.force(value);
            let value = session.check(forced)?;
            let given = arguments(session, value);
            let packages = session.vm.packages(value, b"", &given, Assertions::Fail);
            for package in session.check(packages)? {
                let derivation = package.drv_path(&mut session.vm);
                found.push(session.check(derivation)?);
            }
        }
        Ok(())
    }
}

/// A package with everything that is named in its inputs; the C compiler is part of it if there is one.
fn packages_expression(packages: &[OsString]) -> Vec<u8> {
    let mut text = b"{ ... }@args:\nwith import <nixpkgs> args;\n\
        (pkgs.runCommandCC or pkgs.runCommand) \"shell\" {\n  buildInputs = [\n"
        .to_vec();
    for package in packages {
        text.extend_from_slice(b"    (");
        text.extend_from_slice(package.as_bytes());
        text.extend_from_slice(b")\n");
    }
    text.extend_from_slice(b"  ];\n} \"\"\n");
    text
}

/// A path, not `<name>` or a URL.
fn is_plain_file(argument: &OsStr) -> bool {
    let text = argument.to_string_lossy();
    !text.starts_with('<') && !text.starts_with("flake:") && !rx_eval::outside::is_url(&text)
}

/// The file of a directory that describes its shell.
fn choose_file(
    invocation: &Invocation,
    session: &EvalSession,
    directory: &[u8],
) -> Result<Vec<u8>, Failure> {
    let exists = |name: &str| -> Result<Option<Vec<u8>>, Failure> {
        let path = [directory, b"/", name.as_bytes()].concat();
        let kind = session.vm.ev.io.kind(&path);
        Ok(session.check(kind)?.map(|_| path))
    };
    let shown = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    if let Some(path) = exists("shell.nix")? {
        const SETTING: &str = "nix-shell-always-looks-for-shell-nix";
        // Without the setting, the file counts only where nothing is named.
        let working = Path::new(OsStr::from_bytes(directory));
        let here = std::env::current_dir().is_ok_and(|here| here == working);
        if invocation.settings.nix_shell_always_looks_for_shell_nix || here {
            return Ok(path);
        }
        progress::warn(format_args!(
            "Skipping '{}', because the setting '{SETTING}' is disabled. This is a deprecated behavior. Consider enabling '{SETTING}'.",
            shown(&path)
        ));
    }
    exists("default.nix")?.ok_or_else(|| {
        Failure::message(format!(
            "neither 'shell.nix' nor 'default.nix' found in '{}'",
            shown(directory)
        ))
    })
}

/// A derivation of the store, or a link to one.
fn derivation_file(session: &EvalSession, argument: &OsStr) -> Option<StorePath> {
    let text = argument.as_bytes();
    // Outputs do not matter: the shell is that of the whole derivation.
    let text = text
        .iter()
        .rposition(|&b| b == b'!')
        .map_or(text, |at| &text[..at]);
    let store_dir = &session.vm.ev.store_dir;
    let mut path = std::path::PathBuf::from(OsStr::from_bytes(&session.absolute(text)));
    for _ in 0..40 {
        if store_dir.contains(path.as_os_str().as_bytes()) {
            break;
        }
        let target = std::fs::read_link(&path).ok()?;
        path = rx_store::settings::clean(&path.parent()?.join(target));
    }
    store_dir
        .parse(path.as_os_str().as_bytes())
        .ok()
        .filter(StorePath::is_derivation)
}

/// The derivation of nixpkgs' bash for people.
pub(super) fn interactive_bash(session: &mut EvalSession) -> Result<StorePath, Failure> {
    let text = b"(import <nixpkgs> { }).bashInteractive";
    let value = session.eval_text(Origin::String, text)?;
    let package = session.vm.as_package(value, Assertions::Fail);
    let package = session.check(package)?.ok_or_else(|| {
        Failure::message(
            "the 'bashInteractive' attribute in <nixpkgs> did not evaluate to a derivation",
        )
    })?;
    let derivation = package.drv_path(&mut session.vm);
    session.check(derivation)
}

/// The derivation of the bash for people that a flake's own nixpkgs has, if it has an input of that name.
pub(in crate::commands) fn flake_bash(
    session: &mut EvalSession,
    flake: &FlakeInstallable,
) -> Option<StorePath> {
    let locked = flake.locked(session).ok()?;
    let value = rx_eval::flakes::call(&mut session.vm, &locked).ok()?;
    let system = session.invocation.settings.current_system();
    let path = format!("inputs.nixpkgs.legacyPackages.{system}.bashInteractive");
    let (value, _) = session.vm.find_along(path.as_bytes(), &[], value).ok()?;
    let package = session.vm.as_package(value, Assertions::Fail).ok()??;
    package.drv_path(&mut session.vm).ok()
}
