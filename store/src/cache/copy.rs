//! Copying paths from one store to another.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::path::StorePath;
use crate::progress::{self, Activity, ActivityKind, Level, ResultKind};
use crate::store::{AddFlags, PathInfo, Store, StoreError};

/// Paths that are copied at the same time.
const COPIES_AT_ONCE: usize = 4;

/// Copies one path, whose references are valid in `to`, while it is being read.
pub fn copy_path(
    from: &dyn Store,
    to: &dyn Store,
    info: &PathInfo,
    flags: AddFlags,
) -> Result<(), StoreError> {
    let (reader, writer) = std::io::pipe()?;
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || -> Result<(), StoreError> {
            let mut out = BufWriter::with_capacity(1 << 16, writer);
            from.nar_from_path(&info.path, &mut out)?;
            out.flush()?;
            Ok(())
        });
        let input = BufReader::with_capacity(1 << 16, reader);
        let mut input = Metered::new(input, info.nar_size);
        let received = to.add_nar(info, &mut input, flags);
        // The sender may wait for room in the pipe; without a reader it gets an error instead.
        drop(input);
        let sent = sender
            .join()
            .unwrap_or(Err(StoreError::Format("the sending store failed")));
        match (received, sent) {
            (Ok(()), _) => Ok(()),
            // A broken pipe only tells that the receiver gave up.
            (Err(error), Err(StoreError::Io(io)))
                if io.kind() == std::io::ErrorKind::BrokenPipe =>
            {
                Err(error)
            }
            (Err(_), Err(error)) => Err(error),
            (Err(error), Ok(())) => Err(error),
        }
    })
}

/// Tells the thread's activity how much of an archive has been read.
pub(super) struct Metered<R> {
    inner: R,
    activity: progress::ActivityId,
    done: u64,
    told: u64,
    expected: u64,
}

impl<R: BufRead> Metered<R> {
    pub(super) fn new(inner: R, expected: u64) -> Metered<R> {
        Metered {
            inner,
            activity: progress::current_activity(),
            done: 0,
            told: 0,
            expected,
        }
    }
}

/// So many bytes are worth a report.
const REPORTED: u64 = 256 << 10;

impl<R: BufRead> Metered<R> {
    fn count(&mut self, bytes: usize) {
        self.done += bytes as u64;
        let due = self.done - self.told >= REPORTED || self.done == self.expected;
        if self.activity != 0 && due && bytes > 0 {
            self.told = self.done;
            let (done, expected) = (self.done.into(), self.expected.into());
            let fields = [done, expected, 0u64.into(), 0u64.into()];
            progress::logger().result(self.activity, ResultKind::Progress, &fields);
        }
    }
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
        self.count(amount);
    }
}

/// How paths are copied.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyOptions {
    /// Only what trusted keys have signed.
    pub check_signatures: bool,
    /// Replace what is there.
    pub repair: bool,
    /// Let the receiving store fetch what its caches have.
    pub substitute: bool,
}

