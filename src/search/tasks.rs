//! The attribute paths that are left to scan, shared by those who hand them to workers.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::draft::AttrPath;

/// How long at most somebody waits before he looks again whether the work is to end.
const TURN: Duration = Duration::from_millis(100);

/// Tasks, of which each may turn out to be many.
#[derive(Default)]
pub(super) struct Tasks {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    left: VecDeque<AttrPath>,
    /// How many are taken, and neither done nor given back.
    taken: usize,
}

impl Tasks {
    pub(super) fn new(tasks: Vec<AttrPath>) -> Tasks {
        Tasks {
            state: Mutex::new(State {
                left: tasks.into(),
                taken: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// How many are not done.
    pub(super) fn unfinished(&self) -> usize {
        let state = self.state.lock();
        state.left.len() + state.taken
    }

    /// The next task. Waits as long as others have some, of which more may come; nothing if none can come.
    pub(super) fn take(&self, is_over: impl Fn() -> bool) -> Option<AttrPath> {
        let mut state = self.state.lock();
        loop {
            if is_over() {
                return None;
            }
            if let Some(task) = state.left.pop_front() {
                state.taken += 1;
                return Some(task);
            }
            if state.taken == 0 {
                return None;
            }
            self.changed.wait_for(&mut state, TURN);
        }
    }

    /// One more task for somebody who has `held`, if there are so many that nobody else goes without.
    pub(super) fn take_more(&self, held: usize) -> Option<AttrPath> {
        let mut state = self.state.lock();
        if state.left.len() <= held * 4 {
            return None;
        }
        let task = state.left.pop_front()?;
        state.taken += 1;
        Some(task)
    }

    /// A task is done; the ones that it consists of are next.
    pub(super) fn done(&self, more: Vec<AttrPath>) {
        let mut state = self.state.lock();
        state.taken -= 1;
        state.put_first(more);
        drop(state);
        self.changed.notify_all();
    }

    /// Tasks are not done after all, and come next.
    pub(super) fn give_back(&self, tasks: Vec<AttrPath>) {
        let mut state = self.state.lock();
        state.taken -= tasks.len();
        state.put_first(tasks);
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing is to be done any more.
    pub(super) fn clear(&self) {
        self.state.lock().left.clear();
    }
}

impl State {
    fn put_first(&mut self, tasks: Vec<AttrPath>) {
        for task in tasks.into_iter().rev() {
            self.left.push_front(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> AttrPath {
        vec![name.into()]
    }

    #[test]
    fn whoever_has_nothing_waits_for_what_a_task_of_another_consists_of() {
        let tasks = Tasks::new(vec![path("set")]);
        let set = tasks.take(|| false).unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| tasks.take(|| false));
            let more = vec![[set, path("a")].concat()];
            tasks.done(more);
            assert_eq!(other.join().unwrap().unwrap().len(), 2);
        });
        assert_eq!(tasks.unfinished(), 1);
        tasks.done(Vec::new());
        assert_eq!(tasks.take(|| false), None);
    }

    #[test]
    fn what_is_given_back_comes_next_and_the_last_tasks_are_shared() {
        let names = ["a", "b", "c", "d", "e", "f"];
        let tasks = Tasks::new(names.map(path).to_vec());
        let first = tasks.take(|| false).unwrap();
        let second = tasks.take_more(1).unwrap();
        assert_eq!(tasks.take_more(1), None);
        tasks.give_back(vec![first.clone(), second]);
        assert_eq!(tasks.take(|| true), None);
        assert_eq!(tasks.take(|| false), Some(first));
        tasks.clear();
        tasks.done(Vec::new());
        assert_eq!(tasks.take(|| false), None);
    }
}
