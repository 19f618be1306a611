//! `rx` as `rx-daemon`.

#[path = "../launch.rs"]
mod launch;

fn main() -> std::process::ExitCode {
    launch::launch("rx-daemon")
}
