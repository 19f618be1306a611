//! Builders that try to get out, through the commands: as root, as root with a user for each build, as an ordinary user.
//!
//! The builder is this test program itself: what it tries is in `attacks`, run inside by name, and what it reached is what
//! it writes to its output.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{Outcome, Place};

/// Who runs rx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    /// As this test runs.
    Ourselves,
    /// Root, with a user of its own for each build.
    RootWithUsers,
    /// Somebody without any rights.
    Nobody,
}

const NOBODY: u32 = 65534;

struct World {
    place: Place,
    caller: Caller,
    builds: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = rx_store::remove::remove_tree(&self.builds);
        let _ = rx_store::remove::remove_tree(&self.place.root().join("store"));
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A world for everybody who can build on this machine.
fn worlds() -> Vec<World> {
    if !rx_store::build::sandbox::namespaces_supported().user {
        println!("this machine gives no user namespaces: nothing is tried");
        return Vec::new();
    }
    let mut callers = vec![Caller::Ourselves];
    if is_root() {
        callers.extend([Caller::RootWithUsers, Caller::Nobody]);
    } else {
        println!("not root: tried as an ordinary user only");
    }
    callers.into_iter().map(World::new).collect()
}

/// The program makes a second name for the file, or a copy where it cannot.
fn provide(from: &Path, to: &Path) {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).unwrap();
    }
}

/// A directory that not everybody can write to, nor to one around it: builds of root are not made elsewhere.
fn closed_directory() -> PathBuf {
    let open = |path: &Path| {
        path.ancestors().any(|path| {
            path.symlink_metadata().is_ok_and(|status| {
                status.file_type().is_symlink() || status.permissions().mode() & 0o002 != 0
            })
        })
    };
    let ours = Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned();
    if open(&ours) {
        PathBuf::from("/var/lib")
    } else {
        ours
    }
}

impl World {
    fn new(caller: Caller) -> World {
        let place = Place::new();
        let attacker = place.root().join("attacker");
        provide(&std::env::current_exe().unwrap(), &attacker);
        let name = format!("builds-{}", place.root().file_name().unwrap().display());
        let builds = if is_root() {
            closed_directory().join(name)
        } else {
            place.root().join(name)
        };
        fs::create_dir_all(&builds).unwrap();
        fs::set_permissions(&builds, PermissionsExt::from_mode(0o755)).unwrap();
        let mut settings = format!(
            "sandbox = true\nsubstituters =\nbuild-users-group =\nfilter-syscalls = true\n\
             sandbox-paths = /attacker={} /lib? /lib64? /usr? /bin?\n",
            attacker.display()
        );
        if caller == Caller::RootWithUsers {
            // Numbers that no other test uses.
            static WORLDS: AtomicU32 = AtomicU32::new(0);
            let number =
                std::process::id() % 1000 * 50 + WORLDS.fetch_add(1, Ordering::Relaxed) % 50;
            settings += &format!(
                "experimental-features = auto-allocate-uids\nauto-allocate-uids = true\n\
                 start-id = {}\nid-count = 65536\n",
                900_000_000 + number * 65536 % 3_000_000_000
            );
        }
        if caller != Caller::Nobody {
            settings += &format!("build-dir = {}\n", builds.display());
        }
        place.configure(&settings);
        place.write("secret", "the user's secret");
        fs::write(place.root().join("home/.secret"), "the home's secret").unwrap();
        let world = World {
            place,
            caller,
            builds,
        };
        if caller == Caller::Nobody {
            // The program must be within reach of somebody who cannot enter our directories.
            let link = world.place.root().join("rx-build");
            provide(Path::new(env!("CARGO_BIN_EXE_rx")), &link);
            for entry in walkdir::WalkDir::new(world.place.root()) {
                let entry = entry.unwrap();
                let linked = entry.file_type().is_file() && entry.metadata().unwrap().nlink() > 1;
                if !linked {
                    std::os::unix::fs::lchown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap();
                }
            }
        }
        fs::set_permissions(world.place.root(), PermissionsExt::from_mode(0o755)).unwrap();
        world
    }

