//! The graph of goals: what must be valid before what, and who works on it now.
//!
//! ```text
//! Target  outputs of a derivation      needs Output for each
//! Output  one output                   valid? -> a cache has it? -> needs Build
//! Build   one derivation               needs Output and Path of its inputs, then a job
//! Path    a path as it is              valid? -> a cache has it? -> fails
//! ```
//!
//! One thread owns the graph and never waits for anything but messages; jobs (builds and downloads)
//! run in threads of their own, as many as the user allows. A goal that is ready but finds its
//! outputs locked by another process goes back to the queue without taking a place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::Scope;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::BuildMode;
use super::backend::Backend;
use super::error::{BuildError, FailureKind};
use super::job::{Attempt, BuildContext, BuildRequest, build, known_output_list};
use super::options::Options;
use crate::derivation::{Derivation, Kind};
use crate::path::StorePath;
use crate::progress::{self, Activity, ActivityKind, Level};

/// Something to realise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A path as it is.
    Path(StorePath),
    /// Outputs of a derivation; none named means all.
    Outputs {
        /// The derivation.
        derivation: StorePath,
        /// The outputs.
        outputs: Option<BTreeSet<String>>,
    },
}

/// How a run ended, target by target.
#[derive(Debug)]
pub struct Outcome {
    /// What each target became: outputs, or why there are none.
    pub targets: Vec<(Target, Result<BTreeMap<String, StorePath>, BuildError>)>,
    /// Every derivation or path that failed by itself, not through another.
    pub failures: Vec<(StorePath, BuildError)>,
    /// Derivations that were built.
    pub built: u64,
    /// Paths that were fetched.
    pub fetched: u64,
}

impl Outcome {
    /// The one error that stands for all failures, if there are any.
    pub fn into_result(self, store: &dyn Backend) -> Result<(), RunError> {
        let failed: Vec<_> = self
            .targets
            .into_iter()
            .filter_map(|(target, result)| result.err().map(|error| (target, error)))
            .collect();
        let kinds = failed
            .iter()
            .map(|(_, error)| error.kind)
            .chain(self.failures.iter().map(|(_, error)| error.kind));
        let code = super::error::exit_code(kinds);
        if failed
            .iter()
            .any(|(_, error)| error.kind == FailureKind::Cancelled)
            && crate::interrupt::is_set()
        {
            return Err(RunError {
                code,
                kind: FailureKind::Cancelled,
                message: BuildError::cancelled().message,
            });
        }
        match failed.as_slice() {
            [] => Ok(()),
            [(_, error)] => Err(RunError {
                code,
                kind: error.kind,
                message: error.message.clone(),
            }),
            several => {
                let mut names = Vec::new();
                for (target, error) in several {
                    // What another target's failure has stopped has nothing to say of its own.
                    if error.kind == FailureKind::Cancelled {
                        continue;
                    }
                    progress::log(Level::Error, format!("error: {}", error.message));
                    names.push(format!("'{}'", target.show(store)));
                }
                Err(RunError {
                    code,
                    kind: FailureKind::Misc,
                    message: format!("build of {} failed", names.join(", ")),
                })
            }
        }
    }
}

/// A run that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct RunError {
    /// The exit code that tells what kind of failures there were.
    pub code: u8,
    /// The kind of the one failure, or `Misc` for several.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
}

impl Target {
    fn show(&self, store: &dyn Backend) -> String {
        match self {
            Self::Path(path) => store.dir().display(path).to_string(),
            Self::Outputs {
                derivation,
                outputs,
            } => {
                let names = match outputs {
                    None => "*".to_owned(),
                    Some(names) => names.iter().cloned().collect::<Vec<_>>().join(","),
                };
                format!("{}!{names}", store.dir().display(derivation))
            }
        }
    }
}

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
}

type GoalId = usize;

