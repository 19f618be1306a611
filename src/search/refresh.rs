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
    let size: usize = stale.iter().map(|&at| index.size_of(at)).sum();
    if size <= FEW {
        let index = scan_here(searcher, root, index, &stale, &changed)?;
        if let Some(index) = &index {
            build::keep_index(index, file);
        }
        return Ok(index);
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

/// Scans a few attributes in this process, and puts what is found in the place of what was there. Nothing if the root
/// itself is another.
fn scan_here(
    searcher: &Searcher<'_>,
    number: usize,
    mut index: Index,
    stale: &[usize],
    changed: &[u32],
) -> Result<Option<Index>, Failure> {
    let root = &searcher.roots[number];
    let base: Vec<Input> = index
        .inputs()
        .filter(|new| new.base)
        .map(|new| new.input)
        .collect();
    let log = InputLog::new(base);
    let mut scanned: Vec<(usize, Vec<Found>)> = Vec::new();
    let same_root = with_tracking_session(
        searcher.invocation,
        searcher.options,
        log.clone(),
        |session| {
            if stale.is_empty() {
                return Ok(true);
            }
            let outer = session.vm.begin_tracking();
            let opened = root.open(session);
            let beyond = session.vm.end_tracking(outer);
            let Ok(opened) = opened else {
                return Ok(false);
            };
            if !beyond.is_empty() {
                return Ok(false);
            }
            let prefix = root.prefix();
            for &at in stale {
                let mut path = prefix.clone();
                path.extend(index.names(at));
                let found = scan_path(session, &opened, prefix.len(), &path)?;
                scanned.push((at, found));
            }
            Ok(true)
        },
    )?;
    if !same_root {
        return Ok(None);
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
    for (_, found) in &mut scanned {
        for one in found {
            for input in &mut one.inputs {
                *input = of_log.get(*input as usize).copied().unwrap_or(u32::MAX);
            }
            one.inputs.sort_unstable();
        }
    }
    let is_simple = |(at, found): &(usize, Vec<Found>)| {
        !index.is_set(*at) && found.len() == 1 && found[0].body != Body::Set
    };
    if scanned.iter().all(is_simple) {
        for (at, found) in &scanned {
            index.replace(*at, &found[0].body, &found[0].inputs);
        }
        return Ok(Some(index));
    }
    let mut draft = build::Draft::of(&index, root.prefix());
    for (at, found) in scanned {
        draft.splice(&index.names(at), found);
    }
    Ok(Some(draft.finish()))
}