    /// Builds an expression in which `attack NAME ATTRIBUTES` is a derivation that tries one thing.
    fn build(&self, expression: &str, options: &[&str]) -> Outcome {
        let text = format!(
            r#"
            let
              attack = name: attributes: derivation ({{
                name = "x";
                system = builtins.currentSystem;
                builder = "/attacker";
                args = [ "--exact" "attacks::${{name}}" "--ignored" "--nocapture" ];
                PATH = "/usr/bin:/bin";
                pid = "{pid}";
                place = "{place}";
              }} // attributes);
              fixed = {{ outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = builtins.hashString "sha256" ""; }};
              shell = text: derivation {{
                name = "shell";
                system = builtins.currentSystem;
                builder = "/bin/sh";
                args = [ "-c" text ];
              }};
            in {expression}
            "#,
            pid = std::process::id(),
            place = self.place.root().display(),
        );
        let file = self.place.write("default.nix", &text);
        if self.caller == Caller::Nobody {
            std::os::unix::fs::lchown(&file, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut command = self.place.command("rx-build");
        command.arg("--no-out-link").args(options);
        if self.caller == Caller::Nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        self.place.outcome(&command.output().unwrap())
    }

    /// What an attack has reached.
    fn reached(&self, expression: &str) -> String {
        let run = self.build(expression, &[]);
        let output = run.success();
        let output = output
            .trim()
            .replace("DIR", &self.place.root().display().to_string());
        fs::read_to_string(output).unwrap()
    }

    #[track_caller]
    fn holds(&self, expression: &str) {
        assert_eq!(self.reached(expression), "", "{:?}", self.caller);
    }

    /// Names in the store but for locks.
    fn store(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.place.root().join("store")).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".lock") && name != ".links")
            .collect()
    }
}

#[test]
fn files_of_the_machine_and_its_users_cannot_be_read() {
    for world in worlds() {
        let stranger = world.build("shell \"echo secret > $out\"", &[]).success();
        let stranger = stranger
            .trim()
            .replace("DIR", &world.place.root().display().to_string());
        world.holds(&format!(
            "attack \"reads\" {{ stranger = \"{stranger}\"; }}"
        ));
    }
}

#[test]
fn processes_of_the_machine_cannot_be_seen_nor_signalled() {
    for world in worlds() {
        world.holds("attack \"looks_for_processes\" { }");
    }
}

#[test]
fn the_network_cannot_be_reached() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    for world in worlds() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = format!("rx-test-{}", world.place.root().display());
        let _abstract_listener =
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        world.holds(&format!(
            "attack \"connects\" {{ port = \"{port}\"; socket = \"{name}\"; }}"
        ));
    }
}

#[test]
fn set_id_bits_cannot_be_set_and_never_arrive() {
    for world in worlds() {
        world.holds("attack \"sets_bits\" { }");
        for entry in walkdir::WalkDir::new(world.place.root().join("store")) {
            let mode = entry.unwrap().path().symlink_metadata().unwrap().mode();
            assert_eq!(mode & 0o6000, 0);
        }
    }
}

#[test]
fn nothing_is_written_but_outputs() {
    for world in worlds() {
        let expression = "attack \"writes\" { input = shell \"echo good > $out\"; }";
        assert_eq!(world.reached(expression), "");
        let store = world.store();
        assert_eq!(store.len(), 4, "{store:?}");
        for name in store.iter().filter(|name| name.ends_with("-shell")) {
            let input = world.place.root().join("store").join(name);
            assert_eq!(fs::read_to_string(input).unwrap(), "good\n");
        }
    }
}

#[test]
fn a_daemon_does_not_outlive_its_builder() {
    for world in worlds() {
        assert_eq!(world.reached("attack \"leaves_a_daemon\" { }"), "");
        let marker = world.place.root().display().to_string();
        std::thread::sleep(Duration::from_millis(300));
        let alive = fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            fs::read(entry.path().join("cmdline"))
                .is_ok_and(|line| line.ends_with(format!("{marker}\0").as_bytes()))
        });
        assert!(!alive, "{:?}", world.caller);
        assert_eq!(world.reached("attack \"leaves_a_daemon\" { }"), "");
    }
}

