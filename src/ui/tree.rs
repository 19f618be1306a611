//! The tree of builds on a terminal: what runs, what has just ended, and what waits for it.
//!
//! ```text
//! top  waits for 5
//! ├─ ⏵ step-3 (buildPhase) 2 s: compiling file3.c  ← step-5
//! ├─ ⏵ step-6 (unpackPhase)
//! ├─ ✗ broken  failed after 3 s
//! └─ ✔ step-4  4 s
//! ```
//!
//! What waits with only one thing below it has no line of its own: it stands behind that thing, after an arrow.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::columns::{clip, columns_of};

/// What ended well is shown for so long, if there is room.
const RECENT: Duration = Duration::from_secs(8);
/// So many failures have a line; all are counted, and named in the end.
const FAILURES: usize = 3;
/// From this age on it is said how long something has been at work.
const LONG: Duration = Duration::from_secs(2);

/// Builds and what they wait for.
#[derive(Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    by_path: BTreeMap<String, usize>,
}

struct Node {
    name: String,
    needs: Vec<usize>,
    /// The build that waits for this one and below which it is drawn.
    wanted_by: Option<usize>,
    state: State,
    /// Whether it is built in this run; what others need may be there already.
    planned: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running(Instant),
    Done(Instant, Duration),
    Failed(Instant, Duration),
    /// Over before it began: a dependency failed, or somebody else has built it.
    Past,
}

/// What a running build says of itself.
pub(super) struct Words<'a> {
    pub(super) phase: &'a str,
    pub(super) line: &'a str,
}

/// How a piece of a line is to be painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// As text usually is.
    Plain,
    /// What matters less.
    Dim,
    /// What went well.
    Good,
    /// What went wrong.
    Bad,
}

/// A line in pieces.
pub(super) type Pieces = Vec<(Look, String)>;

impl Tree {
    /// A build is known, with the builds that it waits for.
    pub(super) fn plan(&mut self, path: &str, needs: &[String]) {
        let node = self.node(path);
        self.nodes[node].planned = true;
        for need in needs {
            let need = self.node(need);
            if need == node {
                continue;
            }
            self.nodes[node].needs.push(need);
            // A build hangs below whatever is nearest to it of all that wait for it.
            let nearer = match self.nodes[need].wanted_by {
                None => !self.hangs_below(node, need),
                Some(above) => self.hangs_below(node, above) && !self.hangs_below(node, need),
            };
            if nearer {
                self.nodes[need].wanted_by = Some(node);
            }
        }
    }

    /// A build is at work.
    pub(super) fn start(&mut self, path: &str, now: Instant) {
        let node = self.node(path);
        self.nodes[node].planned = true;
        self.nodes[node].state = State::Running(now);
    }

    /// A build has ended.
    pub(super) fn end(&mut self, path: &str, good: bool, now: Instant) {
        let node = self.node(path);
        let took = match self.nodes[node].state {
            State::Running(since) => now.duration_since(since),
            _ => {
                self.nodes[node].state = State::Past;
                return;
            }
        };
        self.nodes[node].state = if good {
            State::Done(now, took)
        } else {
            State::Failed(now, took)
        };
    }

    /// Nothing is known any more.
    pub(super) fn clear(&mut self) {
        *self = Tree::default();
    }

    /// Whether there is more to draw than a line could hold.
    pub(super) fn is_worth_drawing(&self) -> bool {
        self.nodes
            .iter()
            .filter(|node| node.planned)
            .nth(1)
            .is_some()
            && self
                .nodes
                .iter()
                .any(|node| matches!(node.state, State::Running(_)))
    }

