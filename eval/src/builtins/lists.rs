//! Lists.

use smallvec::SmallVec;

use crate::builtins::{Builtin, builtin};
use crate::error::{Error, Result};
use crate::source::Pos;
use crate::value::attrs::Duplicates;
use crate::value::{AttrsBuilder, List, ListBuilder, Value};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!("all", ["pred", "list"], all, "Whether `pred` is true for all elements of `list`.", strict: 1),
    builtin!("any", ["pred", "list"], any, "Whether `pred` is true for at least one element of `list`.", strict: 1),
    builtin!("concatLists", ["lists"], concat_lists, "The elements of all lists in `lists`, in one list.", strict: 1),
    builtin!("concatMap", ["f", "list"], concat_map, "`concatLists (map f list)`, at once.", strict: 1),
    builtin!("elem", ["x", "xs"], elem, "Whether some element of the list `xs` equals `x`.", strict: 2),
    builtin!("elemAt", ["xs", "n"], elem_at, "Element number `n` of the list `xs`, counted from 0.", strict: 2),
    builtin!("filter", ["f", "list"], filter, "The elements of `list` for which `f` is true.", strict: 2),
    builtin!("foldl'", ["op", "nul", "list"], foldl, "Folds `list` from the left with `op`, beginning with `nul`; every intermediate result is evaluated.", strict: 1),
    builtin!("genList", ["generator", "length"], gen_list, "The list of `generator` applied to 0, 1, … `length` - 1.", strict: 2),
    builtin!("head", ["list"], head, "The first element of `list`.", strict: 1),
    builtin!("length", ["e"], length, "The number of elements of the list `e`.", strict: 1),
    builtin!("map", ["f", "list"], map, "The list of `f` applied to each element of `list`.", strict: 2, global: true),
    builtin!("partition", ["pred", "list"], partition, "The elements of `list` for which `pred` is true (`right`) and the others (`wrong`).", strict: 1),
    builtin!("tail", ["list"], tail, "`list` without its first element.", strict: 1),
];

fn length(vm: &mut Vm, args: &[Value]) -> Result {
    let what = "while evaluating the first argument passed to builtins.length";
    let list = vm.expect_list(args[0], vm.call_pos, what)?;
    Ok(Value::small_int(list.len() as i64))
}

fn head(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to 'builtins.head'";
    let list = vm.expect_list(args[0], pos, what)?;
    match list.get(0) {
        Some(first) => vm.force(first),
        None => Err(Error::other("'builtins.head' called on an empty list").at(pos)),
    }
}

fn tail(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to 'builtins.tail'";
    let list = vm.expect_list(args[0], pos, what)?;
    if list.is_empty() {
        return Err(Error::other("'builtins.tail' called on an empty list").at(pos));
    }
    Ok(list.slice(&mut vm.heap, 1, list.len() - 1))
}

fn elem_at(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the second argument passed to 'builtins.elemAt'";
    let index = vm.expect_int(args[1], pos, what)?;
    let what = "while evaluating the first argument passed to 'builtins.elemAt'";
    let list = vm.expect_list(args[0], pos, what)?;
    match usize::try_from(index).ok().and_then(|i| list.get(i)) {
        Some(element) => vm.force(element),
        None => {
            let len = list.len();
            let message =
                format!("'builtins.elemAt' called with index {index} on a list of size {len}");
            Err(Error::other(message).at(pos))
        }
    }
}

fn map(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the second argument passed to builtins.map";
    let list = vm.expect_list(args[1], pos, what)?;
    if list.is_empty() {
        return Ok(list.value());
    }
    let what = "while evaluating the first argument passed to builtins.map";
    let function = vm.expect_function(args[0], pos, what)?;
    let mut out = ListBuilder::new(&mut vm.heap, list.len());
    for element in list.iter() {
        out.push(vm.delay_call(function, &[element]));
    }
    Ok(out.finish())
}

fn filter(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the second argument passed to builtins.filter";
    let list = vm.expect_list(args[1], pos, what)?;
    if list.is_empty() {
        return Ok(list.value());
    }
    let what = "while evaluating the first argument passed to builtins.filter";
    let function = vm.expect_function(args[0], pos, what)?;
    let what =
        "while evaluating the return value of the filtering function passed to builtins.filter";
    let mut kept = SmallVec::<[Value; 32]>::new();
    for element in list.iter() {
        if holds(vm, function, element, pos, what)? {
            kept.push(element);
        }
    }
    if kept.len() == list.len() {
        return Ok(list.value());
    }
    Ok(vm.list(&kept))
}

fn holds(vm: &mut Vm, predicate: Value, element: Value, pos: Pos, what: &str) -> Result<bool> {
    let result = vm.call(predicate, &[element])?;
    match result.as_bool() {
        Some(result) => Ok(result),
        None => vm.expect_bool(result, pos, what),
    }
}

