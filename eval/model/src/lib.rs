//! The protocol of thunks, compiled alone so that a model checker or Miri has little to build:
//!
//! ```text
//! RUSTFLAGS='--cfg rx_loom' cargo test --manifest-path eval/model/Cargo.toml
//! cargo +nightly miri test --manifest-path eval/model/Cargo.toml
//! ```
#![allow(dead_code, missing_docs)]

#[path = "../../src/value/protocol.rs"]
mod protocol;
