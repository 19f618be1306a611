//! Making an index: a sample finds the base, then workers scan every attribute. What they have found is kept in a
//! journal, so that an interrupted build goes on where it was.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use rx_eval::track::{Check, Input, InputLog, State};
use rx_store::interrupt;
use rx_store::progress::{self, Activity, ActivityKind, Level};

use super::roots::Opened;
use super::scan::{Body, Found, children};
use super::tidy::tidy;
use super::wire::{self, Answer, NewInput, Reader};
use super::worker::{Worker, new_inputs, plan, scan_path};
use super::{Index, Searcher, popularity};
use crate::eval_session::with_tracking_session;
use crate::ui::Failure;

/// A root with fewer attributes is scanned by this process alone.
const FEW: usize = 500;
/// Attributes that are looked at to find the base.
const SAMPLE: usize = 96;
/// An input that more than one in so many of the sample depend on is in the base.
const SHARE: usize = 12;
/// How often the progress is shown.
const SHOW: Duration = Duration::from_millis(100);

type AttrPath = Vec<Vec<u8>>;

/// An index in the making.
#[derive(Default)]
pub(super) struct Draft {
    inputs: Vec<NewInput>,
    numbers: FxHashMap<Input, u32>,
    /// What was found at each attribute of the root.
    found: BTreeMap<AttrPath, Vec<Found>>,
    prefix: AttrPath,
    /// The root is no set: the only attribute is the root itself.
    alone: bool,
}

impl Draft {
    /// The number of an input. One that was seen in two states has none that counts.
    fn number(&mut self, new: NewInput) -> u32 {
        if let Some(&number) = self.numbers.get(&new.input) {
            let known = &mut self.inputs[number as usize];
            if known.state != new.state && known.state.contents != new.state.contents {
                known.state = State::default();
            }
            known.base |= new.base;
            return number;
        }
        let number = self.inputs.len() as u32;
        self.numbers.insert(new.input.clone(), number);
        self.inputs.push(new);
        number
    }

    /// Takes what a worker found; `known` are the numbers here of the inputs that it named so far.
    fn take(&mut self, answer: Answer, known: &mut Vec<u32>) {
        for new in answer.inputs {
            let number = self.number(new);
            known.push(number);
        }
        let mut found = answer.found;
        for one in &mut found {
            for input in &mut one.inputs {
                *input = known.get(*input as usize).copied().unwrap_or(u32::MAX);
            }
            one.inputs.sort_unstable();
        }
        self.found.insert(answer.path, found);
    }

    /// The draft of a finished index.
    pub(super) fn of(index: &Index, prefix: AttrPath) -> Draft {
        let mut draft = Draft {
            alone: index.is_alone(&prefix.join(&b'.')),
            prefix,
            ..Draft::default()
        };
        for new in index.inputs() {
            draft.number(new);
        }
        for found in index.found() {
            if let Some(first) = found.first() {
                let path = draft.below(std::slice::from_ref(&first.name));
                draft.found.insert(path, found);
            }
        }
        draft
    }

    /// The path of an attribute of the root.
    fn below(&self, names: &[Vec<u8>]) -> AttrPath {
        let mut path = self.prefix.clone();
        if !self.alone {
            path.extend_from_slice(names);
        }
        path
    }

    /// Puts what was found at an attribute in the place of what was there.
    pub(super) fn splice(&mut self, names: &[Vec<u8>], new: Vec<Found>) {
        let Some(first) = names.first() else {
            return;
        };
        let top = self.below(std::slice::from_ref(first));
        let Some(old) = self.found.get_mut(&top) else {
            return;
        };
        let mut at = 0;
        for name in &names[1..] {
            let child = old
                .iter()
                .position(|one| one.parent == Some(at as u32) && one.name == *name);
            match child {
                Some(child) => at = child,
                None => return,
            }
        }
        let mut places: Vec<Option<u32>> = Vec::with_capacity(old.len());
        let mut all = Vec::with_capacity(old.len() + new.len());
        for (place, one) in std::mem::take(old).into_iter().enumerate() {
            let parent = one.parent.map(|parent| places[parent as usize]);
            if place == at {
                let base = all.len() as u32;
                places.push(None);
                all.extend(new.iter().cloned().map(|found| Found {
                    parent: match found.parent {
                        Some(inner) => Some(base + inner),
                        None => parent.flatten(),
                    },
                    ..found
                }));
            } else if parent == Some(None) {
                // It was below what is replaced.
                places.push(None);
            } else {
                places.push(Some(all.len() as u32));
                all.push(Found {
                    parent: parent.flatten(),
                    ..one
                });
            }
        }
        *old = all;
    }

    pub(super) fn finish(self) -> Index {
        let mut index = Index::new(&self.inputs);
        let prefix = self.prefix.join(&b'.');
        for (path, found) in &self.found {
            // The root itself has no name in itself.
            let above = if self.alone {
                path[..path.len().saturating_sub(1)].join(&b'.')
            } else {
                prefix.clone()
            };
            index.push_found(&above, found);
        }
        popularity::note(&mut index);
        index
    }

