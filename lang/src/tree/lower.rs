//! From the tree to the compact syntax: the events that made the tree, once more.

use rowan::{GreenNodeData, NodeOrToken};

use super::{Tree, encoding};
use crate::ast::{Ast, DocComment};
use crate::compact::{Compact, Mark};
use crate::diagnostic::ParseFailure;
use crate::grammar::Sink;
use crate::lexer::trivia;
use crate::options::ParseOptions;
use crate::parse::settle;
use crate::syntax_kind::SyntaxKind;

impl Tree {
    /// The compact syntax of the tree. The same as [`parse`](crate::parse) gives for its text.
    ///
    /// # Errors
    /// The mistakes in the program, those included that are not of syntax.
    pub fn lower(&self, options: &ParseOptions<'_>) -> Result<Ast, ParseFailure> {
        let source = self.to_bytes();
        let mut sink = Compact::new(&source, options);
        sink.documents(&mut self.doc_comments());
        let mut offset = 0;
        let mut open: Vec<(Mark, SyntaxKind, _)> = Vec::new();
        let root: &GreenNodeData = &self.green;
        open.push((sink.mark(0), SyntaxKind::Root, root.children()));
        while let Some((mark, kind, children)) = open.last_mut() {
            match children.next() {
                None => {
                    sink.node(*mark, *kind);
                    open.pop();
                }
                Some(NodeOrToken::Node(node)) => {
                    let mark = sink.mark(encoding::offset_of(&self.encoded, offset));
                    open.push((mark, SyntaxKind::from_raw(node.kind().0), node.children()));
                }
                Some(NodeOrToken::Token(token)) => {
                    let kind = SyntaxKind::from_raw(token.kind().0);
                    let end = offset + token.text().len() as u32;
                    if !kind.is_trivia() {
                        sink.token(
                            kind,
                            encoding::offset_of(&self.encoded, offset),
                            encoding::offset_of(&self.encoded, end),
                        );
                    }
                    offset = end;
                }
            }
        }
        let (ast, semantic) = sink.finish();
        settle(ast, Vec::new(), semantic, self.diagnostics.clone())
    }

    /// Doc comments by the offset of the token that follows each.
    fn doc_comments(&self) -> Vec<(u32, DocComment)> {
        let mut found = Vec::new();
        let mut pending = None;
        let mut offset = 0;
        let mut open = vec![self.green.children()];
        while let Some(children) = open.last_mut() {
            match children.next() {
                None => {
                    open.pop();
                }
                Some(NodeOrToken::Node(node)) => open.push(node.children()),
                Some(NodeOrToken::Token(token)) => {
                    let kind = SyntaxKind::from_raw(token.kind().0);
                    let end = offset + token.text().len() as u32;
                    let (from, to) = (
                        encoding::offset_of(&self.encoded, offset),
                        encoding::offset_of(&self.encoded, end),
                    );
                    if kind == SyntaxKind::BlockComment
                        && trivia::is_doc_comment(token.text().as_bytes())
                    {
                        pending = Some(DocComment {
                            start: from,
                            end: to,
                        });
                    } else if !kind.is_trivia() {
                        found.extend(pending.take().map(|doc| (from, doc)));
                    }
                    offset = end;
                }
            }
        }
        found
    }
}
