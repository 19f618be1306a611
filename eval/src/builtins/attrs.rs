//! Attribute sets.

use rustc_hash::FxHashMap;
use rx_lang::symbol::{Symbol, known};
use smallvec::SmallVec;

use crate::builtins::{Builtin, builtin};
use crate::error::{Error, ErrorKind, Result};
use crate::heap;
use crate::source::Pos;
use crate::value::attrs::{Duplicates, SelectCache};
use crate::value::function::FunctionView;
use crate::value::{Attrs, AttrsBuilder, ListBuilder, Value};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!("attrNames", ["set"], attr_names, "The names of the attributes of `set`, in alphabetical order.", strict: 1),
    builtin!("attrValues", ["set"], attr_values, "The values of the attributes of `set`, in the alphabetical order of their names.", strict: 1),
    builtin!("catAttrs", ["attr", "list"], cat_attrs, "The values of the attribute `attr` of all sets in `list` that have it.", strict: 1),
    builtin!("functionArgs", ["f"], function_args, "The formal arguments of the function `f`, each with whether it has a default. A function without a set pattern has none.", strict: 1),
    builtin!("getAttr", ["s", "set"], get_attr, "The attribute `s` of `set`; the computed form of `set.s`.", strict: 1),
    builtin!("groupBy", ["f", "list"], group_by, "A set of lists: the elements of `list` by the name that `f` gives for each.", strict: 1),
    builtin!("hasAttr", ["s", "set"], has_attr, "Whether `set` has an attribute `s`; the computed form of `set ? s`.", strict: 1),
    builtin!("intersectAttrs", ["e1", "e2"], intersect_attrs, "The attributes of the set `e2` whose names are in the set `e1` too.", strict: 1),
    builtin!("listToAttrs", ["e"], list_to_attrs, "The set with the attributes that the list `e` describes, each by a set with `name` and `value`. Of several with the same name the first counts.", strict: 1),
    builtin!("mapAttrs", ["f", "attrset"], map_attrs, "The set with `f name value` for each attribute of `attrset`.", strict: 2),
    builtin!("removeAttrs", ["set", "list"], remove_attrs, "`set` without the attributes that are named in `list`.", strict: 1, global: true),
    builtin!("unsafeGetAttrPos", ["s", "set"], unsafe_get_attr_pos, "Where the attribute `s` of `set` was defined: a set with `file`, `line` and `column`, or null.", strict: 1),
    builtin!("zipAttrsWith", ["f", "list"], zip_attrs_with, "A set with `f name values` for each attribute name in the sets of `list`, where `values` are all that they have under that name, in order.", strict: 1),
];

fn attr_names(vm: &mut Vm, args: &[Value]) -> Result {
    let what = "while evaluating the argument passed to builtins.attrNames";
    let names = vm
        .expect_attrs(args[0], vm.call_pos, what)?
        .names(&mut vm.heap);
    let mut list = ListBuilder::new(&mut vm.heap, names.len());
    for &name in names {
        list.push(vm.name(name));
    }
    Ok(list.finish())
}

fn attr_values(vm: &mut Vm, args: &[Value]) -> Result {
    let what = "while evaluating the argument passed to builtins.attrValues";
    let entries = vm
        .expect_attrs(args[0], vm.call_pos, what)?
        .entries(&mut vm.heap);
    let mut list = ListBuilder::new(&mut vm.heap, entries.len());
    entries.iter().for_each(|(_, value)| list.push(value));
    Ok(list.finish())
}

/// The set's attribute, not forced; `what` says which set lacks it.
fn required(vm: &mut Vm, attrs: Attrs, name: Symbol, cache: &SelectCache, what: &str) -> Result {
    match attrs.word_cached(name, cache) {
        Some(word) => Ok(Value::from_word(heap::load(word)).peel()),
        None => Err(vm
            .missing_attribute(attrs, name, Pos::NONE)
            .frame(Pos::NONE, what)),
    }
}

