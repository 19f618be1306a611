//! What flakes and options about flakes change in an evaluation.

use rx_store::fetch::attrs::Attrs;

use super::EvalSession;
use crate::cli::EvalOptions;
use crate::installables::parse_flake_ref;
use crate::ui::Failure;

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
}
