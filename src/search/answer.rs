//! What is known about the packages of a root, and how much of it is still as it was before a change.

use super::index::{Index, PackageRef};

/// An index, and what in it has not been brought up to date.
pub struct Answer {
    index: Index,
    behind: Option<Behind>,
}

/// Why a part of an index is as it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// One flag for each attribute.
    pub(super) old: Vec<bool>,
    /// Something that has changed.
    pub cause: Vec<u8>,
    /// How many more things have changed.
    pub more: usize,
    /// Whether attributes may have come that the index does not know.
    pub all: bool,
}

impl Answer {
    pub(crate) fn current(index: Index) -> Answer {
        Answer {
            index,
            behind: None,
        }
    }

    pub(super) fn behind(index: Index, behind: Behind) -> Answer {
        Answer {
            index,
            behind: Some(behind),
        }
    }

    /// Why a part of it is old; nothing if all is up to date.
    pub fn why(&self) -> Option<&Behind> {
        self.behind.as_ref()
    }

    /// All packages; with each whether it is as it was before the change.
    pub fn packages(&self) -> impl Iterator<Item = (PackageRef<'_>, bool)> {
        self.index.numbered_packages().map(|(at, package)| {
            let old = self
                .behind
                .as_ref()
                .is_some_and(|behind| behind.old.get(at).copied().unwrap_or(true));
            (package, old)
        })
    }

    /// How many packages are as they were before.
    pub fn old_packages(&self) -> usize {
        self.packages().filter(|(_, old)| *old).count()
    }
}
