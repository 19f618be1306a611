//! Watching calls: `trace-function-calls`, `NIX_COUNT_CALLS`, `eval-profiler`.
//!
//! While somebody watches, a call is evaluated inside of what calls it, also where it would otherwise take its caller's
//! place, so that the end of it is seen.

use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustc_hash::FxHashMap;
use rx_lang::symbol::{self, Symbol, known};
use rx_store::progress::{self, Level};

use crate::builtins::Builtin;
use crate::code::LambdaCode;
use crate::error::Result;
use crate::source::Pos;
use crate::value::Value;
use crate::value::function::FunctionView;
use crate::vm::Vm;

/// Who watches the calls of one evaluator thread. That somebody does has an effect of its own: errors name every call.
#[derive(Debug, Default)]
pub struct Watch {
    /// Every call and its end are told.
    pub trace: bool,
    /// Calls are counted.
    pub counts: Option<Counts>,
    /// The stack of calls is sampled.
    pub profile: Option<Profile>,
}

/// How often things were used.
#[derive(Debug, Default)]
pub struct Counts {
    /// Calls of builtins, by their names.
    pub builtins: FxHashMap<&'static str, u64>,
    /// Calls of functions, by where they stand.
    pub functions: FxHashMap<Pos, (Option<Symbol>, u64)>,
    /// Selections of attributes, by where they are defined.
    pub attributes: FxHashMap<Pos, u64>,
}

impl Counts {
    pub(crate) fn lambda(&mut self, code: &LambdaCode) {
        self.functions.entry(code.pos).or_insert((code.name, 0)).1 += 1;
    }

    pub(crate) fn builtin(&mut self, builtin: &Builtin) {
        *self.builtins.entry(builtin.name).or_default() += 1;
    }

    pub(crate) fn attribute(&mut self, pos: Pos) {
        *self.attributes.entry(pos).or_default() += 1;
    }
}

/// A call on the stack: what is called, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Frame {
    Function(Option<Symbol>, Pos),
    Builtin(&'static str, Pos),
    Derivation(Box<[u8]>, Pos),
    Functor(Pos),
    Other(Pos),
}

/// Stacks of calls and how often each was found; written as lines that flame graphs are made of.
pub struct Profile {
    to: Box<dyn Write + Send>,
    interval: Duration,
    stack: Vec<Frame>,
    samples: FxHashMap<Box<[Frame]>, u64>,
    sampled: Instant,
    written: Instant,
    failed: Option<io::Error>,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile")
            .field("interval", &self.interval)
            .field("stack", &self.stack.len())
            .finish_non_exhaustive()
    }
}

/// Time after which samples are written, so that they do not pile up.
const WRITE_INTERVAL: Duration = Duration::from_secs(2);

impl Profile {
    /// A profile with so many samples a second, or one at every call for 0.
    pub fn new(to: Box<dyn Write + Send>, frequency: u32) -> Profile {
        let interval = match frequency {
            0 => Duration::ZERO,
            frequency => Duration::from_secs(1) / frequency,
        };
        Profile {
            to,
            interval,
            stack: Vec::new(),
            samples: FxHashMap::default(),
            sampled: Instant::now(),
            written: Instant::now(),
            failed: None,
        }
    }

    /// Says whether it is time to write.
    fn enter(&mut self, frame: Frame) -> bool {
        self.stack.push(frame);
        let now = Instant::now();
        if now.duration_since(self.sampled) >= self.interval {
            match self.samples.get_mut(&self.stack[..]) {
                Some(count) => *count += 1,
                None => drop(self.samples.insert(self.stack.as_slice().into(), 1)),
            }
            self.sampled = now;
        }
        now.duration_since(self.written) >= WRITE_INTERVAL
    }
}

impl Vm {
    /// From now on this thread's calls are watched.
    pub fn watch(&mut self, watch: Watch) {
        self.watch = Some(Box::new(watch));
    }

    /// Who watches.
    pub fn watching(&self) -> Option<&Watch> {
        self.watch.as_deref()
    }

    /// Writes what is left of the profile.
    ///
    /// # Errors
    /// The first thing that went wrong with writing.
    pub fn finish_profile(&mut self) -> io::Result<()> {
        self.write_samples();
        let profile = self.watch.as_mut().and_then(|watch| watch.profile.as_mut());
        match profile {
            Some(profile) => {
                profile.failed.take().map_or(Ok(()), Err)?;
                profile.to.flush()
            }
            None => Ok(()),
        }
    }

    /// Calls a function while somebody watches.
    #[cold]
    #[inline(never)]
    pub(crate) fn call_watched(
        &mut self,
        function: Value,
        arguments: &[Value],
        pos: Pos,
    ) -> Result {
        let function = self.force(function)?;
        self.watched(function, arguments, pos, |vm| {
            vm.call_at(function, arguments, pos)
        })
    }

