//! Choosing packages by name: `NAME`, `NAME-VERSION`, `*`, or regular expressions for the name.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use rx_eval::text::regex::Regex;
use rx_eval::text::version;
use rx_eval::{Error, Vm};
use rx_store::progress;

use super::item::Item;
use crate::ui::Failure;

/// What an argument asks for.
pub struct Selector {
    /// The argument.
    pub text: String,
    name: Vec<u8>,
    version: Vec<u8>,
    regex: Option<Regex>,
}

impl Selector {
    /// Reads an argument.
    pub fn parse(text: &[u8]) -> Result<Selector, Failure> {
        let shown = String::from_utf8_lossy(text).into_owned();
        let (name, version) = version::split_name(text);
        let regex = match name {
            b"*" => None,
            name => Some(Regex::new(name).map_err(|error| {
                Failure::message(format!("selector '{shown}' is not usable: {error}"))
            })?),
        };
        Ok(Selector {
            text: shown,
            name: name.to_vec(),
            version: version.to_vec(),
            regex,
        })
    }

    /// Whether a package with this name and version is asked for.
    pub fn matches(&self, item: &Item) -> Result<bool, Failure> {
        let (name, version) = item.split_name();
        if let Some(regex) = &self.regex
            && regex
                .full_match(name, &rx_store::interrupt::is_set)?
                .is_none()
        {
            return Ok(false);
        }
        Ok(self.version.is_empty() || self.version == version)
    }
}

/// What may be chosen when several packages of one name match.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// All of them.
    All,
    /// One: for this system, of the highest priority, the newest.
    Best,
}

/// Those of the packages that the arguments ask for, in the arguments' order; all without arguments.
pub fn select(
    vm: &mut Vm,
    items: &[Item],
    arguments: &[Vec<u8>],
    choice: Choice,
    check: &dyn Fn(Box<Error>) -> Failure,
) -> Result<Vec<Item>, Failure> {
    let everything = [b"*".to_vec()];
    let arguments = if arguments.is_empty() {
        &everything
    } else {
        arguments
    };
    let mut chosen = Vec::new();
    let mut done = BTreeSet::new();
    for argument in arguments {
        let selector = Selector::parse(argument)?;
        let mut matches = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if selector.matches(item)? {
                matches.push(index);
            }
        }
        if matches.is_empty() && selector.text != "*" {
            return Err(no_match(&selector, items));
        }
        if choice == Choice::Best {
            matches = best_of_each_name(vm, items, matches).map_err(check)?;
        }
        for index in matches {
            if done.insert(index) {
                chosen.push(items[index].clone());
            }
        }
    }
    Ok(chosen)
}

fn best_of_each_name(
    vm: &mut Vm,
    items: &[Item],
    matches: Vec<usize>,
) -> Result<Vec<usize>, Box<Error>> {
    let mut best: BTreeMap<&[u8], usize> = BTreeMap::new();
    let mut several: BTreeSet<&[u8]> = BTreeSet::new();
    for index in matches {
        let item = &items[index];
        let (name, _) = item.split_name();
        let order = match best.get(name) {
            Some(&other) => compare(vm, &mut item.clone(), &mut items[other].clone())?,
            None => Ordering::Greater,
        };
        match order {
            Ordering::Greater => {
                best.insert(name, index);
                several.remove(item.name.as_slice());
            }
            Ordering::Equal => {
                several.insert(&item.name);
            }
            Ordering::Less => {}
        }
    }
    for name in best.keys().filter(|name| several.contains(*name)) {
        progress::warn(format_args!(
            "there are multiple derivations named '{}'; using the first one",
            String::from_utf8_lossy(name)
        ));
    }
    Ok(best.into_values().collect())
}

/// Which of two packages of one name is preferred: greater is better.
fn compare(vm: &mut Vm, a: &mut Item, b: &mut Item) -> Result<Ordering, Box<Error>> {
    let (system_a, system_b) = (a.system(vm)?, b.system(vm)?);
    if system_a != system_b {
        let this = vm.ev.settings.system.as_bytes();
        if system_a == this {
            return Ok(Ordering::Greater);
        }
        if system_b == this {
            return Ok(Ordering::Less);
        }
    }
    // Lower numbers come first.
    let priorities = b.priority(vm)?.cmp(&a.priority(vm)?);
    Ok(priorities.then_with(|| version::compare(a.split_name().1, b.split_name().1)))
}

/// The error of a selector that nothing matches, with names that begin alike.
fn no_match(selector: &Selector, items: &[Item]) -> Failure {
    let mut alike = BTreeSet::new();
    for item in items {
        let (name, _) = item.split_name();
        if alike.len() < 3 && name.starts_with(&selector.name) {
            alike.insert(String::from_utf8_lossy(name).into_owned());
        }
    }
    let mut text = format!("selector '{}' matches no derivations", selector.text);
    if !alike.is_empty() {
        text.push_str(", maybe you meant:");
        for name in alike {
            text.push('\n');
            text.push_str(&name);
        }
    }
    Failure::message(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rx_store::path::StorePath;

    #[test]
    fn names_are_patterns_and_versions_are_not() {
        let path = StorePath::parse(b"y7yjfsiba1x083622d4nl9c9b8v809qv-x".as_slice()).unwrap();
        let matches = |selector: &str, name: &str| {
            let item = Item::of_path(name, path.clone(), None);
            let selector = Selector::parse(selector.as_bytes()).unwrap();
            selector.matches(&item).unwrap()
        };
        for (selector, name, expected) in [
            ("*", "foo-1.0", true),
            ("foo", "foo-1.0", true),
            ("foo-1.0", "foo-1.0", true),
            ("foo-1", "foo-1.0", false),
            ("foo", "foobar-1.0", false),
            ("foo.*", "foobar-1.0", true),
            (".*bar", "foobar-1.0", true),
            ("gcc|ghc", "ghc-9", true),
            ("foo-2.*", "foo-2.0", false),
        ] {
            assert_eq!(matches(selector, name), expected, "{selector} {name}");
        }
        assert!(Selector::parse(b"(").is_err());
    }
}
