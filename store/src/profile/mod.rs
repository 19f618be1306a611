//! Profiles: what a user has installed, in generations that can be gone back to.
//!
//! ```text
//! profile ──► profile-2-link ──► /nix/store/…-user-environment
//!             profile-1-link ──► /nix/store/…-user-environment
//! ```
//!
//! | file | what |
//! |---|---|
//! | `location` | where the user's profile and expressions are |
//! | `generations` | the links: listing, adding, switching, deleting |
//! | `environment` | the tree of links to what is installed, and `manifest.nix` |
//! | `json` | `manifest.json`, the list that the new commands keep |
//! | `links` | the tree of links that goes with it |
//! | `changes` | what a switch changes |

mod changes;
mod environment;
mod generations;
mod json;
mod links;
mod location;

pub use crate::build::builtin::{Conflict, Package as LinkedPackage};
pub use changes::{Changes, PackageChange, current_object, package_and_version};
pub use environment::{Element, build_environment, environment_derivation, manifest_text};
pub(crate) use environment::{build_output, builtin_derivation};
pub use generations::{
    Change, Deletion, Generation, Generations, ProfileError, Token, Turn, replace_link,
};
pub use json::{DEFAULT_PRIORITY, Entry, FlakeSource, Manifest, name_from_url, split_name};
pub use links::{build_profile, find_conflict};
pub use location::{
    default_profile, expressions_dir, profile_link, profiles_dir, set_up_expressions,
};
