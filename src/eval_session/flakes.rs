//! What flakes and options about flakes change in an evaluation.

use std::collections::BTreeMap;

use rx_eval::flakes::ConfigValue;
use rx_store::fetch::attrs::Attrs;
use rx_store::progress::warn;

use super::EvalSession;
use crate::cli::EvalOptions;
use crate::installables::parse_flake_ref;
use crate::ui::Failure;

/// Settings that any flake may set: they only change how things look, and what names mean.
const HARMLESS: [&str; 6] = [
    "bash-prompt",
    "bash-prompt-prefix",
    "bash-prompt-suffix",
    "flake-registry",
    "commit-lock-file-summary",
    "commit-lockfile-summary",
];

impl EvalSession {
    /// Lets names stand for what `--override-flake` says.
    pub(super) fn override_flakes(&mut self, options: &EvalOptions) -> Result<(), Failure> {
        for (original, resolved) in &options.override_flakes {
            let original = parse_flake_ref(self, &original.to_string_lossy())?;
            let resolved = parse_flake_ref(self, &resolved.to_string_lossy())?;
            let mut extra = Attrs::new();
            if !resolved.subdir.is_empty() {
                extra.set("dir", resolved.subdir.as_str());
            }
            let fetcher = self.vm.fetcher();
            self.check(fetcher)?
                .override_flake(original.input, resolved.input, extra);
        }
        Ok(())
    }

    /// Notes the settings that a flake asks for.
    pub fn note_flake_config(&mut self, config: &BTreeMap<String, ConfigValue>) {
        for name in config.keys() {
            let base = name.strip_prefix("extra-").unwrap_or(name);
            if !HARMLESS.contains(&base) && !self.invocation.settings.accept_flake_config {
                warn(format_args!(
                    "ignoring untrusted flake configuration setting '{name}'.\nPass '--accept-flake-config' to trust it"
                ));
            }
        }
    }
}
