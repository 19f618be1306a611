//! Having attributes scanned by workers, as many as there are processors, one process after the other in each place.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rx_store::interrupt;
use rx_store::progress::{Activity, ActivityKind, Level};

use super::draft::{AttrPath, Draft};
use super::journal::Journal;
use super::roots::Root;
use super::scan::{Body, Found};
use super::tasks::Tasks;
use super::wire::{Answer, NewInput};
use super::worker::{Worker, plan};
use crate::ui::Failure;

/// How often the progress is shown.
const SHOW: Duration = Duration::from_millis(100);
/// A worker is told so many tasks before it has done the first: it need not wait for the next.
const AHEAD: usize = 16;
/// A path of more bytes is told when the worker has nothing else.
const LONG: usize = 1024;
/// An attribute that so many workers die of is nothing.
const TRIES: usize = 3;

/// How many workers there are at most.
pub(super) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().min(8))
}

/// What somebody who drives workers tells.
struct Told {
    driver: usize,
    /// The first answer of another process: its inputs are numbered from the beginning.
    fresh: bool,
    answer: Answer,
}

/// Has attributes scanned, and puts what is found into the draft and the journal.
pub(super) fn run_workers(
    root: &Root,
    draft: &mut Draft,
    tasks: Vec<AttrPath>,
    journal: &mut Option<Journal>,
) -> Result<(), Failure> {
    let is_base = |new: &&NewInput| new.base;
    let base: Vec<NewInput> = draft.inputs.iter().filter(is_base).cloned().collect();
    let plan = plan(root, &base)?;
    let activity = Activity::start(Level::Info, ActivityKind::Unknown, "indexing packages", &[]);
    let mut packages: usize = draft.found.values().map(|found| packages_in(found)).sum();
    let tasks = Tasks::new(tasks);
    let (sender, told) = mpsc::sync_channel::<Told>(64);
    let driven: io::Result<()> = std::thread::scope(|scope| {
        let drivers: Vec<_> = (0..workers())
            .map(|number| {
                let (sender, tasks, plan) = (sender.clone(), &tasks, plan.as_slice());
                scope.spawn(move || Driver::new(number, plan, tasks, &sender).run())
            })
            .collect();
        drop(sender);
        // The numbers here of the inputs that each worker has named.
        let mut known: Vec<Vec<u32>> = vec![Vec::new(); drivers.len()];
        let mut shown: Option<Instant> = None;
        while let Ok(told) = told.recv() {
            if interrupt::is_set() {
                tasks.clear();
                continue;
            }
            if told.fresh {
                known[told.driver].clear();
            }
            packages += packages_in(&told.answer.found);
            let path = told.answer.path.clone();
            let before = draft.inputs.len();
            draft.take(told.answer, &mut known[told.driver]);
            if let Some(journal) = journal.as_mut() {
                journal.add(draft, before, path);
            }
            if shown.is_none_or(|shown| shown.elapsed() > SHOW) {
                shown = Some(Instant::now());
                let done = draft.found.len();
                let total = done + tasks.unfinished();
                activity.set_phase(&format!(
                    "{done} of {total} attributes, {packages} packages"
                ));
            }
        }
        let ends = drivers
            .into_iter()
            .map(|driver| driver.join().unwrap_or(Ok(())));
        ends.fold(Ok(()), Result::and)
    });
    interrupt::check()?;
    if tasks.unfinished() > 0 {
        driven?;
        return Err(Failure::message("the workers of this search have ended"));
    }
    Ok(())
}

fn packages_in(found: &[Found]) -> usize {
    let is_package = |one: &&Found| matches!(one.body, Body::Package(_));
    found.iter().filter(is_package).count()
}

/// Whoever hands tasks to one worker after the other, and takes their answers.
struct Driver<'a> {
    number: usize,
    plan: &'a [u8],
    tasks: &'a Tasks,
    answers: &'a mpsc::SyncSender<Told>,
    worker: Option<Worker>,
    /// Whether the worker has not answered yet.
    fresh: bool,
    /// The tasks that it has, in order; the worker has been told the first ones.
    held: VecDeque<AttrPath>,
    told: usize,
    /// How many workers have ended at the first task.
    tried: usize,
    /// So many tasks are told one by one, as one of them may have killed a worker.
    careful: usize,
}

impl<'a> Driver<'a> {
    fn new(
        number: usize,
        plan: &'a [u8],
        tasks: &'a Tasks,
        answers: &'a mpsc::SyncSender<Told>,
    ) -> Driver<'a> {
        Driver {
            number,
            plan,
            tasks,
            answers,
            worker: None,
            fresh: true,
            held: VecDeque::new(),
            told: 0,
            tried: 0,
            careful: 0,
        }
    }

    /// Goes on until nothing is left to do.
    fn run(mut self) -> io::Result<()> {
        let result = self.work();
        self.tasks.give_back(self.held.into());
        result
    }

    fn work(&mut self) -> io::Result<()> {
        loop {
            if self.held.is_empty() {
                match self.tasks.take(interrupt::is_set) {
                    Some(task) => self.held.push_back(task),
                    None => return Ok(()),
                }
            }
            let answer = self.ask()?;
            let is_next = |answer: &Answer| Some(&answer.path) == self.held.front();
            let goes_on = match answer.filter(is_next) {
                Some(answer) => {
                    self.told -= 1;
                    self.careful = self.careful.saturating_sub(1);
                    self.finish(answer)
                }
                None if interrupt::is_set() => false,
                None => self.bury(),
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// The worker's next answer; nothing if it has ended.
    fn ask(&mut self) -> io::Result<Option<Answer>> {
        let worker = match &mut self.worker {
            Some(worker) => worker,
            None => {
                self.fresh = true;
                self.worker.insert(Worker::start(self.plan)?)
            }
        };
        let ahead = if self.careful > 0 { 1 } else { AHEAD };
        while self.held.len() < ahead
            && let Some(task) = self.tasks.take_more(self.held.len())
        {
            self.held.push_back(task);
        }
        while self.told < ahead.min(self.held.len()) {
            let task = &self.held[self.told];
            // The pipe has to have room for all of them, or both ends would wait for each other.
            let is_long = task.iter().map(Vec::len).sum::<usize>() > LONG;
            if (self.told > 0 && is_long) || !worker.tell(task) {
                break;
            }
            self.told += 1;
        }
        Ok(worker.answer())
    }

    /// The first task is done; says whether somebody waits for its answer.
    fn finish(&mut self, answer: Answer) -> bool {
        self.tried = 0;
        self.held.pop_front();
        let below = |name: &Vec<u8>| [answer.path.as_slice(), std::slice::from_ref(name)].concat();
        let more = answer.more.iter().map(below).collect();
        let told = Told {
            driver: self.number,
            fresh: std::mem::take(&mut self.fresh),
            answer,
        };
        let is_heard = self.answers.send(told).is_ok();
        self.tasks.done(more);
        is_heard
    }

    /// The worker has ended: it had grown, or the first task killed it.
    fn bury(&mut self) -> bool {
        self.worker = None;
        self.told = 0;
        self.tried += 1;
        self.careful = AHEAD;
        if self.tried < TRIES {
            return true;
        }
        self.fresh = true;
        let path = self.held.front().cloned().unwrap_or_default();
        self.finish(Answer {
            found: vec![Found::nothing(&path)],
            path,
            ..Answer::default()
        })
    }
}
