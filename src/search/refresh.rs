//! Bringing an index up to date: which inputs changed, and what has to be scanned again because of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rx_eval::track::{Check, Input, InputLog, State};
use rx_store::interrupt;
use rx_store::progress;

use super::answer::{Answer, Behind};
use super::budget::Budget;
use super::draft::Draft;
use super::index::PackageRef;
use super::roots::Opened;
use super::scan::{Body, Depth, Found};
use super::wire::NewInput;
use super::worker::{new_inputs, scan_path};
use super::{Index, Searcher, background, build};
use crate::eval_session::{EvalSession, with_session, with_tracking_session};
use crate::ui::Failure;

/// More attributes than this are left to workers.
const FEW: usize = 300;

/// What has changed since an index was made.
enum Changes {
    Nothing,
    /// Something that everything depends on.
    Base(Vec<u8>),
    Some(Stale),
}

/// What depends on inputs that have changed.
struct Stale {
    /// The inputs, in order.
    inputs: Vec<u32>,
    /// The attributes; those below such an attribute are not named.
    nodes: Vec<usize>,
    /// How many attributes there are in all.
    size: usize,
}

/// Looks at all inputs. What was only touched is noted in the index, and kept.
fn changes(index: &mut Index, file: &Path) -> Result<Changes, Failure> {
    let checks = index.check_inputs();
    interrupt::check()?;
    let mut inputs = Vec::new();
    let mut base = None;
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
                base = base.or_else(|| Some(index.input(at)?.input.path.to_vec()));
            }
            Check::Changed => inputs.push(at as u32),
        }
    }
    if let Some(path) = base {
        let shown = String::from_utf8_lossy(&path);
        progress::talkative(format_args!("everything depends on '{shown}'"));
        return Ok(Changes::Base(path));
    }
    if inputs.is_empty() {
        if worth_keeping {
            build::keep_index(index, file);
        }
        return Ok(Changes::Nothing);
    }
    let mut is_changed = vec![false; index.inputs().count()];
    for &at in &inputs {
        is_changed[at as usize] = true;
    }
    let nodes = index.stale(&is_changed);
    progress::talkative(format_args!(
        "{} inputs have changed, {} attributes depend on them",
        inputs.len(),
        nodes.len()
    ));
    let size = nodes.iter().map(|&at| index.size_of(at)).sum();
    Ok(Changes::Some(Stale {
        inputs,
        nodes,
        size,
    }))
}

/// How much is brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// What takes no more than a moment.
    Little,
    /// All that does not need a new index. The lock of the index is held.
    All,
}

/// The index as it should be now; nothing if that takes another effort.
pub(super) fn refresh(
    searcher: &Searcher<'_>,
    root: usize,
    mut index: Index,
    file: &Path,
    effort: Effort,
) -> Result<Option<Index>, Failure> {
    match changes(&mut index, file)? {
        Changes::Nothing => Ok(Some(index)),
        Changes::Some(stale) if stale.size <= FEW => scan_few(searcher, root, index, &stale, file),
        Changes::Some(stale) if effort == Effort::All => {
            scan_many(searcher, root, &index, &stale, file).map(Some)
        }
        Changes::Base(_) | Changes::Some(_) => Ok(None),
    }
}

