//! Follows a builder from its start to its end: its output, its deadlines, its exit.

use std::time::{Duration, Instant};

use super::Job;
use crate::build::cancel::Ready;
use crate::build::error::{BuildError, FailureKind};
use crate::build::external::Preparations;
use crate::build::log::{BuildLog, LogFile};
use crate::build::sandbox::{self, ExitStatus, SandboxError, SandboxSpec};

impl Job<'_> {
    /// Starts the builder and follows it to its end.
    pub(super) fn run_builder(
        &self,
        spec: &SandboxSpec,
        start_activity: impl FnOnce() -> BuildLog,
        mut file: Option<&mut LogFile>,
        mut preparations: Preparations,
    ) -> Result<(), BuildError> {
        let mut builder = match sandbox::spawn(spec) {
            Ok(builder) => builder,
            Err(error @ SandboxError::Execute { .. }) => {
                let mut log = start_activity();
                let line = format!("error: {error}\n");
                log.write(line.as_bytes());
                log.finish();
                if let Some(file) = &mut file {
                    file.write(line.as_bytes());
                }
                return Err(self.builder_failed(ExitStatus::Code(1), &log));
            }
            Err(error) => {
                return Err(BuildError::misc(format!(
                    "{error}\nwhile setting up the build environment"
                )));
            }
        };
        let mut log = start_activity();
        let started = Instant::now();
        let mut last_output = started;
        let mut written = 0u64;
        let mut buffer = vec![0u8; 1 << 16];
        let limit = |seconds: u64| (seconds > 0).then(|| Duration::from_secs(seconds));
        let (total, silent) = (
            limit(self.settings.timeout),
            limit(self.settings.max_silent_time),
        );
        loop {
            let now = Instant::now();
            let deadlines = [
                silent.map(|limit| (last_output + limit, limit)),
                total.map(|limit| (started + limit, limit)),
            ];
            let nearest = deadlines.into_iter().flatten().min();
            if let Some((deadline, limit)) = nearest
                && now >= deadline
            {
                builder.kill();
                log.finish();
                return Err(BuildError::new(
                    FailureKind::TimedOut,
                    format!(
                        "building '{}' timed out after {} seconds",
                        self.show(&self.request.derivation_path),
                        limit.as_secs()
                    ),
                ));
            }
            let wait =
                nearest.map(|(deadline, _)| (deadline - now).as_millis().min(1 << 30) as u64 + 1);
            match self.context.cancel.wait_readable(builder.output(), wait) {
                Ok(Ready::Readable) => {}
                Ok(Ready::NotYet) => continue,
                Ok(Ready::Cancelled) => {
                    builder.kill();
                    log.finish();
                    return Err(BuildError::cancelled());
                }
                Err(error) => return Err(BuildError::misc(error)),
            }
            let count = match rustix::io::read(builder.output(), &mut buffer) {
                // A terminal whose last user is gone fails instead of ending.
                Ok(0) | Err(rustix::io::Errno::IO) => break,
                Ok(count) => count,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
                Err(error) => return Err(BuildError::misc(error)),
            };
            last_output = Instant::now();
            written += count as u64;
            let most = self.settings.max_build_log_size;
            if most > 0 && written > most {
                builder.kill();
                // What came before the limit is shown and kept.
                let within = count - (written - most).min(count as u64) as usize;
                log.write(&buffer[..within]);
                log.finish();
                if let Some(file) = &mut file {
                    file.write(&buffer[..within]);
                }
                return Err(BuildError::new(
                    FailureKind::LogLimit,
                    format!(
                        "building derivation '{}' killed after writing more than {most} bytes of log output",
                        self.show(&self.request.derivation_path)
                    ),
                ));
            }
            let output = preparations.skip(&buffer[..count]);
            log.write(output);
            if let Some(file) = &mut file {
                file.write(output);
            }
        }
        // A builder that has closed its output counts as done; if it runs on, it is killed.
        let status = builder.end();
        log.finish();
        if status.success() {
            Ok(())
        } else {
            Err(self.builder_failed(status, &log))
        }
    }
}
