//! `NIX_SHOW_STATS=1`: what an evaluation took, as JSON on standard error or in `NIX_SHOW_STATS_PATH`.

use rx_eval::Vm;
use serde_json::json;

/// Prints the counters if they were asked for.
pub(super) fn show(vm: &Vm) {
    if std::env::var_os("NIX_SHOW_STATS").is_none_or(|value| value == "0" || value.is_empty()) {
        return;
    }
    let stats = &vm.stats;
    let cpu = cpu_seconds();
    let text = format!(
        "{:#}\n",
        json!({
            "cpuTime": cpu,
            "time": { "cpu": cpu, "parse": stats.parse_micros as f64 / 1e6, "compile": stats.compile_micros as f64 / 1e6 },
            "files": stats.files,
            "bytes": stats.parsed_bytes,
            "nrThunks": stats.thunks,
            "nrAvoided": stats.avoided,
            "nrFunctionCalls": stats.calls,
            "nrPrimOpCalls": stats.builtin_calls,
            "nrLookups": stats.selects,
            "nrOpUpdates": stats.updates,
            "list": { "concats": stats.concats },
            "sets": { "number": stats.sets },
            "symbols": { "number": rx_lang::Symbols::global().len() },
            "heap": { "bytes": vm.heap.allocated(), "code": vm.heap.code_bytes(), "peakResident": peak_resident() },
        })
    );
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
