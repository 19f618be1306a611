//! Settings: one table, read from `nix.conf`, the environment and the command line, then fixed.
//!
//! ```text
//! Places (environment) ─► SettingsBuilder ─ files ─ NIX_CONFIG ─ options ─► Settings
//! ```
//!
//! Programs put the finished [`Settings`] into an `Arc` and pass it on; fields are read directly.

mod builder;
mod features;
mod files;
mod kinds;
pub mod machine;
mod places;
mod table;

pub use builder::{ConfigError, SettingsBuilder, info, resolve};
pub use features::Feature;
pub use files::FileError;
pub use kinds::{
    Diagnose, EvalProfiler, ExternalBuilder, ExternalBuilders, MaxJobs, SandboxMode, SandboxPaths,
    SandboxSource, ValueError, Words, parse_size,
};
pub use places::{Places, clean, split_nix_path};
pub use table::{INFOS, SettingInfo, Settings};
