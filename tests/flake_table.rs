//! Commands about flakes give what the reference gives, where there is one to ask.

mod common;

use std::process::Command;

use common::flakes::{SETTINGS, git_in, place, reference};
use common::reference::Reference;
use common::{Outcome, Place};
use serde_json::Value;

/// Flakes `a` (which needs `b`, `c` and a tree) and `r` (a git repository with a flake in `sub`).
fn flakes() -> Place {
    let place = place();
    let at = |name: &str| reference(&place, name);
    let b = "{ description = \"B\"; outputs = { self }: { v = \"b\"; }; }";
    place.write("b/flake.nix", b);
    let c = format!(
        "{{ inputs.b.url = \"{}\"; outputs = {{ self, b }}: {{ v = \"c${{b.v}}\"; }}; }}",
        at("b")
    );
    place.write("c/flake.nix", &c);
    place.write("tree/file", "text\n");
    let tar = ["--mtime=@1", "-cf", "tree.tar", "tree"];
    let mut packing = Command::new("tar");
    let packed = packing.args(tar).current_dir(place.work()).status();
    assert!(packed.unwrap().success());
    let a = format!(
        r#"{{
          description = "A";
          inputs = {{ b.url = "{b}"; c.url = "{c}"; tree = {{ url = "{tree}"; flake = false; }}; d.follows = "c/b"; }};
          outputs = {{ self, b, c, d, tree }}: let
            make = name: derivation {{ inherit name; system = "x86_64-linux"; builder = "/bin/sh"; }};
          in {{
            w = b.v + c.v + d.v + builtins.readFile (tree + "/file");
            packages.x86_64-linux.default = make "d";
            packages.aarch64-linux.default = make "d";
            apps.x86_64-linux.p = {{ type = "app"; program = "/x"; meta.description = "what"; }};
            checks.x86_64-linux.z = make "z";
            devShells.x86_64-linux.s = make "s";
            formatter.x86_64-linux = make "f";
            hydraJobs.a.b = make "j";
            legacyPackages.x86_64-linux.foo = 1;
            lib.x = 1;
            nixosModules.m = {{ }};
            overlays.o = final: prev: {{ }};
            templates.t = {{ path = ./.; description = "T"; }};
          }};
        }}"#,
        b = at("b"),
        c = at("c"),
        tree = at("tree"),
    );
    place.write("a/flake.nix", &a);
    let r = "{ outputs = { self }: { v = 1; rev = self.rev; count = self.revCount or null; }; }";
    place.write("r/flake.nix", r);
    place.write(
        "r/sub/flake.nix",
        "{ outputs = { self }: { v = \"sub\"; }; }",
    );
    place
}

/// What a run says to a program: the data, or the error.
fn gist(run: &Outcome) -> String {
    let data = serde_json::from_str::<Value>(&run.out);
    let data = data.map_or_else(|_| run.out.trim().to_owned(), |value| value.to_string());
    let mut lines = run.err.lines().map(str::trim);
    let error = lines.rfind(|line| line.starts_with("error:") && *line != "error:");
    format!("{} {data} {}", run.code, error.unwrap_or_default())
}

