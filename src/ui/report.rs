//! Errors as people see them: the message first, then where, why and what to do.
//!
//! A [`Report`] is what all layers' errors become. On a terminal its source snippets are drawn by
//! `miette`; elsewhere they are plain lines that can be searched.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};
use rx_store::progress::{self, Place};

use super::advice;
use super::failure::UsageError;

/// A source text with its name.
#[derive(Clone, Debug)]
pub struct Source {
    /// A path, or what stands for it, as in `«string»`.
    pub name: String,
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: Arc<str>,
}

impl Source {
    /// A source whose text may have any bytes.
    pub fn new(name: String, text: &[u8]) -> Source {
        Source {
            name,
            text: String::from_utf8_lossy(text).into(),
        }
    }

    /// The part of the text that was at `span` in `original` before bytes were replaced.
    pub fn span(&self, span: Range<usize>, original: &[u8]) -> Range<usize> {
        if self.text.len() == original.len() {
            return span;
        }
        let moved = |at: usize| String::from_utf8_lossy(&original[..at.min(original.len())]).len();
        moved(span.start)..moved(span.end)
    }

    /// Line and column of a byte, both from 1.
    pub fn place(&self, byte: usize) -> Place {
        let before = &self.text.as_bytes()[..byte.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let column = byte.saturating_sub(start) + 1;
        Place {
            file: self.name.clone(),
            line: line as u64,
            column: column as u64,
        }
    }
}

/// A part of a source text and what is to be said about it.
#[derive(Clone, Debug)]
pub struct Label {
    /// The text.
    pub source: Source,
    /// The part, in bytes.
    pub span: Range<usize>,
    /// What is said; may be empty.
    pub text: String,
}

impl Label {
    /// Where it begins.
    pub fn place(&self) -> Place {
        self.source.place(self.span.start)
    }
}

/// One step of how it came to the error.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What was going on: `while evaluating the attribute 'x'`.
    pub text: String,
    /// Where.
    pub place: Option<Label>,
    /// Is it shown without `--show-trace`?
    pub always: bool,
    /// Is it only shown with `--show-trace`, since it says little?
    pub hidden: bool,
    /// Is it shown with its source, as the place where the reader can change something?
    pub featured: bool,
}

/// An error, ready to be shown.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What happened. The first line is what people search for.
    pub message: String,
    /// Where: the first is where it happened.
    pub labels: Vec<Label>,
    /// How it came to that, the innermost step first.
    pub trace: Vec<Frame>,
    /// What led to it in lower layers.
    pub causes: Vec<String>,
    /// What to do next.
    pub help: Vec<String>,
    /// More that is wrong, as in a file with several mistakes.
    pub also: Vec<Report>,
}

impl Report {
    /// A report that has nothing but a message.
    pub fn new(message: impl Into<String>) -> Report {
        Report {
            message: message.into(),
            ..Report::default()
        }
    }

    /// The report of an error and of what caused it.
    pub fn of(error: &(dyn Error + 'static)) -> Report {
        let mut report = Report::new(without_numbers(&error.to_string()));
        if let Some(usage) = error.downcast_ref::<UsageError>() {
            report.help.extend(usage.help().map(str::to_owned));
        }
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = without_numbers(&error.to_string());
            // Many errors repeat their cause in their own message.
            let known =
                report.message.contains(&text) || report.causes.iter().any(|it| it.contains(&text));
            if !known {
                report.causes.push(text);
            }
            cause = error.source();
        }
        report.advise();
        report
    }

    /// The report of a message alone, as it is told while work goes on.
    pub fn of_message(message: &str) -> Report {
        let mut report = Report::new(without_numbers(message));
        report.advise();
        report
    }

    fn advise(&mut self) {
        if self.help.is_empty() {
            let causes = self.causes.iter().map(String::as_str);
            self.help.extend(
                std::iter::once(self.message.as_str())
                    .chain(causes)
                    .find_map(advice::for_message),
            );
        }
    }

    /// Where it happened.
    pub fn place(&self) -> Option<Place> {
        self.labels
            .first()
            .map(|label| label.source.place(label.span.start))
    }

