//! The tree as JSON.

use rowan::WalkEvent;

use super::{SyntaxElement, Tree};
use crate::diagnostic::{Diagnostic, Severity};
use crate::line_index::LineIndex;

/// One object on one line: `{"tree": …, "diagnostics": […]}`.
///
/// A node is `{"kind", "start", "end", "children"}`, a token has `"text"` in place of the children. Offsets are bytes of the
/// text; a diagnostic has `"severity"`, `"message"`, `"start"`, `"end"`, `"line"`, `"column"` and perhaps `"help"`.
pub fn to_json(tree: &Tree) -> String {
    let mut out = String::from("{\"tree\":");
    let mut first = true;
    for event in tree.root().preorder_with_tokens() {
        match event {
            WalkEvent::Enter(element) => {
                if !first {
                    out.push(',');
                }
                let range = element.text_range();
                out.push_str(&format!(
                    "{{\"kind\":\"{:?}\",\"start\":{},\"end\":{},",
                    element.kind(),
                    u32::from(range.start()),
                    u32::from(range.end())
                ));
                match &element {
                    SyntaxElement::Node(_) => {
                        out.push_str("\"children\":[");
                        first = true;
                    }
                    SyntaxElement::Token(token) => {
                        out.push_str("\"text\":");
                        quote(token.text(), &mut out);
                        first = false;
                    }
                }
            }
            WalkEvent::Leave(element) => {
                out.push_str(if matches!(element, SyntaxElement::Node(_)) {
                    "]}"
                } else {
                    "}"
                });
                first = false;
            }
        }
    }
    out.push_str(",\"diagnostics\":[");
    let lines = LineIndex::new(&tree.to_bytes());
    for (index, diagnostic) in tree.diagnostics().iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        finding(diagnostic, &lines, &mut out);
    }
    out.push_str("]}");
    out
}

fn finding(diagnostic: &Diagnostic, lines: &LineIndex, out: &mut String) {
    let severity = if diagnostic.severity == Severity::Error {
        "error"
    } else {
        "warning"
    };
    let place = lines.line_column(diagnostic.range.start);
    out.push_str(&format!("{{\"severity\":\"{severity}\",\"message\":"));
    quote(&diagnostic.message, out);
    out.push_str(&format!(
        ",\"start\":{},\"end\":{},\"line\":{},\"column\":{}",
        diagnostic.range.start, diagnostic.range.end, place.line, place.column
    ));
    if let Some(help) = &diagnostic.help {
        out.push_str(",\"help\":");
        quote(help, out);
    }
    out.push('}');
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' || control == '\u{7f}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)))
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