    fn packages(found: &[Found]) -> usize {
        let is_package = |one: &&Found| matches!(one.body, Body::Package(_));
        found.iter().filter(is_package).count()
    }
}

/// Makes the index of a root, and keeps it in the file if there is one.
pub(super) fn build(
    searcher: &Searcher<'_>,
    number: usize,
    keep: Option<&Path>,
) -> Result<Index, Failure> {
    let mut draft = Draft {
        prefix: searcher.roots[number].prefix(),
        ..Draft::default()
    };
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
        let left: Vec<AttrPath> = tasks
            .into_iter()
            .filter(|task| !draft.found.contains_key(task))
            .collect();
        run_workers(number, &mut draft, left, &mut journal)?;
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
    run_workers(number, &mut draft, tasks, &mut None)?;
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
                    .map(|(name, _)| {
                        let mut path = prefix.clone();
                        path.push(name);
                        path
                    })
                    .collect(),
            };
            let (mut told, mut known) = (0, Vec::new());
            // Workers could not read standard input once more.
            if paths.len() < FEW || root.is_stdin() {
                for path in &paths {
                    let found = scan_path(session, &opened, prefix.len(), path)?;
                    let answer = Answer {
                        inputs: new_inputs(&log, &mut told),
                        path: path.clone(),
                        found,
                    };
                    draft.take(answer, &mut known);
                }
                // A root without attributes has inputs, too.
                for new in new_inputs(&log, &mut told) {
                    draft.number(new);
                }
                return Ok(Vec::new());
            }
            let mut counts: FxHashMap<u32, usize> = FxHashMap::default();
            for path in paths.iter().step_by(paths.len() / SAMPLE) {
                let Opened::Set(attrs) = &opened else {
                    break;
                };
                let name = path.last().map_or(&b""[..], Vec::as_slice);
                let Some(value) = attrs.get(rx_lang::symbol::intern(name)) else {
                    continue;
                };
                // Not what is below: a set of thousands would not be a sample.
                let (_, inputs) = session.vm.with_inputs(|vm| super::scan::glance(vm, value));
                session.check(session.vm.check())?;
                for input in inputs {
                    *counts.entry(input).or_default() += 1;
                }
            }
            let mut popular: Vec<u32> = counts
                .into_iter()
                .filter(|(_, count)| *count > SAMPLE / SHARE)
                .map(|(input, _)| input)
                .collect();
            popular.sort_unstable();
            log.extend_base(&popular);
            let mut all = new_inputs(&log, &mut told);
            all.retain(|new| new.base);
            for new in all {
                draft.number(new);
            }
            Ok(paths)
        },
    )
}

/// How many workers there are at most.
pub(super) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().min(8))
}

/// Has attributes scanned by workers, as many as there are processors.
fn run_workers(
    number: usize,
    draft: &mut Draft,
    tasks: Vec<AttrPath>,
    journal: &mut Option<Journal>,
) -> Result<(), Failure> {
    let base: Vec<NewInput> = draft
        .inputs
        .iter()
        .filter(|new| new.base)
        .cloned()
        .collect();
    let plan = plan(number, &base)?;
    let total = draft.found.len() + tasks.len();
    let activity = Activity::start(Level::Info, ActivityKind::Unknown, "indexing packages", &[]);
    let mut packages: usize = draft.found.values().map(|f| Draft::packages(f)).sum();
    let queue = Mutex::new(VecDeque::from(tasks));
    let workers = workers().min(queue.lock().len().div_ceil(64).max(1));
    let (sender, answers) = mpsc::sync_channel::<(usize, bool, Answer)>(64);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (sender, queue, plan) = (sender.clone(), &queue, plan.as_slice());
            scope.spawn(move || drive(worker, plan, queue, &sender));
        }
        drop(sender);
        // The numbers here of the inputs that each worker has named.
        let mut known: Vec<Vec<u32>> = vec![Vec::new(); workers];
        let mut shown: Option<Instant> = None;
        while let Ok((worker, fresh, answer)) = answers.recv() {
            if interrupt::is_set() {
                queue.lock().clear();
                continue;
            }
            if fresh {
                known[worker].clear();
            }
            packages += Draft::packages(&answer.found);
            let path = answer.path.clone();
            let before = draft.inputs.len();
            draft.take(answer, &mut known[worker]);
            if let Some(journal) = journal.as_mut() {
                journal.add(draft, before, path);
            }
            if shown.is_none_or(|shown| shown.elapsed() > SHOW) {
                shown = Some(Instant::now());
                let done = draft.found.len();
                activity.set_phase(&format!(
                    "{done} of {total} attributes, {packages} packages"
                ));
            }
        }
    });
    interrupt::check()?;
    Ok(())
}

