//! Downloads, caches and channels as a user of the command line meets them.

mod common;

use std::process::Command;

use common::Place;

const CONFIG: &str =
    "experimental-features = nix-command\nsandbox = false\nbuild-users-group =\nsubstituters =\n";

fn place() -> Place {
    let place = Place::new();
    place.configure(CONFIG);
    place
}

/// A file URL of something in the working directory.
fn url(place: &Place, name: &str) -> String {
    format!("file://{}", place.work().join(name).display())
}

/// An archive of one directory with a `default.nix`.
fn archive(place: &Place, name: &str) {
    place.write("packages/default.nix", "{ }: { }\n");
    let work = place.work();
    let done = Command::new("tar")
        .args(["-czf", name, "packages"])
        .current_dir(work)
        .status();
    assert!(done.unwrap().success());
}

#[test]
fn a_prefetched_file_is_in_the_store_with_its_hash() {
    let place = place();
    place.write("hi", "hi\n");
    let out = place
        .run("rx-prefetch-url", ["--print-path", &url(&place, "hi")])
        .success();
    let (hash, path) = out.split_once('\n').unwrap();
    assert_eq!(hash, "1r3v22qkypccqifzbww5lrn6hf1chi23m6zzkyvb8bvg457nxslq");
    let file = path
        .trim_end()
        .replace("DIR", &place.root().display().to_string());
    assert_eq!(std::fs::read_to_string(file).unwrap(), "hi\n");
    // The name is the end of the URL's path, decoded.
    place.write("a+b", "hi\n");
    for (end, name) in [
        ("hi?x=1", "-hi\n"),
        ("hi#there", "-hi\n"),
        ("a%2Bb", "-a+b\n"),
    ] {
        let out = place.run("rx-prefetch-url", ["--print-path", &url(&place, end)]);
        assert!(out.success().ends_with(name), "{end}");
    }
    let wrong = "0".repeat(52);
    let error = place
        .run("rx-prefetch-url", [&url(&place, "hi"), &wrong])
        .failure();
    assert!(error.contains("hash mismatch for 'file://"), "{error}");
    let json = place
        .run(
            "rx",
            ["store", "prefetch-file", "--json", &url(&place, "hi")],
        )
        .success();
    assert!(json.starts_with(r#"{"hash":"sha256-mOpuTyFvL7S2n/+bOkSELDhobKaF8/VdxIxdP7EQe+Q=","#));
}

#[test]
fn what_is_copied_to_a_cache_can_be_copied_back() {
    let place = place();
    place.write("file", "contents\n");
    let path = place.line("rx-store --add file").success();
    let path = path
        .trim()
        .replace("DIR", &place.root().display().to_string());
    let cache = url(&place, "cache");
    let other = format!("{}?compression=zstd", url(&place, "other"));
    place.run("rx", ["copy", "--to", &cache, &path]).success();
    place
        .run("rx", ["copy", "--from", &cache, "--to", &other, &path])
        .success();
    place.run("rx-store", ["--delete", &path]).success();
    assert!(!std::path::Path::new(&path).exists());
    // A path that follows from its contents needs no signature.
    place.run("rx", ["copy", "--from", &other, &path]).success();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "contents\n");
    place
        .run("rx-copy-closure", ["--to", &url(&place, "third"), &path])
        .success();
    assert!(place.work().join("third/nix-cache-info").exists());
    let root = place.work().join("root");
    let address = format!("local?root={}", root.display());
    place
        .run("rx-copy-closure", ["--to", &address, &path])
        .success();
    // Below a root it is always here, whatever the store is called.
    let name = std::path::Path::new(&path).file_name().unwrap();
    let copied = root.join("nix/store").join(name);
    assert_eq!(std::fs::read_to_string(copied).unwrap(), "contents\n");
    place.run("rx-store", ["--delete", &path]).success();
    place
        .run("rx-copy-closure", ["--from", &address, &path])
        .success();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "contents\n");
    let nowhere = place.run("rx", ["copy", &path]).failure();
    assert!(
        nowhere.contains("you must pass '--from' and/or '--to'"),
        "{nowhere}"
    );
}

#[test]
fn a_channel_is_followed_updated_and_rolled_back() {
    let place = place();
    archive(&place, "packages-1.0.tar.gz");
    let address = url(&place, "packages-1.0.tar.gz");
    place
        .run("rx-channel", ["--add", &address, "mine"])
        .success();
    assert!(
        place
            .line("rx-channel --list")
            .success()
            .starts_with("mine file://")
    );
    place.line("rx-channel --update").success();
    let link = place.root().join("home/.nix-defexpr/channels");
    assert_eq!(
        std::fs::read_to_string(link.join("mine/default.nix")).unwrap(),
        "{ }: { }\n"
    );
    place.line("rx-channel --remove mine").success();
    assert!(!link.join("mine").exists());
    place.line("rx-channel --rollback").success();
    assert!(link.join("mine").exists());
    let generations = place.line("rx-channel --list-generations").success();
    assert_eq!(generations.lines().count(), 2);
    assert!(generations.lines().next().unwrap().ends_with("(current)"));
    // An update that fails changes nothing.
    place
        .run(
            "rx-channel",
            ["--add", &url(&place, "missing.tar.gz"), "bad"],
        )
        .success();
    assert_ne!(place.line("rx-channel --update").code, 0);
    assert!(link.join("mine").exists());
}
