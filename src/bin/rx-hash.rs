//! `rx` as `rx-hash`.

#[path = "../launch.rs"]
mod launch;

fn main() -> std::process::ExitCode {
    launch::launch("rx-hash")
}
