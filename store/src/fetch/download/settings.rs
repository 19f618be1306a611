//! What can be set about downloads, and who watches them.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of the same names in `nix.conf`.
#[derive(Debug, Clone)]
pub struct DownloadSettings {
    /// `download-attempts`.
    pub attempts: u32,
    /// `connect-timeout`; zero means that the system decides.
    pub connect_timeout: Duration,
    /// `stalled-download-timeout`.
    pub stalled_timeout: Duration,
    /// `http-connections`; zero is unlimited.
    pub connections: usize,
    /// `http2`.
    pub http2: bool,
    /// `user-agent-suffix`.
    pub user_agent_suffix: String,
    /// `netrc-file`.
    pub netrc_file: Option<PathBuf>,
    /// `ssl-cert-file`; without it the system's certificates are used.
    pub ca_file: Option<PathBuf>,
    /// `download-speed` in KiB/s; zero is unlimited.
    pub speed_limit: u64,
    /// First pause before an attempt is repeated; later ones double.
    pub retry_delay: Duration,
    /// No pause is longer than this, whatever a server asks for: the attempt then fails.
    pub max_retry_delay: Duration,
}

impl Default for DownloadSettings {
    fn default() -> Self {
        DownloadSettings {
            attempts: 5,
            connect_timeout: Duration::from_secs(15),
            stalled_timeout: Duration::from_secs(300),
            connections: 25,
            http2: true,
            user_agent_suffix: String::new(),
            netrc_file: None,
            ca_file: None,
            speed_limit: 0,
            retry_delay: Duration::from_millis(250),
            max_retry_delay: Duration::from_secs(120),
        }
    }
}

impl DownloadSettings {
    /// What the user has set.
    pub fn from_settings(settings: &crate::settings::Settings) -> Self {
        DownloadSettings {
            attempts: settings.download_attempts,
            connect_timeout: Duration::from_secs(settings.connect_timeout),
            stalled_timeout: Duration::from_secs(settings.stalled_download_timeout),
            connections: usize::try_from(settings.http_connections).unwrap_or(0),
            http2: settings.http2,
            user_agent_suffix: settings.user_agent_suffix.clone(),
            netrc_file: Some(settings.netrc_file.clone()),
            ca_file: settings.ssl_cert_file.clone(),
            speed_limit: settings.download_speed.into(),
            ..DownloadSettings::default()
        }
    }
}

/// Is asked about interrupts and told of warnings; by default those are the whole process's.
pub trait Monitor: Send + Sync {
    /// Whether the user wants everything to stop; asked several times a second during waits.
    fn interrupted(&self) -> bool {
        crate::interrupt::is_set()
    }

    /// Something that people should see, without `warning:` before it.
    fn warn(&self, message: &str) {
        crate::progress::warn(message);
    }
}

/// The monitor with no opinion of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessMonitor;

impl Monitor for ProcessMonitor {}
