//! Which code in a trace is the reader's own.
//!
//! An error often comes up deep inside a package collection, in code that is right and that the reader did not write.
//! What has to be changed is then where the reader's own code led there. That step of the trace is shown with its source,
//! however far out it is.

use rx_eval::Evaluator;

use super::report::{Label, Report};

/// Features the innermost step in the reader's own code, if the error itself is elsewhere.
pub fn feature_own_code(evaluator: &Evaluator, report: &mut Report) {
    let own = |label: &Label| is_own(evaluator, &label.source.name);
    if report.labels.first().is_none_or(own) {
        return;
    }
    let step = report.trace.iter_mut().find(|frame| {
        let place = frame.place.as_ref();
        !frame.hidden && place.is_some_and(own)
    });
    if let Some(step) = step {
        step.featured = true;
    }
}

/// Whether a source is what somebody is at work on: neither in the store, nor fetched, nor found by the search path
/// (unless one works in there).
fn is_own(evaluator: &Evaluator, name: &str) -> bool {
    if name.starts_with('«') {
        return ["«string»", "«stdin»"].contains(&name);
    }
    let settings = &evaluator.settings;
    let name = name.as_bytes();
    let foreign = settings.search_path.iter().any(|entry| {
        entry.path.starts_with(b"/")
            && is_below(&entry.path, name)
            && !is_below(&entry.path, &settings.current_dir)
    });
    name.starts_with(b"/") && !foreign && !is_below(&settings.store_dir, name)
}

fn is_below(directory: &[u8], path: &[u8]) -> bool {
    let directory = directory.strip_suffix(b"/").unwrap_or(directory);
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_holds_what_is_below_it_and_not_its_namesakes() {
        assert!(is_below(b"/a/b", b"/a/b/c.nix"));
        assert!(is_below(b"/a/b/", b"/a/b"));
        assert!(!is_below(b"/a/b", b"/a/bc.nix"));
    }
}
