//! Operations on the generations of a profile.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rx_store::profile::{
    Change, Deletion, Generations, current_object, profile_link, replace_link,
};

use super::Env;
use super::options::Operation;
use crate::cli::Invocation;
use crate::store_session::open_store;
use crate::ui::{self, Failure, UsageError};

/// A number of days as the time that long ago, in seconds since 1970.
pub fn days_ago(text: &str) -> Result<u64, UsageError> {
    let Some(days) = text.strip_suffix('d') else {
        return Err(UsageError::new(format!(
            "invalid number of days specifier '{text}', expected something like '14d'"
        )));
    };
    match days.parse::<u32>() {
        Ok(days) if days > 0 => {
            let now = rx_store::fetch::time::now();
            Ok(now.saturating_sub(u64::from(days) * 24 * 60 * 60))
        }
        _ => Err(UsageError::new(format!(
            "invalid number of days specifier '{text}'"
        ))),
    }
}

/// Which generations the arguments of `--delete-generations` mean.
pub fn deletion(arguments: &[String]) -> Result<Deletion, Failure> {
    match arguments {
        [word] if word == "old" => Ok(Deletion::Old),
        [word] if word.contains('d') => Ok(Deletion::ReplacedBefore(days_ago(word)?)),
        [word] if word.contains('+') => {
            if word.len() < 2 {
                return Err(Failure::message(format!(
                    "invalid number of generations '{word}'"
                )));
            }
            let count = word.get(1..).and_then(|digits| digits.parse().ok());
            let count = count.ok_or_else(|| {
                Failure::message(format!("invalid number of generations to keep '{word}'"))
            })?;
            Ok(Deletion::AllButNewest(count))
        }
        words => {
            let mut numbers = BTreeSet::new();
            for word in words {
                let number = word
                    .parse()
                    .map_err(|_| UsageError::new(format!("invalid generation number '{word}'")))?;
                numbers.insert(number);
            }
            Ok(Deletion::Numbers(numbers))
        }
    }
}

impl Env {
    pub(super) fn change_generations(
        &self,
        invocation: &Invocation,
        operation: Operation,
        profile: &Path,
    ) -> Result<(), Failure> {
        let words: Vec<String> = self
            .arguments
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let change = Change::unless(self.dry_run);
        match operation {
            Operation::SwitchProfile => {
                let [target] = self.arguments.as_slice() else {
                    return Err(UsageError::new("exactly one argument expected").into());
                };
                let target = std::ffi::OsStr::from_bytes(target);
                let target = rx_store::settings::clean(&std::path::absolute(target)?);
                let link = profile_link(&invocation.settings);
                if !self.dry_run {
                    let short = (link.parent() == target.parent())
                        .then(|| target.file_name().map(PathBuf::from))
                        .flatten();
                    if let Some(parent) = link.parent() {
                        std::fs::create_dir_all(parent)?;
                    }
                    replace_link(&short.unwrap_or(target), &link)?;
                }
                Ok(())
            }
            Operation::SwitchGeneration | Operation::Rollback => {
                let number = match (operation, words.as_slice()) {
                    (Operation::Rollback, []) => None,
                    (Operation::Rollback, _) => {
                        return Err(UsageError::new("no arguments expected").into());
                    }
                    (_, [word]) => Some(
                        word.parse()
                            .map_err(|_| UsageError::new("expected a generation number"))?,
                    ),
                    _ => return Err(UsageError::new("exactly one argument expected").into()),
                };
                switch(invocation, profile, number, change)
            }
            Operation::ListGenerations => {
                if !words.is_empty() {
                    return Err(UsageError::new("no arguments expected").into());
                }
                ui::print(&list(profile)?)
            }
            _ => Ok(Generations::delete(profile, &deletion(&words)?, change)?),
        }
    }
}

/// The generations of a profile, as `--list-generations` shows them.
pub fn list(profile: &Path) -> Result<String, Failure> {
    let generations = Generations::of(profile)?;
    let mut text = String::new();
    for generation in &generations.all {
        let mark = if generations.current == Some(generation.number) {
            "(current)"
        } else {
            ""
        };
        text += &format!(
            "{:4}   {}   {mark}\n",
            generation.number,
            ui::local_date(generation.created)
        );
    }
    Ok(text)
}

/// Switches a profile to a generation, telling before what that changes.
pub fn switch(
    invocation: &Invocation,
    profile: &Path,
    number: Option<u64>,
    change: Change,
) -> Result<(), Failure> {
    let generations = Generations::of(profile)?;
    let chosen = match number {
        Some(number) => generations.get(number),
        None => generations.before_current(),
    };
    if let Ok(chosen) = chosen
        && let Ok(store) = open_store(invocation)
        && let Some(object) = current_object(&*store, &chosen.link)
    {
        ui::show_changes(&*store, profile, &BTreeSet::from([object]));
    }
    Generations::switch(profile, number, change)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_to_delete_are_named_by_number_count_and_age() {
        let read = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            deletion(&words)
        };
        assert_eq!(read(&["old"]).unwrap(), Deletion::Old);
        assert_eq!(read(&["+3"]).unwrap(), Deletion::AllButNewest(3));
        assert_eq!(read(&["3", "5"]).unwrap(), Deletion::Numbers([3, 5].into()));
        assert!(matches!(read(&["30d"]).unwrap(), Deletion::ReplacedBefore(time) if time > 0));
        for bad in ["0d", "d", "+", "+x", "x", "30days"] {
            assert!(read(&[bad]).is_err(), "{bad}");
        }
    }
}
