//! What a person may have meant.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use rx_store::settings::{INFOS, SettingInfo};

/// The long flags of all settings.
pub fn setting_flags() -> impl Iterator<Item = &'static str> {
    INFOS
        .iter()
        .flat_map(|info| [Some(info.name), info.appendable.then(|| extra(info))])
        .flatten()
}

/// The flag that adds to a setting.
fn extra(info: &'static SettingInfo) -> &'static str {
    static NAMES: OnceLock<BTreeMap<&'static str, String>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let appendable = INFOS.iter().filter(|info| info.appendable);
        appendable
            .map(|info| (info.name, format!("extra-{}", info.name)))
            .collect()
    });
    names.get(info.name).map_or(info.name, String::as_str)
}

/// The candidate that differs least from `word`, if that is little enough to be a typing mistake.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
pub fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistakes_are_recognised_and_other_words_are_not() {
        let names = ["build", "bundle", "eval", "store"];
        let near = |word| nearest(word, names.into_iter());
        assert_eq!(near("biuld"), Some("build"));
        assert_eq!(near("evla"), Some("eval"));
        assert_eq!(near("stor"), Some("store"));
        assert_eq!(near("xyzzy"), None);
    }
}
