//! Every command that changes what a user has installed, killed: at random moments, and where `strace` is installed at the
//! system calls that change files, one after the other. Afterwards the state is the old or the new one, the
//! next command works, and nothing is left that would stay.
//!
//! ```text
//! RX_TEST_PATIENCE=36000 RX_KILLS=1000 cargo test --test kills -- --nocapture
//! ```

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::Place;

const SETTINGS: &str =
    "substituters =\nbuild-users-group =\nsandbox = false\nfsync-metadata = false\n";

/// System calls that change what is on disk.
const CALLS: &str = "rename,renameat,renameat2,symlink,symlinkat,link,linkat,unlink,unlinkat,rmdir,mkdir,mkdirat,fsync,\
                     fdatasync,ftruncate,pwrite64,fchmod,utimensat";

/// How many kills each command gets.
fn kills() -> u32 {
    std::env::var("RX_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4)
}

/// A command, and what it does.
struct Operation {
    name: &'static str,
    /// Command lines that make the state in which it is called, whatever was before.
    before: Vec<String>,
    line: String,
    /// What is looked at.
    look: fn(&Place) -> String,
}

/// What the user has, by all that can be seen of it.
fn installed(place: &Place) -> String {
    let link = place.root().join("home/.nix-profile");
    let mut files: Vec<String> = fs::read_dir(link.join("share"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            let text = fs::read_to_string(entry.path());
            format!("{:?} {:?}", entry.file_name(), text.ok())
        })
        .collect();
    files.sort();
    let listed = place.line("rx-env -q --out-path").success();
    format!("{listed}{}", files.join("\n"))
}

/// The current generation, and whether it can be used.
fn generation(place: &Place) -> String {
    let text = place.line("rx-env --list-generations").success();
    let current = text.lines().find(|line| line.contains("(current)"));
    let number = current.and_then(|line| line.split_whitespace().next());
    format!("{number:?} {}", installed(place))
}

fn subscribed(place: &Place) -> String {
    place.line("rx-channel --list").success()
}

fn channel(place: &Place) -> String {
    let mut command = place.command("rx-instantiate");
    command.args(["--eval", "<collection>"]);
    let outcome = place.outcome(&command.output().unwrap());
    if outcome.code == 0 {
        outcome.out
    } else {
        "none".to_owned()
    }
}

/// Puts a package into the store.
fn object(place: &Place, name: &str) -> String {
    place.write(&format!("tree-{name}/share/{name}"), name);
    let text = format!("\"${{builtins.path {{ path = ./tree-{name}; name = \"{name}\"; }}}}\"");
    place.write("object.nix", &text);
    let out = place
        .line("rx-instantiate --eval --json --read-write-mode object.nix")
        .success();
    let path: String = serde_json::from_str(&out).unwrap();
    path.replace("DIR", &place.root().display().to_string())
}

/// A file with one package, which has to be built.
fn write_file(place: &Place, file: &str, name: &str) {
    let text = format!(
        "{{ tool = derivation {{
             name = \"{name}\"; system = builtins.currentSystem; builder = \"/bin/sh\";
             args = [ \"-c\" \"PATH=/bin:/usr/bin; mkdir -p $out/share; echo {name} > $out/share/{name}\" ];
           }}; }}"
    );
    place.write(file, &text);
}

fn write_archive(file: &Path, text: &str) {
    fs::write(file, common::archive_of("top/default.nix", text)).unwrap();
}

