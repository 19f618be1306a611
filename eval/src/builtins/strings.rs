//! Strings.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::builtins::{Builtin, builtin};
use crate::error::{Error, Result};
use crate::interp::Coercion;
use crate::source::Pos;
use crate::value::{Context, List, PathValue, Str, Value};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!("baseNameOf", ["x"], base_name_of, "What follows the last slash of the path or string `x`; one slash at its end does not count.", strict: 1, global: true),
    builtin!("concatStringsSep", ["separator", "list"], concat_strings_sep, "The strings of `list` in one, with `separator` between them.", strict: 1),
    builtin!("dirOf", ["s"], dir_of, "What comes before the last slash of the path or string `s`.", strict: 1, global: true),
    builtin!("replaceStrings", ["from", "to", "s"], replace_strings, "`s` with every string of the list `from` replaced by the one at the same place in `to`. The first that fits counts, and what has been put in is not searched again.", strict: 1),
    builtin!("stringLength", ["e"], string_length, "The number of bytes of the string `e`.", strict: 1),
    builtin!("substring", ["start", "len", "s"], substring, "The bytes of the string `s` from `start` on (counted from 0), at most `len`; with a negative `len`, all of them.", strict: 1),
];

impl Vm {
    /// The value as a string with its context, copied only if it is none yet.
    pub(crate) fn text(
        &mut self,
        value: Value,
        mode: Coercion,
        pos: Pos,
        what: &str,
    ) -> Result<(Cow<'static, [u8]>, Context)> {
        if let Some(text) = value.peel().as_str() {
            return Ok((Cow::Borrowed(text.as_bytes()), text.context()));
        }
        let (text, context) = self.to_text(value, mode, pos, what)?;
        Ok((Cow::Owned(text), context))
    }
}

fn string_length(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the argument passed to builtins.stringLength";
    let (text, _) = vm.text(args[0], Coercion::segment(true), pos, what)?;
    Ok(Value::small_int(text.len() as i64))
}

fn substring(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what =
        "while evaluating the first argument (the start offset) passed to builtins.substring";
    let start = vm.expect_int(args[0], pos, what)?;
    let Ok(start) = usize::try_from(start) else {
        return Err(Error::other("negative start position in 'substring'").at(pos));
    };
    let what =
        "while evaluating the second argument (the substring length) passed to builtins.substring";
    let len = vm.expect_int(args[1], pos, what)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let what = "while evaluating the third argument (the string) passed to builtins.substring";
    let value = vm.force(args[2])?;
    let (text, context) = vm.text(value, Coercion::segment(true), pos, what)?;
    if start == 0 && len >= text.len() && value.as_str().is_some() {
        return Ok(value);
    }
    let rest = text.get(start..).unwrap_or_default();
    let part = &rest[..rest.len().min(len)];
    Ok(Str::with_context(&mut vm.heap, part, context))
}

fn concat_strings_sep(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument (the separator string) passed to builtins.concatStringsSep";
    let separator = vm.expect_str(args[0], pos, what)?;
    let what = "while evaluating the second argument (the list of strings to concat) passed to builtins.concatStringsSep";
    let list = vm.expect_list(args[1], pos, what)?;
    let what = "while evaluating one element of the list of strings to concat passed to builtins.concatStringsSep";
    let mut context = separator.context();
    let separator = separator.as_bytes();
    let mut parts = SmallVec::<[Cow<'static, [u8]>; 16]>::new();
    let mut len = separator.len().saturating_mul(list.len().saturating_sub(1));
    for element in list.iter() {
        let value = vm.force(element)?;
        let (text, more) = vm.text(value, Coercion::segment(true), pos, what)?;
        context = context.union(more);
        len = len.saturating_add(text.len());
        parts.push(text);
    }
    vm.check_size(len / 8)?;
    let (value, mut room) = Str::fresh(&mut vm.heap, len, context);
    let mut put = |bytes: &[u8]| {
        let (here, rest) = std::mem::take(&mut room).split_at_mut(bytes.len());
        here.copy_from_slice(bytes);
        room = rest;
    };
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            put(separator);
        }
        put(part);
    }
    Ok(value)
}

