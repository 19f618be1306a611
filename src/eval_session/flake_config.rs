//! Settings that a flake asks for (`nixConfig`): harmless ones count, others when the user accepts them.
//!
//! Answers that are to be kept are in `trusted-settings.json` among the user's data: `{ NAME: { VALUE: true | false } }`.
//! Once settings have changed the run begins anew, so that everything sees the same ones.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use rx_eval::flakes::ConfigValue;
use rx_store::progress::{self, warn};
use rx_store::settings::SettingsBuilder;

use super::EvalSession;
use crate::ui::{self, Failure};

/// Settings that any flake may set: they only change how things look, and what names mean.
const HARMLESS: [&str; 6] = [
    "bash-prompt",
    "bash-prompt-prefix",
    "bash-prompt-suffix",
    "flake-registry",
    "commit-lock-file-summary",
    "commit-lockfile-summary",
];

/// Answers by setting and value.
type Trusted = BTreeMap<String, BTreeMap<String, bool>>;

impl EvalSession {
    /// Applies the settings that a flake asks for, as far as they are accepted.
    ///
    /// # Errors
    /// [`Failure::Again`] when settings have changed.
    pub fn apply_flake_config(
        &mut self,
        config: &BTreeMap<String, ConfigValue>,
    ) -> Result<(), Failure> {
        let mut flakes = (*self.invocation.flakes).clone();
        let mut accepted = Vec::new();
        for (name, value) in config {
            let setting = (name.clone(), value.text());
            if flakes.decisions.contains_key(&setting) {
                continue;
            }
            let accept = self.accepts(name, &setting.1)?;
            if accept {
                accepted.push(setting.clone());
            } else {
                warn(format_args!(
                    "ignoring untrusted flake configuration setting '{name}'.\nPass '--accept-flake-config' to trust it"
                ));
            }
            flakes.decisions.insert(setting, accept);
        }
        if accepted.is_empty() {
            self.invocation.flakes = Arc::new(flakes);
            return Ok(());
        }
        let mut builder = SettingsBuilder::amend((*self.invocation.settings).clone());
        for (name, value) in accepted {
            builder.set(&name, value.as_bytes())?;
        }
        let (settings, notices) = builder.finish();
        notices.into_iter().for_each(warn);
        flakes.fetched = self.vm.fetched();
        Err(Failure::Again(Arc::new(settings), Arc::new(flakes)))
    }

    fn accepts(&self, name: &str, value: &str) -> Result<bool, Failure> {
        let base = name.strip_prefix("extra-").unwrap_or(name);
        if HARMLESS.contains(&base) || self.invocation.settings.accept_flake_config {
            return Ok(true);
        }
        let mut trusted = self.read_trusted()?;
        if let Some(answer) = trusted.get(name).and_then(|values| values.get(value)) {
            progress::info(format_args!(
                "Using saved setting for '{name} = {}' from {}.",
                printable(value),
                self.trusted_file().display()
            ));
            return Ok(*answer);
        }
        if !ui::stderr_is_terminal() {
            return Ok(false);
        }
        let accept = ui::ask(&format!(
            "do you want to allow configuration setting '{name}' to be set to '{}' (y/N)?",
            printable(value)
        ))?;
        let word = if accept { "trusted" } else { "untrusted" };
        if ui::ask(&format!(
            "do you want to permanently mark this value as {word} (y/N)?"
        ))? {
            let values = trusted.entry(name.to_owned()).or_default();
            values.insert(value.to_owned(), accept);
            self.write_trusted(&trusted)?;
        }
        Ok(accept)
    }

    fn trusted_file(&self) -> PathBuf {
        let places = &self.invocation.settings.places;
        places.data_dir.join("trusted-settings.json")
    }

    fn read_trusted(&self) -> Result<Trusted, Failure> {
        let file = self.trusted_file();
        match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                Failure::message(format!("cannot parse \"{}\": {error}", file.display()))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Trusted::new()),
            Err(error) => Err(Failure::message(format!(
                "cannot read \"{}\": {error}",
                file.display()
            ))),
        }
    }

    fn write_trusted(&self, trusted: &Trusted) -> Result<(), Failure> {
        let file = self.trusted_file();
        let dir = &self.invocation.settings.places.data_dir;
        std::fs::create_dir_all(dir)?;
        let mut new = tempfile::NamedTempFile::new_in(dir)?;
        new.write_all(serde_json::to_string(trusted)?.as_bytes())?;
        new.persist(file)?;
        Ok(())
    }
}

/// A value from elsewhere: what would steer the terminal is shown as an escape.
fn printable(value: &str) -> String {
    value
        .chars()
        .map(|c| match c.is_control() {
            true => c.escape_default().to_string(),
            false => c.to_string(),
        })
        .collect()
}