fn operations(place: &Place) -> Vec<Operation> {
    let one = object(place, "tool-1");
    let other = object(place, "other-3");
    write_file(place, "old.nix", "tool-1");
    write_file(place, "new.nix", "tool-2");
    let work = place.work();
    write_archive(&work.join("old.tar.gz"), "\"release 1\"");
    write_archive(&work.join("new.tar.gz"), "\"release 2\"");
    let url = format!("file://{}/collection.tar.gz", work.display());
    let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    let operation = |name, before: Vec<String>, line: &str, look| Operation {
        name,
        before,
        line: line.to_owned(),
        look,
    };
    let copy = |from: &str, to: &str| format!("cp {from} {to}");
    let from_file = |command: &str| vec![copy("old.nix", "default.nix"), command.to_owned()];
    let start = "rx-env --set ";
    let empty = "rx-env -e .*";
    vec![
        operation(
            "rx profile add",
            own(&[
                empty,
                "rx profile remove --all",
                &format!("rx profile add {other}"),
            ]),
            &format!("rx profile add {one}"),
            installed,
        ),
        operation(
            "rx profile remove",
            own(&[
                "rx profile remove --all",
                &format!("rx profile add {one} {other}"),
            ]),
            "rx profile remove tool",
            installed,
        ),
        operation(
            "rx profile upgrade",
            [
                from_file("rx profile remove --all"),
                own(&[
                    "rx profile add -f default.nix tool",
                    "cp new.nix default.nix",
                ]),
            ]
            .concat(),
            "rx profile upgrade --all",
            installed,
        ),
        operation(
            "rx profile rollback",
            own(&[
                "rx profile remove --all",
                &format!("rx profile add {one}"),
                &format!("rx profile add {other}"),
            ]),
            "rx profile rollback",
            generation,
        ),
        operation(
            "rx profile wipe-history",
            own(&[
                "rx profile remove --all",
                &format!("rx profile add {one}"),
                &format!("rx profile add {other}"),
            ]),
            "rx profile wipe-history",
            generation,
        ),
        operation(
            "rx-env --install",
            own(&["rx profile remove --all", &format!("rx-env -ir {one}")]),
            &format!("rx-env -i {other}"),
            installed,
        ),
        operation(
            "rx-env --uninstall",
            own(&[
                "rx profile remove --all",
                &format!("rx-env -ir {one} {other}"),
            ]),
            "rx-env -e tool",
            installed,
        ),
        operation(
            "rx-env --upgrade",
            [
                from_file("rx-env -f default.nix -irA tool"),
                own(&["cp new.nix default.nix"]),
            ]
            .concat(),
            "rx-env -f default.nix -u",
            installed,
        ),
        operation(
            "rx-env --set",
            own(&[&format!("{start}{one}")]),
            &format!("{start}{other}"),
            generation,
        ),
        operation(
            "rx-env --rollback",
            own(&[
                &format!("{start}{other}"),
                &format!("rx-env -ir {one}"),
                &format!("rx-env -ir {other}"),
            ]),
            "rx-env --rollback",
            generation,
        ),
        operation(
            "rx-env --delete-generations",
            own(&[&format!("rx-env -ir {one}"), &format!("rx-env -ir {other}")]),
            "rx-env --delete-generations old",
            generation,
        ),
        operation(
            "rx-channel --add",
            own(&["rx-channel --remove collection"]),
            &format!("rx-channel --add {url} collection"),
            subscribed,
        ),
        operation(
            "rx-channel --update",
            own(&[
                &copy("old.tar.gz", "collection.tar.gz"),
                &format!("rx-channel --add {url} collection"),
                "rx-channel --update",
                &copy("new.tar.gz", "collection.tar.gz"),
            ]),
            "rx-channel --update",
            channel,
        ),
        operation(
            "rx-channel --remove",
            own(&[
                &format!("rx-channel --add {url} collection"),
                "rx-channel --update",
            ]),
            "rx-channel --remove collection",
            subscribed,
        ),
    ]
}

/// Runs a line that must succeed.
fn must(place: &Place, name: &str, line: &str) {
    if let Some(files) = line.strip_prefix("cp ") {
        let (from, to) = files.split_once(' ').unwrap();
        fs::copy(place.work().join(from), place.work().join(to)).unwrap();
        return;
    }
    let outcome = place.line(line);
    assert_eq!(outcome.code, 0, "{name}: {line}: {}", outcome.err);
}

/// How a command is killed.
enum Kill {
    /// After a time.
    After(Duration),
    /// At the so-manieth system call of each thread that changes something.
    AtCall(u32),
}

/// Runs a line, and kills it. Whether it came to its end before.
fn run_and_kill(place: &Place, line: &str, kill: &Kill) -> bool {
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    let program = words.next().unwrap();
    let plain = place.command(program);
    let mut command = match kill {
        Kill::After(_) => plain,
        Kill::AtCall(number) => {
            let mut traced = Command::new("strace");
            traced.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
            traced.arg(format!("trace={CALLS}"));
            traced.arg("-e");
            traced.arg(format!("inject={CALLS}:signal=KILL:when={number}"));
            traced.arg(plain.get_program()).env_clear();
            for (name, value) in plain.get_envs() {
                if let Some(value) = value {
                    traced.env(name, value);
                }
            }
            traced.current_dir(place.work());
            traced
        }
    };
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    if let Kill::After(time) = kill {
        std::thread::sleep(*time);
        let _ = child.kill();
    }
    child.wait().unwrap().success()
}