#[test]
fn a_builder_has_no_descriptors_of_ours() {
    for world in worlds() {
        world.holds("attack \"counts_descriptors\" { }");
    }
}

/// Listens, keeps the descriptors it is sent, and writes to them when told to.
fn accomplice(listener: std::os::unix::net::UnixListener) -> std::sync::mpsc::Receiver<fs::File> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(file) = attacks::receive(&stream) {
                let _ = sender.send(file);
            }
        }
    });
    receiver
}

#[test]
fn a_descriptor_passed_outside_does_not_lead_to_what_is_registered() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    for world in worlds() {
        let name = format!("rx-test-{}", world.place.root().display());
        let listener =
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let abstract_files = accomplice(listener);
        // A way out that the user of the machine has opened: only the copy protects the output.
        let meeting = world.place.root().join("meeting");
        fs::create_dir(&meeting).unwrap();
        let listener = UnixListener::bind(meeting.join("socket")).unwrap();
        for path in [&meeting, &meeting.join("socket")] {
            fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
        }
        let files = accomplice(listener);
        let shown = format!("/meeting={}", meeting.display());
        let expression =
            format!("attack \"passes_its_output\" (fixed // {{ socket = \"{name}\"; }})");
        let options = ["--option", "extra-sandbox-paths", &shown];
        let output = world.build(&expression, &options).success();
        let output = output
            .trim()
            .replace("DIR", &world.place.root().display().to_string());
        let mut received = 0;
        for mut file in files.try_iter().chain(abstract_files.try_iter()) {
            received += 1;
            let _ = file.write_all(b"tampered");
        }
        assert!(received > 0, "the test's own way out does not work");
        assert_eq!(
            fs::read_to_string(&output).unwrap(),
            "",
            "{:?}",
            world.caller
        );
    }
}

#[test]
fn two_builds_with_network_cannot_meet_at_a_socket_without_a_file() {
    for world in worlds() {
        let version = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = version.split('.').map_while(|n| n.parse::<u32>().ok());
        if (numbers.next(), numbers.next()) < (Some(6), Some(12)) {
            println!(
                "Linux {version} cannot keep such sockets apart: only the copy protects outputs"
            );
            return;
        }
        let run = world.build(
            "[ (attack \"waits_for_a_descriptor\" (fixed // { name = \"a\"; })) (attack \"sends_a_descriptor\" (fixed // { name = \"b\"; })) ]",
            &["-j2"],
        );
        let outputs = run.success();
        for output in outputs.lines() {
            let output = output.replace("DIR", &world.place.root().display().to_string());
            assert_eq!(
                fs::read_to_string(output).unwrap(),
                "",
                "{:?}",
                world.caller
            );
        }
    }
}

#[test]
fn links_planted_where_something_is_written_next_lead_nowhere() {
    for world in worlds() {
        let victim = world.place.root().join("victim");
        fs::write(&victim, "untouched").unwrap();
        fs::set_permissions(&victim, PermissionsExt::from_mode(0o666)).unwrap();
        for (attributes, options) in [
            ("{ }", &[][..]),
            ("{ random = \"1\"; }", &["--check", "--keep-failed"]),
            ("fixed", &[]),
            ("{ fails = \"1\"; }", &["--keep-failed"]),
        ] {
            let expression = format!("attack \"plants_links\" ({attributes})");
            if options.contains(&"--check") {
                world.build(&expression, &[]).success();
            }
            let run = world.build(&expression, options);
            assert_ne!(run.code, 101, "{}", run.err);
            assert_eq!(
                fs::read_to_string(&victim).unwrap(),
                "untouched",
                "{attributes}"
            );
            assert_eq!(victim.metadata().unwrap().mode() & 0o777, 0o666);
        }
        let planted: Vec<String> = world
            .store()
            .into_iter()
            .filter(|name| name.contains("planted"))
            .collect();
        assert!(planted.is_empty(), "{planted:?}");
    }
}

#[test]
fn system_calls_that_lead_around_the_rules_fail() {
    if !Path::new("/usr/bin/perl").exists() || !cfg!(target_arch = "x86_64") {
        println!("no perl to make system calls with: not tried");
        return;
    }
    for world in worlds() {
        world.holds("attack \"makes_system_calls\" { }");
    }
}

