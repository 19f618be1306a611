//! Faults and hostile input from outside: full disks, power cuts, damaged databases, archives made to do harm, processes
//! killed in the middle. Whatever happens, what was valid stays valid and nothing half made counts.
//!
//! `tests/hostile` runs this with everything else of the kind and prints the counts.

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::processes::{until, with_argument};
use common::{Outcome, Place};

const SETTINGS: &str = "substituters =\nbuild-users-group =\nsandbox = true\n";

fn place() -> Place {
    let place = Place::new();
    place.configure(SETTINGS);
    place
}

/// Rounds of tests that go on for as long as one likes.
fn rounds(usual: u32) -> u32 {
    std::env::var("HOSTILE_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(usual)
}

/// Neither a panic nor a signal: a message and an exit code.
#[track_caller]
fn orderly(what: &str, run: &Outcome) {
    assert!(!run.err.contains("panicked"), "{what}: {}", run.err);
    assert!(
        (0..=104).contains(&run.code),
        "{what}: {} {}",
        run.code,
        run.err
    );
}

/// Runs a script of `tests/faults`; what the machine cannot do is skipped.
fn script(name: &str, arguments: &[&str]) {
    let place = Place::new();
    let programs = place.root().join("programs");
    fs::create_dir(&programs).unwrap();
    for program in ["rx-build", "rx-store", "rx-instantiate"] {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rx"), programs.join(program)).unwrap();
    }
    let disk = place.root().join("place");
    fs::create_dir(&disk).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/faults")
        .join(name);
    let Ok(output) = Command::new(script)
        .arg(&programs)
        .arg(&disk)
        .args(arguments)
        .env_remove("NIX_CONFIG")
        .stdin(Stdio::null())
        .output()
    else {
        println!("{name}: not tried, the script cannot be run here");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => println!("{name} {}: {}", arguments.join(" "), text.trim()),
        Some(1) if text.contains(&format!("{name}:")) => panic!("{text}{error}"),
        _ => println!(
            "{name}: not tried, this machine lacks what it needs: {}",
            error.trim()
        ),
    }
}

#[test]
fn a_disk_without_space_at_every_write_loses_nothing() {
    script("full-disk", &["blocks", &rounds(12).to_string()]);
}

#[test]
fn a_disk_without_inodes_at_every_write_loses_nothing() {
    script("full-disk", &["inodes", &rounds(10).to_string()]);
}

#[test]
fn a_power_cut_leaves_nothing_valid_that_is_not_there() {
    script("power-cut", &[&rounds(4).to_string()]);
}

/// A store with a source, derivations, and outputs that refer to each other.
struct Stored {
    place: Place,
    /// What everything else follows from.
    top: String,
    /// A copy of the whole, to begin again with.
    original: PathBuf,
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .args(["-a", "--"])
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success());
}

