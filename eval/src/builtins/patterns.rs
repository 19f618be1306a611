//! Patterns: `match` and `split`.

use std::sync::Arc;

use crate::builtins::{Builtin, builtin};
use crate::error::{Error, ErrorKind, Result};
use crate::source::Pos;
use crate::text::regex::{Match, Regex, RegexError};
use crate::value::{ListBuilder, Value};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!(
        "match",
        ["regex", "str"],
        match_,
        "The groups of the POSIX extended regular expression `regex` if it matches all of `str` (`null` for a group that took no part), else `null`.",
        strict: 1
    ),
    builtin!(
        "split",
        ["regex", "str"],
        split,
        "The parts of `str` between matches of the POSIX extended regular expression `regex`, with a list of the groups of each match between them.",
        strict: 1
    ),
];

/// How many compiled patterns are kept.
const KEPT_PATTERNS: usize = 4_096;

/// The compiled pattern, from the cache if it was used before.
fn compiled(vm: &mut Vm, pattern: &'static [u8], pos: Pos) -> Result<Arc<Regex>> {
    if let Some(known) = vm.regexes.get(pattern) {
        return Ok(known.clone());
    }
    let regex = Arc::new(Regex::new(pattern).map_err(|error| regex_error(error, pattern, pos))?);
    if vm.regexes.len() >= KEPT_PATTERNS {
        vm.regexes.clear();
    }
    vm.regexes.insert(pattern, regex.clone());
    Ok(regex)
}

#[cold]
fn regex_error(error: RegexError, pattern: &[u8], pos: Pos) -> Box<Error> {
    if error == RegexError::Interrupted {
        return Error::new(ErrorKind::Interrupted, "interrupted by the user");
    }
    let mut message = format!("{error} '").into_bytes();
    message.extend_from_slice(pattern);
    message.push(b'\'');
    Error::other(message).at(pos)
}

fn groups(vm: &mut Vm, found: &Match, text: &[u8]) -> Value {
    let mut list = ListBuilder::new(&mut vm.heap, found.groups.len());
    for group in &found.groups {
        list.push(
            group
                .clone()
                .map_or(Value::NULL, |range| vm.str(&text[range])),
        );
    }
    list.finish()
}

fn match_(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.match";
    let pattern = vm.expect_plain_str(args[0], pos, what)?;
    let regex = compiled(vm, pattern, pos)?;
    let what = "while evaluating the second argument passed to builtins.match";
    let text = vm.expect_str(args[1], pos, what)?.as_bytes();
    let found = regex
        .full_match(text, &rx_store::interrupt::is_set)
        .map_err(|error| regex_error(error, pattern, pos))?;
    Ok(found.map_or(Value::NULL, |found| groups(vm, &found, text)))
}

fn split(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.split";
    let pattern = vm.expect_plain_str(args[0], pos, what)?;
    let regex = compiled(vm, pattern, pos)?;
    let what = "while evaluating the second argument passed to builtins.split";
    let subject = vm.expect_str(args[1], pos, what)?;
    let text = subject.as_bytes();
    let mut parts = Vec::new();
    let mut end = 0;
    for found in regex.matches(text, &rx_store::interrupt::is_set) {
        let found = found.map_err(|error| regex_error(error, pattern, pos))?;
        parts.push(vm.str(&text[end..found.range.start]));
        parts.push(groups(vm, &found, text));
        end = found.range.end;
    }
    // Without a match, the string itself comes back, with its context.
    let last = if parts.is_empty() {
        subject.value()
    } else {
        vm.str(&text[end..])
    };
    parts.push(last);
    Ok(vm.list(&parts))
}
