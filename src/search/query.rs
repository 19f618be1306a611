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

// How well a pattern fits, best first, in the same points as popularity: whoever looks for `editor` means a well-known
// package that describes itself so rather than a little known one whose name contains it.
const EXACT: u32 = 0;
/// The pattern and a number: `python3`.
const NUMBERED: u32 = 50;
/// The first word of several.
const FIRST: u32 = 70;
const PREFIX: u32 = 100;
const WORD: u32 = 120;
const DESCRIBED: u32 = 180;
const INSIDE: u32 = 200;
const MENTIONED: u32 = 300;
const ELSEWHERE: u32 = 400;
/// The package's name fits, and not the attribute's.
const OTHER_NAME: u32 = 40;
/// As before, when all of the name is the pattern.
const SAME_NAME: u32 = 10;
/// The package is in a set, and in another one in that.
const IN_SET: u32 = 65;
const DEEPER: u32 = 10;
/// What popularity can take away at most, for each pattern.
const POPULAR: u32 = u8::MAX as u32;
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
        // `^` asks for everything, in the order of the attributes.
        let telling = self.patterns.iter().filter(|regex| !regex.is_match(b""));
        if telling.clone().next().is_none() {
            return Some(Hit {
                package,
                rank: (if package.broken { BROKEN } else { 0 }, 0, 0),
            });
        }
        let unpopular = POPULAR - u32::from(package.popularity);
        let fit: u32 = telling
            .map(|regex| fit(regex, last, &package) + unpopular)
            .sum();
        let broken = if package.broken { BROKEN } else { 0 };
        let depth = package.path.iter().filter(|&&b| b == b'.').count();
        let below = match depth {
            0 => 0,
            depth => IN_SET + DEEPER * (depth as u32 - 1),
        };
        Some(Hit {
            package,
            rank: (fit + below + broken, depth, last.len()),
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
    let of_name = match in_name(regex, package.name) {
        EXACT => SAME_NAME,
        ELSEWHERE => ELSEWHERE,
        other => other + OTHER_NAME,
    };
    let in_names = in_name(regex, attribute).min(of_name);
    if in_names < ELSEWHERE {
        return in_names;
    }
    let matches = regex.find_iter(package.description);
    let fits = matches.map(|found| {
        if Border::of(package.description, &found.range()).is_word() {
            DESCRIBED
        } else {
            MENTIONED
        }
    });
    fits.min().unwrap_or(ELSEWHERE)
}

/// How well the best match in a name fits.
fn in_name(regex: &Regex, name: &[u8]) -> u32 {
    let mut best = ELSEWHERE;
    for found in regex.find_iter(name) {
        let border = Border::of(name, &found.range());
        let rest = &name[found.end()..];
        let fit = if found.start() > 0 {
            if border.is_word() { WORD } else { INSIDE }
        } else if rest.is_empty() {
            EXACT
        } else if rest.iter().all(|b| b.is_ascii_digit() || b"_.".contains(b)) {
            NUMBERED
        } else if border.is_word() {
            FIRST
        } else {
            PREFIX
        };
        best = best.min(fit);
    }
    best
}

/// What is around a match.
struct Border {
    before: Option<u8>,
    after: Option<u8>,
}

impl Border {
    fn of(text: &[u8], found: &Range<usize>) -> Border {
        Border {
            before: found.start.checked_sub(1).map(|at| text[at]),
            after: text.get(found.end).copied(),
        }
    }

    fn is_word(&self) -> bool {
        let inside = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        !inside(self.before) && !inside(self.after)
    }
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
            popularity: 0,
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
            "vim-plug",
            "zemacsz",
            "megaemacsen",
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn a_well_known_package_of_the_kind_comes_before_what_happens_to_have_the_word_in_its_name() {
        let known = PackageRef {
            popularity: 120,
            ..package("vim", "vim", "a text editor")
        };
        let all = [
            package("unknown", "unknown", "another editor"),
            package("editorconfig", "editorconfig", "settings"),
            known,
        ];
        let order = |pattern: &str| -> Vec<String> {
            let query = query(&[pattern]);
            let mut hits: Vec<_> = all.iter().filter_map(|&p| query.matches(p)).collect();
            hits.sort_by_key(|hit| hit.rank);
            let name = |hit: &Hit<'_>| String::from_utf8_lossy(hit.package.path).into_owned();
            hits.iter().map(name).collect()
        };
        assert_eq!(order("editor"), ["vim", "editorconfig", "unknown"]);
        assert_eq!(order("editorc?"), ["vim", "editorconfig", "unknown"]);
        assert_eq!(order("unknown"), ["unknown"]);
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
