//! Numbers, URIs, path text.

use super::{Compact, Item};
use crate::ast::{Expr, Text};
use crate::diagnostic::{Diagnostic, Severity};
use crate::options::Lint;
use crate::syntax_kind::SyntaxKind as K;

impl Compact<'_> {
    fn slice(&self, start: u32, end: u32) -> &[u8] {
        &self.source[start as usize..end as usize]
    }

    fn shown(&self, start: u32, end: u32) -> String {
        String::from_utf8_lossy(self.slice(start, end)).into_owned()
    }

    pub(super) fn copy_text(&mut self, start: u32, end: u32) -> Text {
        let text = Text {
            start: self.ast.text.len() as u32,
            len: end.saturating_sub(start),
        };
        self.ast
            .text
            .extend_from_slice(&self.source[start as usize..end.max(start) as usize]);
        text
    }

    pub(super) fn integer(&mut self, start: u32, end: u32) {
        let mut value = Some(0_i64);
        for &digit in self.slice(start, end) {
            value =
                value.and_then(|value| value.checked_mul(10)?.checked_add(i64::from(digit - b'0')));
        }
        if value.is_none() {
            let message = format!("invalid integer '{}'", self.shown(start, end));
            self.error(
                start,
                Diagnostic::error(start..end, message)
                    .with_help("integers have 64 bits: at most 9223372036854775807"),
            );
        }
        self.push(Expr::Int(value.unwrap_or(0)), start);
    }

    pub(super) fn float(&mut self, start: u32, end: u32) {
        let text = self.shown(start, end);
        let value: f64 = text.parse().unwrap_or(f64::NAN);
        let mantissa = text.split(['e', 'E']).next().unwrap_or("");
        let vanished = value == 0.0 && mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        if !value.is_finite() || value.is_subnormal() || vanished {
            let diagnostic = Diagnostic::error(start..end, format!("invalid float '{text}'"));
            self.error(
                start,
                diagnostic.with_help("the number is too large or too small for 64 bits"),
            );
        }
        self.push(Expr::Float(value), start);
    }

    pub(super) fn uri(&mut self, start: u32, end: u32) {
        if self.options.url_literals != Lint::Ignore {
            let message = format!(
                "URL literals are {}. Consider using a string literal \"{}\" instead (lint-url-literals)",
                if self.options.url_literals == Lint::Fatal {
                    "disallowed"
                } else {
                    "discouraged"
                },
                self.shown(start, end)
            );
            self.lint(self.options.url_literals, start, end, message);
        }
        let text = self.copy_text(start, end);
        self.push(Expr::Str(text), start);
    }

    fn lint(&mut self, lint: Lint, start: u32, end: u32, message: String) {
        match lint {
            Lint::Ignore => {}
            Lint::Warn => self.ast.warnings.push(Diagnostic {
                severity: Severity::Warning,
                ..Diagnostic::error(start..end, message)
            }),
            Lint::Fatal => self.error(start, Diagnostic::error(start..end, message)),
        }
    }

    /// A piece of a path: the first becomes a path, later ones are strings.
    pub(super) fn path_text(&mut self, kind: K, start: u32, end: u32) {
        let first = self.source[start as usize];
        if kind != K::PathText {
            let advice = "Consider replacing path literal '{}' by a string, relative path, or parameter (lint-absolute-path-literals)";
            if kind == K::HomePath && self.options.absolute_path_literals != Lint::Ignore {
                let message = format!(
                    "home path literals are not portable. {}",
                    advice.replace("{}", &self.shown(start, end))
                );
                self.lint(self.options.absolute_path_literals, start, end, message);
            } else if first == b'/' && self.options.absolute_path_literals != Lint::Ignore {
                let message = format!(
                    "absolute path literals are not portable. {}",
                    advice.replace("{}", &self.shown(start, end))
                );
                self.lint(self.options.absolute_path_literals, start, end, message);
            } else if first != b'/'
                && first != b'.'
                && kind == K::Path
                && self.options.short_path_literals != Lint::Ignore
            {
                let shown = self.shown(start, end);
                let message = format!(
                    "relative path literal '{shown}' should be prefixed with '.' for clarity: './{shown}' (lint-short-path-literals)"
                );
                self.lint(self.options.short_path_literals, start, end, message);
            }
        }
        let text = self.copy_text(start, end);
        if kind == K::PathText {
            self.items.push(Item::Text {
                text,
                offset: start,
            });
        } else {
            self.push(Expr::Path(text), start);
        }
    }
}
