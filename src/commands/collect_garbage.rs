//! `rx-collect-garbage`: old generations of profiles, and then everything that nothing needs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rx_store::profile::{Change, Deletion, Generations};
use rx_store::progress;
use rx_store::store::{GcAction, GcOptions};

use super::store::print_freed;
use crate::cli::{ClassicCommand, Flag, Invocation, Options};
use crate::store_session::open_store;
use crate::ui::{Failure, UsageError};

/// Options of `rx-collect-garbage`.
#[derive(Debug, Default)]
pub struct CollectGarbage {
    delete_old: bool,
    /// Seconds: what is younger stays.
    older_than: Option<u64>,
    dry_run: bool,
    max_freed: Option<u64>,
}

impl Options for CollectGarbage {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::switch(
            "delete-old",
            "Delete all generations of profiles but the current ones.",
            |o: &mut Self| o.delete_old = true,
        )
        .short('d'),
        Flag::value(
            "delete-older-than",
            &["days"],
            "Delete generations that were replaced before: 30d.",
            |o: &mut Self, values| {
                o.delete_old = true;
                o.older_than = Some(parse_days(&values.text()?)?);
                Ok(())
            },
        ),
        Flag::switch(
            "dry-run",
            "Only tell what would be deleted.",
            |o: &mut Self| {
                o.dry_run = true;
            },
        ),
        Flag::value(
            "max-freed",
            &["bytes"],
            "Stop when this much is freed.",
            |o: &mut Self, values| {
                o.max_freed = Some(values.number()?);
                Ok(())
            },
        ),
    ];
}

/// Reads a number of days, and gives seconds.
fn parse_days(text: &str) -> Result<u64, UsageError> {
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u64>().ok());
    match days {
        Some(days) if days > 0 => Ok(days.saturating_mul(24 * 60 * 60)),
        _ => Err(UsageError::new(format!(
            "invalid number of days specifier '{text}', expected something like '14d'"
        ))),
    }
}

impl ClassicCommand for CollectGarbage {
    const NAME: &'static str = "collect-garbage";
    const ABOUT: &'static str = "delete what nothing needs, and old generations of profiles";
    const USAGE: &'static [&'static str] =
        &["[-d | --delete-older-than DAYSd] [--max-freed BYTES] [--dry-run]"];

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        if self.max_freed.is_some() && self.dry_run {
            return Err(
                UsageError::new("options --max-freed and --dry-run cannot be combined").into(),
            );
        }
        if self.delete_old {
            for dir in profile_directories(invocation) {
                self.clean_directory(&dir)?;
            }
        }
        let action = if self.dry_run {
            GcAction::ReturnDead
        } else {
            GcAction::DeleteDead
        };
        let mut options = GcOptions::new(action);
        options.max_freed = self.max_freed.unwrap_or(u64::MAX);
        let store = open_store(invocation)?;
        print_freed(self.dry_run, &store.collect_garbage(&options)?)
    }
}

/// Where profiles are: the user's, everybody's, and where the user's default profile points.
fn profile_directories(invocation: &Invocation) -> BTreeSet<PathBuf> {
    let places = &invocation.settings.places;
    let all = places.state_dir.join("profiles");
    let mut found = BTreeSet::from([all.clone(), places.user_state_dir.join("profiles")]);
    if rustix::process::geteuid().is_root() {
        found.insert(all.join("per-user/root"));
    }
    for link in [
        places.home.join(".nix-profile"),
        places.user_state_dir.join("profile"),
    ] {
        if let Ok(target) = std::fs::read_link(&link)
            && let Some(parent) = link.parent().unwrap_or(&link).join(target).parent()
        {
            found.insert(rx_store::settings::clean(parent));
        }
    }
    found
}

impl CollectGarbage {
    /// Deletes old generations of all profiles in a directory and those below it.
    fn clean_directory(&self, start: &Path) -> Result<(), Failure> {
        let mut todo = vec![start.to_owned()];
        while let Some(dir) = todo.pop() {
            rx_store::interrupt::check()?;
            // What cannot be read is somebody else's.
            let Ok(entries) = std::fs::read_dir(&dir) else {
                continue;
            };
            let writable = rustix::fs::access(&dir, rustix::fs::Access::WRITE_OK).is_ok();
            for entry in entries.flatten() {
                let path = entry.path();
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                if kind.is_dir() {
                    todo.push(path);
                } else if kind.is_symlink() && writable {
                    let target = std::fs::read_link(&path).unwrap_or_default();
                    if target.to_string_lossy().contains("link") {
                        progress::info(format_args!(
                            "removing old generations of profile {}",
                            path.display()
                        ));
                        self.clean_profile(&path)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn clean_profile(&self, profile: &Path) -> Result<(), Failure> {
        let which = match self.older_than {
            Some(age) => {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |d| d.as_secs());
                Deletion::ReplacedBefore(now.saturating_sub(age))
            }
            None => Deletion::Old,
        };
        let change = if self.dry_run {
            Change::Announced
        } else {
            Change::Made
        };
        Ok(Generations::delete(profile, &which, change)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_whole_days() {
        assert_eq!(parse_days("2d").unwrap(), 172_800);
        for text in ["2", "d", "0d", "-1d", "2w", ""] {
            assert!(parse_days(text).is_err(), "{text}");
        }
    }
}