    /// The text of the report.
    pub fn render(&self, style: Style) -> String {
        let paint = Paint(style == Style::Fancy);
        let mut text = format!("{} {}", paint.error("error:"), self.message.trim_end());
        for label in &self.labels {
            text += &snippet(label, style);
        }
        for cause in &self.causes {
            text += &format!("\n       {} {}", paint.dim("because:"), indent(cause));
        }
        let all = show_trace();
        // Of somebody else's code, less is to be learned.
        let mut left = match self.trace.iter().any(|frame| frame.featured) {
            true => SHORT_TRACE / 2,
            false => SHORT_TRACE,
        };
        let mut hidden = 0;
        let mut last = "";
        for frame in &self.trace {
            if !all && !frame.always && !frame.featured {
                // A function that calls itself does so many times.
                if frame.hidden || frame.text == last {
                    continue;
                }
                if left == 0 {
                    hidden += 1;
                    continue;
                }
                left -= 1;
            }
            last = &frame.text;
            text += &format!("\n       {} {}", paint.dim("…"), indent(&frame.text));
            if let Some(label) = &frame.place {
                if all || frame.featured {
                    text += &snippet(label, style);
                } else {
                    let place = paint.place(&show_place(&label.place()));
                    text += &format!("\n         at {place}");
                }
            }
        }
        if hidden > 0 {
            let steps = if hidden == 1 { "step" } else { "steps" };
            text += &format!("\n       ({hidden} more {steps}; use '--show-trace' to see them)");
        }
        for help in &self.help {
            text += &format!("\n{} {}", paint.help("help:"), indent(help));
        }
        for report in &self.also {
            text += &format!("\n\n{}", report.render(style));
        }
        text
    }
}

/// Steps of a trace that are shown without `--show-trace`.
const SHORT_TRACE: usize = 4;

static SHOW_TRACE: AtomicBool = AtomicBool::new(false);

/// Shows whole traces from now on (`--show-trace`).
pub fn set_show_trace(show: bool) {
    SHOW_TRACE.store(show, Ordering::Relaxed);
}

fn show_trace() -> bool {
    SHOW_TRACE.load(Ordering::Relaxed)
}

/// How a report looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With colours and drawn snippets, for terminals.
    Fancy,
    /// Lines of text.
    Plain,
}

impl Style {
    /// The style for standard error.
    pub fn of_stderr() -> Style {
        if super::colours() {
            Style::Fancy
        } else {
            Style::Plain
        }
    }
}

/// Shows an error through the logger.
pub fn show(error: &(dyn Error + 'static)) {
    show_report(&Report::of(error));
}

/// Shows a report through the logger.
pub fn show_report(report: &Report) {
    let rendered = report.render(Style::of_stderr());
    progress::logger().error(&rendered, &report.message, report.place().as_ref());
}

/// `error: message`, coloured for the terminal.
pub fn plain_error(message: &str) -> String {
    Report::new(message).render(Style::of_stderr())
}

/// Later lines of a message, aligned with its first.
fn indent(text: &str) -> String {
    text.trim_end().replace('\n', "\n         ")
}

fn show_place(place: &Place) -> String {
    format!("{}:{}:{}", place.file, place.line, place.column)
}

fn snippet(label: &Label, style: Style) -> String {
    match style {
        Style::Fancy => drawn_snippet(label).unwrap_or_else(|| plain_snippet(label)),
        Style::Plain => plain_snippet(label),
    }
}

/// Without the numbers of system errors, which their texts explain.
pub(super) fn without_numbers(message: &str) -> String {
    // In these words the standard library says that its input ended.
    let mut text = message.replace("failed to fill whole buffer", "unexpected end-of-file");
    while let Some(start) = text.find(" (os error ") {
        let Some(length) = text[start..].find(')') else {
            break;
        };
        text.replace_range(start..=start + length, "");
    }
    text
}

/// The line, the one before and the one after, with a mark below.
fn plain_snippet(label: &Label) -> String {
    let place = label.source.place(label.span.start);
    let mut text = format!("\n       at {}:", show_place(&place));
    let first = (place.line as usize).saturating_sub(2);
    let mut lines: Vec<&str> = label.source.text.lines().collect();
    if lines.len() < place.line as usize {
        // The end of the text is a place as well.
        lines.push("");
    }
    for (number, line) in lines.iter().enumerate().skip(first).take(3) {
        let number = number as u64 + 1;
        text += format!("\n       {number:>6}| {}", clip(line)).trim_end();
        if number == place.line {
            text += &format!(
                "\n             | {}^",
                lead(line, place.column as usize - 1)
            );
            if !label.text.is_empty() {
                text += &format!(" {}", label.text);
            }
        }
    }
    text
}

/// Spaces as wide as the first bytes of a line; tabs stay.
fn lead(line: &str, bytes: usize) -> String {
    line.bytes()
        .chain(std::iter::repeat(b' '))
        .take(bytes.min(MAX_LINE))
        .filter(|byte| byte & 0xc0 != 0x80)
        .map(|byte| if byte == b'\t' { '\t' } else { ' ' })
        .collect()
}

/// Longer lines (of generated files) are cut.
const MAX_LINE: usize = 200;

fn clip(line: &str) -> &str {
    match line.char_indices().nth(MAX_LINE) {
        Some((end, _)) => &line[..end],
        None => line,
    }
}

/// The snippet as `miette` draws it.
fn drawn_snippet(label: &Label) -> Option<String> {
    let text = &label.source.text;
    let start = boundary(text, label.span.start);
    let end = boundary(text, label.span.end).max(start);
    // Drawing counts columns; a line of a megabyte would fill the screen.
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    if line_end - line_start > MAX_LINE * 2 {
        return None;
    }
    // Several lines are shown by the first one only.
    let end = end.min(line_end.max(start));
    let drawing = Drawing {
        source: NamedSource::new(&label.source.name, text.to_string()),
        span: LabeledSpan::new(
            (!label.text.is_empty()).then(|| label.text.clone()),
            start,
            (end - start).max(1),
        ),
    };
    let mut drawn = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode())
        .with_context_lines(1)
        .with_wrap_lines(false)
        .render_report(&mut drawn, &drawing)
        .ok()?;
    // The first lines are the header for a message, which stands above already.
    let body = drawn
        .find("╭─")
        .and_then(|at| drawn[..at].rfind('\n'))
        .map(|at| &drawn[at..])?;
    Some(body.trim_end().to_owned())
}