fn get_attr(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.getAttr";
    let name = vm.expect_plain_str(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.getAttr";
    let attrs = vm.expect_attrs(args[1], pos, what)?;
    let name = vm.symbol(name);
    match attrs.word(name) {
        Some(word) => vm.force_word(word),
        None => Err(vm
            .missing_attribute(attrs, name, Pos::NONE)
            .frame(Pos::NONE, "in the attribute set under consideration")),
    }
}

fn has_attr(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.hasAttr";
    let name = vm.expect_plain_str(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.hasAttr";
    let attrs = vm.expect_attrs(args[1], pos, what)?;
    let name = vm.symbol(name);
    Ok(Value::bool(attrs.word(name).is_some()))
}

fn unsafe_get_attr_pos(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.unsafeGetAttrPos";
    let name = vm.expect_plain_str(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.unsafeGetAttrPos";
    let attrs = vm.expect_attrs(args[1], pos, what)?;
    let pos = attrs.pos(vm.symbol(name));
    Ok(vm.position_value(pos))
}

fn cat_attrs(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.catAttrs";
    let name = vm.expect_plain_str(args[0], pos, what)?;
    let name = vm.symbol(name);
    let what = "while evaluating the second argument passed to builtins.catAttrs";
    let list = vm.expect_list(args[1], pos, what)?;
    let what =
        "while evaluating an element in the list passed as second argument to builtins.catAttrs";
    let cache = SelectCache::default();
    let mut found = SmallVec::<[Value; 16]>::new();
    for element in list.iter() {
        let attrs = vm.expect_attrs(element, pos, what)?;
        if let Some(word) = attrs.word_cached(name, &cache) {
            found.push(Value::from_word(heap::load(word)).peel());
        }
    }
    Ok(vm.list(&found))
}

fn function_args(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let Some(function) = vm.force(args[0])?.as_function() else {
        return Err(Error::new(ErrorKind::Type, "'functionArgs' requires a function").at(pos));
    };
    let code = match function.view() {
        FunctionView::Lambda(code, _) => Some(code),
        FunctionView::Builtin(_) => None,
        // Of curried lambdas only the last has a set pattern, which is the next argument when all others are there.
        FunctionView::Partial(partial) => match partial.function().view() {
            FunctionView::Lambda(code, _) if partial.len() + 1 == code.arity as usize => Some(code),
            _ => None,
        },
    };
    let next_is_last = |code: &crate::code::LambdaCode| {
        code.arity == 1 || matches!(function.view(), FunctionView::Partial(_))
    };
    let Some(formals) = code
        .filter(|code| next_is_last(code))
        .and_then(|code| code.formals)
    else {
        return Ok(Attrs::empty(&mut vm.heap));
    };
    if let Some(&known) = formals.function_args.get() {
        return Ok(known);
    }
    let mut set = AttrsBuilder::new(formals.list.len());
    for formal in formals.list {
        set.push_at(
            formal.name,
            formal.pos,
            Value::bool(formal.default.is_some()),
        );
    }
    let set = set.finish(&mut vm.heap, Duplicates::Last);
    Ok(*formals.function_args.get_or_init(|| set))
}

fn intersect_attrs(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.intersectAttrs";
    let left = vm.expect_attrs(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.intersectAttrs";
    let right = vm.expect_attrs(args[1], pos, what)?;
    Ok(Attrs::intersect(&mut vm.heap, left, right))
}

fn remove_attrs(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.removeAttrs";
    let attrs = vm.expect_attrs(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.removeAttrs";
    let list = vm.expect_list(args[1], pos, what)?;
    let what = "while evaluating the values of the second argument passed to builtins.removeAttrs";
    let mut removed = SmallVec::<[Symbol; 32]>::new();
    for element in list.iter() {
        let name = vm.expect_plain_str(element, pos, what)?;
        removed.push(vm.symbol(name));
    }
    removed.retain(|name| attrs.word(*name).is_some());
    if removed.is_empty() && attrs.is_layered() {
        return Ok(attrs.value());
    }
    let entries = attrs.entries(&mut vm.heap);
    let mut removed = removed
        .iter()
        .filter_map(|&name| entries.find(name))
        .collect::<SmallVec<[usize; 32]>>();
    removed.sort_unstable();
    let mut kept = SmallVec::<[u32; 64]>::new();
    let mut next = removed.iter().copied().peekable();
    for i in 0..entries.len() {
        if next.peek() == Some(&i) {
            while next.next_if_eq(&i).is_some() {}
        } else {
            kept.push(i as u32);
        }
    }
    Ok(entries.subset(&mut vm.heap, &kept))
}

fn list_to_attrs(vm: &mut Vm, args: &[Value]) -> Result {
    const PAIR: &str = "in a {name=...; value=...;} pair";
    let pos = vm.call_pos;
    let what = "while evaluating the argument passed to builtins.listToAttrs";
    let list = vm.expect_list(args[0], pos, what)?;
    let (names, values) = (SelectCache::default(), SelectCache::default());
    let mut pairs = AttrsBuilder::new(list.len());
    for element in list.iter() {
        let what = "while evaluating an element of the list passed to builtins.listToAttrs";
        let pair = vm.expect_attrs(element, pos, what)?;
        let name = required(vm, pair, known::NAME, &names, PAIR)?;
        let what = "while evaluating the `name` attribute of an element of the list passed to builtins.listToAttrs";
        let name = vm.expect_plain_str(name, pos, what)?;
        pairs.push(vm.symbol(name), pair.value());
    }
    // Positions would give every large set a layout of its own, which is what makes `//` on them fast.
    let few = list.len() <= 16;
    // Values are looked for when all names are there, and only those that count.
    pairs.resolve(Duplicates::First);
    pairs.try_map(|pair| {
        let Some(pair) = pair.as_attrs() else {
            return Ok((Pos::NONE, pair));
        };
        let value = required(vm, pair, known::VALUE, &values, PAIR)?;
        let pos = if few {
            pair.pos(known::VALUE)
        } else {
            Pos::NONE
        };
        Ok((pos, value))
    })?;
    Ok(pairs.finish(&mut vm.heap, Duplicates::First))
}

fn map_attrs(vm: &mut Vm, args: &[Value]) -> Result {
    let what = "while evaluating the second argument passed to builtins.mapAttrs";
    let set = vm.expect_attrs(args[1], vm.call_pos, what)?;
    Ok(Attrs::map(&mut vm.heap, args[0].peel(), set))
}

/// Values that come under names in any order and leave as one list a name.
#[derive(Default)]
struct Groups {
    numbers: FxHashMap<Symbol, u32>,
    names: Vec<(Symbol, usize)>,
    values: Vec<(u32, Value)>,
}

impl Groups {
    fn add(&mut self, name: Symbol, value: Value) {
        let next = self.names.len() as u32;
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.names.push((name, 0));
        }
        self.names[number as usize].1 += 1;
        self.values.push((number, value));
    }

    /// The set of what `each` makes of every name and its list.
    fn finish(self, vm: &mut Vm, mut each: impl FnMut(&mut Vm, Symbol, Value) -> Value) -> Value {
        let mut lists = self
            .names
            .iter()
            .map(|&(_, len)| ListBuilder::new(&mut vm.heap, len))
            .collect::<Vec<_>>();
        for (number, value) in self.values {
            lists[number as usize].push(value);
        }
        let mut set = AttrsBuilder::new(lists.len());
        for ((name, _), list) in self.names.into_iter().zip(lists) {
            let value = each(vm, name, list.finish());
            set.push(name, value);
        }
        set.finish(&mut vm.heap, Duplicates::First)
    }
}

fn group_by(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.groupBy";
    let function = vm.expect_function(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.groupBy";
    let list = vm.expect_list(args[1], pos, what)?;
    let what =
        "while evaluating the return value of the grouping function passed to builtins.groupBy";
    let mut groups = Groups::default();
    for element in list.iter() {
        let name = vm.call(function, &[element])?;
        let name = vm.expect_plain_str(name, pos, what)?;
        groups.add(vm.symbol(name), element);
    }
    Ok(groups.finish(vm, |_, _, list| list))
}

fn zip_attrs_with(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.zipAttrsWith";
    let function = vm.expect_function(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.zipAttrsWith";
    let list = vm.expect_list(args[1], pos, what)?;
    let what =
        "while evaluating a value of the list passed as second argument to builtins.zipAttrsWith";
    let mut groups = Groups::default();
    for element in list.iter() {
        let entries = vm.expect_attrs(element, pos, what)?.entries(&mut vm.heap);
        entries
            .iter()
            .for_each(|(name, value)| groups.add(name, value));
    }
    Ok(groups.finish(vm, |vm, name, values| {
        let name = vm.name(name);
        vm.delay_call(function, &[name, values])
    }))
}
