//! Taking away what nobody uses any more: indexes of roots that are not searched, and what killed processes left.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rx_store::lock::{LockKind, open_lock_file, try_lock};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// An index that was not used for so long is made anew when it is asked for.
const UNUSED: Duration = Duration::from_secs(60 * 24 * 3600);
/// Nobody writes a file for so long.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Notes that an index is in use, once a day.
pub(super) fn note_use(file: &Path) {
    if age(file).is_some_and(|age| age > DAY)
        && let Ok(open) = fs::File::open(file)
    {
        // Who may only read it cannot take it away, either.
        let _ = open.set_modified(SystemTime::now());
    }
}

/// Takes away what is old in the directory of all indexes. Nothing depends on it.
pub(super) fn tidy(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(age) = age(&path) else {
            continue;
        };
        let is_temporary = entry.file_name().as_encoded_bytes().starts_with(b".tmp");
        let old = match path.extension().and_then(|extension| extension.to_str()) {
            _ if is_temporary => age > ABANDONED,
            Some("index" | "partial") => age > UNUSED,
            Some("lock") => age > UNUSED && !path.with_extension("index").exists(),
            _ => false,
        };
        if old && (is_temporary || nobody_is_at(&path)) {
            let _ = fs::remove_file(&path);
        }
    }
}

fn nobody_is_at(file: &Path) -> bool {
    open_lock_file(&file.with_extension("lock"))
        .and_then(|lock| try_lock(&lock, LockKind::Write))
        .unwrap_or(false)
}

fn age(path: &Path) -> Option<Duration> {
    fs::symlink_metadata(path)
        .and_then(|meta| meta.modified())
        .ok()?
        .elapsed()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_old_and_of_nobody_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str, age: Duration| {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        };
        make("used.index", DAY);
        make("used.lock", UNUSED * 2);
        make("left.index", UNUSED * 2);
        make("left.partial", UNUSED * 2);
        make("held.index", UNUSED * 2);
        make(".tmpold", DAY);
        make(".tmpnew", Duration::ZERO);
        let held = open_lock_file(&dir.path().join("held.lock")).unwrap();
        assert!(try_lock(&held, LockKind::Write).unwrap());
        tidy(dir.path());
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "left.lock")
            .collect();
        names.sort();
        let kept = [
            ".tmpnew",
            "held.index",
            "held.lock",
            "used.index",
            "used.lock",
        ];
        assert_eq!(names, kept);
        note_use(&dir.path().join("held.index"));
        assert!(age(&dir.path().join("held.index")).unwrap() < DAY);
    }
}
