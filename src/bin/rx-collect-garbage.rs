//! `rx` as `rx-collect-garbage`.

#[path = "../launch.rs"]
mod launch;

fn main() -> std::process::ExitCode {
    launch::launch("rx-collect-garbage")
}
