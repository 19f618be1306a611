//! What has been found so far, on disk: an interrupted build goes on from there.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use rx_eval::track::Check;
use rx_store::progress;

use super::draft::{AttrPath, Draft};
use super::scan::Found;
use super::wire::{self, Answer, NewInput, Reader};

/// What has been found so far, on disk: the base, then one frame for each attribute.
pub(super) struct Journal {
    file: BufWriter<File>,
}

impl Journal {
    pub(super) fn begin(path: &Path, draft: &Draft) -> Option<Journal> {
        let file = File::create(path).ok()?;
        let mut journal = Journal {
            file: BufWriter::with_capacity(1 << 20, file),
        };
        let mut head = Vec::new();
        wire::put_inputs(&mut head, &draft.inputs);
        wire::write_frame(&mut journal.file, &head).ok()?;
        Some(journal)
    }

    pub(super) fn go_on(path: &Path) -> Option<Journal> {
        let file = OpenOptions::new().append(true).open(path).ok()?;
        Some(Journal {
            file: BufWriter::with_capacity(1 << 20, file),
        })
    }

    /// Adds what was found at an attribute; inputs from `new` on are new.
    pub(super) fn add(&mut self, draft: &Draft, new: usize, path: AttrPath) {
        let answer = Answer {
            inputs: draft.inputs[new..].to_vec(),
            found: draft.found.get(&path).cloned().unwrap_or_default(),
            more: draft.split.get(&path).cloned().unwrap_or_default(),
            path,
        };
        // Without a journal nothing is lost but time.
        let _ = wire::write_frame(&mut self.file, &answer.to_bytes());
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.file.flush();
    }
}

/// Takes what an earlier build had found, if it had the same base; what has changed since is left out.
pub(super) fn resume(journal: &Path, draft: &mut Draft) -> Option<()> {
    let file = File::open(journal).ok()?;
    let mut from = BufReader::with_capacity(1 << 20, file);
    let head = wire::read_frame(&mut from).ok()??;
    let base = wire::get_inputs(&mut Reader(&head))?;
    let size = journal.metadata().ok()?.len();
    let old_base: Vec<&NewInput> = base.iter().filter(|new| new.base).collect();
    let same = old_base.len() == draft.inputs.len()
        && old_base
            .iter()
            .zip(&draft.inputs)
            .all(|(a, b)| a.input == b.input && a.state.contents == b.state.contents);
    if !same {
        return None;
    }
    let mut old = Draft::new(draft.prefix.clone());
    let mut known: Vec<u32> = base.into_iter().map(|new| old.number(new)).collect();
    let mut frames = 0;
    let mut end = wire::frame_size(&head);
    while let Ok(Some(frame)) = wire::read_frame(&mut from) {
        end += wire::frame_size(&frame);
        old.take(Answer::from_bytes(&frame)?, &mut known);
        frames += 1;
    }
    let changed: Vec<bool> = old
        .inputs
        .iter_mut()
        .map(|new| match new.input.check(new.state) {
            Check::Same => false,
            Check::Touched(state) => {
                new.state = state;
                false
            }
            Check::Changed => !new.base,
        })
        .collect();
    let unusable = |found: &[Found]| {
        found.iter().any(|one| {
            one.inputs
                .iter()
                .any(|&input| changed.get(input as usize).copied().unwrap_or(true))
        })
    };
    let all = old.found.len();
    old.forget(unusable);
    progress::talkative(format_args!(
        "going on with an index of which {} attributes were done",
        old.found.len()
    ));
    let whole = end == size && frames == all && old.found.len() == all && !changed.contains(&true);
    *draft = old;
    // A journal with frames that do not count any more is written anew.
    whole.then_some(()).or_else(|| {
        rewrite(journal, draft)?;
        Some(())
    })
}

fn rewrite(file: &Path, draft: &Draft) -> Option<()> {
    let mut base = Draft::default();
    for new in &draft.inputs {
        base.number(new.clone());
    }
    let mut journal = Journal::begin(file, &base)?;
    for path in draft.found.keys() {
        journal.add(draft, draft.inputs.len(), path.clone());
    }
    Some(())
}
