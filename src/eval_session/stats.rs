//! `NIX_SHOW_STATS=1`: what an evaluation took, as JSON on standard error or in `NIX_SHOW_STATS_PATH`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rx_eval::watch::Counts;
use rx_eval::{Origin, Pos, Vm};
use serde_json::{Map, Value, json};

/// Prints the counters if they were asked for.
pub(super) fn show(vm: &Vm) {
    if std::env::var_os("NIX_SHOW_STATS").is_none_or(|value| value == "0" || value.is_empty()) {
        return;
    }
    let mut all = figures(vm);
    if let (Some(counts), Some(all)) = (
        vm.watching().and_then(|watch| watch.counts.as_ref()),
        all.as_object_mut(),
    ) {
        all.extend(counted(vm, counts));
    }
    let text = format!("{all:#}\n");
    match std::env::var_os("NIX_SHOW_STATS_PATH") {
        Some(path) => {
            if let Err(error) = std::fs::write(&path, text) {
                rx_store::progress::warn(format_args!(
                    "cannot write statistics to '{}': {error}",
                    path.display()
                ));
            }
        }
        None => eprint!("{text}"),
    }
}

/// The reference's figures by its names, and rx's own. What rx does not have is zero: a call makes no environment, and
/// nothing is collected.
fn figures(vm: &Vm) -> Value {
    let (stats, made) = (&vm.stats, &vm.heap.made);
    let cpu = cpu_seconds();
    let word = size_of::<rx_eval::Value>() as u64;
    let allocated = vm.heap.allocated() as u64;
    let symbols = rx_lang::Symbols::global();
    json!({
        "cpuTime": cpu,
        "time": {
            "cpu": cpu,
            "parse": stats.parse_micros as f64 / 1e6,
            "compile": stats.compile_micros as f64 / 1e6,
            "gc": 0.0,
            "gcFraction": 0.0,
        },
        "files": stats.files,
        "bytes": stats.parsed_bytes,
        "nrExprs": stats.expressions,
        "nrThunks": stats.thunks,
        "nrAvoided": stats.avoided,
        "nrFunctionCalls": stats.calls,
        "nrPrimOpCalls": stats.builtin_calls,
        "nrLookups": stats.selects,
        "nrOpUpdates": stats.updates,
        "nrOpUpdateValuesCopied": made.updated,
        "envs": { "number": 0, "elements": 0, "bytes": 0 },
        "list": {
            "concats": stats.concats,
            "elements": made.list_elements,
            "bytes": (made.lists + made.list_elements) * word,
        },
        "values": { "number": allocated / word, "bytes": allocated },
        "sets": {
            "number": made.sets,
            "elements": made.attributes,
            "bytes": (made.sets + made.attributes) * word,
        },
        "sizes": { "Env": 0, "Value": word, "Bindings": word, "Attr": word },
        "symbols": { "number": symbols.len(), "bytes": symbols.bytes() },
        "gc": { "heapSize": allocated, "totalBytes": allocated, "cycles": 0 },
        "heap": {
            "bytes": allocated,
            "code": vm.heap.code_bytes(),
            "peakResident": peak_resident(),
        },
    })
}

/// What `NIX_COUNT_CALLS` counted, the most used first.
fn counted(vm: &Vm, counts: &Counts) -> Map<String, Value> {
    let place = |object: &mut Map<String, Value>, pos: Pos| {
        let Some(at) = vm.ev.sources.locate(pos) else {
            return;
        };
        if let Origin::File(path) = &at.source.origin {
            object.insert("file".into(), String::from_utf8_lossy(path).into());
        }
        object.insert("line".into(), at.line.into());
        object.insert("column".into(), at.column.into());
    };
    let mut functions: Vec<_> = counts.functions.iter().collect();
    functions.sort_by_key(|&(pos, (_, count))| (Reverse(count), pos));
    let functions = functions.into_iter().map(|(&pos, &(name, count))| {
        let mut object = Map::new();
        let name = name.map(|name| name.to_string());
        object.insert("name".into(), name.into());
        place(&mut object, pos);
        object.insert("count".into(), count.into());
        Value::Object(object)
    });
    let mut attributes: Vec<_> = counts.attributes.iter().collect();
    attributes.sort_by_key(|&(pos, count)| (Reverse(count), pos));
    let attributes = attributes.into_iter().map(|(&pos, &count)| {
        let mut object = Map::new();
        place(&mut object, pos);
        object.insert("count".into(), count.into());
        Value::Object(object)
    });
    let builtins: BTreeMap<_, _> = counts.builtins.iter().collect();
    let all = [
        ("primops", json!(builtins)),
        ("functions", functions.collect()),
        ("attributes", attributes.collect()),
    ];
    all.map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

/// Seconds of processor time that this process has used.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Bytes of memory that this process had at most; 0 when the system does not tell.
fn peak_resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
