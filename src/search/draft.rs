//! An index in the making: what was found so far, by attribute path.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use rx_eval::track::{Input, State};

use super::scan::Found;
use super::wire::{Answer, NewInput};
use super::{Index, popularity};

/// The names from the root to an attribute.
pub(super) type AttrPath = Vec<Vec<u8>>;

/// An index in the making.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) inputs: Vec<NewInput>,
    numbers: FxHashMap<Input, u32>,
    /// What was found at each attribute of the root. Below a set of many attributes, what was found at each of those.
    pub(super) found: BTreeMap<AttrPath, Vec<Found>>,
    /// The sets of many attributes, with their names.
    pub(super) split: BTreeMap<AttrPath, Vec<Vec<u8>>>,
    pub(super) prefix: AttrPath,
    /// The root is no set: the only attribute is the root itself.
    pub(super) alone: bool,
}

impl Draft {
    /// Nothing is found yet in a root of this path.
    pub(super) fn new(prefix: AttrPath) -> Draft {
        Draft {
            prefix,
            ..Draft::default()
        }
    }

    /// The number of an input. One that was seen in two states has none that counts.
    pub(super) fn number(&mut self, new: NewInput) -> u32 {
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
    pub(super) fn take(&mut self, answer: Answer, known: &mut Vec<u32>) {
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
        if !answer.more.is_empty() {
            self.split.insert(answer.path.clone(), answer.more);
        }
        self.found.insert(answer.path, found);
    }

    /// Forgets what was found where that cannot be used, and below.
    pub(super) fn forget(&mut self, unusable: impl Fn(&[Found]) -> bool) {
        let mut above: Option<AttrPath> = None;
        self.found.retain(|path, found| {
            let is_below = above.as_ref().is_some_and(|above| path.starts_with(above));
            if !is_below && unusable(found) {
                above = Some(path.clone());
                return false;
            }
            !is_below
        });
        self.split.retain(|path, _| self.found.contains_key(path));
    }

    /// Which of these tasks are left, and what is left below those that are done.
    pub(super) fn left_of(&self, tasks: Vec<AttrPath>) -> Vec<AttrPath> {
        let below = self.split.iter().flat_map(|(path, names)| {
            names
                .iter()
                .map(|name| [path.as_slice(), std::slice::from_ref(name)].concat())
        });
        let mut left: Vec<AttrPath> = tasks.into_iter().chain(below).collect();
        left.retain(|task| !self.found.contains_key(task));
        left
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
        for (path, found) in joined(self.found, self.prefix.len() + 1) {
            // The root itself has no name in itself.
            let above = if self.alone {
                path[..path.len().saturating_sub(1)].join(&b'.')
            } else {
                prefix.clone()
            };
            index.push_found(&above, &found);
        }
        popularity::note(&mut index);
        index
    }
}

/// What was found at each attribute of the root, whose paths have so many names, in one piece with all below it.
fn joined(found: BTreeMap<AttrPath, Vec<Found>>, depth: usize) -> Vec<(AttrPath, Vec<Found>)> {
    let mut all: Vec<(AttrPath, Vec<Found>)> = Vec::new();
    // Where the sets stand in the last of them that are found apart from what is in them.
    let mut places: FxHashMap<AttrPath, u32> = FxHashMap::default();
    // A path comes before those below it.
    for (path, found) in found {
        if path.len() <= depth {
            places.clear();
            places.insert(path.clone(), 0);
            all.push((path, found));
            continue;
        }
        let (Some((_, whole)), Some(&set)) = (all.last_mut(), places.get(&path[..path.len() - 1]))
        else {
            continue;
        };
        let base = whole.len() as u32;
        places.insert(path, base);
        whole.extend(found.into_iter().map(|one| Found {
            parent: Some(one.parent.map_or(set, |inner| base + inner)),
            ..one
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::scan::Body;
    use super::*;

    fn path(text: &str) -> AttrPath {
        text.split('.')
            .map(|name| name.as_bytes().to_vec())
            .collect()
    }

    fn one(parent: Option<u32>, name: &str, body: Body, inputs: &[u32]) -> Found {
        Found {
            parent,
            name: name.into(),
            body,
            inputs: inputs.to_vec(),
        }
    }

    fn answer(at: &str, found: Vec<Found>, more: &[&str]) -> Answer {
        Answer {
            inputs: Vec::new(),
            path: path(at),
            found,
            more: more.iter().map(|name| name.as_bytes().to_vec()).collect(),
        }
    }

    /// `s` is a set that was found apart from `s.a`, which is a set with `x`, and from `s.b`.
    fn sample() -> Draft {
        let mut draft = Draft::default();
        let mut known = vec![0, 1];
        let answers = [
            answer("s.b", vec![one(None, "b", Body::Nothing, &[1])], &[]),
            answer("s", vec![one(None, "s", Body::Set, &[0])], &["a", "b", "c"]),
            answer("t", vec![one(None, "t", Body::Nothing, &[])], &[]),
            answer(
                "s.a",
                vec![
                    one(None, "a", Body::Set, &[]),
                    one(Some(0), "x", Body::Nothing, &[]),
                ],
                &[],
            ),
        ];
        for answer in answers {
            draft.take(answer, &mut known);
        }
        draft
    }

    #[test]
    fn what_was_found_apart_is_put_together() {
        let whole = joined(sample().found, 1);
        assert_eq!(whole.len(), 2);
        let parents: Vec<_> = whole[0].1.iter().map(|one| one.parent).collect();
        assert_eq!(parents, [None, Some(0), Some(1), Some(0)]);
        assert_eq!(whole[1].0, path("t"));
    }

    #[test]
    fn what_is_left_is_what_was_not_found_in_sets_of_many_either() {
        let mut draft = sample();
        assert_eq!(
            draft.left_of(vec![path("s"), path("u")]),
            [path("u"), path("s.c")]
        );
        draft.forget(|found| found.iter().any(|one| one.inputs.contains(&1)));
        assert_eq!(draft.left_of(vec![path("s")]), [path("s.b"), path("s.c")]);
        draft.forget(|found| found.iter().any(|one| one.inputs.contains(&0)));
        assert_eq!(draft.left_of(vec![path("s")]), [path("s")]);
        assert_eq!(draft.found.len(), 1);
    }
}
