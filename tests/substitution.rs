//! What a build does when a cache promises more than it can give.

mod common;

use std::path::Path;

use common::server::{Answer, Server};
use common::{Outcome, Place};

const CONFIG: &str =
    "experimental-features = nix-command\nsandbox = false\nbuild-users-group =\nsubstituters =\n";

const HELLO: &str = "derivation { name = \"hello\"; system = builtins.currentSystem; \
                     builder = \"/bin/sh\"; args = [ \"-c\" \"echo hi > $out\" ]; }";

/// A place whose `hello` is in a cache and no longer in the store.
struct World {
    place: Place,
    path: String,
}

impl World {
    fn new() -> World {
        let place = Place::new();
        place.configure(CONFIG);
        place.write("hello.nix", HELLO);
        let path = place.line("rx-build --no-out-link hello.nix").success();
        let path = path
            .trim()
            .replace("DIR", &place.root().display().to_string());
        let cache = format!("file://{}", place.work().join("cache").display());
        place.run("rx", ["copy", "--to", &cache, &path]).success();
        let world = World { place, path };
        world.delete();
        world
    }

    fn delete(&self) {
        self.place
            .run("rx-store", ["--delete", &self.path])
            .success();
    }

    fn serve(&self, change: impl Fn(&str, Answer) -> Answer + Send + Sync + 'static) -> Server {
        Server::of_directory(&self.place.work().join("cache"), change)
    }

    fn run(&self, program: &str, arguments: &[&str], server: &Server) -> Outcome {
        let mut all = arguments.to_vec();
        let url = server.url();
        all.extend(["--no-require-sigs", "--substituters", &url]);
        self.place.run(program, all)
    }

    fn build(&self, more: &[&str], server: &Server) -> Outcome {
        let arguments = [&["--no-out-link", "hello.nix"], more].concat();
        self.run("rx-build", &arguments, server)
    }

    /// Nothing of the path is anywhere in the store.
    fn assert_absent(&self) {
        let directory = Path::new(&self.path).parent().unwrap();
        for entry in std::fs::read_dir(directory).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                !name.ends_with("-hello") && !name.starts_with("tmp"),
                "{name} is left"
            );
        }
    }
}

#[test]
fn what_a_cache_has_is_copied_and_told() {
    let world = World::new();
    let server = world.serve(|_, body| body);
    let built = world.build(&[], &server);
    assert_eq!(built.code, 0, "{built:?}");
    let shown = "DIR/store/";
    assert!(
        built
            .err
            .contains("this path will be fetched (0.1 KiB download, 0.1 KiB unpacked):"),
        "{built:?}"
    );
    assert!(
        built.err.contains(&format!("copying path '{shown}"))
            && built.err.contains(&format!("' from '{}'...", server.url())),
        "{built:?}"
    );
    assert!(!built.err.contains("building"), "{built:?}");
}

#[test]
fn a_path_whose_archive_has_vanished_is_built() {
    let world = World::new();
    let server = world.serve(|path, body| body.filter(|_| !path.starts_with("/nar/")));
    let built = world.build(&[], &server);
    assert_eq!(built.code, 0, "{built:?}");
    assert!(
        built.err.contains("does not exist in binary cache"),
        "{built:?}"
    );
    assert!(built.err.contains("building 'DIR/store/"), "{built:?}");
    assert!(!built.err.contains("error:"), "{built:?}");
    assert_eq!(std::fs::read_to_string(&world.path).unwrap(), "hi\n");
}

#[test]
fn a_path_that_nobody_can_build_is_missed_when_its_archive_has_vanished() {
    let world = World::new();
    let server = world.serve(|path, body| body.filter(|_| !path.starts_with("/nar/")));
    let failed = world.run("rx-store", &["--realise", &world.path], &server);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(
        failed
            .err
            .contains("is required, but there is no substituter that can build it"),
        "{failed:?}"
    );
    world.assert_absent();
}

#[test]
fn a_damaged_archive_is_built_instead_only_if_the_user_wants() {
    let damages: [fn(Vec<u8>) -> Vec<u8>; 3] = [
        |mut body| {
            body.truncate(body.len() / 2);
            body
        },
        |mut body| {
            let middle = body.len() / 2;
            body[middle..middle + 8].fill(0);
            body
        },
        |_| b"<html>please log in</html>".to_vec(),
    ];
    for damage in damages {
        let world = World::new();
        let server = world.serve(move |path, body| {
            if path.starts_with("/nar/") {
                body.map(damage)
            } else {
                body
            }
        });
        let refused = world.build(&[], &server);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(
            refused
                .err
                .contains("try '--fallback' to build derivation from source"),
            "{refused:?}"
        );
        world.assert_absent();
        let built = world.build(&["--fallback"], &server);
        assert_eq!(built.code, 0, "{built:?}");
        assert!(built.err.contains("building 'DIR/store/"), "{built:?}");
        assert_eq!(std::fs::read_to_string(&world.path).unwrap(), "hi\n");
    }
}