    fn node(&mut self, path: &str) -> usize {
        if let Some(&node) = self.by_path.get(path) {
            return node;
        }
        self.nodes.push(Node {
            name: super::status::short_path(path),
            needs: Vec::new(),
            wanted_by: None,
            state: State::Waiting,
            planned: false,
        });
        self.by_path.insert(path.to_owned(), self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// Whether a node is `above`, or drawn somewhere below it.
    fn hangs_below(&self, node: usize, above: usize) -> bool {
        let mut at = Some(node);
        while let Some(one) = at {
            if one == above {
                return true;
            }
            at = self.nodes[one].wanted_by;
        }
        false
    }

    /// What deserves a line, at most `room` of it, most telling first.
    fn chosen(&self, now: Instant, room: usize) -> (Vec<usize>, usize) {
        let mut running = Vec::new();
        let mut failed = Vec::new();
        let mut done = Vec::new();
        for (number, node) in self.nodes.iter().enumerate() {
            match node.state {
                State::Waiting => {}
                State::Running(since) => running.push((since, number)),
                State::Failed(when, _) => failed.push((when, number)),
                // What has been used up says nothing any more.
                State::Done(when, _)
                    if now.duration_since(when) < RECENT
                        && node
                            .wanted_by
                            .is_none_or(|above| self.nodes[above].state == State::Waiting) =>
                {
                    done.push((when, number));
                }
                State::Done(..) | State::Past => {}
            }
        }
        running.sort_unstable();
        failed.sort_unstable();
        done.sort_unstable();
        let at_work = running.len();
        let mut all: Vec<usize> = running.into_iter().map(|(_, number)| number).collect();
        all.extend(
            failed
                .into_iter()
                .rev()
                .take(FAILURES)
                .map(|(_, number)| number),
        );
        all.extend(done.into_iter().rev().map(|(_, number)| number));
        all.truncate(room);
        let unseen = at_work.saturating_sub(room);
        (all, unseen)
    }

    /// The lines at a moment, at most `room`.
    pub(super) fn lines<'a>(
        &'a self,
        now: Instant,
        room: usize,
        words: &dyn Fn(&str) -> Option<Words<'a>>,
    ) -> Vec<Pieces> {
        let mut wanted = room;
        // What waits takes lines too, so fewer things are chosen until all fits.
        while wanted > 0 {
            let (chosen, unseen) = self.chosen(now, wanted);
            let lines = self.drawn(&chosen, unseen, now, words);
            if lines.len() <= room {
                return lines;
            }
            wanted -= 1;
        }
        Vec::new()
    }

    fn drawn<'a>(
        &'a self,
        chosen: &[usize],
        unseen: usize,
        now: Instant,
        words: &dyn Fn(&str) -> Option<Words<'a>>,
    ) -> Vec<Pieces> {
        let paths: BTreeMap<usize, &str> = self
            .by_path
            .iter()
            .map(|(path, &number)| (number, path.as_str()))
            .collect();
        let mut children: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut roots: Vec<usize> = Vec::new();
        let mut shown = BTreeSet::new();
        for &leaf in chosen {
            let mut at = leaf;
            // Every node hangs where it was wanted first.
            while shown.insert(at) {
                match self.nodes[at].wanted_by {
                    Some(above) => {
                        children.entry(above).or_default().push(at);
                        at = above;
                    }
                    None => roots.push(at),
                }
            }
        }
        let mut lines = Vec::new();
        // What is still to be drawn: a node, what stands before it, and before what is below it.
        let mut waiting: Vec<(usize, String, String)> = Vec::new();
        for &root in roots.iter().rev() {
            waiting.push((root, String::new(), String::new()));
        }
        while let Some((top, first, rest)) = waiting.pop() {
            let mut node = top;
            let mut above: Vec<usize> = Vec::new();
            loop {
                let below = children.get(&node).map_or(&[][..], Vec::as_slice);
                match below {
                    [only] if self.nodes[node].state == State::Waiting => {
                        above.push(node);
                        node = *only;
                    }
                    _ => break,
                }
            }
            let mut line = vec![(Look::Dim, first)];
            self.describe(
                &mut line,
                node,
                paths.get(&node).and_then(|path| words(path)),
                now,
            );
            if let Some(&nearest) = above.last() {
                let mut text = format!("  ← {}", self.nodes[nearest].name);
                if above.len() > 1 {
                    text += &format!(" ← {} more", above.len() - 1);
                }
                line.push((Look::Dim, text));
            }
            lines.push(line);
            let below = children.get(&node).map_or(&[][..], Vec::as_slice);
            for (number, &child) in below.iter().enumerate().rev() {
                let last = number + 1 == below.len();
                let (branch, trunk) = if last {
                    ("└─ ", "   ")
                } else {
                    ("├─ ", "│  ")
                };
                waiting.push((child, format!("{rest}{branch}"), format!("{rest}{trunk}")));
            }
        }
        if unseen > 0 {
            lines.push(vec![(Look::Dim, format!("… and {unseen} more at work"))]);
        }
        lines
    }

    fn describe(&self, line: &mut Pieces, number: usize, words: Option<Words<'_>>, now: Instant) {
        let node = &self.nodes[number];
        match node.state {
            State::Past => line.push((Look::Dim, format!("{}  not built", node.name))),
            State::Waiting => {
                let open = |&&need: &&usize| {
                    let need = &self.nodes[need];
                    need.planned && matches!(need.state, State::Waiting | State::Running(_))
                };
                let count = node.needs.iter().filter(open).count();
                line.push((Look::Dim, format!("{}  waits for {count}", node.name)));
            }
            State::Running(since) => {
                let mut text = format!("⏵ {}", node.name);
                let words = words.unwrap_or(Words {
                    phase: "",
                    line: "",
                });
                if !words.phase.is_empty() {
                    text += &format!(" ({})", words.phase);
                }
                let age = now.duration_since(since);
                if age >= LONG {
                    text += &format!(" {}", super::status::duration(age.as_secs()));
                }
                line.push((Look::Plain, text));
                if !words.line.is_empty() {
                    line.push((Look::Dim, format!(": {}", words.line)));
                }
            }
            State::Done(_, took) => {
                line.push((Look::Good, format!("✔ {}", node.name)));
                line.push((
                    Look::Dim,
                    format!("  {}", super::status::duration(took.as_secs())),
                ));
            }
            State::Failed(_, took) => {
                let took = super::status::duration(took.as_secs());
                line.push((Look::Bad, format!("✗ {}  failed after {took}", node.name)));
            }
        }
    }
}

