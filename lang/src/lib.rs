//! The Nix language: text in, syntax out.
//!
//! - [`parse`] reads a program into the compact syntax of [`ast`], with names interned by [`symbol`];
//! - [`scope`] finds undefined variables;
//! - [`tree`] keeps every byte, with typed views, for formatters, linters and editors;
//! - [`mod@print`] prints what `nix-instantiate --parse` prints;
//! - [`Diagnostic`]: what is wrong and where, with [`LineIndex`] for lines and columns.
//!
//! The way of the data: [`lexer`] (bytes to tokens), `grammar` (tokens to events), and two sinks of its events.

pub mod ast;
mod compact;
pub mod diagnostic;
mod grammar;
pub mod lexer;
pub mod line_index;
pub mod options;
mod parse;
pub mod print;
mod reading;
pub mod scope;
pub mod symbol;
pub mod syntax_kind;
pub mod tree;

pub use ast::Ast;
pub use diagnostic::{Diagnostic, ParseFailure};
pub use line_index::LineIndex;
pub use options::{Lint, ParseOptions};
pub use parse::parse;
pub use symbol::{Symbol, Symbols};
pub use syntax_kind::SyntaxKind;
