//! Several evaluator threads on one evaluation.

mod common;

use common::{Nothing, eval};
use rx_eval::{EvalSettings, Evaluator, Value, Vm};

/// Runs `job` with `count` evaluator threads that share everything.
fn with_threads(count: usize, program: &str, job: impl Fn(&mut Vm, Value, usize) + Sync) {
    let ev = Evaluator::new(EvalSettings::default(), Box::new(Nothing::default()), true);
    let mut first = Vm::new(ev);
    let value = eval(&mut first, program).unwrap();
    std::thread::scope(|scope| {
        for n in 0..count {
            let job = &job;
            scope.spawn(move || job(&mut Vm::new(ev), value, n));
        }
    });
}

fn attr(vm: &mut Vm, value: Value, name: &str) -> rx_eval::Result {
    let set = value.as_attrs().unwrap();
    let value = set.get(rx_lang::symbol::intern(name.as_bytes())).unwrap();
    vm.force(value)
}

#[test]
fn two_threads_evaluate_two_attributes_that_share_thunks() {
    let program = "
        let
          fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2);
          shared = map (n: { v = fib n; }) [ 1 5 10 15 12 7 3 ];
          sum = builtins.foldl' (a: x: a + x.v) 0 shared;
          set = { a = sum; b = sum; } // { c = fib 14; };
        in { left = set.a + set.c; right = set.b + fib 13; }";
    for _ in 0..50 {
        with_threads(4, program, |vm, value, n| {
            let (name, want) = if n % 2 == 0 {
                ("left", 830 + 377)
            } else {
                ("right", 830 + 233)
            };
            assert_eq!(attr(vm, value, name).unwrap().as_int(), Some(want));
        });
    }
}

#[test]
fn threads_that_wait_for_each_other_see_the_infinite_recursion() {
    let program = "let spin = n: if n == 0 then 0 else spin (n - 1);
        in rec { a = spin 2000 + b; b = spin 2000 + a; }";
    for _ in 0..20 {
        with_threads(2, program, |vm, value, n| {
            let error = attr(vm, value, if n == 0 { "a" } else { "b" }).unwrap_err();
            assert_eq!(error.to_string(), "infinite recursion encountered");
        });
    }
}