/// A line cut to the terminal, in colour or not.
pub(super) fn paint(line: &Pieces, columns: usize, colours: bool) -> String {
    let mut left = columns;
    let mut painted = String::new();
    for (look, text) in line {
        let whole = columns_of(text) <= left;
        let shown = clip(text, left);
        left = left.saturating_sub(columns_of(&shown));
        let code = match look {
            Look::Plain => None,
            Look::Dim => Some("2"),
            Look::Good => Some("32"),
            Look::Bad => Some("31;1"),
        };
        match code.filter(|_| colours && !shown.is_empty()) {
            Some(code) => painted += &format!("\x1b[{code}m{shown}\x1b[0m"),
            None => painted += &shown,
        }
        if !whole {
            break;
        }
    }
    painted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> String {
        format!("/nix/store/00000000000000000000000000000000-{name}.drv")
    }

    fn plan(tree: &mut Tree, name: &str, needs: &[&str]) {
        let needs: Vec<String> = needs.iter().map(|need| path(need)).collect();
        tree.plan(&path(name), &needs);
    }

    fn shown(tree: &Tree, now: Instant, room: usize) -> Vec<String> {
        let words = |of: &str| {
            of.contains("-a.").then_some(Words {
                phase: "buildPhase",
                line: "cc a.c",
            })
        };
        let lines = tree.lines(now, room, &words);
        lines.iter().map(|line| paint(line, 60, false)).collect()
    }

    #[test]
    fn running_and_ended_builds_hang_below_what_waits_for_them() {
        let mut tree = Tree::default();
        let start = Instant::now();
        plan(&mut tree, "top", &["a", "b", "c", "e", "mid"]);
        plan(&mut tree, "mid", &["d"]);
        plan(&mut tree, "d", &["a"]);
        assert!(!tree.is_worth_drawing());
        for name in ["a", "b", "c", "e"] {
            tree.start(&path(name), start);
        }
        let later = start + Duration::from_secs(3);
        tree.end(&path("b"), false, later);
        tree.end(&path("c"), true, later);
        assert!(tree.is_worth_drawing());
        assert_eq!(
            shown(&tree, later, 9),
            [
                "top  waits for 3",
                "├─ ⏵ a (buildPhase) 3 s: cc a.c  ← d ← 1 more",
                "├─ ⏵ e 3 s",
                "├─ ✗ b  failed after 3 s",
                "└─ ✔ c  3 s",
            ]
        );
        assert_eq!(shown(&tree, later + RECENT, 9).len(), 4);
        assert_eq!(
            shown(&tree, later, 2),
            [
                "⏵ a (buildPhase) 3 s: cc a.c  ← d ← 2 more",
                "… and 1 more at work"
            ]
        );
    }

    #[test]
    fn a_circle_in_what_is_told_is_no_endless_tree() {
        let mut tree = Tree::default();
        let now = Instant::now();
        plan(&mut tree, "x", &["y", "x"]);
        plan(&mut tree, "y", &["x"]);
        tree.start(&path("y"), now);
        assert_eq!(shown(&tree, now, 5), ["⏵ y  ← x"]);
    }

    #[test]
    fn a_deep_chain_is_drawn_within_the_room_there_is() {
        let mut tree = Tree::default();
        let now = Instant::now();
        for level in 0..2000 {
            plan(
                &mut tree,
                &format!("n{level}"),
                &[&format!("n{}", level + 1), &format!("m{level}")],
            );
        }
        tree.start(&path("n2000"), now);
        for level in [3, 500, 1000, 1999] {
            tree.start(&path(&format!("m{level}")), now);
        }
        let lines = shown(&tree, now, 4);
        assert!((1..=4).contains(&lines.len()), "{lines:?}");
    }

    #[test]
    fn lines_are_cut_and_painted() {
        let line = vec![
            (Look::Plain, "abc".to_owned()),
            (Look::Dim, "defg".to_owned()),
        ];
        assert_eq!(paint(&line, 7, false), "abcdefg");
        assert_eq!(paint(&line, 5, false), "abcd…");
        assert_eq!(paint(&line, 3, false), "abc");
        assert_eq!(paint(&line, 7, true), "abc\x1b[2mdefg\x1b[0m");
    }
}
