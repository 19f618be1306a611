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
//! | `job`, `workspace`, `report` | one build, from locks to registered outputs |
//! | `sandbox` | a builder in namespaces of its own; the only unsafe code of the crate |
//! | `layout`, `environment` | what a builder sees: files and variables |
//! | `outputs`, `checks`, `copy` | from what it left to valid paths |
//! | `builtin` | builders that are part of this program |
//! | `local`, `plan` | all this for the store on this machine's disk, and what it would take |
//! | `external` | programs that build for other systems |
//! | `cgroup` | a control group for a build |
//! | `hooks`, `log`, `cancel`, `options`, `error` | the rest, by name |

pub mod backend;
pub mod builtin;
mod cancel;
mod cgroup;
mod checks;
mod copy;
mod environment;
mod error;
mod external;
mod hooks;
mod job;
mod layout;
mod local;
pub mod log;
pub mod options;
mod outputs;
mod plan;
mod report;
pub mod sandbox;
mod scheduler;
pub mod structured_attrs;
mod workspace;

pub use crate::store::BuildMode;
pub use backend::{Backend, BackendError};
pub use cancel::Cancel;
pub use environment::{BuildEnvironment, EnvironmentError, structured_attributes};
pub use error::{BuildError, FailureKind, exit_code};
pub use job::{Attempt, BuildContext, BuildRequest, build};
pub use local::{LocalBuilder, Source};
pub use options::{Options, OptionsError};
pub use scheduler::{Outcome, RunError, Target, realise};

#[cfg(test)]
mod tests;
