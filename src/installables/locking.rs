//! Flakes on the command line: how they are locked, and their lock files written.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rx_eval::flakes::{self, InputPath, LockFlags, LockedFlake};
use rx_store::fetch::attrs::Attrs;
use rx_store::fetch::flake_ref::{FlakeRef, ParseOptions};
use rx_store::fetch::input::Input;
use rx_store::fetch::registry::Use;
use rx_store::progress::warn;

use crate::eval_session::EvalSession;
use crate::ui::{Failure, UsageError};

/// Options of commands that lock flakes.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Flakes")]
pub struct LockOptions {
    /// Forget the lock file and look at all inputs anew.
    #[arg(long)]
    pub recreate_lock_file: bool,
    /// Fail if the lock file would have to be changed.
    #[arg(long)]
    pub no_update_lock_file: bool,
    /// Do not write the lock file.
    #[arg(long)]
    pub no_write_lock_file: bool,
    /// Do not look names up in registries.
    #[arg(long)]
    pub no_registries: bool,
    /// Commit the lock file when it was changed.
    #[arg(long)]
    pub commit_lock_file: bool,
    /// Look at this input anew.
    #[arg(long, value_name = "INPUT", action = clap::ArgAction::Append)]
    pub update_input: Vec<String>,
    /// Replace an input by another flake for this run.
    #[arg(long, value_names = ["INPUT", "FLAKE"], num_args = 2, action = clap::ArgAction::Append)]
    pub override_input: Vec<String>,
    /// Read this lock file instead of the flake's.
    #[arg(long, value_name = "FILE")]
    pub reference_lock_file: Option<OsString>,
    /// Write this lock file instead of the flake's.
    #[arg(long, value_name = "FILE")]
    pub output_lock_file: Option<PathBuf>,
    /// Let the inputs of this flake stand for names, before all registries.
    #[arg(long, value_name = "FLAKE", action = clap::ArgAction::Append)]
    pub inputs_from: Vec<String>,
}

/// What may be done with a lock file that has to be changed.
#[derive(Clone, Debug)]
pub struct LockWish {
    /// How the new one is found.
    pub flags: LockFlags,
    /// It may differ from the old one.
    pub update: bool,
    /// It is written.
    pub write: bool,
    /// It is committed.
    pub commit: bool,
    /// Inputs that cannot be locked are an error.
    pub fail_on_unlocked: bool,
    /// Where it is written, instead of beside the flake.
    pub output: Option<PathBuf>,
    /// The settings that the flake asks for are applied.
    pub apply_config: bool,
}

/// A flake reference as people write it, seen from the working directory.
pub fn parse_flake_ref(session: &EvalSession, text: &str) -> Result<FlakeRef, Failure> {
    let base = PathBuf::from(OsString::from_vec(
        session.vm.ev.settings.current_dir.clone(),
    ));
    let options = ParseOptions {
        base: Some(&base),
        allow_missing: true,
        ..ParseOptions::default()
    };
    Ok(FlakeRef::parse(text, options)?)
}

/// The same with what follows `#`.
pub fn flake_with_fragment(
    session: &EvalSession,
    text: &str,
) -> Result<(FlakeRef, String), Failure> {
    let base = PathBuf::from(OsString::from_vec(
        session.vm.ev.settings.current_dir.clone(),
    ));
    let options = ParseOptions {
        base: Some(&base),
        ..ParseOptions::default()
    };
    Ok(FlakeRef::parse_with_fragment(text, options)?)
}

fn input_path(text: &str, flag: &str) -> Result<InputPath, Failure> {
    let path = flakes::input_path(text)
        .map_err(|error| UsageError::new(String::from_utf8_lossy(&error.message).into_owned()))?;
    if path.is_empty() {
        return Err(UsageError::new(format!(
            "{flag} was passed a zero-length input path, which would refer to the flake itself, not an input"
        ))
        .into());
    }
    Ok(path)
}

impl LockOptions {
    /// What these options ask for.
    pub fn wish(&self, session: &mut EvalSession) -> Result<LockWish, Failure> {
        for (given, message) in [
            (
                self.recreate_lock_file,
                "'--recreate-lock-file' is deprecated and will be removed in a future version; use 'nix flake update' instead.",
            ),
            (
                !self.update_input.is_empty(),
                "'--update-input' is a deprecated alias for 'flake update' and will be removed in a future version.",
            ),
            (
                self.no_registries,
                "'--no-registries' is deprecated; use '--no-use-registries'",
            ),
        ] {
            if given {
                warn(message);
            }
        }
        let fetcher = session.vm.fetcher();
        let settings = session.check(fetcher)?.settings();
        let mut flags = LockFlags {
            recreate: self.recreate_lock_file,
            allow_unlocked: true,
            use_registries: settings.use_registries && !self.no_registries,
            overrides: Default::default(),
            updates: Default::default(),
            reference_lock_file: None,
        };
        for text in &self.update_input {
            flags.updates.insert(input_path(text, "--update-input")?);
        }
        for pair in self.override_input.chunks_exact(2) {
            let path = input_path(&pair[0], "--override-input")?;
            flags
                .overrides
                .insert(path, parse_flake_ref(session, &pair[1])?);
        }
        if let Some(file) = &self.reference_lock_file {
            if !settings.allow_dirty {
                return Err(Failure::message(
                    "reference lock file was provided, but the `allow-dirty` setting is set to false",
                ));
            }
            let file = session.absolute(file.as_bytes());
            session.vm.ev.io.allow(&file);
            flags.reference_lock_file = Some(file);
        }
        Ok(LockWish {
            flags,
            update: !self.no_update_lock_file,
            write: !self.no_write_lock_file && self.override_input.is_empty(),
            commit: self.commit_lock_file,
            fail_on_unlocked: false,
            output: self.output_lock_file.clone(),
            apply_config: false,
        })
    }

