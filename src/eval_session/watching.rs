//! Who watches calls, as settings and the environment ask: traces, counts, profiles.

use std::fs::File;
use std::io;
use std::path::Path;

use rx_eval::Vm;
use rx_eval::watch::{Counts, Profile, Watch};
use rx_store::settings::{EvalProfiler, Settings};

use crate::ui::Failure;

/// A profile cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the evaluation profile to '{}': {error}", .path.display())]
struct CannotWrite {
    path: Box<Path>,
    #[source]
    error: io::Error,
}

fn cannot_write(settings: &Settings) -> impl FnOnce(io::Error) -> CannotWrite {
    let path = settings.eval_profile_file.as_path().into();
    |error| CannotWrite { path, error }
}

/// Makes the evaluator watch, if somebody wants to know.
pub(super) fn begin(vm: &mut Vm, settings: &Settings) -> Result<(), Failure> {
    let profile = match settings.eval_profiler {
        EvalProfiler::Disabled => None,
        EvalProfiler::Flamegraph => {
            let file = File::create(&settings.eval_profile_file).map_err(cannot_write(settings))?;
            let frequency = settings.eval_profiler_frequency;
            Some(Profile::new(Box::new(file), frequency))
        }
    };
    let counting = std::env::var_os("NIX_COUNT_CALLS").is_some_and(|value| value != "0");
    // A call that took its caller's place is missing in the trace of an error.
    if settings.show_trace || settings.trace_function_calls || counting || profile.is_some() {
        vm.watch(Watch {
            trace: settings.trace_function_calls,
            counts: counting.then(Counts::default),
            profile,
        });
    }
    Ok(())
}

/// Writes what is not yet written.
pub(super) fn end(vm: &mut Vm, settings: &Settings) -> Result<(), Failure> {
    Ok(vm.finish_profile().map_err(cannot_write(settings))?)
}
