//! Making an index: a sample finds the base, then workers scan every attribute. What they have found is kept in a
//! journal, so that an interrupted build goes on where it was.

use std::collections::BTreeSet;
use std::path::Path;

use rustc_hash::FxHashMap;
use rx_eval::track::{InputLog, State};
use rx_store::progress;

use super::crew::run_workers;
use super::draft::{AttrPath, Draft};
use super::journal::{Journal, resume};
use super::roots::Opened;
use super::scan::{Depth, children, glance};
use super::tidy::tidy;
use super::wire::Answer;
use super::worker::{new_inputs, scan_path, value_at};
use super::{Index, Searcher};
use crate::eval_session::{EvalSession, with_tracking_session};
use crate::ui::Failure;

/// A root with fewer attributes is scanned by this process alone.
const FEW: usize = 500;
/// Attributes that are looked at to find the base.
const SAMPLE: usize = 96;
/// An input that more than one in so many of the sample depend on is in the base.
const SHARE: usize = 12;

/// Makes the index of a root, and keeps it in the file if there is one.
pub(super) fn build(
    searcher: &Searcher<'_>,
    number: usize,
    keep: Option<&Path>,
) -> Result<Index, Failure> {
    let mut draft = Draft::new(searcher.roots[number].prefix());
    let tasks = begin(searcher, number, &mut draft)?;
    if !tasks.is_empty() {
        let journal = keep.map(|file| file.with_extension("partial"));
        let done = journal
            .as_ref()
            .and_then(|journal| resume(journal, &mut draft));
        let mut journal = match (journal, done) {
            (Some(file), Some(())) => Journal::go_on(&file),
            (Some(file), None) => Journal::begin(&file, &draft),
            (None, _) => None,
        };
        let left = draft.left_of(tasks);
        run_workers(&searcher.roots[number], &mut draft, left, &mut journal)?;
    }
    let index = draft.finish();
    if let Some(file) = keep {
        keep_index(&index, file);
        let _ = std::fs::remove_file(file.with_extension("partial"));
    }
    Ok(index)
}

/// Writes an index; a search does not fail because it cannot be kept.
pub(super) fn keep_index(index: &Index, file: &Path) {
    if let Some(dir) = file.parent() {
        tidy(dir);
    }
    if let Err(error) = index.save(file) {
        progress::warn(format_args!(
            "the index '{}' cannot be written: {error}",
            file.display()
        ));
    }
}

/// Scans attributes of the root again, and makes a new index with what is found.
pub(super) fn rescan(
    searcher: &Searcher<'_>,
    number: usize,
    index: &Index,
    stale: &BTreeSet<AttrPath>,
    states: &[(u32, State)],
    file: &Path,
) -> Result<Index, Failure> {
    let mut draft = Draft::of(index, searcher.roots[number].prefix());
    for (input, state) in states {
        if let Some(new) = draft.inputs.get_mut(*input as usize) {
            new.state = *state;
        }
    }
    draft.found.retain(|path, _| !stale.contains(path));
    let tasks = stale.iter().cloned().collect();
    run_workers(&searcher.roots[number], &mut draft, tasks, &mut None)?;
    let index = draft.finish();
    keep_index(&index, file);
    Ok(index)
}

/// Opens the root, and finds the base. A small root is scanned at once; of a large one the attribute paths that are
/// to be scanned are the result.
fn begin(
    searcher: &Searcher<'_>,
    number: usize,
    draft: &mut Draft,
) -> Result<Vec<AttrPath>, Failure> {
    let root = &searcher.roots[number];
    let log = InputLog::new([]);
    with_tracking_session(
        searcher.invocation,
        searcher.options,
        log.clone(),
        |session| {
            let outer = session.vm.begin_tracking();
            let opened = root.open(session);
            let base = session.vm.end_tracking(outer);
            let opened = opened?;
            log.extend_base(&base);
            let prefix = root.prefix();
            let paths: Vec<AttrPath> = match &opened {
                Opened::One(_) => {
                    draft.alone = true;
                    vec![prefix.clone()]
                }
                Opened::Set(attrs) => children(&mut session.vm, *attrs)
                    .into_iter()
                    .map(|(name, _)| [prefix.as_slice(), &[name]].concat())
                    .collect(),
            };
            let mut sample = paths.clone();
            if paths.len() < FEW || root.is_stdin() {
                // Workers could not read standard input once more.
                let depth = if root.is_stdin() {
                    Depth::All
                } else {
                    Depth::Few
                };
                let mut begun = Begun {
                    session,
                    root: &opened,
                    log: &log,
                    prefix: prefix.len(),
                    depth,
                };
                let mut small = Draft::new(prefix.clone());
                small.alone = draft.alone;
                sample = begun.scan(&paths, &mut small)?;
                if sample.is_empty() {
                    *draft = small;
                    return Ok(Vec::new());
                }
                // What is at the root may be two systems, of which each has all packages.
                while sample.len() < FEW {
                    let below = begun.scan(&sample, &mut Draft::default())?;
                    if below.is_empty() {
                        break;
                    }
                    sample = below;
                }
            }
            let popular = popular(session, &opened, prefix.len(), &sample)?;
            log.extend_base(&popular);
            let mut all = new_inputs(&log, &mut 0);
            all.retain(|new| new.base);
            for new in all {
                draft.number(new);
            }
            Ok(paths)
        },
    )
}

/// A root that has been opened by this process.
struct Begun<'a> {
    session: &'a mut EvalSession,
    root: &'a Opened,
    log: &'a InputLog,
    prefix: usize,
    depth: Depth,
}

impl Begun<'_> {
    /// Scans attributes of the root; gives those that were not gone into.
    fn scan(&mut self, paths: &[AttrPath], draft: &mut Draft) -> Result<Vec<AttrPath>, Failure> {
        let (mut told, mut known) = (0, Vec::new());
        let mut left: Vec<AttrPath> = Vec::new();
        for path in paths {
            let (found, more) = scan_path(self.session, self.root, self.prefix, path, self.depth)?;
            let below = more.iter().cloned();
            left.extend(below.map(|name| [path.as_slice(), &[name]].concat()));
            let answer = Answer {
                inputs: new_inputs(self.log, &mut told),
                path: path.clone(),
                found,
                more,
            };
            draft.take(answer, &mut known);
        }
        // A root without attributes has inputs, too.
        for new in new_inputs(self.log, &mut told) {
            draft.number(new);
        }
        Ok(left)
    }
}

/// The inputs that many of a sample of these attributes depend on.
fn popular(
    session: &mut EvalSession,
    root: &Opened,
    prefix: usize,
    paths: &[AttrPath],
) -> Result<Vec<u32>, Failure> {
    let mut counts: FxHashMap<u32, usize> = FxHashMap::default();
    for path in paths.iter().step_by((paths.len() / SAMPLE).max(1)) {
        let (value, _) = value_at(session, root, path.get(prefix..).unwrap_or_default())?;
        let Some(value) = value else {
            continue;
        };
        // Not what is below: a set of thousands would not be a sample.
        let (_, inputs) = session.vm.with_inputs(|vm| glance(vm, value));
        session.check(session.vm.check())?;
        for input in inputs {
            *counts.entry(input).or_default() += 1;
        }
    }
    let share = paths.len().min(SAMPLE) / SHARE;
    let mut popular: Vec<u32> = counts
        .into_iter()
        .filter(|(_, count)| *count > share)
        .map(|(input, _)| input)
        .collect();
    popular.sort_unstable();
    Ok(popular)
}
