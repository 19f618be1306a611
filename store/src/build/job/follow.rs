//! Follows a builder from its start to its end: its output, its deadlines, its exit.

use std::time::{Duration, Instant};

use super::Job;
use crate::build::cancel::Ready;
use crate::build::error::{BuildError, FailureKind};
use crate::build::external::Preparations;
use crate::build::log::{BuildLog, LogFile};
use crate::build::sandbox::{self, Builder, ExitStatus, SandboxError, SandboxSpec};
use crate::settings::Settings;

/// When a builder has to be done, and when it has to have said something.
struct Deadlines {
    started: Instant,
    last_output: Instant,
    total: Option<Duration>,
    silent: Option<Duration>,
}

impl Deadlines {
    fn new(settings: &Settings) -> Self {
        let limit = |seconds: u64| (seconds > 0).then(|| Duration::from_secs(seconds));
        let started = Instant::now();
        Self {
            started,
            last_output: started,
            total: limit(settings.timeout),
            silent: limit(settings.max_silent_time),
        }
    }

    /// The next one, and the limit that it comes from.
    fn nearest(&self) -> Option<(Instant, Duration)> {
        let silent = self.silent.map(|limit| (self.last_output + limit, limit));
        let total = self.total.map(|limit| (self.started + limit, limit));
        silent.into_iter().chain(total).min()
    }
}

/// A builder at work and where its output goes.
struct Followed<'a> {
    builder: Builder,
    log: BuildLog,
    file: Option<&'a mut LogFile>,
    preparations: Preparations,
    /// Bytes of output so far.
    written: u64,
}

impl Followed<'_> {
    fn take(&mut self, output: &[u8]) {
        self.log.write(output);
        if let Some(file) = &mut self.file {
            file.write(output);
        }
    }
}

impl Job<'_> {
    /// Starts the builder and follows it to its end.
    pub(super) fn follow(
        &self,
        spec: &SandboxSpec,
        file: Option<&mut LogFile>,
        preparations: Preparations,
    ) -> Result<(), BuildError> {
        let builder = match sandbox::spawn(spec) {
            Ok(builder) => builder,
            Err(error @ SandboxError::Execute { .. }) => {
                return Err(self.not_executed(&error, file));
            }
            Err(error) => {
                return Err(BuildError::misc(format!(
                    "{error}\nwhile setting up the build environment"
                )));
            }
        };
        let mut followed = Followed {
            builder,
            log: self.start_activity(),
            file,
            preparations,
            written: 0,
        };
        let result = self.follow_output(&mut followed);
        let Followed {
            mut builder,
            mut log,
            ..
        } = followed;
        if result.is_err() {
            builder.kill();
            log.finish();
            return result;
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

    /// Takes what the builder writes until it has closed its output or has to be killed.
    fn follow_output(&self, followed: &mut Followed<'_>) -> Result<(), BuildError> {
        let mut deadlines = Deadlines::new(self.settings);
        let mut buffer = vec![0u8; 1 << 16];
        loop {
            let now = Instant::now();
            let nearest = deadlines.nearest();
            if let Some((deadline, limit)) = nearest
                && now >= deadline
            {
                return Err(self.timed_out(limit));
            }
            let wait =
                nearest.map(|(deadline, _)| (deadline - now).as_millis().min(1 << 30) as u64 + 1);
            let output = followed.builder.output();
            match self.context.cancel.wait_readable(output, wait) {
                Ok(Ready::Readable) => {}
                Ok(Ready::NotYet) => continue,
                Ok(Ready::Cancelled) => return Err(BuildError::cancelled()),
                Err(error) => return Err(BuildError::misc(error)),
            }
            let count = match rustix::io::read(output, &mut buffer) {
                // A terminal whose last user is gone fails instead of ending.
                Ok(0) | Err(rustix::io::Errno::IO) => return Ok(()),
                Ok(count) => count,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
                Err(error) => return Err(BuildError::misc(error)),
            };
            deadlines.last_output = Instant::now();
            followed.written += count as u64;
            let most = self.settings.max_build_log_size;
            if most > 0 && followed.written > most {
                // What came before the limit is shown and kept.
                let within = count - (followed.written - most).min(count as u64) as usize;
                followed.take(&buffer[..within]);
                return Err(self.log_limit(most));
            }
            let output = followed.preparations.skip(&buffer[..count]);
            followed.log.write(output);
            if let Some(file) = &mut followed.file {
                file.write(output);
            }
        }
    }

    /// The builder could not be executed: it has an empty log but for the reason.
    fn not_executed(&self, error: &SandboxError, file: Option<&mut LogFile>) -> BuildError {
        let mut log = self.start_activity();
        let line = format!("error: {error}\n");
        log.write(line.as_bytes());
        log.finish();
        if let Some(file) = file {
            file.write(line.as_bytes());
        }
        self.builder_failed(ExitStatus::Code(1), &log)
    }

    fn timed_out(&self, limit: Duration) -> BuildError {
        BuildError::new(
            FailureKind::TimedOut,
            format!(
                "building '{}' timed out after {} seconds",
                self.show(&self.request.derivation_path),
                limit.as_secs()
            ),
        )
    }

    fn log_limit(&self, most: u64) -> BuildError {
        BuildError::new(
            FailureKind::LogLimit,
            format!(
                "building derivation '{}' killed after writing more than {most} bytes of log output",
                self.show(&self.request.derivation_path)
            ),
        )
    }
}