    /// Runs what a call does, with all who watch told of it. The arguments may be left out where they are not known yet.
    #[cold]
    #[inline(never)]
    pub(crate) fn watched(
        &mut self,
        function: Value,
        arguments: &[Value],
        pos: Pos,
        run: impl FnOnce(&mut Vm) -> Result,
    ) -> Result {
        let told = |watch: &Watch| watch.trace || watch.profile.is_some();
        if !self.watch.as_deref().is_some_and(told) {
            return self.deeper(run);
        }
        let frame = self.frame_of(function, arguments, pos);
        let (Frame::Function(_, at)
        | Frame::Builtin(_, at)
        | Frame::Derivation(_, at)
        | Frame::Functor(at)
        | Frame::Other(at)) = frame;
        self.tell("entered", at);
        let write = match self.profile() {
            Some(profile) => profile.enter(frame),
            None => false,
        };
        if write {
            self.write_samples();
        }
        let result = self.deeper(run);
        if let Some(profile) = self.profile() {
            profile.stack.pop();
        }
        self.tell("exited", at);
        result
    }

    fn profile(&mut self) -> Option<&mut Profile> {
        self.watch.as_mut()?.profile.as_mut()
    }

    fn tell(&self, what: &str, pos: Pos) {
        if self.watch.as_ref().is_some_and(|watch| watch.trace) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let at = self.ev.describe_pos(pos);
            progress::log(
                Level::Info,
                format_args!(
                    "function-trace {what} {} at {}",
                    String::from_utf8_lossy(&at),
                    now.unwrap_or_default().as_nanos()
                ),
            );
        }
    }

    fn frame_of(&mut self, function: Value, arguments: &[Value], pos: Pos) -> Frame {
        let Some(callee) = function.as_function() else {
            let functor = function.as_attrs().map(|set| set.pos(known::FUNCTOR));
            return match functor {
                Some(functor) => Frame::Functor(pos.or(functor)),
                None => Frame::Other(pos),
            };
        };
        let callee = match callee.view() {
            FunctionView::Partial(partial) => partial.function(),
            _ => callee,
        };
        match callee.view() {
            // One that a builtin calls is shown where it stands.
            FunctionView::Lambda(code, _) => Frame::Function(code.name, pos.or(code.pos)),
            FunctionView::Builtin(builtin) => {
                if builtin.name == "derivationStrict"
                    && let Some(name) = self.derivation_name(arguments)
                {
                    return Frame::Derivation(name, pos);
                }
                Frame::Builtin(builtin.name, pos)
            }
            FunctionView::Partial(_) => Frame::Other(pos),
        }
    }

    /// The `name` of a derivation that is about to be made. What is wrong with it is said by who makes it.
    fn derivation_name(&mut self, arguments: &[Value]) -> Option<Box<[u8]>> {
        let set = self.force(*arguments.first()?).ok()?;
        let name = set.as_attrs()?.get(known::NAME)?;
        let name = self.force(name).ok()?;
        Some(name.as_str()?.as_bytes().into())
    }

    fn write_samples(&mut self) {
        let Some(profile) = self.watch.as_mut().and_then(|watch| watch.profile.as_mut()) else {
            return;
        };
        let mut shown: FxHashMap<Pos, Vec<u8>> = FxHashMap::default();
        let mut lines = Vec::new();
        for (stack, count) in profile.samples.drain() {
            for (index, frame) in stack.iter().enumerate() {
                if index > 0 {
                    lines.push(b';');
                }
                let mut place = |pos: Pos| {
                    shown
                        .entry(pos)
                        .or_insert_with(|| self.ev.describe_pos(pos))
                        .clone()
                };
                let pos_and_colon = |pos: Pos, place: Vec<u8>| match pos.is_none() {
                    true => Vec::new(),
                    false => [&place[..], b":"].concat(),
                };
                match frame {
                    Frame::Function(name, pos) => {
                        lines.extend(place(*pos));
                        if let Some(name) = name {
                            lines.push(b':');
                            lines.extend_from_slice(symbol::name(*name));
                        }
                    }
                    Frame::Builtin(name, pos) => {
                        lines.extend(pos_and_colon(*pos, place(*pos)));
                        lines.extend_from_slice(b"primop ");
                        lines.extend_from_slice(name.as_bytes());
                    }
                    Frame::Derivation(name, pos) => {
                        lines.extend(pos_and_colon(*pos, place(*pos)));
                        lines.extend_from_slice(b"primop derivationStrict:");
                        lines.extend_from_slice(name);
                    }
                    Frame::Functor(pos) => {
                        lines.extend(place(*pos));
                        lines.extend_from_slice(b":functor");
                    }
                    Frame::Other(pos) => lines.extend(place(*pos)),
                }
            }
            lines.extend(format!(" {count}\n").into_bytes());
        }
        if let Err(error) = profile.to.write_all(&lines) {
            profile.failed.get_or_insert(error);
        }
        profile.written = Instant::now();
    }
}
