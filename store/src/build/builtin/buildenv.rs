//! `builtin:buildenv`: one tree of links to the files of several packages.
//!
//! A directory that only one package has is a single link; as soon as a second has it, it becomes a
//! real directory with both in it. Files of the same name are told apart by priority, the smaller
//! number first.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Builtin, View, Visible};
use crate::build::options::words;
use crate::path::StoreDir;
use crate::progress;

/// Files that every package has and no environment wants.
const IGNORED: [&[u8]; 7] = [
    b"/propagated-build-inputs",
    b"/nix-support",
    b"/perllocal.pod",
    b"/info/dir",
    b"/log",
    b"/manifest.nix",
    b"/manifest.json",
];

/// Priorities of packages that other packages bring along begin here.
const PROPAGATED: i64 = 1000;

/// A package to link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its path, as the environment's links will name it.
    pub path: PathBuf,
    /// Whether it is to be linked.
    pub active: bool,
    /// The smaller number wins.
    pub priority: i64,
}

/// Two packages of one priority have a file of the same name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Unable to build profile. There is a conflict for the following files:\n\n  {}\n  {}",
    first.display(),
    second.display()
)]
pub struct Conflict {
    /// The file of the package that was linked first.
    pub first: PathBuf,
    /// The file of the other.
    pub second: PathBuf,
    /// The priority of both.
    pub priority: i64,
}

/// Why packages cannot be linked together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Neither of two files comes first.
    #[error(transparent)]
    Conflict(Box<Conflict>),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl From<String> for LinkError {
    fn from(text: String) -> Self {
        LinkError::Other(text)
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        LinkError::Other(error.to_string())
    }
}

pub(super) fn run(builtin: &Builtin<'_>) -> Result<(), String> {
    let out = builtin.output()?;
    let packages = parse_packages(builtin.variable("derivations")?)?;
    let manifest = builtin.variable("manifest")?;
    fs::create_dir_all(out).map_err(|error| error.to_string())?;
    link(builtin.view(), packages, out).map_err(|error| error.to_string())?;
    symlink(OsStr::from_bytes(manifest), out.join("manifest.nix"))
        .map_err(|error| error.to_string())
}

/// Links packages of a store together in the directory `out`, outside of any build. The store's objects lie in
/// `real_dir` on the host.
pub fn link_packages(
    dir: &StoreDir,
    real_dir: &Path,
    packages: Vec<Package>,
    out: &Path,
) -> Result<(), LinkError> {
    let view = View {
        dir,
        real_dir,
        visible: Visible::Store,
    };
    link(view, packages, out)
}

fn link(view: View<'_>, packages: Vec<Package>, out: &Path) -> Result<(), LinkError> {
    let mut environment = Environment {
        view,
        priorities: BTreeMap::new(),
        done: BTreeSet::new(),
        postponed: BTreeSet::new(),
    };
    environment.link_all(packages, out)
}

/// `active priority count path…` for each package.
fn parse_packages(text: &[u8]) -> Result<Vec<Package>, String> {
    let mut tokens = words(text);
    let mut packages = Vec::new();
    while let Some(active) = tokens.next() {
        let mut number =
            || -> Option<i64> { std::str::from_utf8(tokens.next()?).ok()?.parse().ok() };
        let (Some(priority), Some(count)) = (number(), number()) else {
            return Err("attribute 'derivations' is malformed".to_owned());
        };
        for _ in 0..count {
            let path = tokens
                .next()
                .ok_or_else(|| "attribute 'derivations' is malformed".to_owned())?;
            packages.push(Package {
                path: PathBuf::from(OsStr::from_bytes(path)),
                active: active != b"false",
                priority,
            });
        }
    }
    Ok(packages)
}

struct Environment<'a> {
    view: View<'a>,
    /// Priority of each link that was made, by its place.
    priorities: BTreeMap<PathBuf, i64>,
    done: BTreeSet<PathBuf>,
    postponed: BTreeSet<PathBuf>,
}

