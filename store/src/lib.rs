//! The Nix store.

pub mod base32;
pub mod build;
pub mod cache;
pub mod canonical;
pub mod channel;
pub mod content_address;
pub mod crash;
pub mod derivation;
pub mod evaluation;
pub mod fetch;
pub mod git_hash;
pub mod hash;
pub mod interrupt;
pub mod lock;
pub mod nar;
pub mod open;
pub mod parallel_hash;
pub mod path;
pub mod profile;
pub mod progress;
pub mod remove;
pub mod rewriting;
pub mod scratch;
pub mod settings;
pub mod store;