/// What is known by a deadline: all, if what has changed is little; else what is wanted is evaluated as far as
/// there is time, and the rest is left to a process in the background.
pub(super) fn refresh_soon(
    searcher: &Searcher<'_>,
    root: usize,
    mut index: Index,
    file: &Path,
    wanted: &dyn Fn(PackageRef<'_>) -> bool,
    deadline: Instant,
) -> Result<Answer, Failure> {
    let (stale, base) = match changes(&mut index, file)? {
        Changes::Nothing => return Ok(Answer::current(index)),
        Changes::Base(path) => (None, path),
        Changes::Some(stale) => (Some(stale), Vec::new()),
    };
    let budget = Budget::until(deadline);
    let mut behind = match &stale {
        None => Behind {
            old: vec![true; index.node_count()],
            cause: base,
            more: 0,
            all: true,
        },
        Some(stale) => Behind {
            old: index.at_and_below(&stale.nodes),
            cause: stale
                .inputs
                .first()
                .and_then(|&at| index.input(at as usize))
                .map(|new| new.input.path.to_vec())
                .unwrap_or_default(),
            more: stale.inputs.len().saturating_sub(1),
            all: false,
        },
    };
    let mut order: Vec<usize> = index
        .numbered_packages()
        .filter(|(at, package)| behind.old[*at] && wanted(*package))
        .map(|(at, _)| at)
        .collect();
    let few = stale.as_ref().filter(|stale| stale.size <= FEW);
    if let Some(stale) = few {
        let first: BTreeSet<usize> = order.iter().copied().collect();
        order.retain(|at| stale.nodes.binary_search(at).is_ok());
        order.extend(stale.nodes.iter().filter(|at| !first.contains(at)));
        let scanned = scan_nodes(searcher, root, &index, &order, Some(&budget))?;
        if scanned.same_root && !budget.is_over() {
            drop(budget);
            let index = put_in_place(searcher, root, index, scanned, &stale.inputs);
            build::keep_index(&index, file);
            return Ok(Answer::current(index));
        }
        show_scanned(&mut index, &mut behind, scanned.found);
    } else {
        let found = glance_at(searcher, root, &index, &order, &budget)?;
        show_scanned(&mut index, &mut behind, found);
    }
    drop(budget);
    interrupt::check()?;
    background::start(&searcher.roots[root], file);
    Ok(Answer::behind(index, behind))
}

/// Replaces what is shown of attributes by what was found there, as long as this process lives.
fn show_scanned(index: &mut Index, behind: &mut Behind, found: Vec<(usize, Vec<Found>)>) {
    for (at, found) in found {
        if let [one] = found.as_slice()
            && one.body != Body::Set
            && !index.is_set(at)
        {
            index.replace(at, &one.body, &[]);
            behind.old[at] = false;
        }
    }
}

/// What is at some attributes now, as far as there is time, whatever it depends on.
fn glance_at(
    searcher: &Searcher<'_>,
    number: usize,
    index: &Index,
    nodes: &[usize],
    budget: &Budget,
) -> Result<Vec<(usize, Vec<Found>)>, Failure> {
    let root = &searcher.roots[number];
    let mut all = Vec::new();
    if budget.is_over() {
        return Ok(all);
    }
    let result = with_session(searcher.invocation, searcher.options, true, |session| {
        let opened = root.open(session)?;
        scan_all(session, &opened, &root.prefix(), index, nodes, &mut all)
    });
    match result {
        Err(_) if budget.is_over() => Ok(all),
        other => other.map(|()| all),
    }
}

/// Scans some attributes of an open root, one after the other; what was found stays if a later one fails.
fn scan_all(
    session: &mut EvalSession,
    opened: &Opened,
    prefix: &[Vec<u8>],
    index: &Index,
    nodes: &[usize],
    all: &mut Vec<(usize, Vec<Found>)>,
) -> Result<(), Failure> {
    for &at in nodes {
        let path = [prefix, &index.names(at)].concat();
        let (found, _) = scan_path(session, opened, prefix.len(), &path, Depth::All)?;
        all.push((at, found));
    }
    Ok(())
}

/// What scanning some attributes has given.
struct Scanned {
    /// What was looked at.
    log: Arc<InputLog>,
    found: Vec<(usize, Vec<Found>)>,
    /// Whether the root is the one that the index was made of.
    same_root: bool,
}

/// Scans attributes in this process, as far as there is time.
fn scan_nodes(
    searcher: &Searcher<'_>,
    number: usize,
    index: &Index,
    nodes: &[usize],
    budget: Option<&Budget>,
) -> Result<Scanned, Failure> {
    let root = &searcher.roots[number];
    let base: Vec<Input> = index
        .inputs()
        .filter(|new| new.base)
        .map(|new| new.input)
        .collect();
    let log = InputLog::new(base);
    let mut all: Vec<(usize, Vec<Found>)> = Vec::new();
    let is_over = || budget.is_some_and(Budget::is_over);
    if is_over() {
        return Ok(Scanned {
            log,
            found: all,
            same_root: true,
        });
    }
    let result = with_tracking_session(
        searcher.invocation,
        searcher.options,
        log.clone(),
        |session| {
            if nodes.is_empty() {
                return Ok(true);
            }
            let outer = session.vm.begin_tracking();
            let opened = root.open(session);
            let beyond = session.vm.end_tracking(outer);
            let opened = match opened {
                Ok(opened) => opened,
                Err(failure) if is_over() => return Err(failure),
                Err(_) => return Ok(false),
            };
            if !beyond.is_empty() {
                return Ok(false);
            }
            scan_all(session, &opened, &root.prefix(), index, nodes, &mut all)?;
            Ok(true)
        },
    );
    let same_root = match result {
        Err(_) if is_over() => true,
        other => other?,
    };
    Ok(Scanned {
        log,
        found: all,
        same_root,
    })
}

/// Scans a few attributes in this process; nothing if the root itself is another.
fn scan_few(
    searcher: &Searcher<'_>,
    root: usize,
    index: Index,
    stale: &Stale,
    file: &Path,
) -> Result<Option<Index>, Failure> {
    let scanned = scan_nodes(searcher, root, &index, &stale.nodes, None)?;
    if !scanned.same_root {
        return Ok(None);
    }
    let index = put_in_place(searcher, root, index, scanned, &stale.inputs);
    build::keep_index(&index, file);
    Ok(Some(index))
}

/// Has many attributes scanned by workers.
fn scan_many(
    searcher: &Searcher<'_>,
    root: usize,
    index: &Index,
    stale: &Stale,
    file: &Path,
) -> Result<Index, Failure> {
    let prefix = searcher.roots[root].prefix();
    let tops: BTreeSet<Vec<Vec<u8>>> = stale
        .nodes
        .iter()
        .filter_map(|&at| {
            let mut path = prefix.clone();
            path.push(index.names(at).into_iter().next()?);
            Some(path)
        })
        .collect();
    let states: Vec<(u32, State)> = stale
        .inputs
        .iter()
        .filter_map(|&at| Some((at, index.input(at as usize)?.input.observe())))
        .collect();
    build::rescan(searcher, root, index, &tops, &states, file)
}

/// Puts what was found in the place of what was there.
fn put_in_place(
    searcher: &Searcher<'_>,
    root: usize,
    mut index: Index,
    scanned: Scanned,
    changed: &[u32],
) -> Index {
    let Scanned { log, mut found, .. } = scanned;
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
    for (_, found) in &mut found {
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
    if found.iter().all(is_simple) {
        for (at, found) in &found {
            index.replace(*at, &found[0].body, &found[0].inputs);
        }
        return index;
    }
    let mut draft = Draft::of(&index, searcher.roots[root].prefix());
    for (at, found) in found {
        draft.splice(&index.names(at), found);
    }
    draft.finish()
}
