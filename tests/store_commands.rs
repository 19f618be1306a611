//! What commands on store objects answer: values and exit codes that scripts rely on.

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use common::Place;

const CONFIG: &str = "experimental-features = nix-command ca-derivations\nsandbox = false\n\
                      build-users-group =\nsubstituters =\n";

const PACKAGES: &str = r#"
let
  make = name: rest: derivation ({
    inherit name; system = builtins.currentSystem; builder = "/bin/sh";
  } // rest);
in rec {
  low = make "low" { args = [ "-c" "echo LOW > $out" ]; };
  high = make "high" { outputs = [ "out" "dev" ]; args = [ "-c" "echo ${low} > $out; echo $out > $dev" ]; };
  other = make "other" { args = [ "-c" "echo other > $out" ]; };
  floating = make "floating" {
    __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256";
    args = [ "-c" "echo floating > $out" ];
  };
  above = make "above" {
    __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256";
    args = [ "-c" "echo ${floating} > $out" ];
  };
}
"#;

fn place() -> Place {
    let place = Place::new();
    place.configure(CONFIG);
    place.write("default.nix", PACKAGES);
    place.write("tree/below/file", "data\n");
    place
}

/// A store path as the file system knows it.
fn real(place: &Place, shown: &str) -> String {
    shown
        .trim()
        .replace("DIR", &place.root().display().to_string())
}

fn cache(place: &Place) -> String {
    format!("file://{}", place.work().join("cache").display())
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_a_cache_says_of_an_archive_is_in_the_json() {
    let place = place();
    let path = place.line("rx build -f . low --no-link --print-out-paths");
    let path = real(&place, &path.success());
    let cache = cache(&place);
    place.run("rx", ["copy", "--to", &cache, &path]).success();
    let said = place.run(
        "rx",
        [
            "path-info",
            "--store",
            &cache,
            "-S",
            "--json",
            "--json-format",
            "2",
            &path,
        ],
    );
    let said = json(&said.success());
    let (_, info) = said["info"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(info["compression"], "xz");
    assert!(info["url"].as_str().unwrap().starts_with("nar/"));
    assert!(
        info["downloadHash"]
            .as_str()
            .unwrap()
            .starts_with("sha256-")
    );
    assert_eq!(info["downloadSize"], info["closureDownloadSize"]);
    assert!(info["registrationTime"].is_null());
    // A store on disk has no archives.
    let here = place.run("rx", ["path-info", "--json", "--json-format", "1", &path]);
    let here = json(&here.success());
    let (_, info) = here.as_object().unwrap().iter().next().unwrap();
    assert!(info.get("url").is_none());
    assert!(info["registrationTime"].is_i64());
}

#[test]
fn what_a_cache_does_not_have_cannot_be_copied_from_it() {
    let place = place();
    place.line("rx build -f . low --no-link").success();
    let cache = cache(&place);
    place
        .run("rx", ["copy", "--to", &cache, "-f", ".", "low"])
        .success();
    let nothing = format!("{}/store/{}-x", place.root().display(), "0".repeat(32));
    let missing = place
        .run("rx", ["copy", "--from", &cache, &nothing])
        .failure();
    assert!(
        missing.contains("is required, but there is no substituter that can build it"),
        "{missing}"
    );
    let unbuilt = place
        .run("rx", ["copy", "--from", &cache, "-f", ".", "other"])
        .failure();
    assert!(
        unbuilt.contains("Unable to build with a primary store that isn't a local store"),
        "{unbuilt}"
    );
}

#[test]
fn an_output_is_found_in_a_cache_that_knows_only_what_it_resolves_to() {
    let place = place();
    let cache = cache(&place);
    let program = place.command("rx").get_program().to_owned();
    // A hook is told the derivation that was built, whose inputs are no derivations any more.
    let hook = format!(
        "#!/bin/sh\nexec {} copy --to {cache} \"$DRV_PATH^*\"\n",
        program.display()
    );
    let hook = place.write("hook", &hook);
    std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    let built = place.run(
        "rx",
        [
            "build",
            "-f",
            ".",
            "above",
            "--no-link",
            "--print-out-paths",
            "--post-build-hook",
            hook.to_str().unwrap(),
        ],
    );
    let path = real(&place, &built.success());
    place.line("rx-store --gc").success();
    std::fs::remove_dir_all(place.root().join("var")).ok();
    assert!(!std::path::Path::new(&path).exists());
    let copied = place.run(
        "rx",
        [
            "copy",
            "--no-check-sigs",
            "--from",
            &cache,
            "-f",
            ".",
            "above",
        ],
    );
    assert_eq!(copied.code, 0, "{copied:?}");
    assert!(std::path::Path::new(&path).exists());
}

#[test]
fn verifying_goes_on_after_a_path_that_is_not_there() {
    let place = place();
    let path = real(
        &place,
        &place
            .line("rx build -f . low --no-link --print-out-paths")
            .success(),
    );
    let nothing = format!("{}/store/{}-x", place.root().display(), "0".repeat(32));
    let verified = place.run("rx", ["store", "verify", &nothing, &path]);
    assert_eq!(verified.code, 4, "{verified:?}");
    assert!(verified.err.contains("is not valid"), "{verified:?}");
    assert!(
        verified.err.contains("checking 'DIR/store/"),
        "{verified:?}"
    );
}

#[test]
fn signatures_of_another_store_count_when_it_is_named() {
    let place = place();
    let path = real(
        &place,
        &place
            .line("rx build -f . low --no-link --print-out-paths")
            .success(),
    );
    place
        .line("rx-store --generate-binary-cache-key key secret public")
        .success();
    let key = std::fs::read_to_string(place.work().join("public")).unwrap();
    let cache = cache(&place);
    let signing = format!(
        "{cache}?secret-key={}",
        place.work().join("secret").display()
    );
    place.run("rx", ["copy", "--to", &signing, &path]).success();
    let verify = |more: &[&str]| {
        let mut all = vec!["store", "verify", "--no-contents", "-n", "1"];
        all.extend(["--trusted-public-keys", key.trim(), &path]);
        all.extend(more);
        place.run("rx", all).code
    };
    assert_eq!(verify(&[]), 2);
    assert_eq!(verify(&["-s", &cache]), 0);
    assert_eq!(verify(&["--substituter", &cache]), 0);
}

#[test]
fn directories_themselves_are_listed_as_a_dot() {
    let place = place();
    let nar = place.command("rx").args(["nar", "pack", "tree"]).output();
    std::fs::write(place.work().join("tree.nar"), nar.unwrap().stdout).unwrap();
    let listed = |line: &str| place.line(line).success();
    assert_eq!(listed("rx nar ls -d tree.nar /below"), ".\n");
    assert_eq!(listed("rx nar ls -d tree.nar /"), ".\n");
    assert_eq!(listed("rx nar ls -dR tree.nar /below"), ".\n./file\n");
    assert_eq!(listed("rx nar ls tree.nar /below"), "./file\n");
    assert_eq!(listed("rx nar ls tree.nar /below/file"), "file\n");
    let missing = place.line("rx nar ls nothing.nar /").failure();
    assert!(
        missing.contains("opening NAR file \"nothing.nar\": No such file or directory"),
        "{missing}"
    );
}

#[test]
fn json_and_paths_can_both_be_printed() {
    let place = place();
    let both = place.line("rx build -f . high --no-link --json --print-out-paths");
    let both = both.success();
    let lines: Vec<&str> = both.lines().collect();
    assert_eq!(lines.len(), 3, "{both}");
    let outputs = &json(lines[0])[0]["outputs"];
    assert_eq!(
        outputs["out"],
        lines[1..]
            .iter()
            .find(|l| !l.ends_with("-dev"))
            .copied()
            .unwrap()
    );
}

#[test]
fn a_log_says_where_it_was_found() {
    let place = place();
    place.line("rx build -f . low --no-link").success();
    let log = place.line("rx log -f . low");
    assert_eq!(log.code, 0);
    assert!(
        log.err.contains("got build log for 'low' from 'local'"),
        "{log:?}"
    );
}

#[test]
fn a_missing_output_and_several_failures_are_named_by_derivation() {
    let place = place();
    let drv = place.line("rx-instantiate -A low").success();
    let drv = real(&place, &drv);
    let missing = place
        .run("rx-store", ["--realise", &format!("{drv}!nope")])
        .failure();
    assert!(
        missing.contains(".drv' does not have output 'nope'"),
        "{missing}"
    );
    place.write(
        "bad.nix",
        "map (name: derivation { inherit name; system = builtins.currentSystem; builder = \"/bin/sh\"; \
         args = [ \"-c\" \"exit 1\" ]; }) [ \"one\" \"two\" ]",
    );
    let failed = place.line("rx-build --no-out-link --keep-going bad.nix");
    assert_eq!(failed.code, 100, "{failed:?}");
    let last = failed.err.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("error: build of 'DIR/store/") && last.ends_with(".drv' failed"),
        "{failed:?}"
    );
    assert!(!last.contains('^'), "{failed:?}");
    let failed = place.line("rx build --no-link --keep-going -f bad.nix");
    assert_eq!(failed.code, 1, "{failed:?}");
    let last = failed.err.lines().last().unwrap_or_default();
    assert!(last.ends_with(".drv^out' failed"), "{failed:?}");
}

#[test]
fn copies_are_told_by_the_store_that_is_not_the_usual_one() {
    let place = place();
    let path = real(
        &place,
        &place
            .line("rx build -f . low --no-link --print-out-paths")
            .success(),
    );
    let (cache, other) = (cache(&place), place.work().join("other"));
    let other = format!("file://{}", other.display());
    let to = place.run("rx", ["copy", "--to", &cache, &path]);
    assert!(to.err.contains("' to 'file://"), "{to:?}");
    let between = place.run("rx", ["copy", "--from", &cache, "--to", &other, &path]);
    assert!(
        between.err.contains("' from 'file://") && between.err.contains("' to 'file://"),
        "{between:?}"
    );
    place.run("rx-store", ["--delete", &path]).success();
    let from = place.run("rx", ["copy", "--no-check-sigs", "--from", &cache, &path]);
    assert!(from.err.contains("' from 'file://"), "{from:?}");
}

#[test]
fn files_and_trees_are_hashed_and_added_as_git_knows_them() {
    let place = place();
    place.write("hello", "Hello World\n");
    let git = "--extra-experimental-features git-hashing";
    let hash = place.line(&format!(
        "rx hash path --mode git --algo sha1 --format base16 {git} hello"
    ));
    assert_eq!(hash.success(), "557db03de997c86a4a028e1ebd3a1ceb225be238\n");
    let tree = place.line(&format!(
        "rx hash path --mode git --algo sha1 --format base16 {git} tree"
    ));
    assert_eq!(tree.success().trim().len(), 40);
    let added = place.line(&format!(
        "rx store add --mode git --hash-algo sha1 {git} hello"
    ));
    let added = real(&place, &added.success());
    let info = place.run("rx", ["path-info", "--json", "--json-format", "2", &added]);
    let info = json(&info.success());
    let (_, info) = info["info"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(info["ca"]["method"], "git");
    assert_eq!(info["ca"]["hash"], "sha1-VX2wPemXyGpKAo4evToc6yJb4jg=");
    for line in [
        "rx hash path --mode git hello",
        "rx store add --mode git hello",
    ] {
        let refused = place.line(line).failure();
        assert!(
            refused.contains("experimental Nix feature 'git-hashing' is disabled"),
            "{refused}"
        );
    }
}

#[test]
fn what_is_built_during_evaluation_is_found_in_the_store_that_it_is_built_in() {
    let place = place();
    let other = place.root().join("other");
    let read = place.run(
        "rx",
        [
            "eval",
            "--eval-store",
            other.to_str().unwrap(),
            "--impure",
            "--raw",
            "--expr",
            "builtins.readFile (import ./.).above",
        ],
    );
    let read = read.success();
    assert!(read.trim().ends_with("-floating"), "{read}");
    let built = std::fs::read_dir(place.root().join("store")).unwrap();
    let is_output = |name: &str| name.ends_with("-above") || name.ends_with("-floating");
    let outputs = built
        .filter(|entry| is_output(entry.as_ref().unwrap().file_name().to_str().unwrap()))
        .count();
    assert_eq!(outputs, 2);
}

#[test]
fn a_slash_behind_the_name_of_a_link_does_not_lead_through_it() {
    let place = place();
    std::os::unix::fs::symlink("tree", place.work().join("link")).unwrap();
    let same = |line: &str| {
        let plain = place.line(&line.replace("NAME", "link")).success();
        for name in ["link/", "./link/", "tree/../link/."] {
            assert_eq!(
                place.line(&line.replace("NAME", name)).success(),
                plain,
                "{line} {name}"
            );
        }
        plain
    };
    let link = same("rx hash path NAME");
    let tree = place.line("rx hash path tree").success();
    assert_ne!(link, tree);
    same("rx-hash --type sha256 NAME");
    same("rx-store --dump NAME");
    same("rx nar pack NAME");
    let added = place.line("rx-store --add link/").success();
    assert_eq!(added, place.line("rx-store --add link").success());
    assert_eq!(
        place.line("rx store add tree/").success(),
        place.line("rx-store --add tree").success()
    );
}

#[test]
fn a_path_that_is_built_is_a_source_whatever_its_name() {
    let place = place();
    place.write("paths.nix", "{ bare = ./tree; inside = \"${./tree}\"; }");
    let build = |name: &str| {
        let all = [
            "build",
            "--no-link",
            "--print-out-paths",
            "-f",
            "paths.nix",
            name,
        ];
        place.run("rx", all).success()
    };
    assert!(build("bare").ends_with("-source\n"));
    assert!(build("inside").ends_with("-tree\n"));
}

#[test]
fn archives_of_a_cache_that_were_looked_into_can_stay_here() {
    let place = place();
    std::fs::write(place.work().join("tree/empty"), "").unwrap();
    let path = real(&place, &place.line("rx store add tree").success());
    let cache = cache(&place);
    place.run("rx", ["copy", "--to", &cache, &path]).success();
    let file = format!("{path}/below/file");
    let kept = format!(
        "{cache}?local-nar-cache={}",
        place.work().join("kept").display()
    );
    let cat = |store: &str| place.run("rx", ["store", "cat", "--store", store, &file]);
    assert_eq!(cat(&kept).success(), "data\n");
    std::fs::remove_dir_all(place.work().join("cache/nar")).unwrap();
    assert_eq!(cat(&kept).success(), "data\n");
    assert_ne!(cat(&cache).code, 0);
    // Every file of a listing says where it begins, also one without contents.
    let listed = place.run(
        "rx",
        ["store", "ls", "--json", "-R", "--store", &kept, &path],
    );
    let listed = json(&listed.success());
    assert!(listed["entries"]["empty"]["narOffset"].is_u64(), "{listed}");
}

#[test]
fn who_waits_for_the_database_is_told_for_whom() {
    let place = place();
    place.line("rx-store --init").success();
    let database = place.root().join("var/nix/db/db.sqlite");
    let other = rusqlite::Connection::open(database).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let mut waiting = place.command("rx-store");
    let mut waiting = waiting
        .args(["--add", "tree"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(waiting.stderr.take().unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in said.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let line = receiver.recv_timeout(Duration::from_secs(120));
    other.execute_batch("rollback").unwrap();
    assert!(waiting.wait().unwrap().success());
    reader.join().unwrap();
    let line = line.expect("nothing is said while the database is locked");
    assert!(line.contains("waiting for the database"), "{line}");
    if std::fs::read_to_string("/proc/locks").is_ok_and(|locks| locks.contains("POSIX")) {
        let process = format!("process {} (", std::process::id());
        assert!(line.contains(&process), "{line}");
    }
}

#[test]
fn a_file_that_is_a_whole_store_path_is_listed_without_a_name_wherever_it_is() {
    let place = place();
    let low = place.line("rx build -f . low --no-link --print-out-paths");
    let path = real(&place, &low.success());
    let cache = cache(&place);
    place.run("rx", ["copy", "--to", &cache, &path]).success();
    let here = place.run("rx", ["store", "ls", "-lR", &path]).success();
    assert_eq!(here, "-r--r--r--                    4 \n");
    let there = place.run("rx", ["store", "ls", "-lR", "--store", &cache, &path]);
    assert_eq!(there.success(), here);
    let inside = format!("{path}/nothing");
    let missing = place.run("rx", ["store", "ls", &inside]).failure();
    assert!(
        missing.contains("-low/nothing' does not exist"),
        "{missing}"
    );
}

#[test]
fn what_does_not_go_together_or_is_experimental_is_refused() {
    let place = place();
    place.write("file", "contents\n");
    for (line, message) in [
        (
            "rx store gc --max 1 --dry-run",
            "options --max and --dry-run cannot be combined",
        ),
        (
            "rx-store --add-fixed blake3 file",
            "experimental Nix feature 'blake3-hashes' is disabled",
        ),
        (
            "rx store add --hash-algo blake3 file",
            "experimental Nix feature 'blake3-hashes' is disabled",
        ),
    ] {
        let refused = place.line(line).failure();
        assert!(refused.contains(message), "{line}: {refused}");
    }
    let nothing = format!("{}/store/{}-x", place.root().display(), "0".repeat(32));
    let missing = place.run("rx-store", ["--read-log", &nothing]).failure();
    assert!(missing.contains("build log of derivation"), "{missing}");
    assert!(missing.contains("is not available"), "{missing}");
}