fn replace_strings(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.replaceStrings";
    let from = vm.expect_list(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.replaceStrings";
    let to = vm.expect_list(args[1], pos, what)?;
    if from.len() != to.len() {
        let message =
            "'from' and 'to' arguments passed to builtins.replaceStrings have different lengths";
        return Err(Error::other(message).at(pos));
    }
    let what = "while evaluating one of the strings to replace passed to builtins.replaceStrings";
    let mut patterns = SmallVec::<[&'static [u8]; 16]>::new();
    for element in from.iter() {
        patterns.push(vm.expect_str(element, pos, what)?.as_bytes());
    }
    let what = "while evaluating the third argument passed to builtins.replaceStrings";
    let text = vm.expect_str(args[2], pos, what)?;
    Replacement::new(&patterns, to).run(vm, text, pos)
}

/// A `replaceStrings` under way.
struct Replacement<'a> {
    patterns: &'a [&'static [u8]],
    to: List,
    /// Which bytes a pattern can begin with.
    starts: [bool; 256],
    /// Whether there is an empty pattern, which fits everywhere.
    empty: bool,
    used: SmallVec<[Option<&'static [u8]>; 16]>,
}

impl<'a> Replacement<'a> {
    fn new(patterns: &'a [&'static [u8]], to: List) -> Self {
        let mut starts = [false; 256];
        for first in patterns.iter().filter_map(|p| p.first()) {
            starts[usize::from(*first)] = true;
        }
        Replacement {
            patterns,
            to,
            starts,
            empty: patterns.iter().any(|p| p.is_empty()),
            used: smallvec::smallvec![None; patterns.len()],
        }
    }

    fn run(mut self, vm: &mut Vm, text: Str, pos: Pos) -> Result {
        let bytes = text.as_bytes();
        let mut context = text.context();
        let mut out = Vec::new();
        // Bytes up to `done` are in `out`; those up to `at` are not part of a match.
        let (mut done, mut at) = (0, 0);
        let mut changed = false;
        while at <= bytes.len() {
            let rest = &bytes[at..];
            let possible = self.empty || rest.first().is_some_and(|b| self.starts[usize::from(*b)]);
            let found = if possible {
                self.patterns.iter().position(|p| rest.starts_with(p))
            } else {
                None
            };
            let Some(found) = found else {
                at += 1;
                continue;
            };
            changed = true;
            out.extend_from_slice(&bytes[done..at]);
            out.extend_from_slice(self.replacement(vm, found, &mut context, pos)?);
            vm.check_size(out.len() / 8)?;
            done = at;
            at += self.patterns[found].len();
            if self.patterns[found].is_empty() {
                // The byte after an empty match is copied.
                at += 1;
            } else {
                done = at;
            }
        }
        if !changed {
            return Ok(text.value());
        }
        out.extend_from_slice(bytes.get(done..).unwrap_or_default());
        Ok(Str::with_context(&mut vm.heap, &out, context))
    }

    /// What stands for a pattern; looked at only when it is needed.
    fn replacement(
        &mut self,
        vm: &mut Vm,
        index: usize,
        context: &mut Context,
        pos: Pos,
    ) -> Result<&'static [u8]> {
        if let Some(known) = self.used[index] {
            return Ok(known);
        }
        let what =
            "while evaluating one of the replacement strings passed to builtins.replaceStrings";
        let value = self.to.get(index).unwrap_or(Value::NULL);
        let text = vm.expect_str(value, pos, what)?;
        *context = context.union(text.context());
        self.used[index] = Some(text.as_bytes());
        Ok(text.as_bytes())
    }
}

fn base_name_of(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.baseNameOf";
    let value = vm.force(args[0])?;
    let (text, context) = vm.text(value, Coercion::segment(false), pos, what)?;
    Ok(Str::with_context(&mut vm.heap, base_name(&text), context))
}

/// Only one slash at the end is ignored; `/` is its own base name's beginning.
fn base_name(path: &[u8]) -> &[u8] {
    let path = match path {
        [rest @ .., b'/'] if !rest.is_empty() => rest,
        _ => path,
    };
    match memchr::memrchr(b'/', path) {
        Some(slash) => &path[slash + 1..],
        None => path,
    }
}

fn dir_of(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let value = vm.force(args[0])?;
    if let Some(path) = value.as_path() {
        let path = path.as_bytes();
        let slash = memchr::memrchr(b'/', path).unwrap_or(0);
        return Ok(PathValue::new(&mut vm.heap, &path[..slash.max(1)]));
    }
    let what = "while evaluating the first argument passed to 'builtins.dirOf'";
    let (text, context) = vm.text(value, Coercion::segment(false), pos, what)?;
    let dir = match memchr::memrchr(b'/', &text) {
        None => b".",
        Some(0) => b"/",
        Some(slash) => &text[..slash],
    };
    Ok(Str::with_context(&mut vm.heap, dir, context))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_name_ignores_one_slash_at_the_end() {
        for (path, name) in [
            ("a/b", "b"),
            ("a/b/", "b"),
            ("a/b//", ""),
            ("a", "a"),
            ("/", ""),
            ("//", ""),
            ("", ""),
            ("/a", "a"),
        ] {
            assert_eq!(base_name(path.as_bytes()), name.as_bytes(), "{path}");
        }
    }
}
