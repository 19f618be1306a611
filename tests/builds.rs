//! Derivations of every kind, built by rx and, where there is one, by the reference: the same paths, contents, references
//! and rows; and each implementation understands what the other has left on disk.
//!
//! ```text
//! RX_REFERENCE='command that runs what follows where Nix 2.34 is' cargo test --test builds -- --nocapture
//! ```

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::reference::Reference;
use common::{Outcome, Place};
use rx_store::hash::{Algorithm, Hash};

/// Kinds of derivations, each an attribute of the expression.
const KINDS: [&str; 10] = [
    "plain",
    "files",
    "outputs",
    "sources",
    "fixedOutputs",
    "network",
    "structuredAttributes",
    "extras",
    "contentAddressed",
    "compiled",
];

/// Serves files on loopback for as long as the test runs.
struct Server {
    port: u16,
    files: Arc<BTreeMap<String, Vec<u8>>>,
}

impl Server {
    fn start() -> Server {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/builds/tree");
        let nar = rx_store::nar::dump(&tree, Vec::new()).unwrap();
        let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::fast(),
        ));
        let mut header = tar::Header::new_gnu();
        header.set_size(6);
        header.set_mode(0o644);
        header.set_mtime(1);
        archive
            .append_data(&mut header, "top/default.nix", &b"\"some\""[..])
            .unwrap();
        let channel = archive.into_inner().unwrap().finish().unwrap();
        let files: BTreeMap<String, Vec<u8>> = BTreeMap::from([
            ("flat".to_owned(), b"flat contents\n".to_vec()),
            ("program".to_owned(), b"#!/bin/sh\necho fetched\n".to_vec()),
            ("tree.nar".to_owned(), nar),
            ("channel.tar.gz".to_owned(), channel),
        ]);
        let files = Arc::new(files);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&files);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &shared);
            }
        });
        Server { port, files }
    }

    /// The arguments of the expression.
    fn arguments(&self) -> Vec<String> {
        let sri = |bytes: &[u8]| Hash::of(Algorithm::Sha256, bytes).sri();
        let program = {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("program");
            fs::write(&file, &self.files["program"]).unwrap();
            fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
            rx_store::nar::dump(&file, Vec::new()).unwrap()
        };
        let served = format!(
            "{{ flat = \"{}\"; program = \"{}\"; tree = \"{}\"; channel = \"{}\"; }}",
            sri(&self.files["flat"]),
            sri(&program),
            sri(&self.files["tree.nar"]),
            sri(&self.files["channel.tar.gz"]),
        );
        [
            "--argstr",
            "port",
            &self.port.to_string(),
            "--arg",
            "served",
            &served,
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

fn answer(
    mut stream: std::net::TcpStream,
    files: &BTreeMap<String, Vec<u8>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let name = request
        .split(' ')
        .nth(1)
        .unwrap_or("/")
        .trim_start_matches('/');
    let (status, body) = match files.get(name) {
        Some(body) => ("200 OK", body.as_slice()),
        None => ("404 Not Found", &b""[..]),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if !request.starts_with("HEAD") {
        stream.write_all(body)?;
    }
    stream.flush()
}

/// Settings that both implementations get. Programs of this machine are visible to builders at their usual places.
fn settings(root: &str) -> String {
    let mut paths = Vec::new();
    for name in ["/bin", "/usr", "/lib", "/lib64"] {
        if let Ok(real) = fs::canonicalize(name) {
            paths.push(format!("{name}={root}{}", real.display()));
        }
    }
    format!(
        "sandbox = true\nsandbox-paths = {}\nsubstituters =\nbuild-users-group =\ncores = 1\nmax-jobs = 2\nlog-lines = 100\n\
         experimental-features = nix-command ca-derivations dynamic-derivations flakes\n",
        paths.join(" ")
    )
}

/// What the database says and what is on disk, in an order that does not depend on who wrote it.
#[derive(Debug, Default, PartialEq)]
struct Snapshot {
    tables: BTreeMap<&'static str, BTreeSet<String>>,
    files: BTreeSet<String>,
}

/// Everything in the tables but when it was written and in which row.
const TABLES: [(&str, &str); 4] = [
    (
        "ValidPaths",
        "select path, hash, deriver, narSize, ultimate, sigs, ca from ValidPaths",
    ),
    (
        "Refs",
        "select a.path, b.path from Refs join ValidPaths a on referrer = a.id join ValidPaths b on reference = b.id",
    ),
    (
        "DerivationOutputs",
        "select p.path, d.id, d.path from DerivationOutputs d join ValidPaths p on drv = p.id",
    ),
    (
        "Realisations",
        "select drvPath, outputName, p.path, signatures from Realisations r join ValidPaths p on outputPath = p.id",
    ),
];

impl Snapshot {
    fn of(place: &Place) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let file = place.root().join("var/nix/db/db.sqlite");
        let database = rusqlite::Connection::open(file).unwrap();
        for (table, query) in tables(&database) {
            let mut statement = database.prepare(&query).unwrap();
            let columns = statement.column_count();
            let rows = statement
                .query_map([], |row| {
                    (0..columns)
                        .map(|column| row.get_ref(column).map(shown))
                        .collect::<Result<Vec<_>, _>>()
                })
                .unwrap();
            let rows = rows.map(|row| row.unwrap().join("|")).collect();
            snapshot.tables.insert(table, rows);
        }
        let store = place.root().join("store");
        for entry in walkdir::WalkDir::new(&store).min_depth(1) {
            let entry = entry.unwrap();
            let name = entry
                .path()
                .strip_prefix(&store)
                .unwrap()
                .display()
                .to_string();
            if name.starts_with(".links") || name.ends_with(".lock") {
                continue;
            }
            let status = entry.path().symlink_metadata().unwrap();
            let content = if status.is_file() {
                Hash::of(Algorithm::Sha256, &fs::read(entry.path()).unwrap()).base16()
            } else if status.is_symlink() {
                fs::read_link(entry.path()).unwrap().display().to_string()
            } else {
                String::new()
            };
            snapshot.files.insert(format!(
                "{name} {:o} {} {content}",
                status.mode(),
                status.mtime()
            ));
        }
        snapshot
    }

    /// Prints where two differ; how many places that are.
    fn differences(&self, other: &Snapshot) -> usize {
        let mut count = 0;
        let mut compare = |what: &str, ours: &BTreeSet<String>, theirs: &BTreeSet<String>| {
            for line in ours.difference(theirs) {
                println!("only rx, {what}: {line}");
                count += 1;
            }
            for line in theirs.difference(ours) {
                println!("only the reference, {what}: {line}");
                count += 1;
            }
        };
        for (table, rows) in &self.tables {
            compare(
                table,
                rows,
                other.tables.get(table).unwrap_or(&BTreeSet::new()),
            );
        }
        compare("files", &self.files, &other.files);
        count
    }
}

fn shown(value: rusqlite::types::ValueRef<'_>) -> String {
    match value {
        rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        rusqlite::types::ValueRef::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// The queries whose tables exist (that of realisations need not).
fn tables(database: &rusqlite::Connection) -> Vec<(&'static str, String)> {
    TABLES
        .into_iter()
        .filter(|(table, _)| database.prepare(&format!("select 1 from {table}")).is_ok())
        .map(|(table, query)| (table, query.to_owned()))
        .collect()
}

/// A place with the expression's sources.
fn place(root: &str) -> Place {
    let place = Place::new();
    place.configure(&settings(root));
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/builds");
    for entry in walkdir::WalkDir::new(&from).min_depth(1) {
        let entry = entry.unwrap();
        let to = place.work().join(entry.path().strip_prefix(&from).unwrap());
        let kind = entry.file_type();
        if kind.is_dir() {
            fs::create_dir(&to).unwrap();
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), &to).unwrap();
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
    place
}

fn file(place: &Place) -> String {
    place.work().join("default.nix").display().to_string()
}

/// What is to be built: all kinds that this machine can build, and the graph.
fn wanted() -> Vec<&'static str> {
    let mut wanted: Vec<&str> = KINDS.to_vec();
    if !Path::new("/usr/bin/gcc").exists() {
        println!("no compiler at /usr/bin/gcc: nothing is compiled, nor are links made of it");
        wanted.retain(|kind| !["compiled", "network"].contains(kind));
    }
    if !Path::new("/bin/bash").exists() {
        println!("no /bin/bash: nothing is built with structured attributes");
        wanted.retain(|kind| *kind != "structuredAttributes");
    }
    wanted.push("graph");
    wanted
}

fn build_line<'a>(arguments: &'a [String], file: &'a str, wanted: &[&'a str]) -> Vec<&'a str> {
    let mut line = vec![file, "--no-out-link", "--keep-going"];
    line.extend(arguments.iter().map(String::as_str));
    for attribute in wanted {
        line.extend(["-A", attribute]);
    }
    line
}

