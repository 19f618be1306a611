//! Patterns, what they match, and how good a match is.

use std::cmp::Reverse;
use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};

use super::index::PackageRef;
use crate::ui::Failure;

/// What is searched for: all patterns must match somewhere, none of the excluded ones anywhere.
#[derive(Debug)]
pub struct Query {
    patterns: Vec<Regex>,
    excluded: Vec<Regex>,
}

/// Where patterns match in a text.
pub type Spans = Vec<Range<usize>>;

/// A package that was found.
#[derive(Clone, Debug)]
pub struct Hit<'a> {
    /// The package.
    pub package: PackageRef<'a>,
    /// Smaller is better.
    pub rank: (u32, usize, usize),
}

/// How well a pattern fits, best first.
const EXACT: u32 = 0;
const PREFIX: u32 = 1;
const WORD: u32 = 2;
const INSIDE: u32 = 3;
const DESCRIBED: u32 = 4;
const MENTIONED: u32 = 5;
const ELSEWHERE: u32 = 6;
/// Beyond all that patterns can add up to.
const BROKEN: u32 = 1 << 16;

impl Query {
    /// Compiles the patterns. Upper and lower case are the same; bytes are what they are.
    pub fn new(patterns: &[String], excluded: &[String]) -> Result<Query, Failure> {
        let compile = |all: &[String]| -> Result<Vec<Regex>, Failure> {
            all.iter().map(|pattern| compile(pattern)).collect()
        };
        Ok(Query {
            patterns: compile(patterns)?,
            excluded: compile(excluded)?,
        })
    }

    /// Whether a package is wanted, and how much.
    pub fn matches<'a>(&self, package: PackageRef<'a>) -> Option<Hit<'a>> {
        let texts = [package.path, package.name, package.description];
        let anywhere = |regex: &Regex| texts.iter().any(|text| regex.is_match(text));
        if !self.patterns.iter().all(anywhere) || self.excluded.iter().any(anywhere) {
            return None;
        }
        let last = match memchr_last_dot(package.path) {
            Some(dot) => &package.path[dot + 1..],
            None => package.path,
        };
        let fit: u32 = self
            .patterns
            .iter()
            .map(|regex| fit(regex, last, &package))
            .sum();
        let broken = if package.broken { BROKEN } else { 0 };
        let depth = package.path.iter().filter(|&&b| b == b'.').count();
        Some(Hit {
            package,
            rank: (fit + broken, depth, last.len()),
        })
    }

    /// Where the patterns match in a text; what overlaps or touches nothing else is apart.
    pub fn spans(&self, text: &[u8]) -> Spans {
        let mut all: Spans = self
            .patterns
            .iter()
            .flat_map(|regex| regex.find_iter(text))
            .map(|found| found.range())
            .filter(|range| !range.is_empty())
            .collect();
        all.sort_by_key(|range| (range.start, Reverse(range.end)));
        let mut merged: Spans = Vec::new();
        for range in all {
            match merged.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }
}

fn compile(pattern: &str) -> Result<Regex, Failure> {
    RegexBuilder::new(pattern)
        .case_insensitive(true)
        .unicode(false)
        .build()
        .map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            Failure::message(format!("'{pattern}' is not a regular expression: {reason}"))
        })
}

fn memchr_last_dot(path: &[u8]) -> Option<usize> {
    path.iter().rposition(|&b| b == b'.')
}

fn fit(regex: &Regex, attribute: &[u8], package: &PackageRef<'_>) -> u32 {
    let in_name = best(regex, attribute, [EXACT, PREFIX, WORD, INSIDE]).min(best(
        regex,
        package.name,
        [EXACT, PREFIX, WORD, INSIDE],
    ));
    if in_name < ELSEWHERE {
        return in_name;
    }
    let in_words = [DESCRIBED, DESCRIBED, DESCRIBED, MENTIONED];
    best(regex, package.description, in_words)
}

/// How well the best match in a text fits.
fn best(regex: &Regex, text: &[u8], [exact, prefix, word, inside]: [u32; 4]) -> u32 {
    let is_word = |b: u8| b.is_ascii_alphanumeric();
    let mut best = ELSEWHERE;
    for found in regex.find_iter(text) {
        let before = found.start().checked_sub(1).map(|at| text[at]);
        let after = text.get(found.end()).copied();
        let fit = if before.is_none() && after.is_none() {
            exact
        } else if before.is_none() {
            prefix
        } else if !before.is_some_and(is_word) && !after.is_some_and(is_word) {
            word
        } else {
            inside
        };
        best = best.min(fit);
        if best == exact {
            break;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package<'a>(path: &'a str, name: &'a str, description: &'a str) -> PackageRef<'a> {
        PackageRef {
            path: path.as_bytes(),
            name: name.as_bytes(),
            version: b"1",
            description: description.as_bytes(),
            broken: false,
        }
    }

    fn query(patterns: &[&str]) -> Query {
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        Query::new(&patterns, &[]).unwrap()
    }

    #[test]
    fn the_package_of_that_name_comes_before_those_that_mention_it() {
        let all = [
            package("x.emacs", "emacs", ""),
            package("vim-plug", "plug", "extends Emacs and vim"),
            package("zemacsz", "zemacsz", ""),
            package("emacs-nox", "emacs-nox", ""),
            package("my-emacs-mode", "my-emacs-mode", ""),
            package("emacs", "emacs", "an editor"),
            package("megaemacsen", "n", "x"),
        ];
        let query = query(&["EMACS"]);
        let mut hits: Vec<_> = all.iter().filter_map(|&p| query.matches(p)).collect();
        hits.sort_by_key(|hit| hit.rank);
        let order: Vec<_> = hits
            .iter()
            .map(|hit| String::from_utf8_lossy(hit.package.path).into_owned())
            .collect();
        let expected = [
            "emacs",
            "x.emacs",
            "emacs-nox",
            "my-emacs-mode",
            "zemacsz",
            "megaemacsen",
            "vim-plug",
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn all_patterns_must_match_and_none_of_the_excluded() {
        let one = package("foo", "foo", "a bar");
        assert!(query(&["foo", "bar"]).matches(one).is_some());
        assert!(query(&["foo", "baz"]).matches(one).is_none());
        let without = Query::new(&["^".to_owned()], &["a b".to_owned()]).unwrap();
        assert!(without.matches(one).is_none());
    }

    #[test]
    fn marks_of_overlapping_matches_are_one() {
        assert_eq!(query(&["oo", "foo"]).spans(b"foo foo"), [0..3, 4..7]);
        let whole = query(&["broken b", "en bar"]).spans(b"broken bar");
        assert_eq!((whole.len(), whole[0].clone()), (1, 0..10));
        assert_eq!(query(&["o"]).spans(b"foo"), [1..2, 2..3]);
        assert!(query(&["^"]).spans(b"foo").is_empty());
    }

    #[test]
    fn a_pattern_that_is_none_is_an_error() {
        assert!(Query::new(&["a(".to_owned()], &[]).is_err());
    }
}
