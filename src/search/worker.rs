//! A process that scans attributes for another.
//!
//! An evaluation never gives memory back, so a large set is scanned by processes that end when they have grown: that
//! bounds the memory, uses all processors, and keeps an attribute that kills its evaluator from ending the search. A
//! worker is the same command line once more, which the environment tells so; a *plan* and attribute paths come on its
//! standard input, answers leave on its standard output.

use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rx_eval::Value;
use rx_eval::track::InputLog;
use rx_lang::symbol;
use rx_store::interrupt;

use super::crew;
use super::roots::{Opened, Root};
use super::scan::{self, Depth, Found};
use super::wire::{self, Answer, NewInput, Reader};
use crate::cli::{EvalOptions, Invocation};
use crate::eval_session::{EvalSession, with_tracking_session};
use crate::ui::Failure;

/// Says that a process is a worker.
const WORKER: &str = "RX_SEARCH_WORKER";
/// Bytes of values after which a worker ends: the fewest and the most. To begin again costs half a second; beside the
/// values there is half as much again (code, inputs, names).
const ENOUGH: (usize, usize) = (256 << 20, 448 << 20);
/// Names another number of bytes.
const ENOUGH_VARIABLE: &str = "RX_SEARCH_MEMORY";

/// The frame that tells a worker what it has to know: the root, and the inputs that are in the base.
pub(super) fn plan(root: &Root, base: &[NewInput]) -> io::Result<Vec<u8>> {
    let mut plan = Vec::new();
    wire::put_root(&mut plan, root);
    wire::put_inputs(&mut plan, base);
    let mut frame = Vec::new();
    wire::write_frame(&mut frame, &plan)?;
    Ok(frame)
}

/// If this process is a worker, works until nothing is left to do, and says so.
pub(super) fn serve(invocation: &Invocation, options: &EvalOptions) -> Result<bool, Failure> {
    if std::env::var_os(WORKER).is_none() {
        return Ok(false);
    }
    end_with_the_search();
    let mut tasks = BufReader::new(io::stdin().lock());
    let plan = wire::read_frame(&mut tasks)?.unwrap_or_default();
    let mut plan = Reader(&plan);
    let (Some(root), Some(base)) = (wire::get_root(&mut plan), wire::get_inputs(&mut plan)) else {
        return Err(Failure::message("the plan of this worker cannot be read"));
    };
    let log = InputLog::new(base.into_iter().map(|new| new.input));
    with_tracking_session(invocation, options, log.clone(), |session| {
        let opened = root.open(session)?;
        let prefix = root.prefix().len();
        let mut told = 0;
        let mut answers = BufWriter::with_capacity(1 << 20, io::stdout().lock());
        let enough = enough();
        let mut goes_on = true;
        while goes_on && let Some(task) = wire::read_frame(&mut tasks)? {
            let Some(path) = wire::get_path(&mut Reader(&task)) else {
                break;
            };
            let (found, more) = scan_path(session, &opened, prefix, &path, Depth::Few)?;
            let inputs = new_inputs(&log, &mut told);
            let answer = Answer {
                inputs,
                path,
                found,
                more,
            };
            wire::write_frame(&mut answers, &answer.to_bytes())?;
            // One answer is given in any case: the next worker would come no farther.
            goes_on = session.vm.heap.allocated() < enough;
            // Whoever has given more tasks does not wait for this one.
            if tasks.buffer().is_empty() {
                answers.flush()?;
            }
        }
        answers.flush()?;
        Ok(())
    })?;
    Ok(true)
}

/// Ends this process when the one that gives the tasks is gone, whatever is being evaluated.
fn end_with_the_search() {
    let watch = || {
        let stdin = io::stdin();
        loop {
            // Nothing is asked for, so that only the other end's going is told.
            let mut fds = [PollFd::new(&stdin, PollFlags::empty())];
            match poll(&mut fds, None) {
                Ok(_) => std::process::exit(1),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    };
    // Without it a worker ends when it has come to the end of its task.
    let _ = std::thread::Builder::new().spawn(watch);
}

/// Bytes of values after which a worker ends: all of them together take a quarter of the machine's memory.
fn enough() -> usize {
    let given = std::env::var(ENOUGH_VARIABLE).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let share = crate::machine::memory() / 4 / crew::workers();
        share.clamp(ENOUGH.0, ENOUGH.1)
    })
}

