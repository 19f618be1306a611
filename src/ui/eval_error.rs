//! Errors of the evaluator and of the parser, with their sources, as reports.

use rx_eval::error::Frame as EvalFrame;
use rx_eval::{Error, ErrorKind, Evaluator, Origin, Pos};
use rx_lang::Diagnostic;
use rx_store::interrupt::Interrupted;

use super::advice;
use super::failure::Failure;
use super::own_code::feature_own_code;
use super::report::{Frame, Label, Report, Source, without_numbers};

/// What ends a command whose evaluation failed.
pub fn eval_failure(evaluator: &Evaluator, error: &Error) -> Failure {
    match error.kind {
        ErrorKind::Interrupted => return Interrupted.into(),
        ErrorKind::Quit => return Failure::Status(0),
        _ => {}
    }
    Failure::Report {
        report: Box::new(eval_report(evaluator, error)),
        status: error.status,
    }
}

/// An evaluation error as a report.
pub fn eval_report(evaluator: &Evaluator, error: &Error) -> Report {
    let mut report = match syntax_reports(evaluator, &error.diagnostics).split_first() {
        Some((first, more)) => Report {
            also: more.to_vec(),
            ..first.clone()
        },
        None => {
            let message = String::from_utf8_lossy(&error.message);
            let message = without_numbers(&message);
            let (message, help) = missing_in_tree(evaluator, &message).unwrap_or((message, None));
            let mut report = Report::new(message);
            report.help.extend(help);
            report.labels.extend(label(evaluator, error.pos));
            report
        }
    };
    report.trace = error
        .frames
        .iter()
        .map(|frame| show_frame(evaluator, frame))
        .collect();
    settle_place(&mut report);
    feature_own_code(evaluator, &mut report);
    let difference = advice::for_difference(&report.message, &error.suggestions);
    report
        .help
        .extend(difference.or_else(|| did_you_mean(error)));
    if report.help.is_empty() {
        report.help.extend(selected_too_early(&report));
    }
    if report.help.is_empty() {
        report
            .help
            .extend(advice::for_evaluation(error.kind, &report));
    }
    if report.help.is_empty() && error.kind == ErrorKind::Type {
        report.help.extend(builtin_usage(&report));
    }
    report
}

/// What the parser found. Follow-up findings are left out where the syntax is wrong; the first finding always stays,
/// since it is what is wrong (a path with a trailing slash, say, after which nothing fits).
fn syntax_reports(evaluator: &Evaluator, found: &[(Pos, Diagnostic)]) -> Vec<Report> {
    let is_syntax = |one: &(Pos, Diagnostic)| one.1.message.starts_with("syntax error");
    let any = found.iter().any(is_syntax);
    found
        .iter()
        .enumerate()
        .filter(|(index, one)| *index == 0 || !any || is_syntax(one))
        // Nothing that stands in a comment that does not end is a finding of its own.
        .take_while(|(index, _)| *index == 0 || !begins_comment(evaluator, &found[0]))
        .map(|(_, one)| {
            let mut report = Report::new(full_message(evaluator, one));
            describe(evaluator, one, &mut report);
            report
        })
        .collect()
}

