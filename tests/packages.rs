//! The life of a user: packages from a channel served over HTTP, installed, upgraded, rolled back, removed and collected,
//! with the classic commands and with `rx profile`; after each step compared with the reference, where there is one.
//!
//! ```text
//! RX_REFERENCE='command that runs what follows where Nix 2.34 is' cargo test --test packages -- --nocapture
//! ```

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use common::reference::Reference;
use common::{Outcome, Place};

/// The packages of one release of the collection.
fn collection(release: u32) -> String {
    format!(
        r##"
let
  make = name: attrs: derivation ({{
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" ''
      PATH=/bin:/usr/bin:/run/current-system/sw/bin
      mkdir -p $out/bin $out/share
      echo "#!/bin/sh
      echo ${{name}}" > $out/bin/${{(builtins.parseDrvName name).name}}
      chmod +x $out/bin/*
      echo ${{name}} > $out/share/${{(builtins.parseDrvName name).name}}
      if [ -n "$man" ]; then mkdir -p $man/share/man; echo ${{name}} > $man/share/man/page; fi
    '' ];
  }} // attrs) // {{
    meta = {{
      description = "Stand-in for ${{name}} \"quoted\" \${{kept}}";
      license = {{ free = true; versions = [ 1 2.5 ]; shared = shared; again = shared; }};
      broken = null;
    }};
  }};
  shared = {{ url = "https://example.org"; }};
in rec {{
  hello = make "hello-1.{release}" {{ }};
  editor = let it = make "editor-2.{release}pre1" {{ outputs = [ "out" "man" ]; }};
    in it // {{ meta = it.meta // {{ outputsToInstall = [ "out" "man" ]; }}; }};
  tool = make "tool-0.{release}" {{ inherit hello; }};
  other-hello = let it = make "hello-0.{release}" {{ }}; in it // {{ meta = it.meta // {{ priority = 10; }}; }};
  broken = throw "this is broken";
  nested = {{ recurseForDerivations = true; deep = make "deep-3" {{ }}; }};
}}
"##
    )
}

/// Serves a channel: `/channel` leads to the current release, whose archive has an entity tag.
struct Server {
    port: u16,
    release: Arc<Mutex<u32>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server {
            port: listener.local_addr().unwrap().port(),
            release: Arc::new(Mutex::new(1)),
            requests: Arc::default(),
        };
        let (release, requests) = (Arc::clone(&server.release), Arc::clone(&server.requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, *release.lock().unwrap(), &requests);
            }
        });
        server
    }

    fn publish(&self, release: u32) {
        *self.release.lock().unwrap() = release;
    }
}

fn archive(release: u32) -> Vec<u8> {
    let name = format!("stand-{release}/default.nix");
    common::archive_of(&name, &collection(release))
}

fn answer(
    mut stream: TcpStream,
    release: u32,
    requests: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut known = String::new();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some(tag) = header.to_lowercase().strip_prefix("if-none-match:") {
            known = tag.trim().to_owned();
        }
    }
    let tag = format!("\"release-{release}\"");
    let mut reply = |status: &str, headers: &str, body: &[u8]| {
        requests.lock().unwrap().push(format!("{path} {status}"));
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
        )?;
        stream.write_all(body)
    };
    let archives = [
        format!("/release-{release}/nixexprs.tar.xz"),
        format!("/release-{release}.tar.gz"),
    ];
    if path == "/channel" {
        let location = format!("Location: /release-{release}\r\n");
        reply("302 Found", &location, b"")
    } else if path == format!("/release-{release}") {
        reply("200 OK", "", b"a page about the release")
    } else if archives.contains(&path) && known == tag {
        reply("304 Not Modified", &format!("ETag: {tag}\r\n"), b"")
    } else if archives.contains(&path) {
        reply("200 OK", &format!("ETag: {tag}\r\n"), &archive(release))
    } else {
        reply("404 Not Found", "", b"nothing here")
    }
}

const SETTINGS: &str = "substituters =\nbuild-users-group =\nsandbox = false\n\
                        experimental-features = nix-command flakes\nconnect-timeout = 5\ntarball-ttl = 0\n";

/// Who runs the commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum User {
    Same,
    Nobody,
}

/// Runs commands as one of the two sides.
enum Side {
    Ours(User),
    Theirs(Reference),
}

impl Side {
    fn run(&self, place: &Place, line: &[String]) -> Outcome {
        match self {
            Side::Ours(user) => {
                let name = line[0].replacen("nix", "rx", 1);
                let mut command = place.command(&name);
                command.args(&line[1..]);
                if *user == User::Nobody {
                    command.uid(65534).gid(65534);
                }
                let output = command.output().unwrap();
                Outcome {
                    out: place.neutral(&String::from_utf8_lossy(&output.stdout)),
                    err: place.neutral(&String::from_utf8_lossy(&output.stderr)),
                    code: output.status.code().unwrap_or(-1),
                }
            }
            Side::Theirs(reference) => {
                let words: Vec<&str> = line.iter().map(String::as_str).collect();
                reference.run(place, SETTINGS, &words)
            }
        }
    }
}

/// A step: what is published before it, and a command line.
type Step = (Option<u32>, Vec<String>);

fn steps(text: &str, place: &Place, port: u16) -> Vec<Step> {
    let root = place.root().display().to_string();
    let mut steps = Vec::new();
    let mut publish = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(release) = line.strip_prefix("publish ") {
            publish = Some(release.parse().unwrap());
            continue;
        }
        let words = line.split(' ').map(|word| {
            word.replace("PORT", &port.to_string())
                .replace("DIR", &root)
        });
        steps.push((publish.take(), words.collect()));
    }
    steps
}

/// Everything that a step is compared by.
#[derive(Debug, PartialEq, Eq)]
struct Moment {
    out: String,
    code: i32,
    /// Targets of links in the home and in profile directories, and texts of lists.
    places: BTreeMap<String, String>,
    /// Names of valid objects.
    store: BTreeSet<String>,
}

/// Links and small files below a directory, as far as they say what a user has.
fn note(place: &Place, dir: &Path, places: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = place.neutral(&path.display().to_string());
        if ["/.cache", "/gcroots", "/db", "/temproots", "/userpool"]
            .iter()
            .any(|it| name.contains(it))
        {
            continue;
        }
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            places.insert(name, place.neutral(&target.display().to_string()));
        } else if kind.is_dir() {
            note(place, &path, places);
        } else if name.ends_with(".nix-channels") {
            places.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// The files of the profile, and its manifests.
fn note_profile(place: &Place, dir: &Path, below: &str, places: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = format!("{below}/{}", entry.file_name().display());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            note_profile(place, &path, &name, places);
            continue;
        }
        let mut text = String::new();
        if kind.is_symlink() {
            text = place.neutral(&fs::read_link(&path).unwrap().display().to_string());
        }
        if name.contains("manifest") {
            text += &place.neutral(&fs::read_to_string(&path).unwrap_or_default());
        }
        places.insert(name, text);
    }
}

fn moment(place: &Place, outcome: Outcome) -> Moment {
    let mut places = BTreeMap::new();
    note(place, &place.root().join("home"), &mut places);
    note(place, &place.root().join("var/nix/profiles"), &mut places);
    let profile = place.root().join("home/.nix-profile");
    if let Ok(profile) = profile.canonicalize() {
        note_profile(place, &profile, "PROFILE", &mut places);
    }
    let names = fs::read_dir(place.root().join("store"))
        .into_iter()
        .flatten()
        .flatten();
    let store = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name != ".links" && !name.ends_with(".lock"))
        .collect();
    Moment {
        out: without_dates(&without_colours(&outcome.out)),
        code: outcome.code,
        places,
        store,
    }
}

/// The text without the escapes of colours, which we send to terminals only.
fn without_colours(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out += piece.split_once('m').map_or(piece, |(_, rest)| rest);
    }
    out
}

/// The text with all dates and times alike.
fn without_dates(text: &str) -> String {
    let shape = |pattern: &str, bytes: &[u8]| {
        bytes.len() >= pattern.len()
            && pattern.bytes().zip(bytes).all(|(p, &b)| match p {
                b'0' => b.is_ascii_digit(),
                p => p == b,
            })
    };
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some(&first) = rest.first() {
        if let Some(pattern) = ["0000-00-00 00:00:00", "0000-00-00"]
            .iter()
            .find(|it| shape(it, rest))
        {
            out.extend_from_slice(b"DATE");
            rest = &rest[pattern.len()..];
        } else {
            out.push(first);
            rest = &rest[1..];
        }
    }
    String::from_utf8(out).unwrap()
}

/// A flake with the packages of a release. It is the same on both sides, times and all.
fn write_flake(place: &Place, release: u32) {
    let dir = place.root().join("home/flake");
    let system = format!("\"{}-linux\"", std::env::consts::ARCH);
    let text = format!(
        "{{ outputs = _: {{ packages.{system} = let all = import ./collection.nix; in all // {{ default = all.tool; }}; }}; }}"
    );
    let collection = collection(release).replace("builtins.currentSystem", &system);
    fs::create_dir_all(&dir).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + u64::from(release));
    for (name, text) in [("flake.nix", text), ("collection.nix", collection)] {
        let file = fs::File::create(dir.join(name)).unwrap();
        (&file).write_all(text.as_bytes()).unwrap();
        file.set_modified(time).unwrap();
    }
    fs::File::open(&dir).unwrap().set_modified(time).unwrap();
}

/// Lives a life on one side, and tells what there was after each step.
fn live(side: &Side, place: &Place, server: &Server, steps: &[Step]) -> Vec<Moment> {
    server.publish(1);
    write_flake(place, 1);
    let mut moments = Vec::new();
    for (publish, line) in steps {
        if let Some(release) = publish {
            server.publish(*release);
            write_flake(place, *release);
        }
        let fails = line.last().is_some_and(|word| word == "fails");
        let outcome = side.run(place, &line[..line.len() - usize::from(fails)]);
        let shown = format!("{line:?}\n{}{}", outcome.out, outcome.err);
        assert_eq!(outcome.code != 0, fails, "{shown}");
        if std::env::var_os("RX_SHOW").is_some() {
            println!("{shown}");
        }
        moments.push(moment(place, outcome));
    }
    moments
}

fn place(user: User) -> Option<Place> {
    let place = Place::new();
    place.configure(SETTINGS);
    if user == User::Same {
        return Some(place);
    }
    if !rustix::process::geteuid().is_root() {
        println!("not run: only root can become another user");
        return None;
    }
    let mut all = vec![place.root().to_owned()];
    all.extend(
        fs::read_dir(place.root())
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    for path in all {
        std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    }
    let can_run = place
        .command("rx")
        .arg("--version")
        .uid(65534)
        .gid(65534)
        .output();
    if !can_run.is_ok_and(|output| output.status.success()) {
        println!("not run: another user cannot run the program from here");
        return None;
    }
    Some(place)
}

/// Removes what a life left, so that the next begins anew.
fn clear(place: &Place) {
    for name in ["store", "var", "home"] {
        let dir = place.root().join(name);
        make_writable(&dir);
        let _ = fs::remove_dir_all(&dir);
    }
}

fn make_writable(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::set_permissions(dir, PermissionsExt::from_mode(0o755));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

/// Lives a life with rx and, where there is one, with the reference, and compares them step by step. `checks` looks at
/// what rx did.
fn compare(user: User, text: &str, checks: impl Fn(&[Moment])) {
    let Some(place) = place(user) else { return };
    let server = Server::start();
    let steps = steps(text, &place, server.port);
    let ours = live(&Side::Ours(user), &place, &server, &steps);
    checks(&ours);
    let requests = std::mem::take(&mut *server.requests.lock().unwrap());
    assert!(
        requests.iter().any(|it| it.ends_with("304 Not Modified")),
        "{requests:?}"
    );
    clear(&place);
    let Some(mut reference) = Reference::find() else {
        return;
    };
    if user == User::Nobody {
        reference.user = Some(65534);
    }
    let home = place.root().join("home");
    fs::create_dir(&home).unwrap();
    if user == User::Nobody {
        std::os::unix::fs::chown(&home, Some(65534), Some(65534)).unwrap();
    }
    let theirs = live(&Side::Theirs(reference), &place, &server, &steps);
    for (((_, line), ours), theirs) in steps.iter().zip(&ours).zip(&theirs) {
        assert_eq!(ours.out, theirs.out, "{line:?}");
        assert_eq!(ours.code, theirs.code, "{line:?}");
        let names = ours.places.keys().chain(theirs.places.keys());
        for name in names.collect::<BTreeSet<_>>() {
            let texts = (ours.places.get(name), theirs.places.get(name));
            assert_eq!(texts.0, texts.1, "{name} after {line:?}");
        }
        let only = |a: &Moment, b: &Moment| -> Vec<String> {
            a.store.difference(&b.store).cloned().collect()
        };
        assert_eq!(
            (only(ours, theirs), only(theirs, ours)),
            (Vec::new(), Vec::new()),
            "{line:?}"
        );
    }
    println!(
        "compared with the reference after each of {} steps",
        steps.len()
    );
    clear(&place);
}

const CLASSIC: &str = "
    nix-channel --add http://127.0.0.1:PORT/channel stand
    nix-channel --list
    nix-channel --update
    nix-channel --update
    nix-env -qa
    nix-env -qaP --description --out-path --drv-path --system
    nix-env -qa --json --meta --out-path
    nix-env -qa --xml --meta --drv-path
    nix-env -i hello
    nix-env -iA stand.editor
    nix-env -i t.*l
    nix-env -q
    nix-env -q --out-path --description
    nix-env -q --json --meta --out-path
    nix-env -qa -s
    nix-env --list-generations
    publish 2
    nix-channel --update
    nix-channel --list-generations
    nix-env -qc
    nix-env -qac hello
    nix-env -u --dry-run
    nix-env -u
    nix-env -q
    nix-env --rollback
    nix-env --switch-generation 2
    nix-env -q
    nix-env -G 3
    nix-env -u --leq tool
    nix-env -iA stand.nested.deep
    nix-env --set-flag priority 3 hello
    nix-env --set-flag active false hello
    nix-env --set-flag keep true tool
    nix-env -u --always
    nix-env -iP hello-0.2
    nix-env -q --out-path
    nix-env -e deep hello-0.2
    nix-env -e nothing-like-it
    nix-env -ir hello
    nix-env --list-generations
    nix-env --delete-generations +3
    nix-env --delete-generations 1
    nix-env --delete-generations old
    nix-env --list-generations
    nix-collect-garbage
    nix-env -qa
    nix-env -q
    nix-channel --rollback
    nix-env -qa hello
    nix-channel --rollback 2
    nix-channel --remove stand
    nix-channel --list-generations
    nix-env -qa
    nix-env -e .*
    nix-env -q
    nix-collect-garbage -d
";

/// What the first life has no use for. Lines that end in `fails` fail.
const REST: &str = "
    nix-channel --add http://127.0.0.1:PORT/release-1.tar.gz stand
    nix-channel --update
    nix-channel --update
    nix-env -iA stand.hello stand.tool
    nix-env --set -A stand.hello
    nix-env -q
    nix-env --rollback
    nix-env -p DIR/home/other -iA stand.nested.deep
    nix-env -p DIR/home/other -iA stand.editor.man
    nix-env -p DIR/home/other -q --out-path
    nix-env -i --from-profile DIR/home/other deep
    nix-env -i --from-profile DIR/home/other .*
    nix-env -q
    nix-env -iE f:(f.stand.editor.man)
    nix-env -q --out-path
    nix-env -ri --priority 2 hello-0.1
    nix-env -iP --priority 7 hello-1.1
    nix-env -q --out-path
    nix-env -u hello
    nix-env --set-flag nonsense value hello
    nix-env --set-flag active perhaps hello
    nix-env -qab
    nix-env -qasc --no-name
    nix-env -qaP -A stand.nested
    nix-env -qaP hello editor-2.1pre1
    nix-env -qa --system-filter nowhere
    nix-env -qa --xml -c -s --out-path --description
    nix-env -qa --json -A stand.editor
    nix-env -q --json
    nix-env -q --xml --status --meta
    nix-env -qa (h|t).*o.*
    nix-env -f <stand> -qaP
    nix-env -f <stand> -iA nested
    nix-env -f <stand> -i *
    nix-env -q
    nix-env -S DIR/home/other
    nix-env -q
    nix-env --list-generations
    nix-env -G 1
    nix-env -q
    nix-env -G 7 fails
    nix-env --rollback fails
    nix-env -i nothing-like-it fails
    nix-env -iA stand.nothing fails
    nix-env -q --nonsense fails
    nix-env -q -i fails
    nix-env fails
    nix-env -q --attr-path fails
    nix-env --delete-generations 0d fails
    nix-env --delete-generations +0 fails
    nix-env --delete-generations 1 fails
    nix-env --set .* fails
    nix-env -ir hello-0.1 hello-1.1
    nix-env -e *
    nix-env --dry-run -i hello
    nix-env -q
    nix-env --delete-generations old --dry-run
    nix-env --delete-generations 10000d
    nix-env --list-generations
    nix-collect-garbage --delete-older-than 1d
    nix-collect-garbage -d
";

/// Options together, and packages by other means than names.
const TOGETHER: &str = "
    nix-channel --add http://127.0.0.1:PORT/release-1.tar.gz stand
    nix-channel --update
    nix-channel --update
    nix-env -f <stand> --dry-run -iA hello tool
    nix-env -f <stand> -iA hello tool
    nix-env -q hello
    nix-env -q h.* --out-path
    nix-env -q --drv-path
    nix-env -q --installed --description --xml
    nix-env --query --available --status --compare-versions
    nix-env -qa --available --attr-path --no-name hello
    nix-env -qa hello-1.* fails
    nix-env -qa hello-1.1 --json --out-path --drv-path --meta
    nix-env -qa --xml --attr-path --system --out-path --drv-path --status
    nix-env -qa hello-0.1 --xml --meta
    nix-env -qaPf <stand> --description deep
    nix-env -qaA stand.nested --json
    nix-env -qa --attr stand.nothing fails
    nix-env -qab --out-path hello
    nix-env -qc --xml
    nix-env -qac --xml
    nix-env -f <stand> --set -A editor
    nix-env -q
    nix-env -f <stand> --remove-all -iA hello other-hello
    nix-env -f <stand> --remove-all -iA hello nested.deep
    nix-env -q
    nix-env -f <stand> -iE f:[f.tool(f.hello)]
    nix-env -f <stand> -iE {tool,...}:tool
    nix-env -f <stand> -iE (p:p.tool) (p:p.editor) fails
    nix-env -f <stand> -iE (p:(p.tool)) (p:(p.editor))
    nix-env -q --out-path
    publish 2
    nix-channel --add http://127.0.0.1:PORT/release-2.tar.gz stand
    nix-channel --update
    nix-env -qc
    nix-env -qc --json
    nix-env -u --eq
    nix-env -u --eq hello
    nix-env -u --lt --dry-run
    nix-env -u --lt h.*
    nix-env -q
    nix-env -u --leq --dry-run
    nix-env -uA stand.tool
    nix-env --upgrade --always hello-1.2
    nix-env -u nothing-like-it fails
    nix-env -q --out-path
    nix-env --set-flag priority 2 hello tool
    nix-env --set-flag active false .*
    nix-env -q
    nix-env --set-flag active true hello
    nix-env --set-flag keep true .*
    nix-env -f <stand> -u --always
    nix-env --set-flag priority fails
    nix-env --set-flag priority 1 nothing-like-it fails
    nix-env -e hello --dry-run
    nix-env --uninstall hello tool-0.2
    nix-env -q
    nix-env -e
    nix-env -ie hello fails
    nix-env --rollback --dry-run
    nix-env --rollback
    nix-env --rollback
    nix-env -q
    nix-env --list-generations
    nix-env --list-generations hello fails
    nix-env --switch-generation fails
    nix-env --switch-generation 2 --dry-run
    nix-env -G two fails
    nix-env -G 2
    nix-env --delete-generations 1 3 nonsense fails
    nix-env --delete-generations 1 99
    nix-env --delete-generations 30d
    nix-env --delete-generations +2 --dry-run
    nix-env --delete-generations
    nix-env --list-generations
    nix-env -p DIR/home/other --list-generations
    nix-env -p DIR/home/other -f <stand> -i hello --profile DIR/home/third
    nix-env -p DIR/home/third -q
    nix-env --switch-profile DIR/home/third
    nix-env --switch-profile fails
    nix-env -q
    nix-env -i --from-profile DIR/home/nowhere .* fails
    nix-env -qa --prebuilt-only --status
    nix-collect-garbage --dry-run -d
    nix-collect-garbage -d
";

/// What `rx profile` does with flakes and files together.
const FLAKES: &str = "
    nix-channel --add http://127.0.0.1:PORT/release-1.tar.gz stand
    nix-channel --update
    nix-channel --update
    nix profile list
    nix profile list --json
    nix profile history
    nix profile diff-closures
    nix profile add path:DIR/home/flake#hello
    nix profile add path:DIR/home/flake#tool path:DIR/home/flake#editor^out
    nix profile remove editor
    nix profile add path:DIR/home/flake#editor^man
    nix profile remove editor
    nix profile add path:DIR/home/flake#editor^*
    nix profile add path:DIR/home/flake#nothing fails
    nix profile add path:DIR/home/flake
    nix profile add path:DIR/home/flake#other-hello
    nix profile remove hello
    nix profile add path:DIR/home/flake#hello --priority 3
    nix profile list
    nix profile list --json
    nix profile upgrade tool
    nix profile remove flake
    nix profile upgrade hello
    nix profile upgrade nothing-like-it
    publish 2
    nix profile upgrade tool
    nix profile list
    nix profile upgrade --regex .*edi.*
    nix profile upgrade --all
    nix profile upgrade --all
    nix profile list --json
    nix profile history
    nix profile diff-closures
    nix profile remove nothing-like-it
    nix profile remove --regex ed.*
    nix profile remove fails
    nix profile remove path:DIR/home/flake#hello
    nix profile remove hello tool
    nix profile list
    nix profile rollback --dry-run
    nix profile rollback
    nix profile rollback --to 99 fails
    nix profile rollback --to 2
    nix profile history
    nix profile add --profile DIR/home/other path:DIR/home/flake#tool
    nix profile list --profile DIR/home/other --json
    nix profile upgrade --profile DIR/home/other --all
    nix profile wipe-history --profile DIR/home/other
    nix profile wipe-history --older-than 0d --dry-run fails
    nix profile wipe-history --older-than soon fails
    nix profile wipe-history --older-than 30d
    nix profile wipe-history
    nix profile history
    nix profile diff-closures
    nix-collect-garbage -d
    nix profile list
";

const MODERN: &str = "
    nix-channel --add http://127.0.0.1:PORT/release-1.tar.gz stand
    nix-channel --update
    nix-channel --update
    nix profile add --file <stand> hello
    nix profile add --file <stand> tool
    nix profile add --file <stand> editor --priority 7
    nix profile list --json
    nix profile list
    nix profile history
    nix profile diff-closures
    nix profile rollback
    nix profile list
    nix profile rollback --to 3
    nix profile remove hello
    nix profile add --file <stand> nested.deep editor^man
    nix profile list --json
    nix profile history
    nix profile remove --regex .*tool.*
    nix profile remove --all
    nix profile list
    nix profile rollback --to 4
    nix profile wipe-history --older-than 1d
    nix profile wipe-history --dry-run
    nix profile wipe-history
    nix profile history
    nix-collect-garbage
    nix profile list --json
    nix-collect-garbage -d
";

fn check_classic(moments: &[Moment]) {
    let last = moments.last().unwrap();
    assert!(!last.store.iter().any(|name| name.ends_with("-hello-1.1")));
    let output = |index: usize| moments[index].out.as_str();
    assert_eq!(
        output(4),
        "deep-3\neditor-2.1pre1\nhello-0.1\nhello-1.1\ntool-0.1\n"
    );
    assert_eq!(output(11), "editor-2.1pre1\nhello-1.1\ntool-0.1\n");
}

fn check_modern(moments: &[Moment]) {
    assert!(
        moments[6]
            .out
            .contains("\"hello\":{\"active\":true,\"priority\":5")
    );
    assert!(
        moments[6]
            .out
            .contains("\"editor\":{\"active\":true,\"priority\":7")
    );
}

#[test]
fn a_user_lives_with_the_classic_commands() {
    compare(User::Same, CLASSIC, check_classic);
}

#[test]
fn an_ordinary_user_lives_with_the_classic_commands() {
    compare(User::Nobody, CLASSIC, check_classic);
}

#[test]
fn other_options_of_the_classic_commands_do_what_they_say() {
    compare(User::Same, REST, |_| ());
}

#[test]
fn options_of_the_classic_commands_go_together() {
    compare(User::Same, TOGETHER, |_| ());
}

#[test]
fn a_user_has_packages_of_flakes() {
    compare(User::Same, FLAKES, |_| ());
}

#[test]
fn a_user_lives_with_the_new_commands() {
    compare(User::Same, MODERN, check_modern);
}

#[test]
fn an_ordinary_user_lives_with_the_new_commands() {
    compare(User::Nobody, MODERN, check_modern);
}
