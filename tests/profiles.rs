//! Profiles under stress and in company: a thousand generations, a hundred changes at once, changes that are killed, both
//! families of commands on one profile, and what users are told when packages do not go together.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use common::Place;

const SETTINGS: &str =
    "substituters =\nbuild-users-group =\nsandbox = false\nfsync-metadata = false\n";

fn place() -> Place {
    let place = Place::new();
    place.configure(SETTINGS);
    place
}

/// Puts directories with one file each into the store, which need no building: `NAME` has the file `share/NAME` or, with
/// `NAME:FILE`, `share/FILE`.
fn objects(place: &Place, names: &[&str]) -> Vec<PathBuf> {
    let mut list = String::new();
    for name in names {
        let (name, file) = name.split_once(':').unwrap_or((name, name));
        place.write(&format!("tree-{name}/share/{file}"), name);
        list += &format!("\"${{builtins.path {{ path = ./tree-{name}; name = \"{name}\"; }}}}\" ");
    }
    place.write("objects.nix", &format!("[ {list} ]"));
    let out = place
        .line("rx-instantiate --eval --strict --json --read-write-mode objects.nix")
        .success();
    let paths: Vec<String> = serde_json::from_str(&out).unwrap();
    let root = place.root().display().to_string();
    paths
        .into_iter()
        .map(|path| PathBuf::from(path.replace("DIR", &root)))
        .collect()
}

/// The user's profile, whose links a test looks at.
fn profile(place: &Place) -> PathBuf {
    let link = fs::read_link(place.root().join("home/.nix-profile")).unwrap();
    place.root().join("home").join(link)
}

