//! What puts values in order or tells them apart by comparing them: `sort`, `genericClosure`, `lessThan`.

use rustc_hash::FxHashSet;
use rx_lang::symbol::known;

use crate::builtins::{Builtin, builtin};
use crate::error::{Error, Result};
use crate::heap;
use crate::source::Pos;
use crate::text::sort::sort as sort_by;
use crate::value::attrs::SelectCache;
use crate::value::function::FunctionView;
use crate::value::{Attrs, Value, View};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!("genericClosure", ["attrset"], generic_closure, "Everything that can be reached from the sets in `startSet` by calling `operator`, which gives a list of sets for a set. Sets with equal `key` are the same; the first one met stays.", strict: 1),
    builtin!("lessThan", ["e1", "e2"], less_than, "Whether `e1` is smaller than `e2`.", strict: 3),
    builtin!("sort", ["comparator", "list"], sort, "`list` in order; `comparator` says whether its first argument comes before its second. Elements that are equal keep their order.", strict: 2),
];

fn less_than(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    vm.less(args[0], args[1], pos).map(Value::bool)
}

// ---- sort --------------------------------------------------------------------------------------------

fn sort(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the second argument passed to builtins.sort";
    let list = vm.expect_list(args[1], pos, what)?;
    if list.is_empty() {
        return Ok(list.value());
    }
    let what = "while evaluating the first argument passed to builtins.sort";
    let comparator = vm.expect_function(args[0], pos, what)?;
    let mut elements = Vec::with_capacity(list.len());
    for element in list.iter() {
        elements.push(vm.force(element)?);
    }
    if is_less_than(comparator) {
        if !sort_plainly(&mut elements) {
            let what = "while evaluating the ordering function passed to builtins.sort";
            sort_by(&mut elements, |a, b| {
                vm.less(a, b, pos).map_err(|e| e.frame(Pos::NONE, what))
            })?;
        }
    } else {
        let what =
            "while evaluating the return value of the sorting function passed to builtins.sort";
        sort_by(&mut elements, |a, b| {
            let result = vm.call(comparator, &[a, b])?;
            match result.as_bool() {
                Some(result) => Ok(result),
                None => vm.expect_bool(result, pos, what),
            }
        })?;
    }
    Ok(vm.list(&elements))
}

fn is_less_than(function: Value) -> bool {
    function.as_function().is_some_and(
        |f| matches!(f.view(), FunctionView::Builtin(builtin) if builtin.name == "lessThan"),
    )
}

/// Sorts integers or strings, whose comparison cannot fail; false when there is something else.
fn sort_plainly(elements: &mut [Value]) -> bool {
    if elements.iter().all(|e| e.as_str().is_some()) {
        elements.sort_by_cached_key(|e| e.as_str().map(|s| s.as_bytes()));
        return true;
    }
    if elements.iter().all(|e| e.as_int().is_some()) {
        elements.sort_by_key(|e| e.as_int());
        return true;
    }
    false
}

// ---- genericClosure ----------------------------------------------------------------------------------

