//! The lossless tree: every byte of a file, for tools that change or show programs.
//!
//! It is a `rowan` tree. Mistakes do not prevent it: what could not be understood lies in [`Error`](SyntaxKind::Error) nodes, and the
//! text of the tree is always the text of the file.
//!
//! - [`views`]: typed nodes, such as [`views::Lambda`];
//! - [`dump`] and [`to_json`]: the tree as text;
//! - [`Tree::lower`]: the compact syntax from the tree.

mod build;
mod dump;
mod encoding;
mod json;
mod lower;
pub mod views;

use rowan::{GreenNode, Language};

use crate::diagnostic::{Diagnostic, ParseFailure};
use crate::grammar;
use crate::options::ParseOptions;
use crate::parse::too_long;
use crate::reading::read;
use crate::syntax_kind::SyntaxKind;

pub use build::TokenCache;
pub use dump::dump;
pub use json::to_json;

/// The language of the tree, as `rowan` wants it named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nix {}

impl Language for Nix {
    type Kind = SyntaxKind;

    fn kind_from_raw(raw: rowan::SyntaxKind) -> SyntaxKind {
        SyntaxKind::from_raw(raw.0)
    }

    fn kind_to_raw(kind: SyntaxKind) -> rowan::SyntaxKind {
        rowan::SyntaxKind(kind as u16)
    }
}

/// A node of the tree.
pub type SyntaxNode = rowan::SyntaxNode<Nix>;
/// A token of the tree.
pub type SyntaxToken = rowan::SyntaxToken<Nix>;
/// A node or a token.
pub type SyntaxElement = rowan::SyntaxElement<Nix>;

/// Nesting from which a tree is never freed: freeing one is recursive, and whoever holds the last node would pay with the stack.
const TOO_DEEP_TO_FREE: u32 = 2_000;

/// A file as a tree, and what is wrong with it.
#[derive(Debug, Clone)]
pub struct Tree {
    green: GreenNode,
    /// Where bytes of the file that are not UTF-8 stand in the text.
    encoded: Vec<u32>,
    diagnostics: Vec<Diagnostic>,
}

impl Tree {
    /// Reads a file.
    ///
    /// # Errors
    /// Only if it is too long for 32-bit offsets or the caller's check asked to stop.
    pub fn parse(source: &[u8], options: &ParseOptions<'_>) -> Result<Tree, ParseFailure> {
        Tree::parse_with(source, options, &mut TokenCache::new())
    }

    /// Reads a file with a cache of tokens, which pays for who reads many files.
    ///
    /// # Errors
    /// As [`Tree::parse`].
    pub fn parse_with(
        source: &[u8],
        options: &ParseOptions<'_>,
        cache: &mut TokenCache,
    ) -> Result<Tree, ParseFailure> {
        let (text, encoded) = encoding::text_of(source);
        if let Some(failure) = too_long(text.as_bytes()) {
            return Err(failure);
        }
        let read = read(text.as_bytes(), options, &mut |tokens| {
            let sink = build::Builder::new(&text, cache);
            grammar::program(text.as_bytes(), tokens, options, sink).map(build::Builder::finish)
        })?;
        let (green, depth) = read.made;
        if depth > TOO_DEEP_TO_FREE {
            std::mem::forget(green.clone());
        }
        let mut diagnostics = read.lexical;
        diagnostics.extend(read.syntactic);
        diagnostics.sort_by_key(|diagnostic| diagnostic.range.start);
        let mut tree = Tree {
            green,
            encoded,
            diagnostics,
        };
        if !tree.encoded.is_empty() {
            for diagnostic in &mut tree.diagnostics {
                diagnostic.range = encoding::offset_of(&tree.encoded, diagnostic.range.start)
                    ..encoding::offset_of(&tree.encoded, diagnostic.range.end);
                for label in &mut diagnostic.labels {
                    label.range = encoding::offset_of(&tree.encoded, label.range.start)
                        ..encoding::offset_of(&tree.encoded, label.range.end);
                }
            }
        }
        Ok(tree)
    }

    /// The root node. Its kind is [`Root`](SyntaxKind::Root), its child the expression.
    pub fn root(&self) -> SyntaxNode {
        SyntaxNode::new_root(self.green.clone())
    }

    /// The typed root.
    pub fn file(&self) -> views::File {
        views::File::new(self.root())
    }

    /// The tree without positions and parents.
    pub fn green(&self) -> &GreenNode {
        &self.green
    }

    /// What is wrong with the syntax. What is wrong beyond it (names bound twice, undefined variables) is found on the compact
    /// syntax.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        encoding::bytes_of(&self.root().text().to_string(), &self.encoded)
    }

    /// The offset in the file of an offset in the tree. They differ only after bytes that are not UTF-8, which stand in the
    /// tree as characters of four bytes.
    pub fn file_offset(&self, offset: u32) -> u32 {
        encoding::offset_of(&self.encoded, offset)
    }
}
