//! JSON as the language reads and writes it.
//!
//! The reference uses nlohmann's library; what that accepts, refuses (with which words) and prints is what
//! programs see, and what goes into derivations of structured attributes.

mod parse;
mod print;

pub use parse::{Event, Events, JsonError};
pub use print::{InvalidUtf8, write_float, write_string};
