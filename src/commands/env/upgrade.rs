//! `-u`: installed packages become those of the same name that the expression has now.

use std::cmp::Ordering;

use rx_eval::text::version::compare;
use rx_store::profile::Token;
use rx_store::progress;

use super::Work;
use super::installed::Installed;
use super::item::Item;
use super::options::Upgrade;
use super::selectors::Choice;
use crate::ui::Failure;

impl Upgrade {
    /// Whether a version that compares so to the installed one is taken.
    fn takes(self, installed_to_new: Ordering) -> bool {
        match self {
            Upgrade::Newer => installed_to_new == Ordering::Less,
            Upgrade::NewerOrSame => installed_to_new != Ordering::Greater,
            Upgrade::Same => installed_to_new == Ordering::Equal,
            Upgrade::Any => true,
        }
    }
}

impl Work<'_> {
    pub(super) fn upgrade(&mut self) -> Result<(), Failure> {
        let mut turn = None;
        loop {
            let token = Token::of(self.profile);
            let installed = Installed::read(self.session, &*self.store, self.profile)?;
            let mut available = self.query_source(Choice::All)?;
            let mut items = Vec::new();
            for mut item in installed.items {
                items.push(self.upgrade_of(&mut item, &mut available)?.unwrap_or(item));
            }
            self.show_missing(&mut items)?;
            let commit = self.commit(installed.format, 0);
            if self.conclude(&commit, &mut items, &token, &mut turn)? {
                return Ok(());
            }
        }
    }

    /// The package that replaces an installed one: of those that do not come after it by priority the first by
    /// priority, and of these the newest.
    fn upgrade_of(
        &mut self,
        item: &mut Item,
        available: &mut [Item],
    ) -> Result<Option<Item>, Failure> {
        if self.of(|vm| item.is_kept(vm))? {
            return Ok(None);
        }
        let what = format!(
            "while trying to find an upgrade for '{}'",
            item.shown_name()
        );
        let priority = self.of(|vm| item.priority(vm))?;
        let mut best: Option<(usize, i64)> = None;
        for index in 0..available.len() {
            let candidate = &available[index];
            if candidate.split_name().0 != item.split_name().0 {
                continue;
            }
            let new_priority = self.of(|vm| available[index].priority(vm))?;
            let version = available[index].split_name().1.to_vec();
            let order = compare(item.split_name().1, &version);
            if new_priority > priority || !self.env.upgrade.takes(order) {
                continue;
            }
            let better = match best {
                None => true,
                Some((other, other_priority)) => {
                    let versions = compare(available[other].split_name().1, &version);
                    new_priority.cmp(&other_priority).then(versions) == Ordering::Less
                }
            };
            if better
                && (!self.env.prebuilt_only || {
                    let mut candidate = available[index].clone();
                    self.is_prebuilt(&mut candidate)?
                })
            {
                best = Some((index, new_priority));
            }
        }
        let Some((index, _)) = best else {
            return Ok(None);
        };
        let mut new = available[index].clone();
        use rx_eval::error::Context as _;
        let (old_path, new_path) = self.of(|vm| {
            let paths = item
                .out_path(vm)
                .and_then(|old| Ok((old, new.out_path(vm)?)));
            paths.context(rx_eval::Pos::NONE, || what)
        })?;
        if old_path == new_path {
            return Ok(None);
        }
        let action = match compare(item.split_name().1, new.split_name().1) {
            Ordering::Greater => "downgrading",
            _ => "upgrading",
        };
        progress::info(format_args!(
            "{action} '{}' to '{}'",
            item.shown_name(),
            new.shown_name()
        ));
        // It keeps its name in the list of the new commands.
        if let Some((name, entry)) = &item.entry {
            let mut entry = entry.clone();
            entry.source = None;
            new.entry = Some((name.clone(), entry));
        }
        Ok(Some(new))
    }
}