impl Stored {
    fn new() -> Stored {
        let place = place();
        place.write(
            "default.nix",
            r#"
            let make = name: text: attributes: derivation ({
              inherit name; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" text ];
            } // attributes);
            in rec {
              text = builtins.toFile "text" "some text";
              low = make "low" "echo low $src > $out" { src = text; };
              top = make "top" "echo $low $out > $out; echo $dev > $dev" { inherit low; outputs = [ "out" "dev" ]; };
            }
            "#,
        );
        let top = place
            .run("rx-build", ["-A", "top", "--no-out-link"])
            .success();
        let top = top
            .trim()
            .replace("DIR", &place.root().display().to_string());
        // Everything in the one file that is damaged.
        let database =
            rusqlite::Connection::open(place.root().join("var/nix/db/db.sqlite")).unwrap();
        let _ = database.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()));
        drop(database);
        let original = place.root().join("original");
        copy(&place.root().join("var"), &original);
        Stored {
            place,
            top,
            original,
        }
    }

    fn database(&self) -> PathBuf {
        self.place.root().join("var/nix/db")
    }

    fn restore(&self) {
        let var = self.place.root().join("var");
        fs::remove_dir_all(&var).unwrap();
        copy(&self.original, &var);
    }

    fn is_whole(&self) -> bool {
        let verified = self.place.line("rx-store --verify --check-contents");
        orderly("verifying", &verified);
        let closure = self.place.run("rx-store", ["-qR", &self.top]);
        orderly("asking", &closure);
        verified.code == 0 && closure.code == 0 && closure.out.lines().count() == 3
    }

    /// Whatever is wrong is noticed, and what is lost comes back from the contents. True if it had to.
    fn recovers(&self, what: &str) -> bool {
        let add = self.place.run("rx-store", ["--add", "default.nix"]);
        orderly(what, &add);
        if self.is_whole() {
            return false;
        }
        let fsck = self.place.line("rx store fsck");
        orderly(what, &fsck);
        assert_eq!(fsck.code, 0, "{what}: {}", fsck.err);
        assert!(self.is_whole(), "{what}: {}{}", fsck.out, fsck.err);
        self.place
            .run("rx-store", ["--add", "default.nix"])
            .success();
        true
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        let _ = rx_store::remove::remove_tree(&self.place.root().join("store"));
    }
}

fn can_build() -> bool {
    let possible = rx_store::build::sandbox::namespaces_supported().isolation;
    if !possible {
        println!("this machine gives no namespaces: nothing is built");
    }
    possible
}

#[test]
fn a_database_cut_short_or_with_flipped_bits_is_rebuilt() {
    if !can_build() {
        return;
    }
    let stored = Stored::new();
    let file = stored.database().join("db.sqlite");
    let whole = fs::read(&file).unwrap();
    let mut damages: Vec<(String, Vec<u8>)> = Vec::new();
    for keep in [
        0,
        1,
        16,
        100,
        4095,
        4096,
        8192,
        whole.len() / 2,
        whole.len() - 4096,
        whole.len() - 1,
    ] {
        damages.push((format!("cut to {keep} bytes"), whole[..keep].to_vec()));
    }
    // A fixed sequence, so that a failure can be repeated.
    let mut random = 0x2545_f491_4f6c_dd1du64;
    for _ in 0..rounds(5) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let at = usize::try_from(random >> 3).unwrap() % whole.len();
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (random & 7);
        damages.push((format!("bit {} of byte {at}", random & 7), damaged));
    }
    let mut rebuilt = 0;
    let count = damages.len();
    for (what, bytes) in damages {
        fs::write(&file, bytes).unwrap();
        rebuilt += usize::from(stored.recovers(&what));
        stored.restore();
    }
    println!("{count} damaged databases, {rebuilt} had to be rebuilt");
}

