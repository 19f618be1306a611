//! Collections that begin by themselves when the disk is nearly full.

use std::fs;
use std::time::{Duration, Instant};

use super::super::LocalStore;
use crate::progress;
use crate::store::api::{GcAction, GcOptions};
use crate::store::error::StoreError;

/// When the disk was looked at last.
#[derive(Default)]
pub(in super::super) struct AutoGc {
    checked: Option<Instant>,
    running: bool,
    available_after: Option<u64>,
}
impl LocalStore {
    /// Whether [`Self::auto_gc`] would look at the disk now.
    pub(crate) fn auto_gc_is_due(&self) -> bool {
        let clock = self.gc_clock.lock();
        let interval = Duration::from_secs(self.config.min_free_interval);
        self.config.min_free != 0
            && !clock.running
            && clock.checked.is_none_or(|at| at.elapsed() >= interval)
    }

    /// Collects garbage when the disk is nearly full and settings want that.
    pub(crate) fn auto_gc(&self) -> Result<(), StoreError> {
        if self.config.min_free == 0 {
            return Ok(());
        }
        {
            let mut clock = self.gc_clock.lock();
            let interval = Duration::from_secs(self.config.min_free_interval);
            if clock.running || clock.checked.is_some_and(|at| at.elapsed() < interval) {
                return Ok(());
            }
            let available = self.available_space()?;
            clock.checked = Some(Instant::now());
            if available >= self.config.min_free || available >= self.config.max_free {
                return Ok(());
            }
            // The last collection freed no more than this; another one would not either.
            if clock
                .available_after
                .is_some_and(|after| available > after / 100 * 97)
            {
                return Ok(());
            }
            clock.running = true;
        }
        let available = self.available_space()?;
        let mut options = GcOptions::new(GcAction::DeleteDead);
        options.max_freed = self.config.max_free.saturating_sub(available);
        progress::info(format!(
            "running auto-GC to free {} bytes",
            options.max_freed
        ));
        let outcome = self.collect(&options);
        let after = self.available_space().ok();
        let mut clock = self.gc_clock.lock();
        clock.running = false;
        clock.checked = Some(Instant::now());
        clock.available_after = after;
        if let Err(error) = outcome {
            progress::warn(format!("automatic garbage collection failed: {error}"));
        }
        Ok(())
    }

    fn available_space(&self) -> Result<u64, StoreError> {
        if let Some(file) = std::env::var_os("_NIX_TEST_FREE_SPACE_FILE") {
            let text = fs::read_to_string(&file)?;
            return Ok(text.trim().parse().unwrap_or(u64::MAX));
        }
        let stat = rustix::fs::fstatvfs(&self.store_fd).map_err(|e| {
            StoreError::file(
                "getting filesystem info about",
                &self.config.real_store_dir,
                e,
            )
        })?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}
