//! What a switch changes, told to people on standard error before it happens.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use rx_store::path::StorePath;
use rx_store::profile::{Changes, PackageChange};
use rx_store::progress::{self, Level};
use rx_store::store::Store;

use super::render_size;

/// So many packages that were not asked for are named; others are counted.
const MOST_OTHERS: usize = 20;

/// Says what a profile (or home, or system) will change to when it gets these roots. Never fails: a comparison that is
/// not possible is not told.
pub fn show_changes(store: &dyn Store, profile: &Path, after: &BTreeSet<StorePath>) {
    if !progress::wanted(Level::Notice) {
        return;
    }
    if let Ok(changes) = Changes::of_switch(store, profile, after)
        && !changes.is_empty()
    {
        progress::log(
            Level::Notice,
            changes_text(profile, &changes, super::colours()).trim_end(),
        );
    }
}

/// The changes as text.
pub fn changes_text(profile: &Path, changes: &Changes, colours: bool) -> String {
    let mut text = format!("changes of '{}':\n", profile.display());
    let (direct, others): (Vec<_>, Vec<_>) =
        changes.packages.iter().partition(|change| change.direct);
    for change in &direct {
        let _ = writeln!(text, "  {}", line(change, colours));
    }
    if !others.is_empty() {
        let _ = writeln!(text, "  what these need:");
    }
    for change in others.iter().take(MOST_OTHERS) {
        let _ = writeln!(text, "    {}", line(change, colours));
    }
    if others.len() > MOST_OTHERS {
        let _ = writeln!(text, "    … and {} more", others.len() - MOST_OTHERS);
    }
    let (before, after) = changes.size;
    if changes.incomplete {
        let _ = writeln!(
            text,
            "  closure: {}, what comes is not in the store yet",
            render_size(before)
        );
    } else {
        let _ = writeln!(
            text,
            "  closure: {} → {} paths, {} → {} ({})",
            changes.paths.0,
            changes.paths.1,
            render_size(before),
            render_size(after),
            signed_size(before, after)
        );
    }
    text
}

/// `+1.2 MiB`
fn signed_size(before: u64, after: u64) -> String {
    let sign = if after < before { '-' } else { '+' };
    format!("{sign}{}", render_size(before.abs_diff(after)))
}

/// `foo: 1.0 → 2.0, +12.0 KiB`
fn line(change: &PackageChange, colours: bool) -> String {
    let versions = |set: &BTreeSet<String>| {
        let shown: Vec<&str> = set
            .iter()
            .map(|version| if version.is_empty() { "ε" } else { version })
            .collect();
        if shown.is_empty() {
            "∅".to_owned()
        } else {
            shown.join(", ")
        }
    };
    let mark = match (change.before.is_empty(), change.after.is_empty()) {
        (true, false) => ('+', "32"),
        (false, true) => ('-', "31"),
        _ => ('~', "33"),
    };
    let mut text = if colours {
        format!("\x1b[{}m{}\x1b[0m {}: ", mark.1, mark.0, change.name)
    } else {
        format!("{} {}: ", mark.0, change.name)
    };
    if change.before.is_empty() && change.after.is_empty() {
        text.push_str(&signed_growth(change.growth));
        return text;
    }
    let _ = write!(
        text,
        "{} → {}",
        versions(&change.before),
        versions(&change.after)
    );
    if change.growth.unsigned_abs() >= 8192 {
        let _ = write!(text, ", {}", signed_growth(change.growth));
    }
    text
}

fn signed_growth(growth: i64) -> String {
    let sign = if growth < 0 { '-' } else { '+' };
    format!("{sign}{}", render_size(growth.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_read_as_a_list_with_the_size_at_its_end() {
        let change = |name: &str, direct, before: &[&str], after: &[&str], growth| PackageChange {
            name: name.to_owned(),
            direct,
            before: before.iter().map(|&it| it.to_owned()).collect(),
            after: after.iter().map(|&it| it.to_owned()).collect(),
            growth,
        };
        let changes = Changes {
            packages: vec![
                change("bar", true, &[], &["0.1"], 100),
                change("foo", true, &["1.0"], &["2.0"], 10 << 10),
                change("glibc", false, &[], &[], -(1 << 20)),
            ],
            paths: (3, 4),
            size: (2 << 20, 1 << 20),
            incomplete: false,
        };
        assert_eq!(
            changes_text(Path::new("/p"), &changes, false),
            "changes of '/p':\n\
             \x20 + bar: ∅ → 0.1\n\
             \x20 ~ foo: 1.0 → 2.0, +10.0 KiB\n\
             \x20 what these need:\n\
             \x20   ~ glibc: -1.0 MiB\n\
             \x20 closure: 3 → 4 paths, 2.0 MiB → 1.0 MiB (-1.0 MiB)\n"
        );
    }
}
