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

/// Watches transfers. All methods have silent defaults.
pub trait Monitor: Send + Sync {
    /// Whether the user wants everything to stop; asked several times a second during waits.
    fn interrupted(&self) -> bool {
        false
    }

    /// Something that people should see, without `warning:` before it.
    fn warn(&self, _message: &str) {}

    /// Bytes transferred so far, and in all if known.
    fn progress(&self, _url: &str, _done: u64, _total: Option<u64>) {}
}

/// A monitor that shows nothing and never interrupts.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilentMonitor;

impl Monitor for SilentMonitor {}