/// Copies valid paths of `from` that `to` lacks; references come before those that refer to them.
/// Returns what was copied.
pub fn copy_paths(
    from: &dyn Store,
    to: &dyn Store,
    paths: &BTreeSet<StorePath>,
    options: CopyOptions,
) -> Result<BTreeSet<StorePath>, StoreError> {
    if options.substitute {
        for path in paths {
            // What its caches lack is copied below.
            if let Err(StoreError::Interrupted) = to.ensure_path(path) {
                return Err(StoreError::Interrupted);
            }
        }
    }
    let present = if options.repair {
        BTreeSet::new()
    } else {
        to.query_valid(paths)?
    };
    let missing: BTreeSet<StorePath> = paths.difference(&present).cloned().collect();
    let mut infos: BTreeMap<StorePath, Arc<PathInfo>> = BTreeMap::new();
    for path in &missing {
        infos.insert(path.clone(), from.path_info(path)?);
    }
    let bytes: u64 = infos.values().map(|info| info.nar_size).sum();
    let activity = Activity::start(
        Level::Info,
        ActivityKind::CopyPaths,
        format!("copying {} paths", missing.len()),
        &[],
    );
    activity.set_expected(ActivityKind::CopyPath, bytes);
    activity.progress(0, missing.len() as u64, 0, 0);
    let parent = activity.id();
    let state = Mutex::new(Progress::new(&infos));
    let changed = Condvar::new();
    let work = || {
        loop {
            let path = {
                let mut state = state.lock();
                loop {
                    if state.failure.is_some() || state.started == missing.len() {
                        return;
                    }
                    if crate::interrupt::is_set() {
                        state.failure = Some(StoreError::Interrupted);
                        changed.notify_all();
                        return;
                    }
                    if let Some(path) = state.ready.pop_first() {
                        state.started += 1;
                        state.running += 1;
                        break path;
                    }
                    if state.running == 0 {
                        let path = state.blocked.keys().next();
                        let path = path.map(ToString::to_string).unwrap_or_default();
                        state.failure = Some(StoreError::Cycle {
                            parent: path.clone(),
                            path,
                        });
                        changed.notify_all();
                        return;
                    }
                    changed.wait(&mut state);
                }
            };
            let copy = || copy_one(from, to, &infos[&path], options, parent);
            // A defect must not leave the others waiting.
            let result = catch_unwind(AssertUnwindSafe(copy))
                .unwrap_or(Err(StoreError::Format("copying has ended unexpectedly")));
            let mut state = state.lock();
            state.running -= 1;
            match result {
                Ok(()) => {
                    state.finish(path);
                    activity.progress(
                        state.done.len() as u64,
                        missing.len() as u64,
                        state.running as u64,
                        0,
                    );
                }
                Err(error) => state.failure = Some(error),
            }
            changed.notify_all();
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..missing.len().min(COPIES_AT_ONCE) {
            scope.spawn(work);
        }
        work();
    });
    let state = state.into_inner();
    to.flush()?;
    match state.failure {
        Some(error) => Err(error),
        None => Ok(state.done),
    }
}

struct Progress {
    /// Paths whose references have all arrived.
    ready: BTreeSet<StorePath>,
    /// How many references the others still wait for.
    blocked: BTreeMap<StorePath, usize>,
    /// Who waits for a path.
    waiters: BTreeMap<StorePath, Vec<StorePath>>,
    started: usize,
    running: usize,
    done: BTreeSet<StorePath>,
    failure: Option<StoreError>,
}

impl Progress {
    fn new(infos: &BTreeMap<StorePath, Arc<PathInfo>>) -> Progress {
        let mut progress = Progress {
            ready: BTreeSet::new(),
            blocked: BTreeMap::new(),
            waiters: BTreeMap::new(),
            started: 0,
            running: 0,
            done: BTreeSet::new(),
            failure: None,
        };
        for (path, info) in infos {
            let mut count = 0;
            for other in &info.references {
                if other != path && infos.contains_key(other) {
                    count += 1;
                    let waiters = progress.waiters.entry(other.clone()).or_default();
                    waiters.push(path.clone());
                }
            }
            if count == 0 {
                progress.ready.insert(path.clone());
            } else {
                progress.blocked.insert(path.clone(), count);
            }
        }
        progress
    }

    fn finish(&mut self, path: StorePath) {
        for waiter in self.waiters.remove(&path).unwrap_or_default() {
            if let Some(count) = self.blocked.get_mut(&waiter) {
                *count -= 1;
                if *count == 0 {
                    self.blocked.remove(&waiter);
                    self.ready.insert(waiter);
                }
            }
        }
        self.done.insert(path);
    }
}

/// Whether an address is that of a machine's own store, which goes without saying.
fn is_usual(address: &str) -> bool {
    matches!(address, "local" | "auto" | "daemon")
}

fn copy_one(
    from: &dyn Store,
    to: &dyn Store,
    info: &PathInfo,
    options: CopyOptions,
    parent: progress::ActivityId,
) -> Result<(), StoreError> {
    let shown = from.dir().display(&info.path).to_string();
    let (source, target) = (from.url(), to.url());
    let text = if is_usual(&source) {
        format!("copying path '{shown}' to '{target}'")
    } else if is_usual(&target) {
        format!("copying path '{shown}' from '{source}'")
    } else {
        format!("copying path '{shown}' from '{source}' to '{target}'")
    };
    let fields = [
        shown.as_str().into(),
        source.as_str().into(),
        target.as_str().into(),
    ];
    let activity =
        Activity::start_below(parent, Level::Info, ActivityKind::CopyPath, text, &fields);
    let _inside = activity.enter();
    let mut info = info.clone();
    // It was not built where it goes.
    info.ultimate = false;
    let flags = AddFlags {
        repair: options.repair,
        check_signatures: options.check_signatures,
    };
    copy_path(from, to, &info, flags)
}
