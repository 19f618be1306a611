//! What runs on this machine beside a test, and waiting for it: never without an end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything is waited for. Nothing takes so long, however busy a machine is.
const LONGEST: Duration = Duration::from_secs(120);

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < LONGEST, "not to be seen: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for the end of a child; nothing if it does not come.
pub fn end_of(child: &mut Child) -> Option<ExitStatus> {
    let started = Instant::now();
    while started.elapsed() < LONGEST {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Waits until a child listens to a signal, so that it does not die of it.
#[track_caller]
pub fn until_it_listens(child: &Child, signal: Signal) {
    let file = format!("/proc/{}/status", child.id());
    let bit = 1u64 << (signal.as_raw() - 1);
    until("that it listens to the signal", || {
        let status = fs::read_to_string(&file).unwrap_or_default();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        caught.is_none_or(|mask| mask & bit != 0)
    });
}

/// Sends a signal to a child.
pub fn tell(child: &Child, signal: Signal) {
    let _ = kill_process(pid(i32::try_from(child.id()).unwrap()), signal);
}

fn pid(number: i32) -> Pid {
    Pid::from_raw(number).expect("no process has the number zero")
}

/// The directories of all processes but this one.
fn all() -> impl Iterator<Item = (i32, PathBuf)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        (number != rustix::process::getpid().as_raw_pid()).then(|| (number, entry.path()))
    })
}

fn mentions(file: &Path, text: &[u8]) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text))
}

/// Processes that have a text among their arguments.
pub fn with_argument(text: &str) -> Vec<i32> {
    all()
        .filter(|(_, place)| mentions(&place.join("cmdline"), text.as_bytes()))
        .map(|(number, _)| number)
        .collect()
}

/// Processes that belong to a directory, by where they are, their arguments or their variables, and all that they have
/// started.
pub fn of_directory(dir: &Path) -> BTreeSet<i32> {
    let text = dir.as_os_str().as_encoded_bytes();
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let mut todo = Vec::new();
    for (number, place) in all() {
        // Behind the name, which is in parentheses: the state, and the parent.
        let stat = fs::read_to_string(place.join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        children
            .entry(parent.unwrap_or(0))
            .or_default()
            .push(number);
        let is_there = || fs::read_link(place.join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
        if is_there()
            || mentions(&place.join("cmdline"), text)
            || mentions(&place.join("environ"), text)
        {
            todo.push(number);
        }
    }
    let mut found = BTreeSet::new();
    while let Some(number) = todo.pop() {
        if found.insert(number) {
            todo.extend(children.remove(&number).into_iter().flatten());
        }
    }
    found
}

/// What a process is called with, for people.
pub fn line_of(number: i32) -> String {
    let line = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// Ends a process at once.
pub fn kill(number: i32) {
    let _ = kill_process(pid(number), Signal::KILL);
}