fn words(place: &Place, line: &str) -> BTreeSet<String> {
    let out = place.line(line).success();
    out.lines().map(str::to_owned).collect()
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_thousand_generations_are_listed_switched_and_deleted() {
    let place = place();
    let both = objects(&place, &["one-1", "two-2"]);
    place.run("rx-env", ["-i", &show(&both[0])]).success();
    place.run("rx-env", ["-ir", &show(&both[1])]).success();
    let profile = profile(&place);
    let target =
        |number: u32| fs::read_link(format!("{}-{number}-link", profile.display())).unwrap();
    let (one, two) = (target(1), target(2));
    for number in 3..=1000 {
        let link = format!("{}-{number}-link", profile.display());
        let environment = if number % 2 == 1 { &one } else { &two };
        std::os::unix::fs::symlink(environment, link).unwrap();
    }
    let listed = place.line("rx-env --list-generations").success();
    assert_eq!(listed.lines().count(), 1000);
    assert!(listed.contains("(current)"));
    place.line("rx-env -G 999").success();
    assert_eq!(words(&place, "rx-env -q"), ["one-1".to_owned()].into());
    place.line("rx-env -G 1000").success();
    assert_eq!(words(&place, "rx-env -q"), ["two-2".to_owned()].into());
    place.run("rx-env", ["-ir", &show(&both[0])]).success();
    assert_eq!(
        fs::read_link(&profile).unwrap(),
        Path::new("profile-1001-link")
    );
    place.line("rx-env --rollback").success();
    assert_eq!(
        fs::read_link(&profile).unwrap(),
        Path::new("profile-1000-link")
    );
    let refused = place.line("rx-env --delete-generations 1000").failure();
    assert!(
        refused.contains("cannot delete current version of profile"),
        "{refused}"
    );
    // What is newer than the current one stays.
    place.line("rx-env --delete-generations +10").success();
    let listed = place.line("rx-env --list-generations").success();
    assert_eq!(listed.lines().count(), 11);
    place.line("rx-env --delete-generations old").success();
    assert_eq!(
        place
            .line("rx-env --list-generations")
            .success()
            .lines()
            .count(),
        1
    );
}

#[test]
fn a_hundred_changes_at_once_all_happen() {
    let place = place();
    let names: Vec<String> = (0..100).map(|n| format!("p{n}-1")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let paths = objects(&place, &names);
    place.line("rx-env -q").success();
    let children: Vec<Child> = paths
        .iter()
        .enumerate()
        .map(|(number, path)| {
            // Every fourth comes by the other family of commands: both change one profile.
            let mut command = match number % 4 {
                0 => place.command("rx"),
                _ => place.command("rx-env"),
            };
            match number % 4 {
                0 => command.args(["profile", "add"]),
                _ => command.arg("-i"),
            };
            command
                .arg(path)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    }
    let installed = words(&place, "rx-env -q");
    assert_eq!(
        installed,
        names.iter().map(|&name| name.to_owned()).collect()
    );
    assert_eq!(
        place
            .line("rx-env --list-generations")
            .success()
            .lines()
            .count(),
        100
    );
    // Nothing but generations is left beside the profile.
    let directory = profile(&place).parent().unwrap().to_owned();
    for entry in fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(name == "profile" || name.ends_with("-link"), "{name}");
    }
}

#[test]
fn a_change_that_is_killed_leaves_the_old_or_the_new_state() {
    let place = place();
    let both = objects(&place, &["one-1", "two-2"]);
    let install = |path: &Path| {
        let mut command = place.command("rx-env");
        command
            .arg("-ir")
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    assert!(install(&both[0]).status().unwrap().success());
    let start = Instant::now();
    assert!(install(&both[1]).status().unwrap().success());
    let usual = start.elapsed();
    let states = [["one-1".to_owned()].into(), ["two-2".to_owned()].into()];
    let (mut stayed, mut changed) = (0, 0);
    let mut now = 1;
    for round in 0..60u32 {
        let next = 1 - now;
        let mut child = install(&both[next]).spawn().unwrap();
        // From nothing to a bit more than it usually takes.
        std::thread::sleep(usual * (round % 30) / 25);
        let _ = child.kill();
        child.wait().unwrap();
        let state = words(&place, "rx-env -q");
        if state == states[next] {
            changed += 1;
            now = next;
        } else {
            assert_eq!(state, states[now], "neither the old nor the new state");
            stayed += 1;
        }
        let file = place
            .root()
            .join("home/.nix-profile/share")
            .join(["one-1", "two-2"][now]);
        assert!(file.exists(), "{}", file.display());
    }
    println!("{stayed} times the old state, {changed} times the new one");
    assert!(install(&both[1 - now]).status().unwrap().success());
    assert_eq!(words(&place, "rx-env -q"), states[1 - now]);
    let verified = place.line("rx-store --verify --check-contents");
    assert_eq!(verified.code, 0, "{}", verified.err);
}

#[test]
fn both_families_of_commands_work_on_one_profile() {
    let place = place();
    let paths = objects(&place, &["one-1", "two-2", "three-3"]);
    place.run("rx-env", ["-i", &show(&paths[0])]).success();
    place.line("rx-env --set-flag priority 3 one").success();
    // The new commands take over what is installed.
    let list = place.line("rx profile list --json").success();
    assert!(
        list.contains(r#""one":{"active":true,"priority":3,"#),
        "{list}"
    );
    place
        .run("rx", ["profile", "add", &show(&paths[1])])
        .success();
    assert!(
        place
            .root()
            .join("home/.nix-profile/manifest.json")
            .exists()
    );
    // The classic ones go on with their list.
    assert_eq!(
        words(&place, "rx-env -q"),
        ["one-1", "two-2"].map(str::to_owned).into()
    );
    place.run("rx-env", ["-i", &show(&paths[2])]).success();
    let refused = place.line("rx-env --set-flag priority high one").failure();
    assert!(refused.contains("'high' is not a priority"), "{refused}");
    place.line("rx-env --set-flag active false two").success();
    place.line("rx-env --set-flag keep true one").success();
    place.line("rx-env -e three").success();
    assert!(
        place
            .root()
            .join("home/.nix-profile/manifest.json")
            .exists()
    );
    let list = place.line("rx profile list --json").success();
    assert!(
        list.contains(r#""two":{"active":false,"priority":5,"#),
        "{list}"
    );
    assert!(list.contains(r#""keep":true"#), "{list}");
    assert!(!place.root().join("home/.nix-profile/share/two-2").exists());
    let history = place.line("rx profile history").success();
    assert!(history.contains("  three: 3 -> ∅"), "{history}");
    place.line("rx profile remove one two").success();
    assert_eq!(place.line("rx-env -q").success(), "");
}

#[test]
fn what_does_not_go_together_is_named_the_right_way_round() {
    let place = place();
    let paths = objects(&place, &["zebra-1:tool", "ape-2:tool"]);
    place.run("rx-env", ["-i", &show(&paths[0])]).success();
    // The installed package comes later by name, and is still the one that was there.
    let run = place.run("rx-env", ["-i", &show(&paths[1])]);
    assert_eq!(run.code, 100);
    for text in [
        "'zebra-1' (installed) and 'ape-2' (to be installed)",
        "share/tool",
        "rx-env -i --priority 4 ape-2",
        "rx-env --set-flag priority 6 zebra-1",
        "rx-env -e zebra-1",
    ] {
        assert!(run.err.contains(text), "{text}: {}", run.err);
    }
    assert_eq!(words(&place, "rx-env -q"), ["zebra-1".to_owned()].into());
    let run = place
        .run("rx", ["profile", "add", &show(&paths[1])])
        .failure();
    for text in [
        "rx profile remove zebra",
        "ape-2 --priority 4",
        "ape-2 --priority 6",
    ] {
        assert!(run.contains(text), "{text}: {run}");
    }
    let existing = run.find("zebra-1/share/tool").unwrap();
    assert!(existing < run.find("ape-2/share/tool").unwrap(), "{run}");
    // What the message says helps.
    place
        .run(
            "rx",
            ["profile", "add", &show(&paths[1]), "--priority", "4"],
        )
        .success();
    let file = place.root().join("home/.nix-profile/share/tool");
    assert_eq!(fs::read_to_string(file).unwrap(), "ape-2");
}

#[test]
fn adding_a_package_again_upgrades_it() {
    let place = place();
    let paths = objects(&place, &["tool-1:tool", "tool-2:tool"]);
    place
        .run("rx", ["profile", "add", &show(&paths[0])])
        .success();
    let again = place.run("rx", ["profile", "add", &show(&paths[0])]);
    assert!(
        again.err.contains("warning: 'tool' is already added"),
        "{}",
        again.err
    );
    place
        .run("rx", ["profile", "add", &show(&paths[1])])
        .success();
    assert_eq!(words(&place, "rx-env -q"), ["tool-2".to_owned()].into());
    place.line("rx profile remove tool").success();
    // From a file, too; and 'upgrade' knows where it came from.
    let file = |version: usize| {
        format!(
            "{{ tool = builtins.storePath {}; }}",
            paths[version].display()
        )
    };
    place.write("tools.nix", &file(0));
    place.line("rx profile add --file tools.nix tool").success();
    place.write("tools.nix", &file(1));
    place.line("rx profile add --file tools.nix tool").success();
    assert_eq!(words(&place, "rx-env -q"), ["tool-2".to_owned()].into());
    place.write("tools.nix", &file(0));
    place.line("rx profile upgrade tool --dry-run").success();
    assert_eq!(words(&place, "rx-env -q"), ["tool-2".to_owned()].into());
    place.line("rx profile upgrade --all").success();
    assert_eq!(words(&place, "rx-env -q"), ["tool-1".to_owned()].into());
}

#[test]
fn what_can_be_removed_is_completed() {
    let place = place();
    let paths = objects(&place, &["editor-1", "tool-1"]);
    for path in &paths {
        place.run("rx", ["profile", "add", &show(path)]).success();
    }
    let place = place.with("NIX_GET_COMPLETIONS", "3");
    let complete = |word: &str| {
        let out = place.run("rx", ["profile", "remove", word]).success();
        let words = out
            .lines()
            .map(|line| line.split('\t').next().unwrap_or(""));
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete(""), ["normal", "editor", "tool"]);
    assert_eq!(complete("to"), ["normal", "tool"]);
}

#[test]
fn a_switch_says_before_what_it_changes() {
    let place = place();
    let paths = objects(&place, &["tool-1", "tool-2", "other-3"]);
    let run = place.run("rx-env", ["-i", &show(&paths[0]), &show(&paths[2])]);
    assert!(
        run.err.contains("  + other: ∅ → 3\n  + tool: ∅ → 1\n"),
        "{}",
        run.err
    );
    let run = place.run("rx-env", ["-i", "--dry-run", &show(&paths[1])]);
    assert!(run.err.contains("  ~ tool: 1 → 2\n"), "{}", run.err);
    assert_eq!(
        words(&place, "rx-env -q"),
        ["other-3", "tool-1"].map(str::to_owned).into()
    );
    let run = place.run("rx-env", ["-ir", &show(&paths[1])]);
    assert!(
        run.err.contains("  - other: 3 → ∅\n  ~ tool: 1 → 2\n"),
        "{}",
        run.err
    );
    assert!(run.err.contains("  closure: "), "{}", run.err);
    let run = place.line("rx profile rollback --dry-run");
    assert!(run.err.contains("  ~ tool: 2 → 1\n"), "{}", run.err);
    assert_eq!(words(&place, "rx-env -q"), ["tool-2".to_owned()].into());
    let run = place.run("rx-env", ["--quiet", "--quiet", "--rollback"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
}

#[test]
fn profiles_are_found_where_settings_say() {
    let place = place();
    let paths = objects(&place, &["tool-1", "other-3"]);
    let xdg = |program: &str, args: &[&str]| {
        let mut command = place.command(program);
        command
            .args(args)
            .env("NIX_CONFIG", "use-xdg-base-directories = true");
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    xdg("rx-env", &["-i", &show(&paths[0])]);
    let state = place.root().join("home/.local/state/nix");
    assert!(state.join("profile/share/tool-1").exists());
    assert!(
        state.join("defexpr/channels").symlink_metadata().is_ok()
            || !state.join("defexpr").exists()
    );
    assert!(
        place
            .root()
            .join("home/.nix-profile")
            .symlink_metadata()
            .is_err()
    );
    assert_eq!(
        xdg("rx", &["profile", "list", "--json"])
            .matches("tool")
            .count(),
        2
    );
    xdg("rx-channel", &["--add", "http://example.org/x"]);
    assert!(state.join("channels").exists());
    // A profile elsewhere, by option, by variable, and as the one in use.
    let other = show(&place.work().join("other"));
    place
        .run("rx-env", ["-p", &other, "-i", &show(&paths[1])])
        .success();
    let mut command = place.command("rx-env");
    let output = command
        .arg("-q")
        .env("NIX_PROFILE", &other)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "other-3\n");
    place.run("rx-env", ["-S", &other]).success();
    assert_eq!(words(&place, "rx-env -q"), ["other-3".to_owned()].into());
    place
        .run(
            "rx-env",
            [
                "-i",
                "tool",
                "--from-profile",
                &show(&state.join("profile")),
            ],
        )
        .success();
    assert_eq!(
        words(&place, "rx-env -q"),
        ["other-3", "tool-1"].map(str::to_owned).into()
    );
}

#[test]
fn expressions_come_from_files_directories_standard_input_and_the_command_line() {
    let place = place();
    let paths = objects(&place, &["tool-1", "other-3"]);
    let package = |name: &str, path: &Path| {
        format!(
            "{{ type = \"derivation\"; name = \"{name}\"; outPath = builtins.storePath {}; }}",
            path.display()
        )
    };
    let both = format!(
        "{{ x ? 1 }}: {{ tool = {}; other = {}; }}",
        package("tool-1", &paths[0]),
        package("other-3", &paths[1])
    );
    place.write("file.nix", &both);
    place.write("dir/one.nix", &package("tool-1", &paths[0]));
    place.write("dir/two/default.nix", &both);
    place.write("dir/xdeeper/three.nix", &package("other-3", &paths[1]));
    place.write("dir/xdeeper/one.nix", "throw \"not looked at\"");
    place.write("dir/readme", "no expression");
    assert_eq!(
        place.line("rx-env -f file.nix -qaP").success(),
        "other  other-3\ntool   tool-1\n"
    );
    let run = place.line("rx-env -f dir -qaP");
    assert_eq!(
        run.out,
        "three      other-3\ntwo.other  other-3\none        tool-1\ntwo.tool   tool-1\n"
    );
    assert!(
        run.err
            .contains("name collision in input Nix expressions, skipping"),
        "{}",
        run.err
    );
    assert_eq!(
        place.feed("rx-env", &["-f", "-", "-qa"], &both).success(),
        "other-3\ntool-1\n"
    );
    place.line("rx-env -f file.nix -iA tool").success();
    place
        .run("rx-env", ["-f", "file.nix", "-iE", "f: (f { }).other"])
        .success();
    assert_eq!(
        words(&place, "rx-env -q"),
        ["other-3", "tool-1"].map(str::to_owned).into()
    );
    let unknown = place.line("rx-env -f file.nix -i too").failure();
    assert!(
        unknown.contains("selector 'too' matches no derivations, maybe you meant:\ntool"),
        "{unknown}"
    );
    let below = place.line("rx-env -f dir -qaPA two").success();
    assert_eq!(below, "two.other  other-3\ntwo.tool   tool-1\n");
}

/// A server whose channel can be broken.
struct Server {
    port: u16,
    broken: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server {
            port: listener.local_addr().unwrap().port(),
            broken: Arc::default(),
            requests: Arc::default(),
        };
        let (broken, requests) = (Arc::clone(&server.broken), Arc::clone(&server.requests));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                let _ = reader.read_line(&mut line);
                requests.lock().unwrap().push(line.clone());
                let mut rest = String::new();
                while reader.read_line(&mut rest).is_ok_and(|count| count > 2) {
                    rest.clear();
                }
                let name = line
                    .split('/')
                    .nth(1)
                    .unwrap_or_default()
                    .split('.')
                    .next()
                    .unwrap_or_default();
                let body = match (broken.load(Ordering::Relaxed), name) {
                    (true, "second") => b"this is no archive".to_vec(),
                    _ => archive(name),
                };
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(&body);
            }
        });
        server
    }
}

fn archive(name: &str) -> Vec<u8> {
    let text = format!("\"{name} of {}\"", std::process::id());
    common::archive_of("top/default.nix", &text)
}

#[test]
fn a_channel_update_that_fails_changes_nothing() {
    let place = place();
    let server = Server::start();
    for name in ["first", "second"] {
        let url = format!("http://127.0.0.1:{}/{name}.tar.gz", server.port);
        place.run("rx-channel", ["--add", &url, name]).success();
    }
    place.line("rx-channel --update").success();
    let eval = |name: &str| {
        place
            .line(&format!("rx-instantiate --eval <{name}>"))
            .success()
    };
    assert!(eval("first").starts_with("\"first of"));
    let before = place.line("rx-channel --list-generations").success();
    server.broken.store(true, Ordering::Relaxed);
    let failed = place.line("rx-channel --update");
    assert_ne!(failed.code, 0, "{}", failed.err);
    assert_eq!(
        place.line("rx-channel --list-generations").success(),
        before
    );
    assert!(eval("second").starts_with("\"second of"));
    // Only what is named is asked for.
    server.requests.lock().unwrap().clear();
    place.line("rx-channel --update first").success();
    let requests = server.requests.lock().unwrap().clone();
    assert!(
        requests.iter().all(|line| line.contains("first")),
        "{requests:?}"
    );
    place.line("rx-channel --remove second").success();
    let gone = place.line("rx-instantiate --eval <second>").failure();
    assert!(
        gone.contains("was not found in the Nix search path"),
        "{gone}"
    );
    place.line("rx-channel --rollback 1").success();
    assert!(eval("second").starts_with("\"second of"));
}

#[test]
fn a_repository_can_be_a_channel() {
    let place = place();
    let repository = place.work().join("collection.git");
    let git = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.arg("-C").arg(&repository).args(args);
        command
            .env("HOME", place.root())
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for (name, value) in [
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@example.org"),
        ] {
            command
                .env(name, value)
                .env(name.replace("AUTHOR", "COMMITTER"), value);
        }
        command.output().is_ok_and(|output| output.status.success())
    };
    place.write("collection.git/default.nix", "\"release 1\"");
    if !git(&["init", "-q"]) {
        println!("not run: there is no git here");
        return;
    }
    assert!(git(&["add", "."]) && git(&["commit", "-qm", "1"]));
    let url = format!("file://{}", repository.display());
    place.run("rx-channel", ["--add", &url]).success();
    place.line("rx-channel --update").success();
    let eval = || place.line("rx-instantiate --eval <collection>").success();
    assert_eq!(eval(), "\"release 1\"\n");
    place.write("collection.git/default.nix", "\"release 2\"");
    assert!(git(&["commit", "-qam", "2"]));
    assert_eq!(eval(), "\"release 1\"\n");
    place.line("rx-channel --update").success();
    assert_eq!(eval(), "\"release 2\"\n");
    place.line("rx-channel --rollback").success();
    assert_eq!(eval(), "\"release 1\"\n");
}