fn compare(lines: &[&str]) {
    let Some(other) = Reference::find() else {
        return;
    };
    let place = flakes();
    let repository = place.work().join("r");
    for line in [
        "init -q",
        "add .",
        "commit -qm one",
        "tag one",
        "commit -qm two --allow-empty",
    ] {
        if !git_in(&place, &repository, line) {
            return;
        }
    }
    let mut differences = Vec::new();
    for line in lines {
        let line = line.replace("DIR", &place.work().display().to_string());
        let words: Vec<&str> = line.split(' ').collect();
        let ours = gist(&place.run("rx", &words));
        let theirs = gist(&other.run(&place, SETTINGS, &[&["nix"], &words[..]].concat()));
        if ours != theirs {
            differences.push(format!("{line}\n  ours:   {ours}\n  theirs: {theirs}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn flakes_are_described_and_fetched_as_by_the_reference() {
    compare(&[
        "flake metadata --json path:DIR/a --no-write-lock-file",
        "flake metadata --json path:DIR/a --no-write-lock-file --override-input b path:DIR/c",
        "flake metadata --json path:DIR/a --no-write-lock-file --override-input c/b path:DIR/b",
        "flake show --json path:DIR/a --no-write-lock-file",
        "flake show --json path:DIR/a --no-write-lock-file --all-systems --legacy",
        "flake archive --json --dry-run path:DIR/a --no-write-lock-file",
        "flake archive --json path:DIR/a --no-write-lock-file",
        "flake prefetch --json path:DIR/tree",
        "flake prefetch --json git+file://DIR/r",
        "flake prefetch --json tarball+file://DIR/tree.tar",
        "flake prefetch --json file+file://DIR/tree.tar",
        "eval --json path:DIR/a#w --no-write-lock-file",
        "eval --json path:DIR/a#w --no-update-lock-file",
        "eval --json path:DIR/a#nope --no-write-lock-file",
    ]);
}

#[test]
fn repositories_with_flakes_are_read_as_by_the_reference() {
    compare(&[
        "flake metadata --json git+file://DIR/r",
        "flake metadata --json git+file://DIR/r?ref=refs/tags/one",
        "flake metadata --json git+file://DIR/r?shallow=1",
        "flake metadata --json git+file://DIR/r?submodules=1&lfs=1",
        "flake metadata --json git+file://DIR/r?dir=sub",
        "eval --json git+file://DIR/r#rev",
        "eval --json git+file://DIR/r#count",
        "eval --json git+file://DIR/r?shallow=1#count",
        "eval --json git+file://DIR/r?dir=sub#v",
        "eval --json git+file://DIR/r?rev=abc#v",
    ]);
}

#[test]
fn lock_files_are_those_of_the_reference() {
    let Some(other) = Reference::find() else {
        return;
    };
    let place = flakes();
    let a = reference(&place, "a");
    let file = place.work().join("a/flake.lock");
    place.run("rx", ["flake", "lock", &a]).success();
    let ours = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    other
        .run(&place, SETTINGS, &["nix", "flake", "lock", &a])
        .success();
    assert_eq!(ours, std::fs::read_to_string(&file).unwrap());
}

#[test]
fn references_are_read_and_written_as_by_the_reference() {
    let mut lines = Vec::new();
    for text in [
        "github:o/r",
        "github:o/r/main",
        "github:o/r/main?ref=x",
        "github:o/r/0000000000000000000000000000000000000000",
        "github:o/r?host=h.org&dir=d",
        "github:o",
        "gitlab:o%2Fg/r",
        "gitlab:o/r?host=x.y",
        "sourcehut:~o/r/main?host=h",
        "git+https://h/x?ref=y&rev=0000000000000000000000000000000000000000",
        "git+ssh://git@h/x",
        "hg+https://h/x",
        "https://h/x",
        "https://h/x.tar.gz",
        "tarball+https://h/x",
        "file+https://h/x",
        "https://h/x.zip?narHash=sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "path:/x?lastModified=1",
        "path:/x?foo=1",
        "flake:nixpkgs/ref",
        "nixpkgs/ref/0000000000000000000000000000000000000000",
        "nixpkgs/a/b/c",
        "/x?dir=d",
        "git+file:///x?submodules=1&allRefs=1",
        "foo://x",
    ] {
        lines.push(format!(
            "eval --impure --json --expr builtins.parseFlakeRef(\"{text}\")"
        ));
        lines.push(format!(
            "eval --impure --json --expr builtins.flakeRefToString(builtins.parseFlakeRef(\"{text}\"))"
        ));
    }
    compare(&lines.iter().map(String::as_str).collect::<Vec<_>>());
}