#[track_caller]
fn succeeded(who: &str, run: &Outcome) {
    assert_eq!(run.code, 0, "{who}: {}", run.err);
}

fn can_build() -> bool {
    let possible = rx_store::build::sandbox::namespaces_supported().isolation;
    if !possible {
        println!("this machine gives no namespaces: nothing is built");
    }
    possible
}

/// Removes stores, whose directories are read-only.
fn clear(path: &Path) {
    let _ = rx_store::remove::remove_tree(path);
}

fn set_aside(place: &Place, name: &str) -> PathBuf {
    let aside = place.root().join(name);
    fs::create_dir(&aside).unwrap();
    for part in ["store", "var"] {
        fs::rename(place.root().join(part), aside.join(part)).unwrap();
    }
    aside
}

#[test]
fn derivations_of_every_kind_give_what_the_reference_gives() {
    if !can_build() {
        return;
    }
    let server = Server::start();
    let arguments = server.arguments();
    let place = place("");
    let file = file(&place);
    let wanted = wanted();

    let started = std::time::Instant::now();
    let line = build_line(&arguments, &file, &wanted);
    let ours = place.run("rx-build", &line);
    succeeded("rx", &ours);
    let outputs = ours.out.lines().count();
    println!("rx built {outputs} outputs in {:?}", started.elapsed());
    assert!(outputs >= 30 + 200, "{outputs}");
    let verified = place.line("rx-store --verify --check-contents");
    succeeded("rx", &verified);
    let snapshot = Snapshot::of(&place);
    every_reference_is_valid(&snapshot);

    if let Some(reference) = Reference::find() {
        let aside = set_aside(&place, "of-rx");
        let mut words = vec!["nix-build"];
        words.extend(line);
        let started = std::time::Instant::now();
        let theirs = reference.run(&place, &settings(&reference.root), &words);
        succeeded("the reference", &theirs);
        println!("the reference built them in {:?}", started.elapsed());
        let other = Snapshot::of(&place);
        let derivations = snapshot.tables["DerivationOutputs"].len();
        println!(
            "compared: {} valid paths, {} references, {derivations} outputs of derivations, {} files",
            other.tables["ValidPaths"].len(),
            other.tables["Refs"].len(),
            other.files.len()
        );
        assert_eq!(ours.out, theirs.out);
        assert_eq!(snapshot.differences(&other), 0);
        clear(&aside);
    }
    clear(&place.root().join("store"));
}

