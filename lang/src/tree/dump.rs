//! The tree as indented lines.

use rowan::WalkEvent;

use super::{SyntaxElement, Tree};

/// One line a node or token: kind, range, and a token's text. Children are indented by two spaces, up to a limit.
pub fn dump(tree: &Tree) -> String {
    const MOST_INDENTATION: usize = 200;
    let mut out = String::new();
    let mut depth = 0_usize;
    for event in tree.root().preorder_with_tokens() {
        match event {
            WalkEvent::Enter(element) => {
                let indentation = 2 * depth.min(MOST_INDENTATION);
                let range = element.text_range();
                out.push_str(&format!(
                    "{:indentation$}{:?}@{}..{}",
                    "",
                    element.kind(),
                    u32::from(range.start()),
                    u32::from(range.end())
                ));
                if let SyntaxElement::Token(token) = &element {
                    out.push_str(&format!(" {:?}", token.text()));
                }
                out.push('\n');
                depth += 1;
            }
            WalkEvent::Leave(_) => depth -= 1,
        }
    }
    out
}
