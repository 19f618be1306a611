//! Defaults that depend on the machine: its system, what it can emulate, what it offers.

use std::collections::BTreeSet;
use std::path::Path;

/// The system that this program was built for, as in `x86_64-linux`.
pub fn system() -> String {
    let arch = match std::env::consts::ARCH {
        "x86" => "i686",
        "arm" => "armv7l",
        "powerpc64" => "powerpc64le",
        arch => arch,
    };
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    format!("{arch}-{os}")
}

/// Is this process root?
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Can this process set supplementary groups? Root of a user namespace that was made without privileges cannot.
pub(super) fn can_set_groups() -> bool {
    is_root() && !std::fs::read("/proc/self/setgroups").is_ok_and(|text| text.starts_with(b"deny"))
}

/// How many threads run at once.
pub fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u32)
}

pub(super) fn build_users_group() -> String {
    if is_root() {
        "nixbld".to_owned()
    } else {
        String::new()
    }
}

/// Systems whose programs this processor runs besides [`system`].
pub(super) fn extra_platforms() -> BTreeSet<String> {
    let mut platforms = BTreeSet::new();
    if system() == "x86_64-linux" {
        platforms.insert("i686-linux".to_owned());
    }
    if cfg!(target_os = "linux") {
        for level in 1..=x86_64_level() {
            platforms.insert(format!("x86_64-v{level}-linux"));
        }
    }
    platforms
}

/// The micro-architecture level of the processor (0 where there are none).
#[cfg(target_arch = "x86_64")]
fn x86_64_level() -> u32 {
    macro_rules! all {
        ($($feature:tt)*) => { true $(&& std::is_x86_feature_detected!($feature))* };
    }
    if !all!("cmpxchg16b" "popcnt" "sse3" "sse4.1" "sse4.2" "ssse3") {
        1
    } else if !all!("avx" "avx2" "bmi1" "bmi2" "f16c" "fma" "lzcnt" "movbe") {
        2
    } else if !all!("avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl") {
        3
    } else {
        4
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn x86_64_level() -> u32 {
    0
}

pub(super) fn system_features() -> BTreeSet<String> {
    let mut features: BTreeSet<String> = ["benchmark", "big-parallel", "nixos-test"]
        .map(str::to_owned)
        .into();
    if cfg!(target_os = "linux") {
        features.insert("uid-range".to_owned());
    }
    let access = rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK;
    if rustix::fs::access(Path::new("/dev/kvm"), access).is_ok() {
        features.insert("kvm".to_owned());
    }
    features
}