fn every_reference_is_valid(snapshot: &Snapshot) {
    let valid: BTreeSet<&str> = snapshot.tables["ValidPaths"]
        .iter()
        .filter_map(|row| row.split('|').next())
        .collect();
    for row in &snapshot.tables["Refs"] {
        assert!(row.split('|').all(|path| valid.contains(path)), "{row}");
    }
}

/// Questions about a store whose answers may not depend on who asks; `{}` stands for some path.
const QUESTIONS: [&str; 24] = [
    "nix-store --verify --check-contents",
    "nix-store --gc --print-dead",
    "nix-store --gc --print-live",
    "nix-store --gc --print-roots",
    "nix-store --dump-db",
    "nix path-info --all",
    "nix path-info --all --json",
    "nix store verify --all --no-trust",
    "nix-store -qR {}",
    "nix-store -q --references {}",
    "nix-store -q --referrers {}",
    "nix-store -q --referrers-closure {}",
    "nix-store -q --deriver {}",
    "nix-store -q --hash {}",
    "nix-store -q --size {}",
    "nix-store -q --roots {}",
    "nix-store -q --tree {}",
    "nix-store -q --graph {}",
    "nix-store -q --graphml {}",
    "nix-store -q --valid-derivers {}",
    "nix-store --dump {}",
    "nix-store --export {}",
    "nix path-info -rsSh {}",
    "nix-store --verify-path {}",
];