#[test]
fn a_database_that_is_missing_locked_or_of_another_kind_is_no_catastrophe() {
    if !can_build() {
        return;
    }
    let stored = Stored::new();
    let database = stored.database();
    for names in [&["db.sqlite"][..], &["schema"], &["db.sqlite", "schema"]] {
        for name in names {
            let _ = fs::remove_file(database.join(name));
        }
        stored.recovers(&format!("without {names:?}"));
        stored.restore();
    }
    for (what, schema) in [("an empty schema", ""), ("no number for a schema", "ten")] {
        fs::write(database.join("schema"), schema).unwrap();
        stored.recovers(what);
        stored.restore();
    }
    // What a later version has written is left alone.
    fs::write(database.join("schema"), "11").unwrap();
    for line in ["rx-store --verify", "rx store fsck"] {
        let run = stored.place.line(line);
        assert_eq!(run.code, 1, "{line}: {}", run.err);
        assert!(run.err.contains("schema"), "{line}: {}", run.err);
    }
    stored.restore();
    for (name, text) in [
        ("db.sqlite-wal", "garbage"),
        ("db.sqlite", "no database at all"),
    ] {
        fs::write(database.join(name), text.repeat(1000)).unwrap();
        stored.recovers(name);
        stored.restore();
    }

    // Somebody else writes for a while.
    let other = rusqlite::Connection::open(database.join("db.sqlite")).unwrap();
    other.execute_batch("begin exclusive").unwrap();
    let mut waiting = stored.place.command("rx-store");
    let mut child = waiting
        .args(["--add", "default.nix"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(2));
    other.execute_batch("commit").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(stored.is_whole());
}

/// The words of an archive.
fn nar(words: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in words {
        out.extend_from_slice(&(word.len() as u64).to_le_bytes());
        out.extend_from_slice(word);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    out
}

fn directory(entries: &[&[u8]]) -> Vec<u8> {
    let mut words: Vec<&[u8]> = vec![b"nix-archive-1", b"(", b"type", b"directory"];
    for name in entries {
        words.extend([
            &b"entry"[..],
            b"(",
            b"name",
            name,
            b"node",
            b"(",
            b"type",
            b"regular",
            b"contents",
            b"x",
            b")",
            b")",
        ]);
    }
    words.push(b")");
    nar(&words)
}

#[test]
fn archives_made_to_do_harm_leave_nothing_behind() {
    let place = place();
    let mut deep: Vec<&[u8]> = vec![b"nix-archive-1"];
    for _ in 0..65 {
        deep.extend([
            &b"("[..],
            b"type",
            b"directory",
            b"entry",
            b"(",
            b"name",
            b"d",
            b"node",
        ]);
    }
    deep.extend([&b"("[..], b"type", b"regular", b"contents", b"", b")"]);
    for _ in 0..65 {
        deep.extend([&b")"[..], b")"]);
    }
    let good = directory(&[b"a", b"b"]);
    let huge = |length: u64| {
        let mut bytes = nar(&[b"nix-archive-1", b"(", b"type", b"regular", b"contents"]);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(b"some bytes");
        bytes
    };
    let mut padding = nar(&[
        b"nix-archive-1",
        b"(",
        b"type",
        b"regular",
        b"contents",
        b"abc",
    ]);
    let last = padding.len() - 1;
    padding[last] = 1;
    padding.extend(nar(&[b")"]));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("..", directory(&[b"a", b".."])),
        (".", directory(&[b"."])),
        ("a/b", directory(&[b"a", b"a/b"])),
        ("an absolute name", directory(&[b"/etc/x"])),
        ("NUL", directory(&[b"a", b"b\0c"])),
        ("an empty name", directory(&[b""])),
        ("the same name twice", directory(&[b"a", b"a"])),
        ("names out of order", directory(&[b"b", b"a"])),
        ("more than 64 levels", nar(&deep)),
        ("2^64-8 bytes", huge(u64::MAX - 7)),
        ("2^64-1 bytes", huge(u64::MAX)),
        ("2^63 bytes", huge(1 << 63)),
        ("padding that is not zero", padding),
        ("an end too early", good[..good.len() - 24].to_vec()),
        ("no beginning", good[8..].to_vec()),
        ("nothing", Vec::new()),
        (
            "a link with NUL",
            nar(&[
                b"nix-archive-1",
                b"(",
                b"type",
                b"symlink",
                b"target",
                b"a\0b",
                b")",
            ]),
        ),
        (
            "a device",
            nar(&[
                b"nix-archive-1",
                b"(",
                b"type",
                b"device",
                b"contents",
                b"x",
                b")",
            ]),
        ),
    ];
    let run = |program: &str, arguments: &[&str], bytes: &[u8]| {
        let file = place.work().join("archive");
        fs::write(&file, bytes).unwrap();
        let output = place
            .command(program)
            .args(arguments)
            .stdin(fs::File::open(&file).unwrap())
            .output()
            .unwrap();
        place.outcome(&output)
    };
    let count = cases.len();
    for (what, bytes) in cases {
        let target = place.work().join("target");
        let restored = run("rx-store", &["--restore", "target"], &bytes);
        orderly(what, &restored);
        assert_eq!(restored.code, 1, "{what}");
        // An empty directory may stay, so that a second attempt is told that it is one.
        let empty = fs::remove_dir(&target).is_ok() || target.symlink_metadata().is_err();
        assert!(empty, "{what}: something is left");
        // The same as a part of an export.
        let mut export = 1u64.to_le_bytes().to_vec();
        export.extend_from_slice(&bytes);
        let imported = run("rx-store", &["--import"], &export);
        orderly(what, &imported);
        assert_eq!(imported.code, 1, "{what}");
        let store = place.root().join("store");
        let left: Vec<String> = fs::read_dir(store)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".links")
            .collect();
        assert!(left.is_empty(), "{what}: {left:?}");
    }
    assert!(!Path::new("/etc/x").exists());
    // One that is good, to see that the test itself is.
    run("rx-store", &["--restore", "target"], &good).success();
    println!("{count} hostile archives, restored and imported, left nothing");
}

