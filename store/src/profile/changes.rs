//! What a switch changes: packages, their versions, and the size of everything that is needed.
//!
//! Two sets of roots (what profiles, homes or systems directly have) are compared with their closures:
//!
//! ```text
//! bar: ∅ → 0.1
//! foo: 1.0 → 2.0, +12.0 KiB
//! also openssl: 3.0.1 → 3.0.2
//! closure: 12 → 14 paths, 10.0 MiB → 11.2 MiB (+1.2 MiB)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::path::StorePath;
use crate::store::closure::ClosureOptions;
use crate::store::{Store, StoreError};

/// Sizes of packages by version.
type Versions = BTreeMap<String, u64>;

/// One side of the comparison.
#[derive(Debug, Clone, Default)]
struct Side {
    /// Versions of all packages in the closure.
    packages: BTreeMap<String, Versions>,
    /// Packages that the roots name.
    direct: BTreeSet<String>,
    paths: u64,
    size: u64,
    /// Some of it is not there yet, so that sizes are not known.
    incomplete: bool,
}

/// How a package changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageChange {
    /// Its name.
    pub name: String,
    /// Whether it is one that was asked for, not something that those need.
    pub direct: bool,
    /// Versions that went.
    pub before: BTreeSet<String>,
    /// Versions that came.
    pub after: BTreeSet<String>,
    /// By how many bytes it grew.
    pub growth: i64,
}

/// What a switch changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Packages whose versions or sizes changed: first those that were asked for.
    pub packages: Vec<PackageChange>,
    /// Number of paths before and after.
    pub paths: (u64, u64),
    /// Their size before and after.
    pub size: (u64, u64),
    /// Some of what comes is not in the store, so its size is not known.
    pub incomplete: bool,
}

/// Changes of size below this are noise.
const NOTABLE: u64 = 8192;

/// Splits the name of a store object into package and version, without the name of an output at the end.
pub fn package_and_version(name: &str) -> (&str, &str) {
    const OUTPUTS: [&str; 9] = [
        "bin", "dev", "lib", "man", "doc", "info", "devdoc", "static", "debug",
    ];
    let strip = |text| match str::rsplit_once(text, '-') {
        Some((rest, output)) if OUTPUTS.contains(&output) => rest,
        _ => text,
    };
    let digit =
        |(at, _): &(usize, &str)| name.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit);
    match name.match_indices('-').find(digit) {
        Some((at, _)) => (&name[..at], strip(&name[at + 1..])),
        None => (strip(name), ""),
    }
}

impl Side {
    /// `roots` with all that they need. What a collection of links refers to was asked for.
    fn of(store: &dyn Store, roots: &BTreeSet<StorePath>) -> Result<Side, StoreError> {
        let mut side = Side::default();
        let mut there = BTreeSet::new();
        for root in roots {
            if !is_collection(root.name()) {
                side.ask_for(root);
            }
            if store.is_valid(root)? {
                there.insert(root.clone());
            } else {
                side.incomplete = true;
                side.add(root, 0);
            }
        }
        for path in store.closure(&there, ClosureOptions::default())? {
            let info = store.query_path_info(&path)?;
            if let Some(info) = info.as_ref().filter(|_| is_collection(path.name())) {
                for path in &info.references {
                    side.ask_for(path);
                }
            }
            side.add(&path, info.map_or(0, |info| info.nar_size));
        }
        Ok(side)
    }

    fn ask_for(&mut self, path: &StorePath) {
        let (name, _) = package_and_version(path.name());
        self.direct.insert(name.to_owned());
    }

    fn add(&mut self, path: &StorePath, size: u64) {
        self.paths += 1;
        self.size += size;
        if is_collection(path.name()) {
            return;
        }
        let (name, version) = package_and_version(path.name());
        *self
            .packages
            .entry(name.to_owned())
            .or_default()
            .entry(version.to_owned())
            .or_default() += size;
    }
}

/// Whether an object of this name only holds links to what is installed, or says what that is.
fn is_collection(name: &str) -> bool {
    matches!(
        name,
        "user-environment" | "profile" | "env-manifest.nix" | "home-manager-path" | "system-path"
    )
}