/// One worker after the other, until nothing is left to do.
fn drive(
    number: usize,
    plan: &[u8],
    queue: &Mutex<VecDeque<AttrPath>>,
    answers: &mpsc::SyncSender<(usize, bool, Answer)>,
) {
    let mut worker = None;
    let mut fresh = true;
    let mut tried = 0;
    let mut task: Option<AttrPath> = None;
    loop {
        let Some(path) = task.take().or_else(|| queue.lock().pop_front()) else {
            return;
        };
        let current = match &mut worker {
            Some(current) => current,
            None => match Worker::start(plan) {
                Ok(started) => worker.insert(started),
                Err(error) => {
                    progress::warn(format_args!("no worker can be started: {error}"));
                    return;
                }
            },
        };
        match current.ask(&path) {
            Some(answer) => {
                tried = 0;
                if answers.send((number, fresh, answer)).is_err() {
                    return;
                }
                fresh = false;
            }
            None if interrupt::is_set() => return,
            None => {
                // It had grown, or this attribute killed it.
                worker = None;
                fresh = true;
                tried += 1;
                if tried < 3 {
                    task = Some(path);
                    continue;
                }
                tried = 0;
                let found = vec![Found {
                    parent: None,
                    name: path.last().cloned().unwrap_or_default(),
                    body: Body::Nothing,
                    inputs: Vec::new(),
                }];
                let answer = Answer {
                    inputs: Vec::new(),
                    path,
                    found,
                };
                if answers.send((number, true, answer)).is_err() {
                    return;
                }
            }
        }
    }
}

/// What has been found so far, on disk: the base, then one frame for each attribute.
struct Journal {
    file: BufWriter<File>,
}

impl Journal {
    fn begin(path: &Path, draft: &Draft) -> Option<Journal> {
        let file = File::create(path).ok()?;
        let mut journal = Journal {
            file: BufWriter::with_capacity(1 << 20, file),
        };
        let mut head = Vec::new();
        wire::put_inputs(&mut head, &draft.inputs);
        wire::write_frame(&mut journal.file, &head).ok()?;
        Some(journal)
    }

    fn go_on(path: &Path) -> Option<Journal> {
        let file = OpenOptions::new().append(true).open(path).ok()?;
        Some(Journal {
            file: BufWriter::with_capacity(1 << 20, file),
        })
    }

    /// Adds what was found at an attribute; inputs from `new` on are new.
    fn add(&mut self, draft: &Draft, new: usize, path: AttrPath) {
        let answer = Answer {
            inputs: draft.inputs[new..].to_vec(),
            found: draft.found.get(&path).cloned().unwrap_or_default(),
            path,
        };
        // Without a journal nothing is lost but time.
        let _ = wire::write_frame(&mut self.file, &answer.to_bytes());
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.file.flush();
    }
}

/// Takes what an earlier build had found, if it had the same base; what has changed since is left out.
fn resume(journal: &Path, draft: &mut Draft) -> Option<()> {
    let file = File::open(journal).ok()?;
    let mut from = BufReader::with_capacity(1 << 20, file);
    let head = wire::read_frame(&mut from).ok()??;
    let base = wire::get_inputs(&mut Reader(&head))?;
    let size = journal.metadata().ok()?.len();
    let old_base: Vec<&NewInput> = base.iter().filter(|new| new.base).collect();
    let same = old_base.len() == draft.inputs.len()
        && old_base
            .iter()
            .zip(&draft.inputs)
            .all(|(a, b)| a.input == b.input && a.state.contents == b.state.contents);
    if !same {
        return None;
    }
    let mut old = Draft {
        prefix: draft.prefix.clone(),
        ..Draft::default()
    };
    let mut known: Vec<u32> = base.into_iter().map(|new| old.number(new)).collect();
    let mut frames = 0;
    let mut end = wire::frame_size(&head);
    while let Ok(Some(frame)) = wire::read_frame(&mut from) {
        end += wire::frame_size(&frame);
        old.take(Answer::from_bytes(&frame)?, &mut known);
        frames += 1;
    }
    let changed: Vec<bool> = old
        .inputs
        .iter_mut()
        .map(|new| match new.input.check(new.state) {
            Check::Same => false,
            Check::Touched(state) => {
                new.state = state;
                false
            }
            Check::Changed => !new.base,
        })
        .collect();
    let unusable = |found: &[Found]| {
        found.iter().any(|one| {
            one.inputs
                .iter()
                .any(|&input| changed.get(input as usize).copied().unwrap_or(true))
        })
    };
    let all = old.found.len();
    old.found.retain(|_, found| !unusable(found));
    progress::talkative(format_args!(
        "going on with an index of which {} attributes were done",
        old.found.len()
    ));
    let whole = end == size && frames == all && old.found.len() == all && !changed.contains(&true);
    *draft = old;
    // A journal with frames that do not count any more is written anew.
    whole.then_some(()).or_else(|| {
        rewrite(journal, draft)?;
        Some(())
    })
}

fn rewrite(file: &Path, draft: &Draft) -> Option<()> {
    let mut base = Draft::default();
    for new in &draft.inputs {
        base.number(new.clone());
    }
    let mut journal = Journal::begin(file, &base)?;
    for path in draft.found.keys() {
        journal.add(draft, draft.inputs.len(), path.clone());
    }
    Some(())
}
