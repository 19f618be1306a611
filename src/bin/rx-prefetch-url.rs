//! `rx` as `rx-prefetch-url`.

#[path = "../launch.rs"]
mod launch;

fn main() -> std::process::ExitCode {
    launch::launch("rx-prefetch-url")
}