impl Changes {
    /// Compares everything that two sets of roots need. Roots that are not in the store count by their names.
    pub fn between(
        store: &dyn Store,
        before: &BTreeSet<StorePath>,
        after: &BTreeSet<StorePath>,
    ) -> Result<Changes, StoreError> {
        let (old, new) = (Side::of(store, before)?, Side::of(store, after)?);
        let names: BTreeSet<&String> = old.packages.keys().chain(new.packages.keys()).collect();
        let none = Versions::new();
        let mut packages = Vec::new();
        for name in names {
            let was = old.packages.get(name).unwrap_or(&none);
            let is = new.packages.get(name).unwrap_or(&none);
            let without = |a: &Versions, b: &Versions| -> BTreeSet<String> {
                a.keys()
                    .filter(|version| !b.contains_key(*version))
                    .cloned()
                    .collect()
            };
            let (was_size, is_size): (u64, u64) = (was.values().sum(), is.values().sum());
            let change = PackageChange {
                name: name.clone(),
                direct: old.direct.contains(name) || new.direct.contains(name),
                before: without(was, is),
                after: without(is, was),
                growth: difference(was_size, is_size),
            };
            let other_size = !new.incomplete && was_size.abs_diff(is_size) >= NOTABLE;
            if !change.before.is_empty() || !change.after.is_empty() || other_size {
                packages.push(change);
            }
        }
        // What is not there needs more that is not known: nothing can be said to go.
        if new.incomplete {
            packages.retain(|change| change.direct);
        }
        packages.sort_by_key(|change| !change.direct);
        Ok(Changes {
            packages,
            paths: (old.paths, new.paths),
            size: (old.size, new.size),
            incomplete: new.incomplete,
        })
    }

    /// Compares what a profile points to with the roots that it would have.
    pub fn of_switch(
        store: &dyn Store,
        profile: &Path,
        after: &BTreeSet<StorePath>,
    ) -> Result<Changes, StoreError> {
        let before = current_object(store, profile).into_iter().collect();
        Changes::between(store, &before, after)
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.size.0 == self.size.1
    }
}

/// How much `after` is more than `before`.
fn difference(before: u64, after: u64) -> i64 {
    let amount = i64::try_from(before.abs_diff(after)).unwrap_or(i64::MAX);
    if after >= before { amount } else { -amount }
}

/// The store object that a profile, one of its generations, or any other link leads to.
pub fn current_object(store: &dyn Store, link: &Path) -> Option<StorePath> {
    use std::os::unix::ffi::OsStrExt;
    let mut path = std::path::absolute(link).ok()?;
    for _ in 0..40 {
        if store.dir().contains(path.as_os_str().as_bytes()) {
            let (object, _) = store.dir().split(path.as_os_str().as_bytes()).ok()?;
            return Some(object);
        }
        let target = std::fs::read_link(&path).ok()?;
        path = crate::settings::clean(&path.parent()?.join(target));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::StoreDir;
    use crate::store::{AddFlags, MemoryStore};

    #[test]
    fn names_are_split_into_package_and_version() {
        assert_eq!(package_and_version("hello-2.12"), ("hello", "2.12"));
        assert_eq!(package_and_version("hello-2.12-man"), ("hello", "2.12"));
        assert_eq!(package_and_version("a.drv"), ("a.drv", ""));
        assert_eq!(package_and_version("x-y-1-2"), ("x-y", "1-2"));
        assert_eq!(package_and_version("x-"), ("x-", ""));
    }

    #[test]
    fn upgrades_additions_and_removals_are_told_apart() {
        let store = MemoryStore::new(StoreDir::default());
        let add = |name: &str, references: &[&StorePath]| {
            let references = references.iter().map(|path| (*path).clone()).collect();
            store
                .add_text(name, name.as_bytes(), &references, AddFlags::default())
                .unwrap()
        };
        let (lib1, lib2) = (add("lib-1", &[]), add("lib-2", &[]));
        let (foo1, foo2) = (add("foo-1.0", &[&lib1]), add("foo-2.0", &[&lib2]));
        let (bar, baz) = (add("bar-3", &[]), add("baz", &[]));
        let old = add("user-environment", &[&foo1, &bar]);
        let new = add("profile", &[&foo2, &baz]);
        let changes = Changes::between(&store, &[old].into(), &[new].into()).unwrap();
        let told: Vec<(String, bool, Vec<&str>, Vec<&str>)> = changes
            .packages
            .iter()
            .map(|change| {
                let words = |set: &BTreeSet<String>| -> Vec<&str> {
                    let all: Vec<&str> = set
                        .iter()
                        .map(|word| Box::leak(word.clone().into_boxed_str()) as &str)
                        .collect();
                    all
                };
                (
                    change.name.clone(),
                    change.direct,
                    words(&change.before),
                    words(&change.after),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("bar".to_owned(), true, vec!["3"], vec![]),
                ("baz".to_owned(), true, vec![], vec![""]),
                ("foo".to_owned(), true, vec!["1.0"], vec!["2.0"]),
                ("lib".to_owned(), false, vec!["1"], vec!["2"]),
            ]
        );
        assert_eq!(changes.paths, (4, 4));
    }
}