fn generic_closure(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.genericClosure";
    let attrs = vm.expect_attrs(args[0], pos, what)?;
    let start = part(vm, attrs, known::START_SET)?;
    let what =
        "while evaluating the 'startSet' attribute passed as argument to builtins.genericClosure";
    let start = vm.expect_list(start, pos, what)?;
    if start.is_empty() {
        return Ok(start.value());
    }
    let operator = part(vm, attrs, known::OPERATOR)?;
    let what =
        "while evaluating the 'operator' attribute passed as argument to builtins.genericClosure";
    let operator = vm.expect_function(operator, pos, what)?;

    let key_cache = SelectCache::default();
    let mut work = start.iter().collect::<std::collections::VecDeque<_>>();
    let mut keys = KeySet::default();
    let mut result = Vec::new();
    while let Some(element) = work.pop_front() {
        vm.check()?;
        let item = vm.expect_attrs(element, pos, "").map_err(|e| {
            let text = shown(vm, "in genericClosure element ", element);
            e.frame(Pos::NONE, text)
        })?;
        let Some(key) = item.word_cached(known::KEY, &key_cache) else {
            let text = shown(vm, "in genericClosure element ", item.value());
            return Err(vm
                .missing_attribute(item, known::KEY, Pos::NONE)
                .frame(Pos::NONE, text));
        };
        let key = vm.force_word(key)?;
        let is_new = keys.insert(vm, key, item).map_err(|e| {
            let text = shown(vm, "while comparing element ", item.value());
            e.frame(Pos::NONE, text)
        })?;
        if !is_new {
            continue;
        }
        result.push(item.value());
        let more = vm
            .call(operator, &[item.value()])
            .and_then(|more| {
                let what = "while evaluating the return value of the `operator` passed to builtins.genericClosure";
                let more = vm.expect_list(more, pos, what)?;
                for element in more.iter() {
                    work.push_back(vm.force(element)?);
                }
                Ok(())
            });
        if let Err(error) = more {
            let text = shown(
                vm,
                "while calling operator on genericClosure element ",
                item.value(),
            );
            return Err(error.frame(Pos::NONE, text));
        }
    }
    vm.check_size(result.len())?;
    Ok(vm.list(&result))
}

fn part(vm: &mut Vm, attrs: Attrs, name: rx_lang::Symbol) -> Result {
    match attrs.word(name) {
        Some(word) => Ok(Value::from_word(heap::load(word)).peel()),
        None => Err(vm.missing_attribute(attrs, name, Pos::NONE).frame(
            Pos::NONE,
            "in the attrset passed as argument to builtins.genericClosure",
        )),
    }
}

#[cold]
fn shown(vm: &mut Vm, what: &str, value: Value) -> Vec<u8> {
    let mut text = what.as_bytes().to_vec();
    text.extend(vm.describe(value));
    text
}

/// The keys that have been met: hashed while all are integers or all are strings, ordered otherwise.
#[derive(Default)]
struct KeySet {
    ints: FxHashSet<i64>,
    texts: FxHashSet<&'static [u8]>,
    /// Keys in order, each with its element; used once there is a key of another type.
    ordered: Vec<(Value, Attrs)>,
    /// All keys in the order of their coming, with their elements, as long as they are hashed.
    hashed: Vec<(Value, Attrs)>,
}

impl KeySet {
    /// Adds a key; false when it was there.
    fn insert(&mut self, vm: &mut Vm, key: Value, element: Attrs) -> Result<bool> {
        if self.ordered.is_empty() {
            let new = match key.view() {
                View::Int(n) if self.texts.is_empty() => Some(self.ints.insert(n)),
                View::Str(text) if self.ints.is_empty() => Some(self.texts.insert(text.as_bytes())),
                _ => None,
            };
            if let Some(new) = new {
                if new {
                    self.hashed.push((key, element));
                }
                return Ok(new);
            }
            self.ordered = std::mem::take(&mut self.hashed);
            self.ordered
                .sort_by(|a, b| match (a.0.as_str(), b.0.as_str()) {
                    (Some(a), Some(b)) => a.as_bytes().cmp(b.as_bytes()),
                    _ => a.0.as_int().cmp(&b.0.as_int()),
                });
        }
        self.insert_ordered(vm, key, element)
    }

    fn insert_ordered(&mut self, vm: &mut Vm, key: Value, element: Attrs) -> Result<bool> {
        let (mut low, mut high) = (0, self.ordered.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if less_than_element(vm, key, self.ordered[middle])? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        // The key is not smaller than the one before its place: it is new unless that one is not smaller either.
        if let Some(before) = low.checked_sub(1)
            && !vm.less(self.ordered[before].0, key, Pos::NONE)?
        {
            return Ok(false);
        }
        self.ordered.insert(low, (key, element));
        Ok(true)
    }
}

fn less_than_element(vm: &mut Vm, key: Value, other: (Value, Attrs)) -> Result<bool> {
    vm.less(key, other.0, Pos::NONE).map_err(|e: Box<Error>| {
        let text = shown(vm, "with element ", other.1.value());
        e.frame(Pos::NONE, text)
    })
}