fn partition(vm: &mut Vm, args: &[Value]) -> Result {
    use rx_lang::symbol::known::{RIGHT, WRONG};
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.partition";
    let function = vm.expect_function(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.partition";
    let list = vm.expect_list(args[1], pos, what)?;
    let what =
        "while evaluating the return value of the partition function passed to builtins.partition";
    let (mut right, mut wrong) = (
        SmallVec::<[Value; 16]>::new(),
        SmallVec::<[Value; 16]>::new(),
    );
    for element in list.iter() {
        let element = vm.force(element)?;
        if holds(vm, function, element, pos, what)? {
            right.push(element);
        } else {
            wrong.push(element);
        }
    }
    let mut set = AttrsBuilder::new(2);
    set.push(RIGHT, vm.list(&right));
    set.push(WRONG, vm.list(&wrong));
    Ok(set.finish(&mut vm.heap, Duplicates::Last))
}

fn elem(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the second argument passed to builtins.elem";
    let list = vm.expect_list(args[1], pos, what)?;
    if list.is_empty() {
        return Ok(Value::FALSE);
    }
    let what = "while searching for the presence of the given element in the list";
    let wanted = vm.force(args[0])?;
    let text = wanted.as_str().map(|s| s.as_bytes());
    for element in list.iter() {
        let element = vm.force(element)?;
        let found = match (text, element.as_str()) {
            (Some(wanted), Some(element)) => wanted == element.as_bytes(),
            (Some(_), None) => false,
            (None, _) => vm
                .equal_elements(wanted, element)
                .map_err(|e| e.at(pos).frame(pos, what))?,
        };
        if found {
            return Ok(Value::TRUE);
        }
    }
    Ok(Value::FALSE)
}

fn all(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.all";
    let function = vm.expect_function(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.all";
    let list = vm.expect_list(args[1], pos, what)?;
    let what = "while evaluating the return value of the function passed to builtins.all";
    for element in list.iter() {
        if !holds(vm, function, element, pos, what)? {
            return Ok(Value::FALSE);
        }
    }
    Ok(Value::TRUE)
}

fn any(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.any";
    let function = vm.expect_function(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.any";
    let list = vm.expect_list(args[1], pos, what)?;
    let what = "while evaluating the return value of the function passed to builtins.any";
    for element in list.iter() {
        if holds(vm, function, element, pos, what)? {
            return Ok(Value::TRUE);
        }
    }
    Ok(Value::FALSE)
}

/// The lists one after the other; a single one that is not empty is the result itself.
fn joined(vm: &mut Vm, lists: &[List]) -> Result {
    let mut rest = lists.iter().filter(|list| !list.is_empty());
    let (first, second) = (rest.next(), rest.next());
    if let (Some(only), None) = (first, second) {
        return Ok(only.value());
    }
    let len = lists.iter().map(|list| list.len()).sum();
    vm.check_size(len)?;
    let mut out = ListBuilder::new(&mut vm.heap, len);
    lists
        .iter()
        .flat_map(|list| list.iter())
        .for_each(|element| out.push(element));
    Ok(out.finish())
}

fn concat_lists(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.concatLists";
    let list = vm.expect_list(args[0], pos, what)?;
    let what = "while evaluating a value of the list passed to builtins.concatLists";
    let mut lists = SmallVec::<[List; 16]>::new();
    for element in list.iter() {
        lists.push(vm.expect_list(element, pos, what)?);
    }
    joined(vm, &lists)
}

fn concat_map(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.concatMap";
    let function = vm.expect_function(args[0], pos, what)?;
    let what = "while evaluating the second argument passed to builtins.concatMap";
    let list = vm.expect_list(args[1], pos, what)?;
    let what = "while evaluating the return value of the function passed to builtins.concatMap";
    let mut lists = SmallVec::<[List; 16]>::new();
    for element in list.iter() {
        let part = vm.call(function, &[element])?;
        lists.push(vm.expect_list(part, pos, what)?);
    }
    joined(vm, &lists)
}

fn foldl(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.foldlStrict";
    let function = vm.expect_function(args[0], pos, what)?;
    let what = "while evaluating the third argument passed to builtins.foldlStrict";
    let list = vm.expect_list(args[2], pos, what)?;
    let mut value = args[1];
    for element in list.iter() {
        value = vm.call(function, &[value, element])?;
    }
    vm.force(value)
}

fn gen_list(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the second argument passed to builtins.genList";
    let len = vm.expect_int(args[1], pos, what)?;
    let Ok(count) = usize::try_from(len) else {
        return Err(Error::other(format!("cannot create list of size {len}")).at(pos));
    };
    let what = "while evaluating the first argument passed to builtins.genList";
    let function = vm.expect_function(args[0], pos, what)?;
    vm.check_size(count.saturating_mul(4))?;
    let mut out = ListBuilder::new(&mut vm.heap, count);
    for i in 0..count {
        if i % 65536 == 65535 {
            vm.check()?;
        }
        out.push(vm.delay_call(function, &[Value::small_int(i as i64)]));
    }
    Ok(out.finish())
}