/// The nearest beginning of a character at or before a byte.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[derive(Debug)]
struct Drawing {
    source: NamedSource<String>,
    span: LabeledSpan,
}

impl fmt::Display for Drawing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("here")
    }
}

impl Error for Drawing {}

impl Diagnostic for Drawing {
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(self.span.clone())))
    }
}

/// Colours, if they are wanted.
struct Paint(bool);

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn error(&self, text: &str) -> String {
        self.with("31;1", text)
    }

    fn help(&self, text: &str) -> String {
        self.with("36;1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }

    fn place(&self, text: &str) -> String {
        self.with("34", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        let text = "let\n  x = 1;\nin\n  y + x\n";
        let source = Source {
            name: "/tmp/a.nix".into(),
            text: text.into(),
        };
        Label {
            source,
            span: 18..19,
            text: "not found in any scope".into(),
        }
    }

    #[test]
    fn the_first_line_is_the_message_and_the_place_follows() {
        let mut report = Report::new("undefined variable 'y'");
        report.labels.push(label());
        report.help.push("did you mean 'x'?".into());
        insta::assert_snapshot!(report.render(Style::Plain), @r"
        error: undefined variable 'y'
               at /tmp/a.nix:4:3:
                    3| in
                    4|   y + x
                     |   ^ not found in any scope
        help: did you mean 'x'?
        ");
    }

    #[test]
    fn drawn_reports_begin_with_the_message_too() {
        let mut report = Report::new("undefined variable 'y'");
        report.labels.push(label());
        let text = report.render(Style::Fancy);
        assert!(text.starts_with("\x1b[31;1merror:\x1b[0m undefined variable 'y'\n"));
        assert!(text.contains("/tmp/a.nix:4:3"), "{text}");
        assert!(text.contains("not found in any scope"), "{text}");
        assert!(!text.contains("here\n"), "{text}");
    }

    #[test]
    fn spans_outside_of_the_text_are_no_crash() {
        let source = Source {
            name: "x".into(),
            text: "ä".into(),
        };
        for span in [0..0, 1..2, 2..9, 50..60] {
            let label = Label {
                source: source.clone(),
                span,
                text: String::new(),
            };
            let report = Report {
                labels: vec![label],
                ..Report::new("m")
            };
            report.render(Style::Fancy);
            report.render(Style::Plain);
        }
    }

    #[test]
    fn causes_that_the_message_repeats_are_left_out() {
        #[derive(Debug, thiserror::Error)]
        #[error("opening file: {0}")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("disk on fire"));
        assert!(Report::of(&error).causes.is_empty());
    }
}
