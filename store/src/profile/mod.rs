//! Profiles: what a user has installed, in generations that can be gone back to.
//!
//! ```text
//! profile ──► profile-2-link ──► /nix/store/…-user-environment
//!             profile-1-link ──► /nix/store/…-user-environment
//! ```
//!
//! | file | what |
//! |---|---|
//! | `generations` | the links: listing, adding, switching, deleting |
//! | `environment` | the tree of links to what is installed, and its manifest |

mod environment;
mod generations;

pub use environment::{Element, build_environment, environment_derivation, manifest_text};
pub(crate) use environment::{build_output, builtin_derivation};
pub use generations::{Generation, Generations, ProfileError};
