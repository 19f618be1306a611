//! The Nix store.

pub mod base32;
pub mod cache;
pub mod content_address;
pub mod fetch;
pub mod hash;
pub mod path;
pub mod interrupt;
pub mod progress;
pub mod settings;
pub mod build;
pub mod derivation;
pub mod nar;
pub mod open;
pub mod remove;
pub mod canonical;
pub mod crash;
pub mod git_hash;
pub mod lock;
pub mod store;