    /// Lets names stand for what the command line says: `--override-flake`, `--inputs-from`.
    pub fn override_names(&self, session: &mut EvalSession) -> Result<(), Failure> {
        for text in &self.inputs_from {
            let reference = parse_flake_ref(session, text)?;
            let wish = LockOptions::default().wish(session)?;
            let wish = LockWish {
                write: false,
                ..wish
            };
            let locked = lock_flake(session, &reference, &wish)?;
            let file = &locked.lock_file;
            for name in file.nodes[0].inputs.keys() {
                let node = file.find(std::slice::from_ref(name));
                let Some(node) = session
                    .check(node)?
                    .and_then(|node| file.nodes[node].locked.as_ref())
                else {
                    continue;
                };
                let mut extra = Attrs::new();
                if !node.locked.subdir.is_empty() {
                    extra.set("dir", node.locked.subdir.as_str());
                }
                let from = Input::from_attrs(
                    Attrs::new()
                        .with("type", "indirect")
                        .with("id", name.as_str()),
                )?;
                let fetcher = session.vm.fetcher();
                session
                    .check(fetcher)?
                    .override_flake(from, node.locked.input.clone(), extra);
            }
        }
        Ok(())
    }
}

/// Locks a flake, and writes its lock file if that has to be changed.
pub fn lock_flake(
    session: &mut EvalSession,
    reference: &FlakeRef,
    wish: &LockWish,
) -> Result<LockedFlake, Failure> {
    let registries = if wish.flags.use_registries {
        Use::All
    } else {
        Use::No
    };
    let flake = flakes::get(&mut session.vm, reference, registries);
    let flake = session.check(flake)?;
    if wish.apply_config {
        session.apply_flake_config(&flake.manifest.config)?;
    }
    let locked = flakes::lock(&mut session.vm, flake, &wish.flags);
    let mut locked = session.check(locked)?;
    if locked.is_changed() || wish.output.is_some() {
        write_lock(session, reference, wish, &mut locked)?;
    }
    Ok(locked)
}

/// Writes a lock file. The flake stays the tree that was read, though the lock file belongs to it from now on: what is
/// locked for the first time has the revision that it has.
fn write_lock(
    session: &mut EvalSession,
    reference: &FlakeRef,
    wish: &LockWish,
    locked: &mut LockedFlake,
) -> Result<(), Failure> {
    let changes = locked.lock_file.changes_since(&locked.old_lock_file);
    let changes = changes.trim_end();
    if !wish.write {
        warn(format_args!(
            "not writing modified lock file of flake '{reference}':\n{changes}"
        ));
        locked.flake.force_dirty = true;
        return Ok(());
    }
    let source = reference.input.source_path();
    if source.is_none() && wish.output.is_none() {
        return Err(Failure::message(format!(
            "cannot write modified lock file of flake '{reference}' (use '--no-write-lock-file' to ignore)"
        )));
    }
    let fetcher = session.vm.fetcher();
    let settings = session.check(fetcher)?.settings();
    let unlocked = locked.lock_file.unlocked(
        settings.trust_tarballs_from_git_forges,
        settings.allow_dirty_locks,
    );
    if let Some(input) = unlocked {
        if wish.fail_on_unlocked {
            return Err(Failure::message(format!(
                "Not writing lock file of flake '{reference}' because it has an unlocked input ('{input}'). \
                 Use '--allow-dirty-locks' to allow this anyway."
            )));
        }
        if settings.warn_dirty {
            warn(format_args!(
                "not writing lock file of flake '{reference}' because it has an unlocked input ('{input}')"
            ));
        }
        return Ok(());
    }
    if !wish.update {
        return Err(Failure::message(format!(
            "flake '{reference}' requires lock file changes but they're not allowed due to '--no-update-lock-file'"
        )));
    }
    let text = locked.lock_file.to_text();
    match (&wish.output, &source) {
        (Some(_), _) if wish.commit => {
            return Err(Failure::message(
                "'--commit-lock-file' and '--output-lock-file' are incompatible",
            ));
        }
        (Some(output), _) => std::fs::write(output, text)?,
        (None, Some(root)) => {
            put_lock(
                reference,
                root,
                &text,
                changes,
                wish.commit,
                &settings.commit_lock_file_summary,
            )?;
        }
        (None, None) => {}
    }
    Ok(())
}

fn put_lock(
    reference: &FlakeRef,
    root: &Path,
    text: &str,
    changes: &str,
    commit: bool,
    summary: &str,
) -> Result<(), Failure> {
    let relative = Path::new(&reference.subdir).join("flake.lock");
    let file = root.join(&relative);
    let exists = file.symlink_metadata().is_ok();
    let shown = format!("{:?}", file.display().to_string());
    match (exists, changes.is_empty()) {
        (true, true) => warn(format_args!("updating lock file {shown}")),
        (true, false) => warn(format_args!("updating lock file {shown}:\n{changes}")),
        (false, _) => warn(format_args!("creating lock file {shown}: \n{changes}")),
    }
    let message = commit.then(|| {
        let relative = relative.display();
        let summary = match (summary, exists) {
            ("", true) => format!("{relative}: Update"),
            ("", false) => format!("{relative}: Add"),
            (summary, _) => summary.to_owned(),
        };
        format!("{summary}\n\nFlake lock file updates:\n\n{changes}\n")
    });
    reference
        .input
        .put_file(&relative, text.as_bytes(), message.as_deref())?;
    Ok(())
}
