//! `rx` as `rx-repl`.

#[path = "../launch.rs"]
mod launch;

fn main() -> std::process::ExitCode {
    launch::launch("rx-repl")
}