/// The inputs that a log got since the last time.
pub(super) fn new_inputs(log: &InputLog, told: &mut usize) -> Vec<NewInput> {
    let new = log.inputs_from(*told);
    *told += new.len();
    new.into_iter()
        .map(|(input, state, base)| NewInput { input, state, base })
        .collect()
}

/// Scans what is at an attribute path of an open root: what was found, and the names in a set of many. What is not
/// there is nothing.
pub(super) fn scan_path(
    session: &mut EvalSession,
    root: &Opened,
    prefix: usize,
    path: &[Vec<u8>],
    depth: Depth,
) -> Result<(Vec<Found>, Vec<Vec<u8>>), Failure> {
    let (value, within) = value_at(session, root, path.get(prefix..).unwrap_or_default())?;
    let scanned = match value {
        Some(value) => scan::scan(&mut session.vm, value, path, within, depth),
        None => return Ok((vec![Found::nothing(path)], Vec::new())),
    };
    session.check(scanned)
}

/// What is at these names in a root, unevaluated, and the sets on the way to it.
pub(super) fn value_at(
    session: &mut EvalSession,
    root: &Opened,
    names: &[Vec<u8>],
) -> Result<(Option<Value>, Vec<Value>), Failure> {
    let attrs = match root {
        Opened::One(value) => return Ok((Some(*value), Vec::new())),
        Opened::Set(attrs) => attrs,
    };
    let vm = &mut session.vm;
    let mut names = names.iter();
    let mut within = Vec::new();
    let mut value = names
        .next()
        .and_then(|name| attrs.get(symbol::intern(name)));
    for name in names {
        let set = match value {
            // The sets on the way are other attributes' business, with their inputs.
            Some(value) => vm.with_inputs(|vm| vm.force(value)).0,
            None => break,
        };
        value = match set {
            Ok(set) => {
                within.push(set);
                set.as_attrs()
                    .and_then(|attrs| attrs.get(symbol::intern(name)))
            }
            Err(error) if error.is_passing() => return Err(session.failure(error)),
            Err(_) => None,
        };
    }
    Ok((value, within))
}

/// The other end: a worker that is given attribute paths.
pub(super) struct Worker {
    child: Child,
    tasks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a worker.
    pub(super) fn start(plan: &[u8]) -> io::Result<Worker> {
        let mut args = std::env::args_os();
        let name = args.next().unwrap_or_else(|| "rx".into());
        let mut child = Command::new(std::env::current_exe()?)
            .arg0(name)
            .args(args)
            .env(WORKER, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(tasks), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a worker without pipes"));
        };
        let mut worker = Worker {
            child,
            tasks,
            answers: BufReader::with_capacity(1 << 20, answers),
        };
        worker.tasks.write_all(plan)?;
        Ok(worker)
    }

    /// Gives it an attribute path to scan; says whether it could be told.
    pub(super) fn tell(&mut self, path: &[Vec<u8>]) -> bool {
        let (mut task, mut frame) = (Vec::new(), Vec::new());
        wire::put_path(&mut task, path);
        wire::write_frame(&mut frame, &task)
            .and_then(|()| self.tasks.write_all(&frame))
            .is_ok()
    }

    /// What it has found at the first path that it has not answered yet; nothing if it has ended, or the user wants the
    /// search to end.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        if self.answers.buffer().is_empty() {
            wait_for(self.answers.get_ref())?;
        }
        let answer = wire::read_frame(&mut self.answers).ok()??;
        Answer::from_bytes(&answer)
    }
}

/// Waits until a worker says something or ends; nothing after an interrupt.
fn wait_for(answers: &ChildStdout) -> Option<()> {
    let wake = interrupt::descriptor();
    let mut fds = vec![PollFd::new(answers, PollFlags::IN)];
    fds.extend(wake.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
    loop {
        if interrupt::is_set() {
            return None;
        }
        match poll(&mut fds, None) {
            Ok(_) if fds[0].revents().is_empty() => {}
            Err(Errno::INTR) => {}
            Ok(_) | Err(_) => return Some(()),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It has nothing that could be lost.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
