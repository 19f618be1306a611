//! Building: derivations become valid outputs.
//!
//! ```text
//! targets -> scheduler: a graph of goals ---> substitute (caches) --.
//!                |                                                  +--> valid paths
//!                '--> job: sandbox, log, outputs, registration -----'
//! ```
//!
//! | module | what |
//! |---|---|
//! | `scheduler` | goals, their order, bounded jobs, failures |
//! | `job` | one build, from locks to registered outputs |
//! | `sandbox` | a builder in namespaces of its own; the only unsafe code of the crate |
//! | `layout`, `environment` | what a builder sees: files and variables |
//! | `outputs`, `checks`, `canonical`, `copy`, `references`, `rewriting` | from what it left to valid paths |
//! | `builtin` | builders that are part of this program |
//! | `hooks`, `log`, `locks`, `cancel`, `options`, `error` | the rest, by name |

pub mod backend;
pub mod builtin;
mod cancel;
mod canonical;
mod checks;
mod copy;
mod environment;
mod error;
mod git_hash;
mod hooks;
mod job;
mod layout;
pub mod locks;
pub mod log;
pub mod options;
mod outputs;
mod references;
mod rewriting;
pub mod sandbox;
mod scheduler;
pub mod structured_attrs;

pub use backend::{Backend, BackendError, BuiltPath, Substituted};
pub use cancel::Cancel;
pub use environment::BuildEnvironment;
pub use error::{BuildError, FailureKind, exit_code};
pub use git_hash::git_hash;
pub use job::{Attempt, BuildContext, BuildRequest, build};
pub use options::{Options, OptionsError};
pub use references::ReferenceScanner;
pub use scheduler::{Outcome, RunError, Target, realise};
pub use rewriting::{ModuloHasher, RewritingWriter, Rewrites};

/// Why something is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuildMode {
    /// To have it.
    #[default]
    Normal,
    /// To replace damaged contents.
    Repair,
    /// To see whether it comes out the same.
    Check,
}

#[cfg(test)]
mod tests;