impl Environment<'_> {
    fn link_all(&mut self, mut packages: Vec<Package>, out: &Path) -> Result<(), LinkError> {
        // The winners first: fewer links are made and replaced.
        packages.sort_by(|a, b| (a.priority, &a.path).cmp(&(b.priority, &b.path)));
        for package in packages.iter().filter(|package| package.active) {
            self.add(&package.path, out, package.priority)?;
        }
        let mut priority = PROPAGATED;
        while !self.postponed.is_empty() {
            for path in std::mem::take(&mut self.postponed) {
                self.add(&path, out, priority)?;
                priority += 1;
            }
        }
        Ok(())
    }

    fn add(&mut self, package: &Path, out: &Path, priority: i64) -> Result<(), LinkError> {
        if !self.done.insert(package.to_owned()) {
            return Ok(());
        }
        self.link_directory(package, out, priority)?;
        let list = package.join("nix-support/propagated-user-env-packages");
        if let Some(list) = self.view.resolve(&list)
            && let Ok(text) = fs::read(list)
        {
            for path in words(&text) {
                let path = PathBuf::from(OsStr::from_bytes(path));
                if !self.done.contains(&path) {
                    self.postponed.insert(path);
                }
            }
        }
        Ok(())
    }

    fn link_directory(
        &mut self,
        source: &Path,
        target: &Path,
        priority: i64,
    ) -> Result<(), LinkError> {
        let missing = || {
            format!(
                "getting status of '{}': No such file or directory",
                source.display()
            )
        };
        let real = self.view.resolve(source).ok_or_else(missing)?;
        let entries = match fs::read_dir(&real) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                progress::warn(format!(
                    "not including '{}' in the user environment because it's not a directory",
                    source.display()
                ));
                return Ok(());
            }
            Err(error) => {
                return Err(format!("reading directory '{}': {error}", source.display()).into());
            }
        };
        let mut names: Vec<_> = entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()?;
        names.sort();
        for name in names {
            if name.as_bytes().first() == Some(&b'.') {
                continue;
            }
            self.link_entry(&source.join(&name), &target.join(&name), priority)?;
        }
        Ok(())
    }

    fn link_entry(&mut self, source: &Path, target: &Path, priority: i64) -> Result<(), LinkError> {
        let Some(real) = self.view.resolve(source) else {
            progress::warn(format!("skipping dangling symlink '{}'", target.display()));
            return Ok(());
        };
        if IGNORED
            .iter()
            .any(|suffix| source.as_os_str().as_bytes().ends_with(suffix))
        {
            return Ok(());
        }
        let there = fs::symlink_metadata(target).ok();
        let is_directory = real.is_dir();
        match there {
            Some(there) if there.is_dir() => {
                if !is_directory {
                    return Err(format!(
                        "collision between non-directory '{}' and directory '{}'",
                        source.display(),
                        target.display()
                    )
                    .into());
                }
                return self.link_directory(source, target, priority);
            }
            Some(_) if is_directory => return self.unfold(source, target, priority),
            Some(_) => {
                let before = self.priorities.get(target).copied().unwrap_or(0);
                if before == priority {
                    return Err(LinkError::Conflict(Box::new(Conflict {
                        first: fs::read_link(target).unwrap_or_else(|_| target.to_owned()),
                        second: source.to_owned(),
                        priority,
                    })));
                }
                if before < priority {
                    return Ok(());
                }
                fs::remove_file(target)?;
            }
            None => {}
        }
        symlink(source, target)?;
        self.priorities.insert(target.to_owned(), priority);
        Ok(())
    }

    /// A second package has a directory that was one link: make it a directory with both in it.
    fn unfold(&mut self, source: &Path, target: &Path, priority: i64) -> Result<(), LinkError> {
        let first = fs::read_link(target)?;
        let real = self.view.resolve(&first);
        if !real.is_some_and(|real| real.is_dir()) {
            return Err(format!(
                "collision between '{}' and non-directory '{}'",
                source.display(),
                first.display()
            )
            .into());
        }
        let before = self.priorities.get(target).copied().unwrap_or(0);
        fs::remove_file(target).and_then(|()| fs::create_dir(target))?;
        // Links name the resolved directory, so that none leads through another package's links.
        let first = self.logical(&first);
        self.link_directory(&first, target, before)?;
        self.link_directory(source, target, priority)
    }

    /// The path that a link finally leads to, in the builder's names.
    fn logical(&self, path: &Path) -> PathBuf {
        let Some(real) = self.view.resolve(path) else {
            return path.to_owned();
        };
        match real.strip_prefix(self.view.real_dir) {
            Ok(inside) => self.view.dir.as_path().join(inside),
            Err(_) => real,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_packages_is_read_and_must_be_complete() {
        let packages = parse_packages(b"true 5 2 /a /b false 7 1 /c").unwrap();
        assert_eq!(packages.len(), 3);
        assert_eq!(packages[1].path, Path::new("/b"));
        assert!(!packages[2].active);
        assert!(parse_packages(b"true 5").is_err());
        assert!(parse_packages(b"true 5 2 /a").is_err());
    }
}
