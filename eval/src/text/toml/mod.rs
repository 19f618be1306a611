//! TOML 1.0 as `builtins.fromTOML` reads it.
//!
//! The reference uses toml11 4; what that accepts and the first line of its messages are kept, and where it stands in
//! the text is shown in the same way.
//!
//! | file | what |
//! |---|---|
//! | `document` | the tree, and which keys may be added to which table |
//! | `parse` | lines, keys, headers, arrays and inline tables |
//! | `scalar` | strings, numbers, dates |
//! | `message` | errors with the place in the text |

mod document;
mod message;
mod parse;
mod scalar;

pub use document::{Document, Id, Node};
pub use message::TomlError;

/// Reads a document.
pub fn parse(text: &[u8]) -> Result<Document, TomlError> {
    parse::parse(text)
}

#[cfg(test)]
mod tests;
