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
    retention: Retention,
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
        Flag::value(
            "keep",
            &["count"],
            "Delete generations but the current and the newest of each profile, so many.",
            |o: &mut Self, values| {
                o.retention.keep = Some(values.number()?);
                Ok(())
            },
        ),
        Flag::value(
            "keep-since",
            &["days"],
            "Delete generations but the current and those that are younger: 14d.",
            |o: &mut Self, values| {
                o.retention.since = Some(parse_days(&values.text()?)?);
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
pub fn parse_days(text: &str) -> Result<u64, UsageError> {
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
    const USAGE: &'static [&'static str] = &[
        "[-d | --delete-older-than DAYSd | --keep COUNT --keep-since DAYSd] [--max-freed BYTES] [--dry-run]",
    ];

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        if self.max_freed.is_some() && self.dry_run {
            return Err(
                UsageError::new("options --max-freed and --dry-run cannot be combined").into(),
            );
        }
        let change = Change::unless(self.dry_run);
        if self.retention.is_given() {
            if self.delete_old {
                return Err(UsageError::new(
                    "--keep and --keep-since cannot be combined with --delete-old and --delete-older-than",
                )
                .into());
            }
            clean_profiles(invocation, Which::Unretained(self.retention), change)?;
        } else if self.delete_old {
            let which = self.older_than.map_or(Which::Old, Which::ReplacedBefore);
            clean_profiles(invocation, which, change)?;
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

/// What stays of each profile, beside its current generation: what any of the two says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest.
    pub keep: Option<u64>,
    /// What is younger than so many seconds.
    pub since: Option<u64>,
}

impl Retention {
    /// Does it say anything?
    pub fn is_given(self) -> bool {
        self.keep.is_some() || self.since.is_some()
    }

    /// The generations that go.
    fn unretained(self, generations: &Generations, now: u64) -> BTreeSet<u64> {
        let limit = self.since.map(|age| now.saturating_sub(age));
        let newest_first = generations.all.iter().rev();
        newest_first
            .enumerate()
            .filter(|(place, generation)| {
                let counted = self.keep.is_some_and(|keep| (*place as u64) < keep);
                let young = limit.is_some_and(|limit| generation.created >= limit);
                !counted && !young && generations.current != Some(generation.number)
            })
            .map(|(_, generation)| generation.number)
            .collect()
    }
}

/// Which generations of profiles are deleted.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// All but the current.
    Old,
    /// Those that were replaced so many seconds ago.
    ReplacedBefore(u64),
    /// Those that are not to be retained.
    Unretained(Retention),
}

/// Deletes generations of all profiles of this user, and of everybody's if the user may.
pub fn clean_profiles(
    invocation: &Invocation,
    which: Which,
    change: Change,
) -> Result<(), Failure> {
    for directory in profile_directories(invocation) {
        clean_directory(&directory, which, change)?;
    }
    Ok(())
}

/// Deletes generations of all profiles in a directory and those below it.
fn clean_directory(start: &Path, which: Which, change: Change) -> Result<(), Failure> {
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
                    clean_profile(&path, which, change)?;
                }
            }
        }
    }
    Ok(())
}

fn clean_profile(profile: &Path, which: Which, change: Change) -> Result<(), Failure> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    let deletion = match which {
        Which::Old => Deletion::Old,
        Which::ReplacedBefore(age) => Deletion::ReplacedBefore(now.saturating_sub(age)),
        Which::Unretained(retention) => {
            let chosen = retention.unretained(&Generations::of(profile)?, now);
            if chosen.is_empty() {
                return Ok(());
            }
            Deletion::Numbers(chosen)
        }
    };
    Ok(Generations::delete(profile, &deletion, change)?)
}

#[cfg(test)]
mod tests {
    use rx_store::profile::Generation;

    use super::*;

    #[test]
    fn what_is_retained_is_the_current_the_newest_and_the_young() {
        let all = (1..=6).map(|number| Generation {
            number,
            link: PathBuf::new(),
            created: number * 100,
        });
        let generations = Generations {
            all: all.collect(),
            current: Some(2),
        };
        let gone = |keep, since| {
            let chosen = Retention { keep, since }.unretained(&generations, 700);
            chosen.into_iter().collect::<Vec<u64>>()
        };
        assert_eq!(gone(Some(2), None), [1, 3, 4]);
        assert_eq!(gone(None, Some(250)), [1, 3, 4]);
        assert_eq!(gone(Some(1), Some(400)), [1]);
        assert_eq!(gone(Some(0), None), [1, 3, 4, 5, 6]);
    }

    #[test]
    fn ages_are_whole_days() {
        assert_eq!(parse_days("2d").unwrap(), 172_800);
        for text in ["2", "d", "0d", "-1d", "2w", ""] {
            assert!(parse_days(text).is_err(), "{text}");
        }
    }
}