/// The same answer, whatever its order.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Asks both about the store of a place; how many answers were compared.
fn ask_both(place: &Place, reference: &Reference, paths: &[String]) -> usize {
    let settings = settings(&reference.root);
    let mut count = 0;
    let mut wrong = 0;
    for question in QUESTIONS {
        let subjects = if question.contains("{}") {
            paths
        } else {
            &paths[..1]
        };
        for path in subjects {
            let line = question.replace("{}", path);
            let words: Vec<&str> = line.split(' ').collect();
            let ours = place.run(words[0], &words[1..]);
            let theirs = reference.run(place, &settings, &words);
            count += 1;
            // The reference shows links to roots in quotation marks since 2.33.
            let quoted = theirs.out.replace('"', "");
            let theirs_out = if line.ends_with("--print-roots") {
                &quoted
            } else {
                &theirs.out
            };
            let ours = (ours.code, sorted(&ours.out), &ours.err);
            let theirs = (theirs.code, sorted(theirs_out), &theirs.err);
            if (ours.0, &ours.1) != (theirs.0, &theirs.1) {
                wrong += 1;
                println!("{line}:\n   rx {ours:?}\n  ref {theirs:?}");
            }
        }
    }
    assert_eq!(wrong, 0, "of {count} answers");
    count
}

/// The paths that questions are about, as the store's programs print them.
fn subjects(place: &Place, run: &Outcome) -> Vec<String> {
    let real = |path: &str| path.replace("DIR", &place.root().display().to_string());
    let wanted = [
        "-chain",
        "-two",
        "-self",
        "-node-40",
        "-floating-user",
        "-link",
        "-modes",
    ];
    let mut subjects: Vec<String> = run
        .out
        .lines()
        .filter(|line| wanted.iter().any(|name| line.ends_with(name)))
        .map(real)
        .collect();
    let derivation = place.run("nix-store", ["-q", "--deriver", &subjects[0]]);
    subjects.push(real(derivation.out.trim()));
    subjects
}

/// What both find dead is deleted by one, after which the other finds a store in order.
#[test]
fn each_understands_the_store_of_the_other() {
    if !can_build() {
        return;
    }
    let Some(reference) = Reference::find() else {
        return;
    };
    let server = Server::start();
    let arguments = server.arguments();
    let place = place("");
    let file = file(&place);
    let kinds = [
        "plain",
        "files",
        "outputs",
        "contentAddressed",
        "extras",
        "graph",
    ];
    let mut line = build_line(&arguments, &file, &kinds);
    line.retain(|word| *word != "--no-out-link");
    let link = place.work().join("result").display().to_string();
    // Only what has a link stays alive.
    let short = ["-A", "outputs", "-A", "plain", "--out-link", &link];
    let rooted: Vec<&str> = build_line(&arguments, &file, &[])
        .into_iter()
        .filter(|word| *word != "--no-out-link")
        .chain(short)
        .collect();
    line.push("--no-out-link");

    let ours = place.run("nix-build", &line);
    succeeded("rx", &ours);
    succeeded("rx", &place.run("nix-build", &rooted));
    let count = ask_both(&place, &reference, &subjects(&place, &ours));
    println!("a store that rx wrote: {count} answers of both are the same");
    let deleted = reference.run(&place, &settings(&reference.root), &["nix-store", "--gc"]);
    succeeded("the reference", &deleted);
    succeeded("rx", &place.line("nix-store --verify --check-contents"));
    let after_theirs = Snapshot::of(&place);
    let aside = set_aside(&place, "of-rx");
    clear(&place.work().join("result"));

    let with = |line: &[&str]| {
        let words: Vec<&str> = std::iter::once("nix-build")
            .chain(line.iter().copied())
            .collect();
        let run = reference.run(&place, &settings(&reference.root), &words);
        succeeded("the reference", &run);
        run
    };
    let theirs = with(&line);
    with(&rooted);
    let count = ask_both(&place, &reference, &subjects(&place, &theirs));
    println!("a store that the reference wrote: {count} answers of both are the same");
    succeeded("rx", &place.line("nix-store --gc"));
    let verified = reference.run(
        &place,
        &settings(&reference.root),
        &["nix-store", "--verify", "--check-contents"],
    );
    succeeded("the reference", &verified);
    // Both collections leave the same.
    let after_ours = Snapshot::of(&place);
    assert_eq!(after_ours.differences(&after_theirs), 0);
    println!(
        "{} paths are left after either collection",
        after_ours.tables["ValidPaths"].len()
    );
    clear(&aside);
    clear(&place.root().join("store"));
}