fn begins_comment(evaluator: &Evaluator, (pos, diagnostic): &(Pos, Diagnostic)) -> bool {
    evaluator.sources.locate(*pos).is_some_and(|at| {
        let rest = at.source.text.get(diagnostic.range.start as usize..);
        rest.is_some_and(|rest| rest.starts_with(b"/*"))
    })
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

/// Code that is part of rx is nobody's mistake: the place is the innermost one of the user's.
fn settle_place(report: &mut Report) {
    let internal = |label: &Label| label.source.name.starts_with(INTERNAL);
    let foreign = |label: &Label| internal(label) || is_library(label);
    if report.labels.first().is_some_and(foreign) || report.labels.is_empty() {
        let own = report.trace.iter().find_map(|frame| {
            frame
                .place
                .as_ref()
                .filter(|place| !foreign(place))
                .cloned()
        });
        report.labels = own.into_iter().collect();
    }
    for frame in &mut report.trace {
        frame.hidden |= frame.place.as_ref().is_some_and(is_library);
        if frame.place.as_ref().is_some_and(internal) {
            frame.place = None;
            frame.hidden = frame.text.starts_with("while calling")
                || frame.text.starts_with("while evaluating the attribute");
        }
    }
    for frame in &mut report.trace {
        frame.hidden |= frame.place.is_none() && frame.text == "from call site";
    }
    // A step that names the place of the error again says little.
    if let Some(place) = report.place() {
        for frame in &mut report.trace {
            frame.hidden |= frame.place.as_ref().is_some_and(|it| it.place() == place);
        }
    }
}

/// A source as people know it.
fn shown_origin(evaluator: &Evaluator, origin: &Origin) -> String {
    match origin {
        Origin::File(path) => String::from_utf8_lossy(&evaluator.shown_path(path)).into_owned(),
        origin => origin.to_string(),
    }
}

/// What is to be said of a file that a fetched tree lacks, and what to do: of a work tree only tracked files are there.
fn missing_in_tree(evaluator: &Evaluator, message: &str) -> Option<(String, Option<String>)> {
    let path = message
        .strip_prefix("path '")?
        .strip_suffix("' does not exist")?;
    let (tree, rest) = evaluator.provenance(path.as_bytes())?;
    let rest = String::from_utf8_lossy(rest);
    let Some(repository) = &tree.repository else {
        return Some((format!("'{}/{rest}' does not exist", tree.shown), None));
    };
    let place = format!("\"{}\"", repository.display());
    if repository.join(&*rest).symlink_metadata().is_err() {
        let message = format!("Path '{rest}' does not exist in Git repository {place}.");
        return Some((message, None));
    }
    Some((
        format!("Path '{rest}' in the repository {place} is not tracked by Git."),
        Some(format!(
            "to make it visible, run: git -C {place} add -N \"{rest}\""
        )),
    ))
}

/// What the builtin takes that was called with something else.
fn builtin_usage(report: &Report) -> Option<String> {
    let called = |frame: &Frame| {
        // What code of rx calls is not what the user called.
        let is_own = match &frame.place {
            Some(place) => !is_library(place),
            None => !frame.hidden,
        };
        if !is_own {
            return None;
        }
        let rest = frame.text.strip_prefix("while calling the '")?;
        let name = rest.strip_suffix("' builtin")?;
        rx_eval::builtins::all().find(|builtin| builtin.name == name)
    };
    let builtin = report.trace.iter().find_map(called)?;
    let arguments = builtin.arguments.join(" ");
    Some(format!(
        "it is called as '{0} {arguments}'; 'rx doc {0}' explains it",
        builtin.name
    ))
}

/// `f { … }.name` selects from the argument.
fn selected_too_early(report: &Report) -> Option<String> {
    let name = report.message.strip_prefix("attribute '")?;
    let name = name.strip_suffix("' missing")?;
    let label = report.labels.first()?;
    let (before, from) = label.source.text.split_at_checked(label.span.start)?;
    let literal = from.starts_with('{') || from.starts_with("rec ");
    let called = before
        .trim_end()
        .ends_with(|last: char| last.is_alphanumeric() || ")'_-".contains(last));
    (literal && called && before.ends_with(char::is_whitespace)).then(|| {
        format!(
            "'.{name}' is taken from this set; of what the call gives, it is '(f {{ … }}).{name}'"
        )
    })
}

fn did_you_mean(error: &Error) -> Option<String> {
    let message = String::from_utf8_lossy(&error.message);
    if message.contains("without required argument") {
        let given = String::from_utf8_lossy(error.suggestions.first()?);
        return Some(format!(
            "the call gives '{given}', which the function does not know; is that what is missing?"
        ));
    }
    // In the reference's words: its users' scripts look for them.
    let names: Vec<_> = error
        .suggestions
        .iter()
        .map(|name| String::from_utf8_lossy(name))
        .collect();
    let (last, others) = names.split_last()?;
    Some(if others.is_empty() {
        format!("Did you mean {last}?")
    } else {
        format!("Did you mean one of {} or {last}?", others.join(", "))
    })
}

/// Adds the places of a parser's finding.
fn describe(evaluator: &Evaluator, (pos, diagnostic): &(Pos, Diagnostic), report: &mut Report) {
    if let Some(at) = evaluator.sources.locate(*pos) {
        // The finding's ranges count from the beginning of the same source.
        let source = Source::new(shown_origin(evaluator, &at.source.origin), &at.source.text);
        let label = |range: &std::ops::Range<u32>, text: &str| Label {
            source: source.clone(),
            span: source.span(range.start as usize..range.end as usize, &at.source.text),
            text: text.to_owned(),
        };
        let said = diagnostic.label.as_deref().unwrap_or_default();
        report.labels.push(label(&diagnostic.range, said));
        report.labels.extend(
            diagnostic
                .labels
                .iter()
                .map(|more| label(&more.range, &more.text)),
        );
    }
    report.help.extend(diagnostic.help.clone());
}

fn show_frame(evaluator: &Evaluator, frame: &EvalFrame) -> Frame {
    Frame {
        text: String::from_utf8_lossy(&frame.text).into_owned(),
        place: label(evaluator, frame.pos),
        always: frame.always,
        // The places of the other steps say it.
        hidden: frame.text.starts_with(b"while evaluating the file '"),
        featured: false,
    }
}

/// How the names of sources begin that are part of rx.
const INTERNAL: &str = "«internal»";

/// The same for sources that can be looked up as `<…>`; whole traces show them.
const LIBRARIES: [&str; 2] = ["<rx>/", "<nix/"];

fn is_library(label: &Label) -> bool {
    let name = &label.source.name;
    LIBRARIES.iter().any(|library| name.starts_with(library))
}

/// The place of a position: the word that begins there.
pub fn label(evaluator: &Evaluator, pos: Pos) -> Option<Label> {
    let at = evaluator.sources.locate(pos)?;
    let name = shown_origin(evaluator, &at.source.origin);
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
