//! Building: derivations become valid outputs.

pub mod sandbox;
