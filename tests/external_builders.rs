//! Programs of the user's that build derivations of systems which this machine is not.

mod common;

use std::os::unix::fs::PermissionsExt;

use common::Place;

/// What an emulator would do, but here the machine's shell will do.
const PROGRAM: &str = r#"#!/bin/sh
[ "$1" = first ] || exit 9
grep -q '"system":"z80-cpm"' "$2" || exit 8
grep -q '"tmpDirInSandbox":"/build"' "$2" || exit 7
out=$(sed 's/.*"outputs":{"out":"\([^"]*\)"}.*/\1/' "$2")
echo the machine starts
printf '\002\n'
echo the build starts
pwd
[ "$FAIL" ] && exit 3
echo made > "$out"
"#;

fn place(program: &str) -> (Place, Vec<String>) {
    let place = Place::new();
    place.configure(
        "experimental-features = nix-command external-builders\nsandbox = true\n\
         build-users-group =\nsubstituters =\n",
    );
    place.write(
        "default.nix",
        "derivation { name = \"foreign\"; system = \"z80-cpm\"; builder = \"/bin/sh\"; args = [ \"-c\" \"x\" ]; }",
    );
    let file = place.write("emulate", program);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    let builders = serde_json::json!([
        { "systems": ["pdp11-unix", "z80-cpm"], "program": file, "args": ["first"] }
    ]);
    let options = ["--no-out-link", "--option", "external-builders"];
    let mut options: Vec<String> = options.map(str::to_owned).to_vec();
    options.push(builders.to_string());
    (place, options)
}

#[test]
fn a_program_builds_for_its_systems_and_its_preparations_are_no_part_of_the_log() {
    let (place, options) = place(PROGRAM);
    let built = place.run("rx-build", &options);
    let path = built
        .out
        .replace("DIR", &place.root().display().to_string());
    assert_eq!(built.code, 0, "{built:?}");
    assert_eq!(std::fs::read_to_string(path.trim()).unwrap(), "made\n");
    assert!(built.err.contains("the build starts"), "{built:?}");
    assert!(!built.err.contains("the machine starts"), "{built:?}");
    let log = place.run("rx-store", ["--read-log", path.trim()]).success();
    assert!(log.starts_with("the build starts\n"), "{log}");
}

#[test]
fn a_program_that_fails_fails_the_build() {
    let (place, options) = place(PROGRAM);
    let place = place.with("FAIL", "1");
    let failed = place.run("rx-build", &options);
    assert_eq!(failed.code, 100, "{failed:?}");
    assert!(
        failed.err.contains("builder failed with exit code 3"),
        "{failed:?}"
    );
    assert!(
        !std::fs::read_dir(place.root().join("var/nix/builds"))
            .is_ok_and(|mut all| all.next().is_some())
    );
}

#[test]
fn other_systems_are_refused_without_such_a_program() {
    let (place, options) = place(PROGRAM);
    let refused = place.run("rx-build", &options[..1]);
    assert_eq!(refused.code, 100, "{refused:?}");
    assert!(refused.err.contains("platform mismatch"), "{refused:?}");
    let unknown = place.run(
        "rx-build",
        [
            &options[..],
            &["--option", "experimental-features", "nix-command"].map(str::to_owned),
        ]
        .concat(),
    );
    assert_eq!(unknown.code, 100, "{unknown:?}");
}
