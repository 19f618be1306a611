//! `rx` as `rx-instantiate`.

#[path = "../launch.rs"]
mod launch;

fn main() -> std::process::ExitCode {
    launch::launch("rx-instantiate")
}
