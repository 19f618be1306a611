//! Bringing an index up to date: which inputs changed, and what has to be scanned again because of them.

use std::collections::BTreeSet;
use std::path::Path;

use rx_eval::track::{Check, Input, InputLog, State};
use rx_store::interrupt;
use rx_store::progress;

use super::build;
use super::scan::{Body, Found};
use super::wire::NewInput;
use super::worker::{new_inputs, scan_path};
use super::{Index, Searcher};
use crate::eval_session::with_tracking_session;
use crate::ui::Failure;

/// More attributes than this are left to workers.
const FEW: usize = 300;

/// The index as it should be now; nothing if it must be made anew.
pub(super) fn refresh(
    searcher: &Searcher<'_>,
    root: usize,
    mut index: Index,
    file: &Path,
) -> Result<Option<Index>, Failure> {
    let checks = index.check_inputs();
    interrupt::check()?;
    if checks.is_empty() {
        return Ok(Some(index));
    }
    let mut changed = Vec::new();
    let mut worth_keeping = false;
    for (at, check) in checks {
        match check {
            Check::Same => {}
            Check::Touched(state) => {
                // What is too new to be trusted is compared again the next time.
                worth_keeping |= state.quick != 0;
                index.set_state(at, state);
            }
            Check::Changed if index.is_base(at) => {
                if let Some(new) = index.input(at) {
                    let path = String::from_utf8_lossy(&new.input.path).into_owned();
                    progress::talkative(format_args!("everything depends on '{path}'"));
                }
                return Ok(None);
            }
            Check::Changed => changed.push(at as u32),
        }
    }
    if changed.is_empty() {
        if worth_keeping {
            build::keep_index(&index, file);
        }
        return Ok(Some(index));
    }
    let mut is_changed = vec![false; changed.last().map_or(0, |&at| at as usize + 1)];
    for &at in &changed {
        is_changed[at as usize] = true;
    }
    is_changed.resize(index.inputs().count(), false);
    let stale = index.stale(&is_changed);
    progress::talkative(format_args!(
        "{} inputs have changed, {} attributes depend on them",
        changed.len(),
        stale.len()
    ));
    if stale.len() <= FEW && !stale.iter().any(|&at| index.is_set(at)) {
        match scan_in_place(searcher, root, &mut index, &stale, &changed)? {
            Outcome::Done => {
                build::keep_index(&index, file);
                return Ok(Some(index));
            }
            Outcome::NeedsRescan => {}
            Outcome::NeedsBuild => return Ok(None),
        }
    }
    let prefix = searcher.roots[root].prefix();
    let tops: BTreeSet<Vec<Vec<u8>>> = stale
        .iter()
        .filter_map(|&at| {
            let mut path = prefix.clone();
            path.push(index.names(at).into_iter().next()?);
            Some(path)
        })
        .collect();
    let states: Vec<(u32, State)> = changed
        .iter()
        .filter_map(|&at| Some((at, index.input(at as usize)?.input.observe())))
        .collect();
    build::rescan(searcher, root, &index, &tops, &states, file).map(Some)
}

enum Outcome {
    Done,
    /// What was a package is a set now, or the other way round.
    NeedsRescan,
    /// The root itself is another.
    NeedsBuild,
}

/// Scans a few attributes in this process, and puts what is found in the place of what was there.
fn scan_in_place(
    searcher: &Searcher<'_>,
    number: usize,
    index: &mut Index,
    stale: &[usize],
    changed: &[u32],
) -> Result<Outcome, Failure> {
    let root = &searcher.roots[number];
    let base: Vec<Input> = index
        .inputs()
        .filter(|new| new.base)
        .map(|new| new.input)
        .collect();
    let log = InputLog::new(base);
    let mut scanned: Vec<(usize, Found)> = Vec::new();
    let outcome = with_tracking_session(
        searcher.invocation,
        searcher.options,
        log.clone(),
        |session| {
            if stale.is_empty() {
                return Ok(Outcome::Done);
            }
            let outer = session.vm.begin_tracking();
            let opened = root.open(session);
            let beyond = session.vm.end_tracking(outer);
            let Ok(opened) = opened else {
                return Ok(Outcome::NeedsBuild);
            };
            if !beyond.is_empty() {
                return Ok(Outcome::NeedsBuild);
            }
            let prefix = root.prefix();
            for &at in stale {
                let mut path = prefix.clone();
                path.extend(index.names(at));
                let mut found = scan_path(session, &opened, prefix.len(), &path)?;
                if found.len() != 1 || found[0].body == Body::Set {
                    return Ok(Outcome::NeedsRescan);
                }
                scanned.extend(found.pop().map(|found| (at, found)));
            }
            Ok(Outcome::Done)
        },
    )?;
    if !matches!(outcome, Outcome::Done) {
        return Ok(outcome);
    }
    let noted = new_inputs(&log, &mut 0);
    let numbers = index.numbers_of(&noted.iter().map(|new| &new.input).collect::<Vec<_>>());
    let mut of_log = Vec::with_capacity(noted.len());
    let mut seen = BTreeSet::new();
    for new in &noted {
        match numbers.get(&new.input) {
            Some(&number) => {
                if changed.binary_search(&number).is_ok() {
                    index.set_state(number as usize, new.state);
                    seen.insert(number);
                }
                of_log.push(number);
            }
            None => of_log.push(index.push_input(&NewInput {
                base: false,
                ..new.clone()
            })),
        }
    }
    // What nobody looks at any more is as it is now.
    for &at in changed {
        if !seen.contains(&at)
            && let Some(new) = index.input(at as usize)
        {
            index.set_state(at as usize, new.input.observe());
        }
    }
    for (at, found) in scanned {
        let mut inputs: Vec<u32> = found
            .inputs
            .iter()
            .filter_map(|&input| of_log.get(input as usize).copied())
            .collect();
        inputs.sort_unstable();
        index.replace(at, &found.body, &inputs);
    }
    Ok(Outcome::Done)
}
