//! The Nix evaluator: syntax to compiled code to values, and the builtins.
//!
//! The way of the data: [`compile`] turns the compact syntax of `rx-lang` into [`code`]; [`interp`] walks the code and makes
//! [`value`]s on the [`heap`]; [`builtins`] are what code can call; a [`Vm`] is one evaluator thread, an [`Evaluator`] what
//! several share. The outside is reached through [`io`] alone.

pub mod builtins;
pub mod code;
pub mod compile;
pub mod debug;
pub mod error;
pub mod evaluator;
pub mod flakes;
pub mod heap;
pub mod interp;
pub mod io;
pub mod outside;
pub mod packages;
pub mod print;
pub mod scope;
pub mod selection;
pub mod source;
pub mod stats;
mod suggest;
pub mod text;
pub mod track;
pub mod value;
pub mod vm;
pub mod watch;

pub use error::{Error, ErrorKind, Result};
pub use evaluator::{EvalSettings, Evaluator};
pub use source::{Origin, Pos};
pub use value::Value;
pub use vm::Vm;
