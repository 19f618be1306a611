//! Errors of the evaluator and of the parser, with their sources, as reports.

use rx_eval::error::Frame as EvalFrame;
use rx_eval::{Error, ErrorKind, Evaluator, Pos};
use rx_lang::Diagnostic;
use rx_store::interrupt::Interrupted;

use super::advice;
use super::failure::Failure;
use super::report::{Frame, Label, Report, Source};

/// What ends a command whose evaluation failed.
pub fn eval_failure(evaluator: &Evaluator, error: &Error) -> Failure {
    if error.kind == ErrorKind::Interrupted {
        return Interrupted.into();
    }
    Failure::Report {
        report: Box::new(eval_report(evaluator, error)),
        status: error.status,
    }
}

/// An evaluation error as a report.
pub fn eval_report(evaluator: &Evaluator, error: &Error) -> Report {
    let mut report = Report::new(String::from_utf8_lossy(&error.message));
    match error.diagnostics.as_slice() {
        [] => report.labels.extend(label(evaluator, error.pos)),
        [first, more @ ..] => {
            describe(evaluator, first, &mut report);
            for diagnostic in more {
                let mut also = Report::new(full_message(evaluator, diagnostic));
                describe(evaluator, diagnostic, &mut also);
                report.also.push(also);
            }
        }
    }
    report.trace = error
        .frames
        .iter()
        .map(|frame| show_frame(evaluator, frame))
        .collect();
    let names: Vec<_> = error
        .suggestions
        .iter()
        .map(|name| format!("'{}'", String::from_utf8_lossy(name)))
        .collect();
    if let Some((last, others)) = names.split_last() {
        report.help.push(if others.is_empty() {
            format!("did you mean {last}?")
        } else {
            format!("did you mean one of {} or {last}?", others.join(", "))
        });
    }
    report
        .help
        .extend(advice::for_evaluation(error.kind, &report.message));
    report
}

fn full_message(evaluator: &Evaluator, (pos, diagnostic): &(Pos, Diagnostic)) -> String {
    diagnostic.full_message(|offset| match evaluator.sources.locate(*pos) {
        Some(at) => {
            let (line, column) = at.source.line_column(offset);
            format!("{}:{line}:{column}", at.source.origin)
        }
        None => String::new(),
    })
}

/// Adds the places of a parser's finding.
fn describe(evaluator: &Evaluator, (pos, diagnostic): &(Pos, Diagnostic), report: &mut Report) {
    if let Some(mut place) = label(evaluator, *pos) {
        // The finding's ranges count from the beginning of the same source.
        let source = place.source.clone();
        let range = |range: &std::ops::Range<u32>| range.start as usize..range.end as usize;
        place.span = range(&diagnostic.range);
        place.text = diagnostic.label.clone().unwrap_or_default();
        report.labels.push(place);
        report
            .labels
            .extend(diagnostic.labels.iter().map(|more| Label {
                source: source.clone(),
                span: range(&more.range),
                text: more.text.clone(),
            }));
    }
    report.help.extend(diagnostic.help.clone());
}

fn show_frame(evaluator: &Evaluator, frame: &EvalFrame) -> Frame {
    Frame {
        text: String::from_utf8_lossy(&frame.text).into_owned(),
        place: label(evaluator, frame.pos),
        always: frame.always,
    }
}

/// The place of a position: the word that begins there.
pub fn label(evaluator: &Evaluator, pos: Pos) -> Option<Label> {
    let at = evaluator.sources.locate(pos)?;
    let name = at.source.origin.to_string();
    let start = at.offset as usize;
    let text = at.source.text.get(start..).unwrap_or_default();
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-'".contains(byte);
    let length = text.iter().take_while(|byte| word(byte)).count().max(1);
    let source = Source::new(name, &at.source.text);
    // Replaced bytes would move the offset.
    let span = source.span(start..start + length, &at.source.text);
    Some(Label {
        source,
        span,
        text: String::new(),
    })
}
