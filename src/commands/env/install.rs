//! `-i`, `-e`, `--set`: packages come and go.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rx_store::path::StorePath;
use rx_store::profile::{Generations, Token, Turn};
use rx_store::progress::{self, Level};
use rx_store::store::{DerivedPath, OutputsSpec};

use super::Commit;
use super::Work;
use super::installed::{Installed, flush};
use super::item::Item;
use super::selectors::{Choice, Selector};
use super::source::is_path;
use crate::realise::{build_failure, show_missing};
use crate::store_session::store_path;
use crate::ui::{self, Failure};

impl Work<'_> {
    pub(super) fn install(&mut self) -> Result<(), Failure> {
        let mut new = self.query_source(Choice::Best)?;
        if self.env.prebuilt_only {
            let mut there = Vec::new();
            for mut item in new {
                if self.is_prebuilt(&mut item)? {
                    there.push(item);
                }
            }
            new = there;
        }
        for item in &mut new {
            if !self.env.force_name.is_empty() {
                item.name = self.env.force_name.clone();
            }
            // What comes from another profile gets a name of its own here.
            item.entry = None;
            if let Some(priority) = self.env.priority {
                let priority = priority.to_string();
                self.of(|vm| item.set_flag(vm, b"priority", priority.as_bytes()))?;
            }
        }
        let names: BTreeSet<Vec<u8>> = new.iter().map(|it| it.split_name().0.to_vec()).collect();
        let mut turn = None;
        loop {
            let token = Token::of(self.profile);
            let installed = Installed::read(self.session, &*self.store, self.profile)?;
            let mut all = new.clone();
            if !self.env.remove_all {
                for mut item in installed.items {
                    let replaced = !self.env.preserve_installed
                        && names.contains(item.split_name().0)
                        && !self.of(|vm| item.is_kept(vm))?;
                    if replaced {
                        progress::info(format_args!("replacing old '{}'", item.shown_name()));
                    } else {
                        all.push(item);
                    }
                }
                for item in &new {
                    progress::info(format_args!("installing '{}'", item.shown_name()));
                }
            }
            self.show_missing(&mut new)?;
            let commit = self.commit(installed.format, new.len());
            if self.conclude(&commit, &mut all, &token, &mut turn)? {
                return Ok(());
            }
        }
    }

    pub(super) fn uninstall(&mut self) -> Result<(), Failure> {
        let mut turn = None;
        loop {
            let token = Token::of(self.profile);
            let installed = Installed::read(self.session, &*self.store, self.profile)?;
            let mut items = installed.items;
            for argument in &self.env.arguments {
                let wanted: Option<StorePath> = match is_path(argument) {
                    true => Some(store_path(&*self.store, OsStr::from_bytes(argument))?),
                    false => None,
                };
                let selector = match &wanted {
                    Some(_) => None,
                    None => Some(Selector::parse(argument)?),
                };
                let mut keeps = Vec::new();
                for item in &mut items {
                    keeps.push(match (&wanted, &selector) {
                        (Some(path), _) => self.of(|vm| item.out_path(vm))? != *path,
                        (None, Some(selector)) => !selector.matches(item)?,
                        (None, None) => true,
                    });
                }
                let split = partition(&mut items, &mut keeps);
                let removed = items.split_off(split);
                if removed.is_empty() {
                    progress::warn(format_args!(
                        "selector '{}' matched no installed derivations",
                        String::from_utf8_lossy(argument)
                    ));
                }
                for item in &removed {
                    progress::info(format_args!("uninstalling '{}'", item.shown_name()));
                }
            }
            let commit = self.commit(installed.format, 0);
            if self.conclude(&commit, &mut items, &token, &mut turn)? {
                return Ok(());
            }
        }
    }

    pub(super) fn set(&mut self) -> Result<(), Failure> {
        let mut items = self.query_source(Choice::Best)?;
        let [item] = items.as_mut_slice() else {
            return Err(Failure::message("--set requires exactly one derivation"));
        };
        let out_path = self.of(|vm| item.out_path(vm))?;
        let wanted = self.targets(std::slice::from_mut(item))?;
        flush(self.session, &*self.store)?;
        let missing = self.store.query_missing(&wanted)?;
        show_missing(&*self.store, &missing, Level::Info)?;
        let roots = BTreeSet::from([out_path.clone()]);
        if self.env.dry_run {
            ui::show_changes(&*self.store, self.profile, &roots);
            return Ok(());
        }
        self.store
            .build_paths(&wanted, self.env.mode)
            .map_err(build_failure)?;
        self.store.add_temp_root(&out_path)?;
        ui::show_changes(&*self.store, self.profile, &roots);
        Generations::add(&*self.store, self.profile, &out_path)?;
        Ok(())
    }

    /// Whether a package need not be built.
    pub(super) fn is_prebuilt(&mut self, item: &mut Item) -> Result<bool, Failure> {
        let path = self.of(|vm| item.out_path(vm))?;
        Ok(self.store.is_valid(&path)?
            || !self
                .store
                .query_substitutable_paths(&BTreeSet::from([path]))?
                .is_empty())
    }

    /// What has to be realised for packages.
    fn targets(&mut self, items: &mut [Item]) -> Result<Vec<DerivedPath>, Failure> {
        let mut targets = Vec::new();
        for item in items {
            targets.push(match self.of(|vm| item.drv_path(vm))? {
                Some(derivation) => DerivedPath::built(derivation, OutputsSpec::All),
                None => DerivedPath::Opaque(self.of(|vm| item.out_path(vm))?),
            });
        }
        Ok(targets)
    }

    /// Says what has to be built and fetched for packages.
    pub(super) fn show_missing(&mut self, items: &mut [Item]) -> Result<(), Failure> {
        if !progress::wanted(Level::Info) {
            return Ok(());
        }
        let targets = self.targets(items)?;
        flush(self.session, &*self.store)?;
        let missing = self.store.query_missing(&targets)?;
        show_missing(&*self.store, &missing, Level::Info)
    }

    /// Makes the profile have these packages, or says what would change if that is all that is wanted. If it was changed
    /// since the token was taken, that is not done: then it is this one's turn.
    pub(super) fn conclude(
        &mut self,
        commit: &Commit,
        items: &mut [Item],
        token: &Token,
        turn: &mut Option<Turn>,
    ) -> Result<bool, Failure> {
        if self.env.dry_run {
            self.announce(items)?;
            return Ok(true);
        }
        if commit.run(self.session, items, token)? {
            return Ok(true);
        }
        Turn::take(turn, self.profile)?;
        Ok(false)
    }

    /// Says what would change if the profile had these packages.
    fn announce(&mut self, items: &mut [Item]) -> Result<(), Failure> {
        let mut roots = BTreeSet::new();
        for item in items {
            roots.extend(self.of(|vm| item.outputs_to_install(vm))?.into_values());
        }
        ui::show_changes(&*self.store, self.profile, &roots);
        Ok(())
    }
}

/// Moves what is kept to the front; says how much that is. The order is that of the C++ library's `partition`, since the
/// manifest of what remains has it.
fn partition<T>(items: &mut [T], keeps: &mut [bool]) -> usize {
    let (mut first, mut last) = (0, items.len());
    loop {
        while first < last && keeps[first] {
            first += 1;
        }
        if first == last {
            return first;
        }
        last -= 1;
        while first < last && !keeps[last] {
            last -= 1;
        }
        if first == last {
            return first;
        }
        items.swap(first, last);
        keeps.swap(first, last);
        first += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_first_in_the_known_order() {
        let split = |keep: &str| {
            let mut items: Vec<usize> = (0..keep.len()).collect();
            let mut keeps: Vec<bool> = keep.bytes().map(|b| b == b'k').collect();
            let count = partition(&mut items, &mut keeps);
            (count, items)
        };
        assert_eq!(split("dkkk"), (3, vec![3, 1, 2, 0]));
        assert_eq!(split("kdkd"), (2, vec![0, 2, 1, 3]));
        assert_eq!(split("kk"), (2, vec![0, 1]));
        assert_eq!(split("dd"), (0, vec![0, 1]));
        assert_eq!(split(""), (0, vec![]));
    }
}
