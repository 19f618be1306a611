//! Leaves `rx-build`, `rx-store` … beside `rx` in the target directory, as links to it.
//!
//! The program behaves as what it is called as. Links cost nothing; a binary for each name would
//! be linked a dozen times. `rx links DIRECTORY` makes the same links anywhere else.

use std::path::Path;

const NAMES: [&str; 12] = [
    "build",
    "channel",
    "collect-garbage",
    "copy-closure",
    "daemon",
    "env",
    "hash",
    "instantiate",
    "prefetch-url",
    "repl",
    "shell",
    "store",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // OUT_DIR is `target/PROFILE/build/rx-HASH/out`.
    let out = std::env::var_os("OUT_DIR").unwrap_or_default();
    let Some(profile) = Path::new(&out).ancestors().nth(3) else {
        return;
    };
    for name in NAMES {
        let link = profile.join(format!("rx-{name}"));
        if link.symlink_metadata().is_err() {
            // Only a convenience: a target directory without links is no reason to fail.
            let _ = std::os::unix::fs::symlink("rx", link);
        }
    }
}
