//! Places with flakes in them, and repositories.

use std::path::Path;
use std::process::Command;

use super::Place;

/// Settings under which flakes can be used and builds work everywhere.
pub const SETTINGS: &str = "experimental-features = nix-command flakes\nflake-registry =\nsandbox = false\nbuild-users-group =\nsubstituters =";

/// A place where flakes can be used.
pub fn place() -> Place {
    Place::new().with("NIX_CONFIG", SETTINGS)
}

/// The same with a flake in the working directory.
pub fn place_with(flake: &str) -> Place {
    let place = place();
    place.write("flake.nix", flake);
    place
}

/// The reference to a directory below the working directory.
pub fn reference(place: &Place, name: &str) -> String {
    format!("path:{}", place.work().join(name).display())
}

/// Runs git in a directory, at a fixed moment; false if this machine has none.
pub fn git_in(place: &Place, directory: &Path, line: &str) -> bool {
    const MOMENT: &str = "1700000000 +0000";
    let run = Command::new("git")
        .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
        .args(["-c", "init.defaultBranch=main"])
        .args(["-c", "protocol.file.allow=always"])
        .args(line.split(' '))
        .current_dir(directory)
        .env("HOME", place.root())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_DATE", MOMENT)
        .env("GIT_COMMITTER_DATE", MOMENT)
        .output();
    match run {
        Ok(run) => {
            let error = String::from_utf8_lossy(&run.stderr).into_owned();
            assert!(run.status.success(), "git {line}: {error}");
            true
        }
        Err(_) => {
            eprintln!("skipped: this machine has no git");
            false
        }
    }
}

/// The same in the working directory.
pub fn git(place: &Place, line: &str) -> bool {
    git_in(place, &place.work(), line)
}

/// A place whose working directory is a git repository with a flake in it.
pub fn repository(flake: &str) -> Option<Place> {
    let place = place_with(flake);
    (git(&place, "init -q") && git(&place, "add flake.nix")).then_some(place)
}
