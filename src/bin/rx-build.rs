//! `rx` as `rx-build`.

#[path = "../launch.rs"]
mod launch;

fn main() -> std::process::ExitCode {
    launch::launch("rx-build")
}
