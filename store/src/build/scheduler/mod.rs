//! The graph of goals: what must be valid before what, and who works on it now.
//!
//! ```text
//! Target  outputs of a derivation      needs Output for each
//! Output  one output                   valid? -> a cache has it? -> needs Build
//! Build   one derivation               needs Output and Path of its inputs, then a job
//! Path    a path as it is              valid? -> a cache has it? -> fails
//! Dynamic output of a derivation that  needs that output, then Output
//!         is itself an output
//! ```
//!
//! One thread owns the graph and never waits for anything but messages; jobs (builds and downloads)
//! run in threads of their own, as many as the user allows. A goal that is ready but finds its
//! outputs locked by another process goes back to the queue without taking a place.

mod advance;
mod outcome;
mod resolve;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::Scope;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use outcome::show_chain;
pub use outcome::{Outcome, RunError, Target};

use crate::build::BuildMode;
use crate::build::backend::Backend;
use crate::build::error::{BuildError, FailureKind};
use crate::build::job::{Attempt, BuildContext, BuildRequest, build};
use crate::build::options::Options;
use crate::cache::Fetched;
use crate::derivation::{Derivation, Kind};
use crate::path::StorePath;
use crate::progress::{self, Activity, ActivityKind, Level};

/// Realises all targets.
pub fn realise(context: &BuildContext<'_>, targets: &[Target], mode: BuildMode) -> Outcome {
    let (sender, receiver) = mpsc::channel();
    let mut outcome = std::thread::scope(|scope| {
        let mut scheduler = Scheduler::new(context, scope, sender);
        scheduler.run(targets, mode, &receiver)
    });
    if let Err(error) = context.store.flush() {
        let error = BuildError::misc(error);
        for (_, result) in &mut outcome.targets {
            *result = Err(error.clone());
        }
    }
    outcome
}

/// What a goal is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Target(usize),
    Output(StorePath, String, BuildMode),
    Build(StorePath, BuildMode),
    Path(StorePath, bool),
    /// At least two outputs; each but the last is a derivation.
    Dynamic(StorePath, Vec<String>),
}

impl Key {
    /// The object that outputs lead to from a derivation on.
    fn chain(base: &StorePath, chain: &[String]) -> Self {
        match chain {
            [output] => Self::Output(base.clone(), output.clone(), BuildMode::Normal),
            _ => Self::Dynamic(base.clone(), chain.to_vec()),
        }
    }
}

type GoalId = usize;

/// What a finished goal has made.
type Made = BTreeMap<String, StorePath>;

/// Under this name, which no output has, a build says to which derivation its own resolved.
const RESOLVED: &str = "";

struct Goal {
    key: Key,
    stage: Stage,
    /// Goals that it waits for and that are not finished.
    waiting_for: usize,
    /// How many of those failed.
    failed: usize,
    needs: Vec<GoalId>,
    waiters: Vec<GoalId>,
    result: Option<Result<Made, BuildError>>,
}

/// How far a goal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    /// An output whose derivation is being fetched.
    Derivation,
    /// At work in a job.
    Job,
    /// Inputs are being realised.
    Inputs,
    /// The output's path is being fetched.
    Substitute,
    /// The same output of the derivation that its own resolved to is being realised.
    Resolved,
    /// The last needs are being realised; what they made is the result.
    Last,
}

/// A derivation that was read once.
struct Loaded {
    derivation: Derivation,
    options: Options,
    kind: Kind,
}

/// A ready piece of work.
enum Job {
    Build(
        GoalId,
        Arc<Loaded>,
        StorePath,
        BuildMode,
        BTreeSet<StorePath>,
    ),
    Fetch(GoalId, Fetch),
}

#[derive(Clone)]
enum Fetch {
    /// What a path refers to.
    Find(StorePath),
    /// A path whose references are valid.
    Path(StorePath, bool),
    /// What an output was built to.
    Realisation(StorePath, String),
}

/// What a fetch has found.
enum Found {
    Nothing,
    References(BTreeSet<StorePath>),
    Path(StorePath),
}

/// What a job tells.
enum Message {
    Built(GoalId, Box<Job>, Result<Attempt, BuildError>),
    Fetched(GoalId, Result<Found, BuildError>),
    /// Nothing: its thread could not be started, or did not come to an end.
    Lost(GoalId, Place),
}

