//! What the parser finds, as reports.

use rx_lang::diagnostic::Severity;
use rx_lang::{Diagnostic, LineIndex, ParseFailure};
use rx_store::interrupt::Interrupted;
use rx_store::progress;

use super::failure::Failure;
use super::report::{Label, Report, Source, Style};

/// What ends a command that could not read a program. `name` is what the program is called in messages.
pub fn parse_failure(name: &str, text: &[u8], failure: &ParseFailure) -> Failure {
    let ParseFailure::Errors(diagnostics) = failure else {
        return Interrupted.into();
    };
    let mut reports = reports(name, text, diagnostics, Severity::Error).into_iter();
    let mut report = reports
        .next()
        .unwrap_or_else(|| Report::new("syntax error"));
    report.also.extend(reports);
    Failure::Report {
        report: Box::new(report),
        status: 1,
    }
}

/// Shows the warnings among what was found.
pub fn warn_of(name: &str, text: &[u8], diagnostics: &[Diagnostic]) {
    for report in reports(name, text, diagnostics, Severity::Warning) {
        let rendered = report.render(Style::of_stderr());
        // The logger says itself that it is a warning.
        let shown = rendered
            .split_once(' ')
            .map_or(rendered.as_str(), |(_, rest)| rest);
        progress::warn(shown);
    }
}

fn reports(name: &str, text: &[u8], all: &[Diagnostic], severity: Severity) -> Vec<Report> {
    if all.iter().all(|one| one.severity != severity) {
        return Vec::new();
    }
    let source = Source::new(name.to_owned(), text);
    let lines = LineIndex::new(text);
    let place = |offset| {
        let at = lines.line_column(offset);
        format!("{name}:{}:{}", at.line, at.column)
    };
    let label = |range: &std::ops::Range<u32>, said: &str| Label {
        source: source.clone(),
        span: source.span(range.start as usize..range.end as usize, text),
        text: said.to_owned(),
    };
    all.iter()
        .filter(|one| one.severity == severity)
        .map(|one| {
            let mut report = Report::new(one.full_message(place));
            let said = one.label.as_deref().unwrap_or_default();
            report.labels.push(label(&one.range, said));
            report
                .labels
                .extend(one.labels.iter().map(|more| label(&more.range, &more.text)));
            report.help.extend(one.help.clone());
            report
        })
        .collect()
}