/// What a finished goal has made.
type Made = BTreeMap<String, StorePath>;

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
    /// The derivation that it resolves to is being realised.
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
    builds: VecDeque<Job>,
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
            builds: VecDeque::new(),
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
        for (_, job, activity) in Vec::from(ready) {
            drop(activity);
            self.builds.push_back(job);
        }
    }

    fn start_jobs(&mut self) {
        if self.stopping {
            return;
        }
        let settings = self.context.settings;
        while self.running_builds < settings.max_jobs.0 as usize
            && let Some(job) = self.builds.pop_front()
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
        let sender = self.sender.clone();
        let parent = self.activities.builds.id();
        self.scope.spawn(move || {
            let message = progress::within(parent, || match job {
                Job::Build(goal, loaded, path, mode, sources) => {
                    let result = run_build(context, &loaded, &path, mode, &sources);
                    let job = Job::Build(goal, loaded, path, mode, sources);
                    Message::Built(goal, Box::new(job), result)
                }
                Job::Fetch(goal, fetch) => Message::Fetched(goal, run_fetch(context, &fetch)),
            });
            // The scheduler outlives its jobs.
            let _ = sender.send(message);
        });
    }

    /// Lets what was built be registered, beside the work.
    fn flush_if_due(&mut self) {
        let store = self.context.store;
        if store.flush_is_due() {
            self.scope.spawn(move || {
                // A failure comes up again at the end of the run.
                let _ = store.flush();
            });
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

    /// A goal fails by itself.
    fn fail(&mut self, goal: GoalId, error: BuildError) {
        let path = match &self.goals[goal].key {
            Key::Build(path, _) | Key::Path(path, _) | Key::Output(path, ..) => Some(path.clone()),
            Key::Target(_) => None,
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
        self.finish(goal, Err(error));
    }

    fn advance(&mut self, goal: GoalId) {
        let result = match self.goals[goal].key.clone() {
            Key::Target(number) => self.advance_target(goal, number),
            Key::Output(path, output, mode) => self.advance_output(goal, &path, &output, mode),
            Key::Build(path, mode) => self.advance_build(goal, &path, mode),
            Key::Path(path, repair) => self.advance_path(goal, &path, repair),
        };
        if let Err(error) = result {
            self.fail(goal, error);
        }
    }

    /// The first failure among what a goal needs.
    fn first_error(&self, goal: GoalId) -> Option<BuildError> {
        self.goals[goal]
            .needs
            .iter()
            .find_map(|&need| match &self.goals[need].result {
                Some(Err(error)) => Some(error.clone()),
                _ => None,
            })
    }

    /// A valid derivation, read once; nothing if it is not in the store.
    fn load(&mut self, path: &StorePath) -> Result<Option<Arc<Loaded>>, BuildError> {
        if let Some(loaded) = self.loaded.get(path) {
            return Ok(Some(Arc::clone(loaded)));
        }
        if !self.store().is_valid(path)? {
            return Ok(None);
        }
        let derivation = self.store().derivation(path)?;
        let explain = |error: &dyn std::fmt::Display| {
            BuildError::misc(format!(
                "{error}\nwhile parsing derivation '{}'",
                self.show(path)
            ))
        };
        let kind = derivation.kind().map_err(|error| explain(&error))?;
        let options =
            Options::of(&derivation, self.store().dir()).map_err(|error| explain(&error))?;
        let loaded = Arc::new(Loaded {
            derivation,
            options,
            kind,
        });
        self.loaded.insert(path.clone(), Arc::clone(&loaded));
        Ok(Some(loaded))
    }

    fn advance_target(&mut self, goal: GoalId, number: usize) -> Result<(), BuildError> {
        let mode = self.mode;
        if let Some(error) = self.first_error(goal) {
            self.finish(goal, Err(error));
            return Ok(());
        }
        if self.goals[goal].stage == Stage::Last {
            let mut made = Made::new();
            for &need in &self.goals[goal].needs {
                if let Some(Ok(outputs)) = &self.goals[need].result {
                    made.extend(outputs.clone());
                }
            }
            self.finish(goal, Ok(made));
            return Ok(());
        }
        let keys = match self.targets[number].clone() {
            Target::Path(path) => vec![Key::Path(path, mode == BuildMode::Repair)],
            Target::Outputs {
                derivation,
                outputs: Some(outputs),
            } => outputs
                .into_iter()
                .map(|output| Key::Output(derivation.clone(), output, mode))
                .collect(),
            // Which outputs there are is known when the derivation is.
            Target::Outputs { derivation, .. } => match self.load(&derivation)? {
                Some(loaded) => loaded
                    .derivation
                    .outputs
                    .keys()
                    .map(|output| Key::Output(derivation.clone(), output.clone(), mode))
                    .collect(),
                None => {
                    self.need(goal, Stage::Derivation, [Key::Path(derivation, false)]);
                    return Ok(());
                }
            },
        };
        self.need(goal, Stage::Last, keys);
        Ok(())
    }

    fn advance_output(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        output: &str,
        mode: BuildMode,
    ) -> Result<(), BuildError> {
        let stage = self.goals[goal].stage;
        if stage == Stage::Substitute {
            return self.conclude_substitution(goal, path, output, mode);
        }
        if let Some(error) = self.first_error(goal) {
            self.finish(goal, Err(error));
            return Ok(());
        }
        if stage == Stage::Last {
            return self.conclude_output(goal, path, output);
        }
        let Some(loaded) = self.load(path)? else {
            self.need(goal, Stage::Derivation, [Key::Path(path.clone(), false)]);
            return Ok(());
        };
        self.check_features(loaded.kind)?;
        let Some(declared) = loaded.derivation.outputs.get(output) else {
            return Err(BuildError::misc(format!(
                "derivation '{}' does not have wanted outputs '{output}'",
                self.show(path)
            )));
        };
        let build = Key::Build(path.clone(), mode);
        if loaded.kind.is_impure() {
            self.need(goal, Stage::Last, [build]);
            return Ok(());
        }
        let known = declared
            .path(self.store().dir(), &loaded.derivation.name, output)
            .map_err(BuildError::misc)?;
        let known = match known {
            Some(known) => Some(known),
            None => self.store().realisation(path, output)?,
        };
        if let Some(known) = &known {
            self.store().add_temporary_root(known)?;
            let valid = self.store().is_valid(known)?;
            match mode {
                BuildMode::Normal if valid => {
                    let made = Made::from([(output.to_owned(), known.clone())]);
                    self.finish(goal, Ok(made));
                    return Ok(());
                }
                BuildMode::Repair if valid && self.store().contents_are_good(known)? => {
                    let keys = self.damaged_requisites(path, known)?;
                    if keys.is_empty() {
                        let made = Made::from([(output.to_owned(), known.clone())]);
                        self.finish(goal, Ok(made));
                    } else {
                        self.need(goal, Stage::Last, keys);
                    }
                    return Ok(());
                }
                BuildMode::Check if !valid => return Err(self.nothing_to_check(path)),
                _ => {}
            }
        } else if mode == BuildMode::Check {
            return Err(self.nothing_to_check(path));
        }
        let settings = self.context.settings;
        let may_fetch = settings.substitute
            && mode != BuildMode::Check
            && (loaded.options.allow_substitutes || settings.always_allow_substitutes);
        if !may_fetch {
            self.need(goal, Stage::Last, [build]);
            return Ok(());
        }
        match known {
            Some(known) => {
                let key = Key::Path(known, mode == BuildMode::Repair);
                self.need(goal, Stage::Substitute, [key]);
            }
            None => self.queue_fetch(goal, Fetch::Realisation(path.clone(), output.to_owned())),
        }
        Ok(())
    }

    /// After the attempt to fetch an output: done, or it must be built.
    fn conclude_substitution(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        output: &str,
        mode: BuildMode,
    ) -> Result<(), BuildError> {
        let Some(error) = self.first_error(goal) else {
            let fetched = self.goals[goal].needs.iter().find_map(|&need| {
                match (&self.goals[need].key, &self.goals[need].result) {
                    (Key::Path(path, _), Some(Ok(_))) => Some(path.clone()),
                    _ => None,
                }
            });
            let fetched =
                fetched.ok_or_else(|| BuildError::misc("some outputs are unexpectedly invalid"))?;
            if self
                .loaded
                .get(path)
                .is_some_and(|l| !l.kind.has_known_output_paths())
            {
                self.store().register_realisation(path, output, &fetched)?;
            }
            self.finish(goal, Ok(Made::from([(output.to_owned(), fetched)])));
            return Ok(());
        };
        // That no cache has it is normal; that one has it and cannot give it must be accepted.
        if error.kind == FailureKind::NoSubstituters || self.context.settings.fallback {
            self.need(goal, Stage::Last, [Key::Build(path.clone(), mode)]);
            return Ok(());
        }
        if error.kind == FailureKind::Cancelled {
            return Err(error);
        }
        if self.told.insert(error.message.clone()) {
            progress::log(Level::Error, format!("error: {}", error.message));
        }
        Err(BuildError::new(
            FailureKind::Transient,
            format!(
                "some substitutes for the outputs of derivation '{}' failed (usually happens due to networking issues); try '--fallback' to build derivation from source ",
                self.show(path)
            ),
        ))
    }

    fn nothing_to_check(&self, path: &StorePath) -> BuildError {
        BuildError::misc(format!(
            "some outputs of '{}' are not valid, so checking is not possible\n\
             Hint: --rebuild and --check error if the derivation was not previously built and cannot be substituted.\n      \
             Remove it to perform a fresh build, or use --repair to rewrite missing or corrupted builds in the store.",
            self.show(path)
        ))
    }

    /// The result of an output whose derivation was built, or whose requisites were repaired.
    fn conclude_output(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        output: &str,
    ) -> Result<(), BuildError> {
        let made = self.goals[goal].needs.iter().find_map(|&need| {
            match (&self.goals[need].key, &self.goals[need].result) {
                (Key::Build(built, _), Some(Ok(made))) if built == path => {
                    made.get(output).cloned()
                }
                _ => None,
            }
        });
        let made = match made {
            Some(made) => made,
            None => self
                .known_path(path, output)?
                .ok_or_else(|| BuildError::misc("some outputs are unexpectedly invalid"))?,
        };
        self.finish(goal, Ok(Made::from([(output.to_owned(), made)])));
        Ok(())
    }

    fn known_path(
        &mut self,
        path: &StorePath,
        output: &str,
    ) -> Result<Option<StorePath>, BuildError> {
        let Some(loaded) = self.load(path)? else {
            return Ok(None);
        };
        let Some(declared) = loaded.derivation.outputs.get(output) else {
            return Ok(None);
        };
        let known = declared
            .path(self.store().dir(), &loaded.derivation.name, output)
            .map_err(BuildError::misc)?;
        Ok(match known {
            Some(known) => Some(known),
            None => self.store().realisation(path, output)?,
        })
    }

    /// What to repair in the closure of an output that is itself all right.
    fn damaged_requisites(
        &mut self,
        derivation: &StorePath,
        output: &StorePath,
    ) -> Result<Vec<Key>, BuildError> {
        let store = self.store();
        let mut closure = store.closure(&BTreeSet::from([output.clone()]))?;
        closure.remove(output);
        let mut bad = Vec::new();
        for path in closure {
            if !store.contents_are_good(&path)? {
                progress::log(
                    Level::Error,
                    format!(
                        "found corrupted or missing path '{}' in the output closure of '{}'",
                        self.show(&path),
                        self.show(derivation)
                    ),
                );
                bad.push(path);
            }
        }
        if bad.is_empty() {
            return Ok(Vec::new());
        }
        let mut makers = BTreeMap::new();
        for path in store.closure(&BTreeSet::from([derivation.clone()]))? {
            if !path.is_derivation() {
                continue;
            }
            if let Some(loaded) = self.load(&path)? {
                let names: Vec<String> = loaded.derivation.outputs.keys().cloned().collect();
                for name in names {
                    if let Some(made) = self.known_path(&path, &name)? {
                        makers.insert(made, (path.clone(), name));
                    }
                }
            }
        }
        Ok(bad
            .into_iter()
            .map(|path| match makers.get(&path) {
                Some((derivation, name)) => {
                    Key::Output(derivation.clone(), name.clone(), BuildMode::Repair)
                }
                None => Key::Path(path, true),
            })
            .collect())
    }

    fn check_features(&self, kind: Kind) -> Result<(), BuildError> {
        use crate::settings::Feature;
        let needed = if kind.is_impure() {
            Feature::ImpureDerivations
        } else if !kind.has_known_output_paths() {
            Feature::CaDerivations
        } else {
            return Ok(());
        };
        if self.context.settings.enabled(needed) {
            return Ok(());
        }
        let name = needed.name();
        Err(BuildError::misc(format!(
            "experimental Nix feature '{name}' is disabled; add '--extra-experimental-features {name}' to enable it"
        )))
    }

    fn queue_fetch(&mut self, goal: GoalId, fetch: Fetch) {
        self.goals[goal].stage = Stage::Job;
        if matches!(fetch, Fetch::Path(..)) {
            self.counts.expected_fetches += 1;
        }
        self.fetches.push_back(Job::Fetch(goal, fetch));
    }

    fn fetched(
        &mut self,
        goal: GoalId,
        result: Result<Found, BuildError>,
    ) -> Result<(), BuildError> {
        let found = result.inspect_err(|_| self.counts.failed_fetches += 1)?;
        match (self.goals[goal].key.clone(), found) {
            (Key::Path(path, _), Found::References(references)) => {
                let mut keys = Vec::new();
                for reference in references {
                    if reference != path && !self.store().is_valid(&reference)? {
                        keys.push(Key::Path(reference, false));
                    }
                }
                self.need(goal, Stage::Inputs, keys);
            }
            (Key::Path(path, _), Found::Path(_)) => {
                self.counts.fetched += 1;
                self.finish(goal, Ok(Made::from([(String::new(), path)])));
            }
            (Key::Path(path, _), Found::Nothing) => return Err(self.not_found(&path)),
            (Key::Output(..), Found::Path(path)) => {
                self.need(goal, Stage::Substitute, [Key::Path(path, false)]);
            }
            (Key::Output(path, _, mode), _) => {
                self.need(goal, Stage::Last, [Key::Build(path, mode)]);
            }
            _ => {}
        }
        Ok(())
    }

    fn not_found(&self, path: &StorePath) -> BuildError {
        BuildError::new(
            FailureKind::NoSubstituters,
            format!(
                "path '{}' is required, but there is no substituter that can build it",
                self.show(path)
            ),
        )
    }

    fn advance_path(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        repair: bool,
    ) -> Result<(), BuildError> {
        if self.goals[goal].stage == Stage::Inputs {
            if let Some(error) = self.first_error(goal) {
                let kind = match error.kind {
                    FailureKind::NoSubstituters | FailureKind::Cancelled => error.kind,
                    _ => FailureKind::Substitution,
                };
                return Err(BuildError::new(
                    kind,
                    format!(
                        "some references of path '{}' could not be realised",
                        self.show(path)
                    ),
                ));
            }
            self.queue_fetch(goal, Fetch::Path(path.clone(), repair));
            return Ok(());
        }
        self.store().add_temporary_root(path)?;
        if self.store().is_valid(path)? && !(repair && !self.store().contents_are_good(path)?) {
            self.finish(goal, Ok(Made::from([(String::new(), path.clone())])));
        } else if self.context.settings.substitute {
            self.queue_fetch(goal, Fetch::Find(path.clone()));
        } else {
            return Err(self.not_found(path));
        }
        Ok(())
    }

    fn advance_build(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        mode: BuildMode,
    ) -> Result<(), BuildError> {
        let loaded = self
            .load(path)?
            .ok_or_else(|| BuildError::misc(format!("'{}' is not valid", self.show(path))))?;
        match self.goals[goal].stage {
            Stage::Start => {
                self.counts.expected_builds += 1;
                let keys = self.input_keys(path, &loaded)?;
                self.need(goal, Stage::Inputs, keys);
            }
            Stage::Inputs => {
                let failed = self.goals[goal].failed;
                if failed > 0 {
                    return self.dependencies_failed(goal, path, &loaded);
                }
                if self.must_resolve(&loaded)? {
                    return self.resolve(goal, path, &loaded, mode);
                }
                self.check_machine(path, &loaded)?;
                let mut sources = loaded.derivation.input_sources.clone();
                for &need in &self.goals[goal].needs {
                    if let Some(Ok(made)) = &self.goals[need].result {
                        sources.extend(made.values().cloned());
                    }
                }
                self.goals[goal].stage = Stage::Job;
                self.builds
                    .push_back(Job::Build(goal, loaded, path.clone(), mode, sources));
            }
            Stage::Resolved => self.conclude_resolved(goal, path, &loaded)?,
            Stage::Derivation | Stage::Substitute | Stage::Job | Stage::Last => {}
        }
        Ok(())
    }

    fn input_keys(&self, path: &StorePath, loaded: &Loaded) -> Result<Vec<Key>, BuildError> {
        let mut keys = Vec::new();
        for (input, wanted) in &loaded.derivation.input_derivations {
            if !wanted.dynamic.is_empty() {
                return Err(BuildError::misc(format!(
                    "'{}' needs outputs of a derivation that is itself an output of '{}'; experimental Nix feature 'dynamic-derivations' is disabled",
                    self.show(path),
                    self.show(input)
                )));
            }
            for output in &wanted.outputs {
                keys.push(Key::Output(
                    input.clone(),
                    output.clone(),
                    BuildMode::Normal,
                ));
            }
        }
        for source in &loaded.derivation.input_sources {
            if self.store().is_valid(source)? {
                continue;
            }
            if !self.context.settings.substitute {
                return Err(BuildError::misc(format!(
                    "dependency '{}' of '{}' does not exist, and substitution is disabled",
                    self.show(source),
                    self.show(path)
                )));
            }
            keys.push(Key::Path(source.clone(), false));
        }
        Ok(keys)
    }

    fn dependencies_failed(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        loaded: &Loaded,
    ) -> Result<(), BuildError> {
        let mut count = 0;
        let mut errors: Vec<BuildError> = Vec::new();
        for &need in &self.goals[goal].needs {
            if let Some(Err(error)) = &self.goals[need].result {
                count += 1;
                if !errors.iter().any(|known| known.message == error.message) {
                    errors.push(error.clone());
                }
            }
        }
        // Each failure is told where it is first met on the way up.
        for error in errors {
            if error.kind != FailureKind::Cancelled && self.told.insert(error.message.clone()) {
                progress::log(Level::Error, format!("error: {}", error.message));
            }
        }
        let noun = if count == 1 {
            "dependency"
        } else {
            "dependencies"
        };
        let message = format!(
            "Cannot build '{}'.\nReason: {count} {noun} failed.{}",
            self.show(path),
            known_output_list(self.store(), &loaded.derivation)
        );
        self.fail(
            goal,
            BuildError::new(FailureKind::DependencyFailed, message),
        );
        Ok(())
    }

    /// Whether inputs are known only now, so that this is another derivation than was written.
    fn must_resolve(&mut self, loaded: &Loaded) -> Result<bool, BuildError> {
        match loaded.kind {
            Kind::InputAddressed { deferred } => Ok(deferred),
            Kind::ContentAddressed { fixed: false, .. } => {
                Ok(!loaded.derivation.input_derivations.is_empty())
            }
            Kind::ContentAddressed { fixed: true, .. } | Kind::Impure => {
                // Only if some input has no path of its own.
                for input in loaded.derivation.input_derivations.keys() {
                    if let Some(input) = self.load(input)?
                        && !input.kind.has_known_output_paths()
                    {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    fn resolve(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        loaded: &Loaded,
        mode: BuildMode,
    ) -> Result<(), BuildError> {
        let mut made = BTreeMap::new();
        for &need in &self.goals[goal].needs {
            if let (Key::Output(input, output, _), Some(Ok(paths))) =
                (&self.goals[need].key, &self.goals[need].result)
                && let Some(path) = paths.get(output)
            {
                made.insert((input.clone(), output.clone()), path.clone());
            }
        }
        let dir = self.store().dir();
        let resolved = loaded
            .derivation
            .resolve(dir, &mut |input, outputs| match outputs {
                [output] => made.get(&(input.clone(), (*output).to_owned())).cloned(),
                _ => None,
            })
            .ok_or_else(|| {
                BuildError::misc(format!("cannot resolve derivation '{}'", self.show(path)))
            })?;
        let mut resolved = Derivation::from(resolved);
        resolved.fill_in_output_paths::<BuildError>(dir, &mut |input| {
            Err(BuildError::misc(format!(
                "unexpected input derivation '{input}'"
            )))
        })?;
        let resolved_path = self.store().write_derivation(&resolved)?;
        if resolved_path == *path {
            return Err(BuildError::misc(format!(
                "derivation '{}' resolves to itself",
                self.show(path)
            )));
        }
        self.counts.expected_builds = self.counts.expected_builds.saturating_sub(1);
        let keys: Vec<Key> = resolved
            .outputs
            .keys()
            .map(|output| Key::Output(resolved_path.clone(), output.clone(), mode))
            .collect();
        self.need(goal, Stage::Resolved, keys);
        Ok(())
    }

    fn conclude_resolved(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        loaded: &Loaded,
    ) -> Result<(), BuildError> {
        if self.goals[goal].failed > 0 {
            if let Some(error) = self.first_error(goal)
                && error.kind != FailureKind::Cancelled
                && self.told.insert(error.message.clone())
            {
                progress::log(Level::Error, format!("error: {}", error.message));
            }
            let message = format!(
                "build of resolved derivation of '{}' failed",
                self.show(path)
            );
            self.fail(
                goal,
                BuildError::new(FailureKind::DependencyFailed, message),
            );
            return Ok(());
        }
        let mut made = Made::new();
        for &need in &self.goals[goal].needs {
            if let Some(Ok(outputs)) = &self.goals[need].result {
                made.extend(outputs.clone());
            }
        }
        if !loaded.kind.is_impure() {
            for (output, out_path) in &made {
                self.store().register_realisation(path, output, out_path)?;
            }
        }
        self.finish(goal, Ok(made));
        Ok(())
    }

    /// Whether this machine can and may build it.
    fn check_machine(&self, path: &StorePath, loaded: &Loaded) -> Result<(), BuildError> {
        let settings = self.context.settings;
        let mut reasons = String::new();
        if settings.max_jobs.0 == 0 {
            reasons += "\nReason: local builds are disabled (max-jobs = 0)\n\
                        Hint: set 'max-jobs' to a non-zero value to enable local builds, \
                        or configure remote builders via 'builders'";
        }
        let platform = String::from_utf8_lossy(&loaded.derivation.platform);
        if platform != settings.system.as_str()
            && !settings.extra_platforms.contains(platform.as_ref())
            && !loaded.derivation.is_builtin()
        {
            reasons += &format!(
                "\nReason: platform mismatch\nRequired system: '{platform}'\nCurrent system: '{}'",
                settings.system
            );
        }
        let mut required = loaded.options.required_system_features.clone();
        if !loaded.kind.has_known_output_paths() {
            required.insert("ca-derivations".to_owned());
        }
        let mut available = settings.system_features.clone();
        if settings.enabled(crate::settings::Feature::CaDerivations) {
            available.insert("ca-derivations".to_owned());
        }
        if required.iter().any(|feature| !available.contains(feature)) {
            let list = |features: &BTreeSet<String>| {
                features.iter().cloned().collect::<Vec<_>>().join(", ")
            };
            reasons += &format!(
                "\nReason: missing system features\nRequired features: {{{}}}\nAvailable features: {{{}}}",
                list(&required),
                list(&available)
            );
        }
        if reasons.is_empty() {
            return Ok(());
        }
        Err(BuildError::new(
            FailureKind::InputRejected,
            format!("Cannot build '{}'.{reasons}", self.show(path)),
        ))
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

fn run_fetch(context: &BuildContext<'_>, fetch: &Fetch) -> Result<Found, BuildError> {
    let store = context.store;
    let failed = |error: super::BackendError| {
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
            if store.substitute(path, *repair).map_err(failed)? {
                Ok(Found::Path(path.clone()))
            } else {
                Err(BuildError::new(
                    FailureKind::Substitution,
                    format!("path '{}' could not be fetched", store.dir().display(path)),
                ))
            }
        }
        Fetch::Realisation(derivation, output) => {
            let found = store.find_realisation(derivation, output).map_err(failed)?;
            Ok(found.map_or(Found::Nothing, Found::Path))
        }
    }
}