/// What a job takes the place of.
#[derive(Clone, Copy)]
enum Place {
    Build,
    Fetch,
}

/// Sees to it that something is told about a job, whatever becomes of its thread.
struct Teller {
    sender: Sender<Message>,
    goal: GoalId,
    place: Place,
    has_told: bool,
}

impl Teller {
    fn tell(mut self, message: Message) {
        self.has_told = true;
        // The scheduler outlives its jobs.
        let _ = self.sender.send(message);
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if !self.has_told {
            let _ = self.sender.send(Message::Lost(self.goal, self.place));
        }
    }
}

/// How long to leave a lock that somebody else holds alone.
const RETRY: Duration = Duration::from_millis(100);

struct Scheduler<'scope, 'env> {
    context: &'env BuildContext<'env>,
    scope: &'scope Scope<'scope, 'env>,
    sender: Sender<Message>,
    goals: Vec<Goal>,
    by_key: FxHashMap<Key, GoalId>,
    loaded: FxHashMap<StorePath, Arc<Loaded>>,
    awake: VecDeque<GoalId>,
    /// By name, so that the order in which things are built is the same every time.
    builds: BTreeMap<(String, GoalId), Job>,
    fetches: VecDeque<Job>,
    /// Builds that found a lock or no user, and when to try again.
    later: Vec<(Instant, Job, Option<Activity>)>,
    running_builds: usize,
    running_fetches: usize,
    failures: Vec<(StorePath, BuildError)>,
    /// Failures that the user has been told.
    told: BTreeSet<String>,
    counts: Counts,
    activities: Activities,
    stopping: bool,
    targets: Vec<Target>,
    mode: BuildMode,
}

#[derive(Default)]
struct Counts {
    built: u64,
    failed_builds: u64,
    expected_builds: u64,
    fetched: u64,
    failed_fetches: u64,
    expected_fetches: u64,
}

struct Activities {
    _all: Activity,
    builds: Activity,
    fetches: Activity,
}

impl Activities {
    fn start() -> Self {
        let all = Activity::start(Level::Error, ActivityKind::Realise, "", &[]);
        let below = |kind| Activity::start_below(all.id(), Level::Error, kind, "", &[]);
        let builds = below(ActivityKind::Builds);
        let fetches = below(ActivityKind::CopyPaths);
        Self {
            _all: all,
            builds,
            fetches,
        }
    }
}

impl<'scope, 'env> Scheduler<'scope, 'env> {
    fn new(
        context: &'env BuildContext<'env>,
        scope: &'scope Scope<'scope, 'env>,
        sender: Sender<Message>,
    ) -> Self {
        Self {
            context,
            scope,
            sender,
            goals: Vec::new(),
            by_key: FxHashMap::default(),
            loaded: FxHashMap::default(),
            awake: VecDeque::new(),
            builds: BTreeMap::new(),
            fetches: VecDeque::new(),
            later: Vec::new(),
            running_builds: 0,
            running_fetches: 0,
            failures: Vec::new(),
            told: BTreeSet::new(),
            counts: Counts::default(),
            activities: Activities::start(),
            stopping: false,
            targets: Vec::new(),
            mode: BuildMode::Normal,
        }
    }