#[test]
fn the_next_cache_is_asked_when_one_has_lost_or_damaged_the_archive() {
    for gone in [true, false] {
        let world = World::new();
        let bad = world.serve(move |path, body| match path.starts_with("/nar/") {
            true if gone => None,
            true => Some(b"nothing".to_vec()),
            false => body,
        });
        let good = world.serve(|_, body| body);
        let both = format!("{}?priority=1 {}", bad.url(), good.url());
        let built = world.place.run(
            "rx-build",
            [
                "--no-out-link",
                "hello.nix",
                "--no-require-sigs",
                "--substituters",
                &both,
            ],
        );
        assert_eq!(built.code, 0, "{built:?}");
        assert!(!built.err.contains("building"), "{built:?}");
        assert!(
            good.requests().iter().any(|path| path.starts_with("/nar/")),
            "{:?}",
            good.requests()
        );
    }
}

#[test]
fn of_several_outputs_only_those_that_are_wanted_are_fetched() {
    let place = Place::new();
    place.configure(&format!(
        "{CONFIG}extra-experimental-features = ca-derivations\n"
    ));
    place.write(
        "outputs.nix",
        "let make = name: outputs: text: derivation {
           inherit name outputs; system = builtins.currentSystem; builder = \"/bin/sh\";
           args = [ \"-c\" text ]; __contentAddressed = true;
           outputHashMode = \"recursive\"; outputHashAlgo = \"sha256\"; };
           below = make \"below\" [ \"out\" ] \"echo below > $out\";
         in make \"several\" [ \"first\" \"second\" ] \"echo ${below} > $first; echo two > $second\"",
    );
    let cache = format!("file://{}", place.work().join("cache").display());
    place
        .run(
            "rx",
            ["copy", "--to", &cache, "-f", "outputs.nix", "--", "^*"],
        )
        .success();
    place.line("rx-store --gc").success();
    let offered = ["--no-require-sigs", "--substituters", &cache];
    let fetch = |name: &str| {
        let mut all = vec!["build", "--no-link", "-j0", "-f", "outputs.nix", "--", name];
        all.splice(1..1, offered);
        place.run("rx", all)
    };
    let is_there = |suffix: &str| {
        std::fs::read_dir(place.root().join("store"))
            .unwrap()
            .any(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .ends_with(suffix)
            })
    };
    assert!(!is_there("-several-first"));
    let first = fetch("^first");
    assert!(
        first.err.contains("these 2 paths will be fetched"),
        "{first:?}"
    );
    first.success();
    assert!(is_there("-several-first") && is_there("-below"));
    assert!(!is_there("-several-second"));
    fetch("^second").success();
    assert!(is_there("-several-second"));
}

#[test]
fn what_needs_a_path_whose_archive_has_vanished_is_built_with_it() {
    let place = Place::new();
    place.configure(CONFIG);
    place.write(
        "pair.nix",
        "let make = name: text: derivation { inherit name; system = builtins.currentSystem; \
         builder = \"/bin/sh\"; args = [ \"-c\" text ]; }; \
         low = make \"low\" \"echo low > $out\"; in make \"high\" \"echo ${low} > $out\"",
    );
    let built = place.line("rx-build --no-out-link pair.nix").success();
    let cache = place.work().join("cache");
    let path = built
        .trim()
        .replace("DIR", &place.root().display().to_string());
    let to = format!("file://{}", cache.display());
    place.run("rx", ["copy", "--to", &to, &path]).success();
    place.line("rx-store --gc").success();
    let archive_of = |name: &str| {
        let infos = std::fs::read_dir(&cache).unwrap();
        let texts = infos.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok());
        let info = texts
            .filter(|text| text.contains("StorePath: "))
            .find(|text| {
                let store_path = text.lines().next().unwrap_or_default();
                store_path.ends_with(&format!("-{name}"))
            });
        let info = info.unwrap();
        let url = info.lines().find_map(|line| line.strip_prefix("URL: "));
        format!("/{}", url.unwrap())
    };
    let lost = archive_of("low");
    let server = Server::of_directory(&cache, move |path, body| body.filter(|_| path != lost));
    let url = server.url();
    let again = place.run(
        "rx-build",
        [
            "--no-out-link",
            "pair.nix",
            "--no-require-sigs",
            "--substituters",
            &url,
        ],
    );
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.out, built);
    assert!(again.err.contains("-low.drv'..."), "{again:?}");
    assert!(!again.err.contains("error:"), "{again:?}");
}
