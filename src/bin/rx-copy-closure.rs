//! `rx` as `rx-copy-closure`.

#[path = "../launch.rs"]
mod launch;

fn main() -> std::process::ExitCode {
    launch::launch("rx-copy-closure")
}