    fn store(&self) -> &'env dyn Backend {
        self.context.store
    }

    fn show(&self, path: &StorePath) -> String {
        self.store().dir().display(path).to_string()
    }

    fn run(
        &mut self,
        targets: &[Target],
        mode: BuildMode,
        receiver: &Receiver<Message>,
    ) -> Outcome {
        let started = Instant::now();
        self.targets = targets.to_vec();
        self.mode = mode;
        let tops: Vec<GoalId> = (0..targets.len())
            .map(|number| self.goal(Key::Target(number)))
            .collect();
        loop {
            while let Some(goal) = self.awake.pop_front() {
                if self.goals[goal].result.is_none() && !self.stopping {
                    self.advance(goal);
                }
            }
            if tops.iter().all(|&top| self.goals[top].result.is_some()) && !self.busy() {
                break;
            }
            if self.context.cancel.is_set() {
                self.stop();
            }
            self.retry_later();
            self.start_jobs();
            self.flush_if_due();
            self.collect_if_due();
            self.report();
            if !self.busy() && self.later.is_empty() && self.awake.is_empty() {
                // Nothing runs and nothing can: what is left waits for itself.
                break;
            }
            if self.awake.is_empty() {
                self.wait(receiver);
            }
        }
        self.report();
        let results = tops.iter().zip(targets).map(|(&top, target)| {
            let result = self.goals[top].result.take().unwrap_or_else(|| {
                Err(if self.stopping {
                    BuildError::new(FailureKind::Cancelled, "stopped after another failure")
                } else {
                    BuildError::misc(format!(
                        "'{}' depends on itself",
                        target.show(self.context.store)
                    ))
                })
            });
            (target.clone(), result)
        });
        Outcome {
            targets: results.collect(),
            failures: std::mem::take(&mut self.failures),
            built: self.counts.built,
            fetched: self.counts.fetched,
            duration: started.elapsed(),
        }
    }

    fn busy(&self) -> bool {
        self.running_builds + self.running_fetches > 0
    }

    /// Lets running jobs come to an end and starts no others.
    fn stop(&mut self) {
        if !self.stopping {
            self.stopping = true;
            self.context.cancel.cancel();
        }
        self.builds.clear();
        self.fetches.clear();
        self.later.clear();
    }

    fn wait(&mut self, receiver: &Receiver<Message>) {
        let timeout = self
            .later
            .iter()
            .map(|(when, ..)| when.saturating_duration_since(Instant::now()))
            .min()
            .unwrap_or(Duration::from_secs(1));
        match receiver.recv_timeout(timeout) {
            Ok(message) => {
                self.receive(message);
                // Whatever else has come meanwhile is handled in the same round.
                while let Ok(message) = receiver.try_recv() {
                    self.receive(message);
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Built(goal, job, result) => {
                self.running_builds -= 1;
                match result {
                    Ok(Attempt::Built(outputs)) => {
                        self.counts.built += 1;
                        self.finish(goal, Ok(outputs));
                    }
                    Ok(Attempt::AlreadyValid(outputs)) => self.finish(goal, Ok(outputs)),
                    Ok(attempt) => self.postpone(*job, &attempt),
                    Err(error) => {
                        if error.kind != FailureKind::Cancelled {
                            self.counts.failed_builds += 1;
                        }
                        self.fail(goal, error);
                    }
                }
            }
            Message::Fetched(goal, result) => {
                self.running_fetches -= 1;
                if let Err(error) = self.fetched(goal, result) {
                    self.fail(goal, error);
                }
            }
            Message::Lost(goal, place) => {
                match place {
                    Place::Build => self.running_builds -= 1,
                    Place::Fetch => self.running_fetches -= 1,
                }
                let error = "its thread could not be started, or has ended unexpectedly";
                self.fail(goal, BuildError::misc(error));
            }
        }
    }

    fn postpone(&mut self, job: Job, attempt: &Attempt) {
        if self.stopping {
            return;
        }
        let Job::Build(_, _, path, ..) = &job else {
            return;
        };
        let shown = self.show(path);
        let text = match attempt {
            Attempt::NoUser => format!("waiting for a free build user ID for '{shown}'"),
            _ => format!("waiting for lock on the outputs of '{shown}'"),
        };
        let activity = Activity::start(Level::Warn, ActivityKind::BuildWaiting, text, &[]);
        self.later
            .push((Instant::now() + RETRY, job, Some(activity)));
    }

    fn retry_later(&mut self) {
        let now = Instant::now();
        let (ready, waiting) = std::mem::take(&mut self.later)
            .into_iter()
            .partition(|(when, ..)| *when <= now);
        self.later = waiting;
        for (_, job, activity) in ready {
            drop(activity);
            self.queue_build(job);
        }
    }

    pub(super) fn queue_build(&mut self, job: Job) {
        if let Job::Build(goal, _, path, ..) = &job {
            self.builds.insert((path.name().to_owned(), *goal), job);
        }
    }

    fn start_jobs(&mut self) {
        if self.stopping {
            return;
        }
        let settings = self.context.settings;
        while self.running_builds < settings.max_jobs.0 as usize
            && let Some((_, job)) = self.builds.pop_first()
        {
            self.running_builds += 1;
            self.spawn(job);
        }
        let most = (settings.max_substitution_jobs as usize).max(1);
        while self.running_fetches < most
            && let Some(job) = self.fetches.pop_front()
        {
            self.running_fetches += 1;
            self.spawn(job);
        }
    }

    fn spawn(&self, job: Job) {
        let context = self.context;
        let (goal, place) = match &job {
            Job::Build(goal, ..) => (*goal, Place::Build),
            Job::Fetch(goal, _) => (*goal, Place::Fetch),
        };
        let teller = Teller {
            sender: self.sender.clone(),
            goal,
            place,
            has_told: false,
        };
        let work = move || {
            let message = match job {
                Job::Build(goal, loaded, path, mode, sources) => {
                    let result = run_build(context, &loaded, &path, mode, &sources);
                    let job = Job::Build(goal, loaded, path, mode, sources);
                    Message::Built(goal, Box::new(job), result)
                }
                Job::Fetch(goal, fetch) => Message::Fetched(goal, run_fetch(context, &fetch)),
            };
            teller.tell(message);
        };
        // Without a thread the job is dropped, and its teller tells so.
        let _ = std::thread::Builder::new().spawn_scoped(self.scope, work);
    }

    /// Lets what was built be registered, beside the work.
    fn flush_if_due(&mut self) {
        let store = self.context.store;
        if store.flush_is_due() {
            let flush = move || {
                // A failure comes up again at the end of the run.
                let _ = store.flush();
            };
            // Without a thread it happens at the end of the run.
            let _ = std::thread::Builder::new().spawn_scoped(self.scope, flush);
        }
    }

    /// Looks after the disk, beside the work.
    fn collect_if_due(&mut self) {
        let store = self.context.store;
        if self.busy() && store.collection_is_due() {
            let collect = move || store.collect_garbage();
            // Without a thread there is another occasion.
            let _ = std::thread::Builder::new().spawn_scoped(self.scope, collect);
        }
    }

    fn report(&self) {
        let counts = &self.counts;
        self.activities.builds.progress(
            counts.built,
            counts.expected_builds.max(counts.built),
            self.running_builds as u64,
            counts.failed_builds,
        );
        self.activities.fetches.progress(
            counts.fetched,
            counts.expected_fetches.max(counts.fetched),
            self.running_fetches as u64,
            counts.failed_fetches,
        );
    }

    /// The goal for a key, made and woken if there is none.
    fn goal(&mut self, key: Key) -> GoalId {
        if let Some(&goal) = self.by_key.get(&key) {
            return goal;
        }
        let goal = self.goals.len();
        self.goals.push(Goal {
            key: key.clone(),
            stage: Stage::Start,
            waiting_for: 0,
            failed: 0,
            needs: Vec::new(),
            waiters: Vec::new(),
            result: None,
        });
        self.by_key.insert(key, goal);
        self.awake.push_back(goal);
        goal
    }

    /// Lets a goal wait for others; it wakes at `stage` when all are finished.
    fn need(&mut self, goal: GoalId, stage: Stage, keys: impl IntoIterator<Item = Key>) {
        let needs: Vec<GoalId> = keys.into_iter().map(|key| self.goal(key)).collect();
        let mut unfinished = 0;
        let mut failed = 0;
        for &need in &needs {
            match &self.goals[need].result {
                None => {
                    unfinished += 1;
                    self.goals[need].waiters.push(goal);
                }
                Some(Err(_)) => failed += 1,
                Some(Ok(_)) => {}
            }
        }
        let this = &mut self.goals[goal];
        this.stage = stage;
        this.needs = needs;
        this.waiting_for = unfinished;
        this.failed = failed;
        if unfinished == 0 {
            self.awake.push_back(goal);
        }
    }

    fn finish(&mut self, goal: GoalId, result: Result<Made, BuildError>) {
        if self.goals[goal].result.is_some() {
            return;
        }
        let failed = result.is_err();
        self.goals[goal].result = Some(result);
        if let Key::Build(path, _) = &self.goals[goal].key {
            progress::logger().build_ended(&self.show(path), !failed);
        }
        for waiter in std::mem::take(&mut self.goals[goal].waiters) {
            let waiting = &mut self.goals[waiter];
            if waiting.result.is_some() {
                continue;
            }
            waiting.waiting_for -= 1;
            waiting.failed += usize::from(failed);
            // One failure is enough, unless the rest is wanted all the same.
            let enough = failed && !self.context.settings.keep_going;
            if waiting.waiting_for == 0 || enough {
                self.awake.push_back(waiter);
            }
        }
        if failed
            && !self.context.settings.keep_going
            && matches!(self.goals[goal].key, Key::Target(_))
        {
            self.stop();
        }
    }

    /// Whether some build waits for what a goal builds.
    fn is_for_another_build(&self, goal: GoalId) -> bool {
        let mut waiters = self.goals[goal].waiters.clone();
        while let Some(waiter) = waiters.pop() {
            match &self.goals[waiter].key {
                Key::Build(..) => return true,
                // Outputs hand on what their builds say.
                Key::Output(..) | Key::Dynamic(..) => {
                    waiters.extend(&self.goals[waiter].waiters);
                }
                Key::Path(..) | Key::Target(_) => {}
            }
        }
        false
    }

    /// A goal fails by itself.
    fn fail(&mut self, goal: GoalId, error: BuildError) {
        let path = match &self.goals[goal].key {
            Key::Build(path, _) | Key::Path(path, _) | Key::Output(path, ..) => Some(path.clone()),
            Key::Target(_) | Key::Dynamic(..) => None,
        };
        let quiet = matches!(
            error.kind,
            FailureKind::Cancelled
                | FailureKind::DependencyFailed
                | FailureKind::NoSubstituters
                | FailureKind::Substitution
        );
        if let Some(path) = path
            && !quiet
        {
            self.failures.push((path, error.clone()));
        }
        // What nothing else is built for is told by whoever wanted it.
        if matches!(self.goals[goal].key, Key::Build(..))
            && error.kind != FailureKind::Cancelled
            && self.is_for_another_build(goal)
            && self.told.insert(error.message.clone())
        {
            progress::error(&error.message);
        }
        self.finish(goal, Err(error));
    }
}

fn run_build(
    context: &BuildContext<'_>,
    loaded: &Loaded,
    path: &StorePath,
    mode: BuildMode,
    sources: &BTreeSet<StorePath>,
) -> Result<Attempt, BuildError> {
    let mut derivation = loaded.derivation.basic.clone();
    derivation.input_sources.clone_from(sources);
    let request = BuildRequest {
        derivation_path: path.clone(),
        derivation,
        options: loaded.options.clone(),
        kind: loaded.kind,
        inputs: context.store.closure(sources)?,
        mode,
    };
    build(context, &request)
}

/// A path that no cache could give.
fn not_found(kind: FailureKind, store: &dyn Backend, path: &StorePath) -> BuildError {
    let path = store.dir().display(path);
    BuildError::new(
        kind,
        format!("path '{path}' is required, but there is no substituter that can build it"),
    )
}

fn run_fetch(context: &BuildContext<'_>, fetch: &Fetch) -> Result<Found, BuildError> {
    let store = context.store;
    let failed = |error: crate::build::BackendError| {
        if context.cancel.is_set() {
            BuildError::cancelled()
        } else {
            BuildError::new(FailureKind::Substitution, error.to_string())
        }
    };
    match fetch {
        Fetch::Find(path) => Ok(match store.find_substitute(path).map_err(failed)? {
            Some(references) => Found::References(references),
            None => Found::Nothing,
        }),
        Fetch::Path(path, repair) => {
            let kind = match store.substitute(path, *repair).map_err(failed)? {
                Fetched::Done => return Ok(Found::Path(path.clone())),
                Fetched::Nowhere => FailureKind::NoSubstituters,
                Fetched::Failed => FailureKind::Substitution,
            };
            Err(not_found(kind, store, path))
        }
        Fetch::Realisation(derivation, output) => {
            let found = store.find_realisation(derivation, output).map_err(failed)?;
            Ok(found.map_or(Found::Nothing, Found::Path))
        }
    }
}
