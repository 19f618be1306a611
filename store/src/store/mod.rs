//! Stores: where store objects live, what is known of them, and how they come and go.
//!
//! | file | what |
//! |---|---|
//! | `api` | [`Store`], the interface that evaluator, builder and caches use |
//! | `info` | [`PathInfo`], what a store knows of an object |
//! | `derived` | [`DerivedPath`]: objects named by what builds them |
//! | `drv_hash` | the hash that names a derivation in realisations |
//! | `known_output` | what an output was built to, found through what it resolves to |
//! | `realisation` | what outputs of content-addressed derivations were built to |
//! | `signature` | keys and signatures |
//! | `references` | finding store paths in bytes |
//! | `closure` | closures and orders of paths |
//! | `export` | the stream of `--export` and `--import` |
//! | `rewrite` | closures renamed after their contents |
//! | `address` | the texts that name stores |
//! | `memory` | a store that computes paths and keeps nothing on disk |
//! | `local` | the store on this machine's disk |

pub mod address;
pub mod api;
pub mod closure;
pub mod derived;
pub mod drv_hash;
pub mod error;
pub mod export;
pub mod info;
pub mod known_output;
pub mod local;
pub mod memory;
pub mod realisation;
pub mod references;
pub mod rewrite;
pub mod signature;

pub use api::{
    AddFlags, Addition, BuildMode, Builder, Contents, GcAction, GcOptions, GcResults, Missing,
    Roots, Store, Substitutable,
};
pub use derived::{DerivedPath, OutputsSpec, SingleDerivedPath};
pub use error::StoreError;
pub use info::{ArchiveInfo, PathInfo};
pub use local::{LocalConfig, LocalStore, RootUsage, Usage};
pub use memory::MemoryStore;
pub use realisation::{DrvOutput, Realisation};