/// Whether system calls can be counted here.
fn can_trace() -> bool {
    Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg("inject=rename:signal=KILL:when=1")
        .arg("true")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What lies beside profiles that belongs to none of them.
fn litter(place: &Place) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let dirs = [
        "var/nix/profiles/per-user",
        "home/.local/state/nix/profiles",
    ];
    let mut todo: Vec<PathBuf> = dirs.iter().map(|dir| place.root().join(dir)).collect();
    let home = fs::read_dir(place.root().join("home")).unwrap().flatten();
    found.extend(
        home.map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "new")),
    );
    todo.push(place.root().join("tmp"));
    while let Some(dir) = todo.pop() {
        let is_temporary = dir.ends_with("tmp");
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let known = ["profile", "channels", "profile.origins.json"];
            if is_temporary || (!known.contains(&&*name) && !name.ends_with("-link")) {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !is_temporary {
                    todo.push(entry.path());
                } else {
                    found.push(entry.path());
                }
            }
        }
    }
    found
}

#[test]
fn whatever_is_killed_leaves_the_old_or_the_new_state_and_nothing_else() {
    let place = Place::new();
    place.configure(SETTINGS);
    let tracing = can_trace();
    if !tracing {
        println!("not run: kills at system calls, for there is no strace that may trace here");
    }
    let operations = operations(&place);
    let mut all = (0, 0, 0);
    for operation in &operations {
        let name = operation.name;
        let prepare = || {
            for line in &operation.before {
                must(&place, name, line);
            }
        };
        prepare();
        let old = (operation.look)(&place);
        let begin = Instant::now();
        must(&place, name, &operation.line);
        let usual = begin.elapsed();
        let new = (operation.look)(&place);
        let states = |state: &str| {
            // Numbers of generations grow.
            state
                .split_once(' ')
                .map_or(state, |(first, rest)| {
                    if first.starts_with("Some") {
                        rest
                    } else {
                        state
                    }
                })
                .to_owned()
        };
        let known: BTreeSet<String> = [states(&old), states(&new)].into();
        let (mut stayed, mut changed, mut unharmed) = (0, 0, 0);
        let mut call = 0;
        for round in 0..kills() {
            prepare();
            let kill = if tracing && round % 3 > 0 {
                call += 1 + u32::from(kills() < 100) * 4;
                Kill::AtCall(call)
            } else {
                Kill::After(usual * (round * 7 % 30) / 25)
            };
            if run_and_kill(&place, &operation.line, &kill) {
                unharmed += 1;
                if matches!(kill, Kill::AtCall(_)) {
                    // No thread makes so many.
                    call = 0;
                }
            }
            let state = states(&(operation.look)(&place));
            assert!(
                known.contains(&state),
                "{name}: neither {known:?} but {state}"
            );
            if state == states(&old) {
                stayed += 1;
            } else {
                changed += 1;
            }
        }
        prepare();
        must(&place, name, &operation.line);
        assert_eq!(states(&(operation.look)(&place)), states(&new), "{name}");
        println!(
            "{name}: {stayed} times the old state, {changed} times the new one, {unharmed} times not killed in time"
        );
        all = (all.0 + stayed, all.1 + changed, all.2 + unharmed);
    }
    println!(
        "{} commands: {} times the old state, {} times the new one, {} of them not killed in time",
        operations.len(),
        all.0,
        all.1,
        all.2
    );
    must(&place, "afterwards", "rx profile remove --all");
    must(&place, "afterwards", "rx-channel --remove other");
    must(&place, "afterwards", "rx-channel --update");
    must(&place, "afterwards", "rx-store --gc");
    let verified = place.line("rx-store --verify --check-contents");
    assert_eq!(verified.code, 0, "{}", verified.err);
    let left = litter(&place);
    assert!(left.is_empty(), "left behind: {left:?}");
    let valid = place.line("rx path-info --all").success();
    for entry in fs::read_dir(place.root().join("store")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_valid = valid.lines().any(|line| line.ends_with(&name));
        assert!(is_valid || name == ".links", "left in the store: {name}");
    }
}