#[test]
fn killed_clients_and_builders_leave_no_processes_and_no_locks() {
    if !can_build() {
        return;
    }
    let place = place();
    let marker = format!("marker-of-{}", place.root().file_name().unwrap().display());
    let text = format!(
        "{{ slow ? true }}: derivation {{ name = \"x\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
         args = [ \"-c\" (if slow then \"(while :; do :; done) & while :; do :; done # {marker}\" else \"echo done > $out\") ]; }}"
    );
    place.write("default.nix", &text);
    for victim in ["client", "builder"] {
        let mut child = place
            .command("rx-build")
            .arg("--no-out-link")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let client = i32::try_from(child.id()).unwrap();
        until("the builder starts", || with_argument(&marker).len() >= 2);
        let target = match victim {
            "client" => client,
            _ => with_argument(&marker).into_iter().min().unwrap(),
        };
        let target = rustix::process::Pid::from_raw(target).unwrap();
        rustix::process::kill_process(target, rustix::process::Signal::KILL).unwrap();
        let status = child.wait().unwrap();
        match victim {
            "client" => assert_eq!(status.signal(), Some(9)),
            _ => assert_eq!(status.code(), Some(100)),
        }
        until("nothing survives", || with_argument(&marker).is_empty());
        // No lock is in the way of the next.
        place
            .run("rx-build", ["--no-out-link", "--arg", "slow", "false"])
            .success();
        place.run("rx-store", ["--gc"]).success();
    }
    place.line("rx-store --verify --check-contents").success();
}

#[test]
fn processes_that_build_the_same_at_once_share_the_work() {
    if !can_build() {
        return;
    }
    let place = place();
    place.write(
        "default.nix",
        r#"builtins.genList (n: derivation { name = "n${toString n}"; system = builtins.currentSystem; builder = "/bin/sh";
           args = [ "-c" "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo > $out" ]; }) 4"#,
    );
    let children: Vec<_> = (0..4)
        .map(|_| {
            let mut command = place.command("rx-build");
            command
                .arg("--no-out-link")
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let mut built = 0;
    let mut outputs = Vec::new();
    for child in children {
        let run = place.outcome(&child.wait_with_output().unwrap());
        built += run.err.matches("\nbuilding '").count()
            + usize::from(run.err.starts_with("building '"));
        outputs.push(run.success());
    }
    assert!(outputs.iter().all(|output| *output == outputs[0]));
    assert_eq!(built, 4, "each is built by one process");
}

#[test]
fn outputs_of_strange_kinds_are_normalised_or_refused() {
    if !can_build() || !Path::new("/usr/bin/mkfifo").exists() {
        return;
    }
    let place = Place::new();
    place.configure(&format!(
        "{SETTINGS}sandbox-paths = /bin? /usr? /lib? /lib64?\n"
    ));
    let build = |text: &str| {
        let text = format!(
            "derivation {{ name = \"x\"; system = builtins.currentSystem; builder = \"/bin/sh\"; PATH = \"/usr/bin:/bin\"; args = [ \"-c\" ''{text}'' ]; }}"
        );
        place.write("default.nix", &text);
        let run = place.run("rx-build", ["--no-out-link"]);
        orderly(&text, &run);
        run
    };
    for bad in [
        "mkfifo $out",
        "mkdir $out; mkfifo $out/pipe",
        "echo > $out; chmod 666 $out",
        "mkdir $out; chmod 777 $out",
        ":",
    ] {
        let run = build(bad);
        assert_eq!(run.code, 1, "{bad}: {}", run.err);
    }
    for good in [
        "mkdir -p $out/d; echo x > $out/d/f; chmod 000 $out/d/f; chmod 000 $out/d",
        "ln -s /etc/shadow $out",
        "mkdir $out; ln -s $out $out/self; ln -s ../../.. $out/up",
        "mkdir $out; cd $out; i=0; while [ $i -lt 300 ]; do : > $i; i=$((i+1)); done",
        "mkdir $out; echo one > $out/a; ln $out/a $out/b",
    ] {
        build(good).success();
    }
    let left: Vec<_> = fs::read_dir(place.root().join("store"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            name.ends_with("-x") || name.starts_with("tmp-") || name.ends_with(".chroot")
        })
        .collect();
    assert_eq!(left.len(), 5, "{left:?}");
    place.line("rx-store --verify --check-contents").success();
    let _ = rx_store::remove::remove_tree(&place.root().join("store"));
}

/// A file that is added, and where it is.
fn added(place: &Place, name: &str, text: &str) -> PathBuf {
    let file = place.write(name, text);
    let run = place.run("rx-store", ["--add", file.to_str().unwrap()]);
    let root = place.root().display().to_string();
    PathBuf::from(run.success().trim().replace("DIR", &root))
}

#[test]
fn roots_that_lead_in_circles_or_to_nothing_are_in_nobodys_way() {
    let place = place();
    let (kept, dead) = (added(&place, "kept", "kept"), added(&place, "dead", "dead"));
    let state = place.root().join("var/nix");
    let roots = state.join("gcroots");
    let link = |from: &Path, to: &Path| std::os::unix::fs::symlink(to, from).unwrap();
    link(&roots.join("kept"), &kept);
    link(&roots.join("a"), &roots.join("b"));
    link(&roots.join("b"), &roots.join("a"));
    link(&roots.join("itself"), &roots);
    link(&roots.join("nowhere"), Path::new("/nonexistent/x"));
    link(&roots.join("no such path"), &dead.with_file_name("x"));
    link(&roots.join("device"), Path::new("/dev/zero"));
    fs::create_dir_all(roots.join("auto")).unwrap();
    link(&roots.join("auto/0"), &place.work().join("gone"));
    let mut deep = roots.clone();
    for _ in 0..100 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    // As many as a busy machine leaves behind, and some that never were any.
    let temporary = state.join("temproots");
    fs::create_dir_all(&temporary).unwrap();
    for number in 0..rounds(2000) {
        let owner = 10_000_000 + number;
        fs::write(
            temporary.join(owner.to_string()),
            dead.display().to_string() + "\0",
        )
        .unwrap();
    }
    fs::write(temporary.join("99999999"), [0xff; 5000]).unwrap();
    fs::write(temporary.join("not a number"), "x").unwrap();
    let run = place.run("rx-store", ["--gc"]);
    orderly("collecting", &run);
    run.success();
    assert!(kept.exists());
    assert!(
        !dead.exists(),
        "roots of processes that are gone do not count"
    );
    place.line("rx-store --gc --print-roots").success();
    place.line("rx-store --verify --check-contents").success();
}

#[test]
fn links_for_deduplication_that_are_damaged_damage_nothing_else() {
    let place = place();
    let contents = "the same in both\n".repeat(100);
    let first = added(&place, "first", &contents);
    place.line("rx-store --optimise").success();
    let links = place.root().join("store/.links");
    let name = fs::read_dir(&links)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let damages: [(&str, &dyn Fn()); 4] = [
        ("another content", &|| {
            fs::write(&name, "another content, and of another length").unwrap()
        }),
        ("a link to nothing", &|| {
            std::os::unix::fs::symlink("/nonexistent", &name).unwrap()
        }),
        ("a link out of the store", &|| {
            std::os::unix::fs::symlink("/etc/passwd", &name).unwrap()
        }),
        ("nothing", &|| {}),
    ];
    for (number, (what, damage)) in damages.iter().enumerate() {
        fs::remove_file(&name).ok();
        damage();
        let second = added(&place, &format!("copy{number}"), &contents);
        let run = place.line("rx-store --optimise");
        orderly(what, &run);
        for path in [&first, &second] {
            let found = fs::read_to_string(path).unwrap();
            assert_eq!(found, contents, "{what}");
        }
        orderly(
            what,
            &place.line("rx-store --verify --check-contents --repair"),
        );
        place.line("rx-store --verify --check-contents").success();
        fs::remove_file(&name).ok();
    }
    fs::write(links.join("what is this"), "x").unwrap();
    place.line("rx-store --gc").success();
}

#[test]
fn a_directory_for_temporary_files_that_cannot_be_used_is_not_missed() {
    if !can_build() {
        return;
    }
    let place = place().with("TMPDIR", "/nonexistent");
    place.write(
        "default.nix",
        "derivation { name = \"x\"; system = builtins.currentSystem; builder = \"/bin/sh\"; args = [ \"-c\" \"echo > $out\" ]; }",
    );
    for line in [
        "rx-build --no-out-link",
        "rx-store --add default.nix",
        "rx-store --verify --check-contents",
        "rx store fsck",
        "rx-store --gc",
    ] {
        let run = place.line(line);
        assert_eq!(run.code, 0, "{line}: {}", run.err);
    }
}

#[test]
fn a_server_whose_certificate_nobody_vouches_for_is_not_believed() {
    let place = place();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "key.pem",
            "-out",
            "certificate.pem",
        ])
        .current_dir(place.work())
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        println!("no openssl to make certificates with: not tried");
        return;
    }
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    place.write("file", "some contents");
    let mut server = Command::new("openssl")
        .args([
            "s_server",
            "-WWW",
            "-quiet",
            "-key",
            "key.pem",
            "-cert",
            "certificate.pem",
        ])
        .args(["-accept", &format!("127.0.0.1:{port}")])
        .current_dir(place.work())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the server answers", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let url = format!("https://localhost:{port}/file");
    let hash = rx_store::hash::Hash::of(rx_store::hash::Algorithm::Sha256, b"some contents").sri();
    place.write(
        "default.nix",
        &format!(
            "derivation {{ name = \"file\"; system = \"builtin\"; builder = \"builtin:fetchurl\"; url = \"{url}\"; outputHash = \"{hash}\"; outputHashMode = \"flat\"; executable = false; unpack = false; }}"
        ),
    );
    // Neither where the hash would tell a lie, nor where it would not.
    let built = place.run(
        "rx-build",
        ["--no-out-link", "--option", "download-attempts", "1"],
    );
    let fetched = place.run(
        "rx-prefetch-url",
        [&url, "--option", "download-attempts", "1"],
    );
    let certificate = place.work().join("certificate.pem").display().to_string();
    let trusted = place.run(
        "rx-prefetch-url",
        [&url, "--option", "ssl-cert-file", &certificate],
    );
    server.kill().unwrap();
    server.wait().unwrap();
    for run in [built, fetched] {
        assert_ne!(run.code, 0);
        assert!(
            run.err.to_lowercase().contains("certificate"),
            "{}",
            run.err
        );
    }
    trusted.success();
}