/// What builders try. Each runs in the sandbox, under this name.
mod attacks {
    use std::fs::{self, File, OpenOptions};
    use std::io::{IoSlice, IoSliceMut, Write};
    use std::mem::MaybeUninit;
    use std::net::{TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::Duration;

    fn variable(name: &str) -> String {
        std::env::var(name).unwrap_or_default()
    }

    /// Writes what was reached to the output. Does nothing outside of a builder.
    fn attempt(tries: impl FnOnce(&mut dyn FnMut(&str, bool))) {
        if variable("NIX_BUILD_TOP").is_empty() || variable("place").is_empty() {
            return;
        }
        let mut reached = String::new();
        tries(&mut |what, done| {
            if done {
                reached += &format!("{what}\n");
            }
        });
        fs::write(variable("out"), reached).unwrap();
    }

    #[test]
    #[ignore = "a builder"]
    fn reads() {
        attempt(|reached| {
            let place = PathBuf::from(variable("place"));
            let mut paths: Vec<PathBuf> = [
                "/etc/shadow",
                "/root",
                "/home",
                "/var",
                "/run",
                "/sys",
                "/boot",
                "/mnt",
            ]
            .map(PathBuf::from)
            .to_vec();
            paths.push(place.join("home/.secret"));
            paths.push(place.join("work/secret"));
            paths.push(place.join("var/nix/db/db.sqlite"));
            paths.push(place.join("var/nix/builds"));
            paths.push(PathBuf::from(variable("stranger")));
            paths.push(
                Path::new("/proc/1/root")
                    .join(place.strip_prefix("/").unwrap())
                    .join("work/secret"),
            );
            for path in paths {
                reached(&path.display().to_string(), File::open(&path).is_ok());
            }
            for entry in fs::read_dir("/tmp").unwrap() {
                let path = entry.unwrap().path();
                // The store of this test may itself be below it.
                reached(&path.display().to_string(), !place.starts_with(&path));
            }
            let environment = fs::read("/proc/1/environ").unwrap();
            reached(
                "the caller's environment",
                environment.windows(12).any(|text| text == b"NIX_CONF_DIR"),
            );
        });
    }

    #[test]
    #[ignore = "a builder"]
    fn looks_for_processes() {
        attempt(|reached| {
            let pid: i32 = variable("pid").parse().unwrap();
            let process = rustix::process::Pid::from_raw(pid).unwrap();
            reached(
                "a signal",
                rustix::process::test_kill_process(process).is_ok(),
            );
            reached("/proc", Path::new("/proc").join(variable("pid")).exists());
            let processes = fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
                entry
                    .file_name()
                    .to_string_lossy()
                    .bytes()
                    .all(|b| b.is_ascii_digit())
            });
            reached("more processes than this", processes.count() > 1);
        });
    }

    fn abstract_address(name: &str) -> SocketAddr {
        SocketAddr::from_abstract_name(name).unwrap()
    }

    #[test]
    #[ignore = "a builder"]
    fn connects() {
        attempt(|reached| {
            let address = format!("127.0.0.1:{}", variable("port"));
            reached("a server on loopback", TcpStream::connect(&address).is_ok());
            let socket = abstract_address(&variable("socket"));
            reached(
                "a socket without a file",
                UnixStream::connect_addr(&socket).is_ok(),
            );
            let sent =
                UdpSocket::bind("0.0.0.0:0").and_then(|udp| udp.send_to(b"x", "192.0.2.1:53"));
            reached("another machine", sent.is_ok());
            let devices = fs::read_to_string("/proc/net/dev").unwrap();
            reached(
                "network devices",
                devices
                    .lines()
                    .skip(2)
                    .any(|line| !line.trim().starts_with("lo:")),
            );
        });
    }

    #[test]
    #[ignore = "a builder"]
    fn sets_bits() {
        attempt(|reached| {
            fs::write("plain", "x").unwrap();
            for mode in [0o4755, 0o2755, 0o6777] {
                let _ = fs::set_permissions("plain", PermissionsExt::from_mode(mode));
                let _ = File::open("plain")
                    .unwrap()
                    .set_permissions(PermissionsExt::from_mode(mode));
            }
            let _ = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o4755)
                .open("created");
            let _ = fs::DirBuilder::new().mode(0o2755).create("directory");
            for name in ["plain", "created", "directory"] {
                let mode = fs::metadata(name).map_or(0, |status| status.mode());
                reached(name, mode & 0o6000 != 0);
            }
        });
    }

    #[test]
    #[ignore = "a builder"]
    fn writes() {
        attempt(|reached| {
            let input = PathBuf::from(variable("input"));
            // The rest of its root is memory that vanishes with it.
            for path in [
                "/usr/bin/x",
                "/proc/x",
                "/proc/sys/kernel/core_pattern",
                "/proc/sysrq-trigger",
                "/dev/null/x",
                "/attacker",
            ] {
                let opened = OpenOptions::new().append(true).create(true).open(path);
                reached(path, opened.is_ok());
            }
            let _ = fs::set_permissions(&input, PermissionsExt::from_mode(0o777));
            reached(
                "an input",
                OpenOptions::new().write(true).open(&input).is_ok(),
            );
            reached("an input's name", fs::remove_file(&input).is_ok());
            reached("an input's place", fs::rename(&input, "moved").is_ok());
            reached(
                "a second name of an input",
                fs::hard_link(&input, "second").is_ok(),
            );
            let store = PathBuf::from(variable("NIX_STORE"));
            // Allowed, but it must not arrive.
            let _ = fs::write(store.join("00000000000000000000000000000000-stray"), "x");
            let _ = fs::create_dir(store.join(".links"));
        });
    }

    #[test]
    #[ignore = "a builder"]
    fn leaves_a_daemon() {
        attempt(|_| {
            // To be left alive: nobody waits for it.
            #[allow(clippy::zombie_processes)]
            Command::new("/attacker")
                .args(["--exact", "attacks::daemon", "--ignored", "--nocapture"])
                .arg(variable("place"))
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(50));
        });
    }

    #[test]
    #[ignore = "started by a builder"]
    fn daemon() {
        if variable("place").is_empty() {
            return;
        }
        let _ = rustix::process::setsid();
        // Its builder ends before.
        std::thread::sleep(Duration::from_millis(150));
        for _ in 0..1000 {
            std::thread::sleep(Duration::from_millis(10));
            let _ = fs::write(variable("out"), "written late");
        }
    }

    #[test]
    #[ignore = "a builder"]
    fn counts_descriptors() {
        attempt(|reached| {
            for number in 3..1024 {
                // The test program opens none of these before it comes here but the list itself.
                let path = format!("/proc/self/fd/{number}");
                let Ok(target) = fs::read_link(path) else {
                    continue;
                };
                let ours = target.starts_with(variable("place")) || target.starts_with("socket:");
                reached(&target.display().to_string(), ours);
            }
        });
    }

    fn send(stream: &UnixStream, file: &File) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
        let descriptors = [file.as_fd()];
        control.push(rustix::net::SendAncillaryMessage::ScmRights(&descriptors));
        let _ = rustix::net::sendmsg(
            stream,
            &[IoSlice::new(b"x")],
            &mut control,
            rustix::net::SendFlags::empty(),
        );
    }

    /// The file that a descriptor sent over a connection leads to.
    pub fn receive(stream: &UnixStream) -> Option<File> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = rustix::net::RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        rustix::net::recvmsg(
            stream,
            &mut [IoSliceMut::new(&mut byte)],
            &mut control,
            rustix::net::RecvFlags::empty(),
        )
        .ok()?;
        control.drain().find_map(|message| match message {
            rustix::net::RecvAncillaryMessage::ScmRights(mut files) => files.next().map(File::from),
            _ => None,
        })
    }

    fn open_output() -> File {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(variable("out"))
            .unwrap()
    }

    #[test]
    #[ignore = "a builder"]
    fn passes_its_output() {
        if variable("place").is_empty() {
            return;
        }
        let file = open_output();
        for stream in [
            UnixStream::connect_addr(&abstract_address(&variable("socket"))),
            UnixStream::connect("/meeting/socket"),
        ]
        .into_iter()
        .flatten()
        {
            send(&stream, &file);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn meeting_place() -> SocketAddr {
        abstract_address(&format!("{}-meeting", variable("place")))
    }

    #[test]
    #[ignore = "a builder"]
    fn waits_for_a_descriptor() {
        attempt(|reached| {
            let listener = UnixListener::bind_addr(&meeting_place()).unwrap();
            listener.set_nonblocking(true).unwrap();
            for _ in 0..200 {
                std::thread::sleep(Duration::from_millis(10));
                if let Ok((stream, _)) = listener.accept() {
                    let file = receive(&stream);
                    reached("a descriptor of another build", file.is_some());
                    break;
                }
            }
        });
    }

    #[test]
    #[ignore = "a builder"]
    fn sends_a_descriptor() {
        if variable("place").is_empty() {
            return;
        }
        let file = open_output();
        for _ in 0..150 {
            std::thread::sleep(Duration::from_millis(10));
            if let Ok(stream) = UnixStream::connect_addr(&meeting_place()) {
                send(&stream, &file);
                break;
            }
        }
    }

    #[test]
    #[ignore = "a builder"]
    fn plants_links() {
        if variable("place").is_empty() {
            return;
        }
        let victim = Path::new(&variable("place")).join("victim");
        let out = variable("out");
        let store = PathBuf::from(variable("NIX_STORE"));
        let mut names: Vec<PathBuf> = [".lock", ".check", ".tmp", ".old-1", ".chroot"]
            .iter()
            .map(|suffix| PathBuf::from(format!("{out}{suffix}")))
            .collect();
        names.extend([".links", "tmp-1", "1", "planted"].map(|name| store.join(name)));
        for top in [variable("NIX_BUILD_TOP"), "/tmp".to_owned()] {
            names.extend(
                [
                    ".attrs.json",
                    ".attrs.sh",
                    "env-vars",
                    "build",
                    "top",
                    "planted",
                ]
                .map(|name| Path::new(&top).join(name)),
            );
        }
        for name in names {
            let _ = symlink(&victim, name);
        }
        // An output that becomes a link after it was a file.
        let mut file = File::create(&out).unwrap();
        if !variable("random").is_empty() {
            let uuid = fs::read("/proc/sys/kernel/random/uuid").unwrap();
            file.write_all(&uuid).unwrap();
        }
        if !variable("fails").is_empty() {
            fs::remove_file(&out).unwrap();
            symlink(&victim, &out).unwrap();
            std::process::exit(1);
        }
    }

    #[test]
    #[ignore = "a builder"]
    fn makes_system_calls() {
        attempt(|reached| {
            let script = r#"
                open(F, ">", "file"); close F;
                sub try { my ($name, @call) = @_; print "$name\n" if syscall(@call) >= 0 }
                try("fchmodat2", 452, -100, "file", 04755, 0);
                try("io_uring_setup", 425, 8, "\0" x 120);
                try("setxattr", 188, "file", "user.x", "x", 1, 0);
                try("lsetxattr", 189, "file", "user.x", "x", 1, 0);
                try("mount", 165, "none", "/tmp", "tmpfs", 0, 0);
                try("pivot_root", 155, "/", "/");
                try("chroot", 161, "/tmp");
                try("setns", 308, 0, 0);
                try("ptrace of a stranger", 101, 16, $ENV{pid} + 0, 0, 0);
                try("memory of a stranger", 310, $ENV{pid} + 0, 0, 0, 0, 0, 0) if 0;
                try("setuid", 105, 0) if $< != 0;
                try("mknod of a disk", 133, "disk", 0060666, 0x0800);
                try("loading a module", 175, "", 0, "");
                try("reboot", 169, 0, 0, 0, 0);
                try("host name", 170, "x", 1);
                try("time of day", 164, "\0" x 16, 0);
                try("key of the caller", 250, 11, -3, "\0" x 8, 8);
                open(T, "<", "/dev/tty") and print "a terminal\n";
            "#;
            let output = Command::new("/usr/bin/perl")
                .args(["-e", script])
                .output()
                .unwrap();
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                reached(line, true);
            }
            reached("an error of perl", !output.stderr.is_empty());
        });
    }
}
