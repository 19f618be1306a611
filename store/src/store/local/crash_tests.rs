//! A store survives being killed at any moment: what was valid stays valid, nothing half made counts, and the next
//! process goes on as if nothing had happened.
//!
//! The test program starts itself again as a child that works on a store and dies: at an injected point, or by
//! `kill -9` at a random moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::content_address::Method;
use crate::hash::Algorithm;
use crate::nar::Tree;
use crate::store::api::{GcAction, GcOptions};

const STORE: &str = "RX_CRASH_STORE";
const SEED: &str = "RX_CRASH_SEED";

fn config(dir: &Path) -> LocalConfig {
    let mut config = LocalConfig::at_root(dir);
    config.reserved_space = 4096;
    // Durability against power cuts cannot be tested by killing processes.
    config.sync_contents = false;
    config
}

fn tree(seed: u64) -> Tree {
    let file = |n: u64| Tree::file(format!("{seed} {n} ").repeat(500));
    let inner = (0..10)
        .map(|n| (format!("f{n}").into_bytes(), file(n)))
        .collect();
    Tree::Directory(BTreeMap::from([
        (b"d".to_vec(), Tree::Directory(inner)),
        (b"l".to_vec(), Tree::Symlink(b"d".to_vec())),
    ]))
}

fn large(seed: u64) -> Tree {
    Tree::Directory(BTreeMap::from([(
        b"big".to_vec(),
        Tree::file(format!("{seed} ").into_bytes().repeat(9 << 20)),
    )]))
}

fn add_tree(store: &LocalStore, tree: &Tree) -> StorePath {
    let nar = tree.to_nar().unwrap();
    store
        .add_to_store(
            Addition::new("tree", Method::NixArchive, Algorithm::Sha256),
            Contents::Nar(&mut &nar[..]),
        )
        .unwrap()
}

const DRV: &str = r#"Derive([("out","/nix/store/ysaxs29agsiw8y1xcflr86jw57xpbmd3-c","","")],[],[],"c","x",[],[("builder","x"),("name","c"),("out","/nix/store/ysaxs29agsiw8y1xcflr86jw57xpbmd3-c"),("system","c")])"#;

/// Everything that writes: texts that refer to each other, trees, a derivation, a collection.
fn work(store: &LocalStore, seed: u64) {
    let mut before: Option<StorePath> = None;
    for n in 0..5 {
        let references = before.iter().cloned().collect();
        let text = format!("{seed} {n}");
        let path = store
            .add_text("text", text.as_bytes(), &references, AddFlags::default())
            .unwrap();
        before = Some(path);
    }
    add_tree(store, &tree(seed));
    if seed.is_multiple_of(16) {
        add_tree(store, &large(seed));
    }
    let drv = Derivation::parse(store.dir(), DRV.as_bytes(), "c").unwrap();
    store.write_derivation(&drv, AddFlags::default()).unwrap();
    store.flush().unwrap();
    store
        .collect_garbage(&GcOptions::new(GcAction::DeleteDead))
        .unwrap();
}

/// Not a test of its own: what the children run.
#[test]
#[ignore = "run by the other tests of this file"]
fn child() {
    let Some(dir) = std::env::var_os(STORE) else {
        return;
    };
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    let store = LocalStore::open(config(Path::new(&dir))).unwrap();
    work(&store, seed);
}

fn start_child(dir: &Path, seed: u64, crash_at: Option<&str>) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "store::local::crash_tests::child",
            "--ignored",
            "--nocapture",
        ])
        .env(STORE, dir)
        .env(SEED, seed.to_string())
        .env_remove("RX_CRASH_AT")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(point) = crash_at {
        command.env("RX_CRASH_AT", point);
    }
    command.spawn().unwrap()
}

/// Whether a child comes to a good end; the wait has one, too.
#[track_caller]
fn succeeds(mut child: std::process::Child) -> bool {
    for _ in 0..60_000 {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("a child hangs");
}

struct Survivor {
    temp: tempfile::TempDir,
    keeper: StorePath,
}

impl Survivor {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let store = LocalStore::open(config(&temp.path().join("root"))).unwrap();
        let base = store
            .add_text("base", b"base", &BTreeSet::new(), AddFlags::default())
            .unwrap();
        let references = BTreeSet::from([base]);
        let keeper = store
            .add_text("keeper", b"keeper", &references, AddFlags::default())
            .unwrap();
        store
            .add_permanent_root(&keeper, &temp.path().join("root-link"))
            .unwrap();
        Survivor { temp, keeper }
    }

    fn dir(&self) -> std::path::PathBuf {
        self.temp.path().join("root")
    }

    fn check(&self, what: &str) {
        let store = LocalStore::open(config(&self.dir())).unwrap();
        assert!(
            !store.verify(true, false).unwrap(),
            "{what}: verification finds errors"
        );
        assert_eq!(
            store.read_file(&self.keeper, b"").unwrap(),
            b"keeper",
            "{what}"
        );
        let closure = BTreeSet::from([self.keeper.clone()]);
        let closure = store.closure(&closure, ClosureOptions::default()).unwrap();
        assert_eq!(closure.len(), 2, "{what}: something valid was lost");
        for path in &closure {
            assert!(store.physical(path).exists(), "{what}: contents were lost");
        }
    }

    /// After a collection nothing is left but what the root needs.
    fn check_clean(&self, what: &str) {
        let store = LocalStore::open(config(&self.dir())).unwrap();
        store
            .collect_garbage(&GcOptions::new(GcAction::DeleteDead))
            .unwrap();
        assert_eq!(store.all_valid_paths().unwrap().len(), 2, "{what}");
        let left = fs::read_dir(&store.config.real_store_dir).unwrap().count();
        assert_eq!(left, 3, "{what}: something was left behind");
    }
}

impl Drop for Survivor {
    fn drop(&mut self) {
        let _ = crate::remove::remove_tree(&self.dir());
    }
}

#[test]
fn dying_at_every_step_of_adding_registering_and_collecting_loses_nothing() {
    let points = [
        "add:locked",
        "add:created",
        "add:in-place",
        "add:renamed",
        "register:before-commit",
        "register:after-commit",
        "gc:before-commit",
        "gc:rows-deleted",
        "gc:deleted",
    ];
    let survivor = Survivor::new();
    // Something to collect.
    assert!(succeeds(start_child(&survivor.dir(), 1, None)));
    let mut died = 0;
    let mut seed = 2;
    for point in points {
        for times in [0, 1, 3] {
            let at = format!("{point}@{times}");
            seed += 1;
            // Large trees take another way through a private directory.
            let seed = if point == "add:renamed" {
                seed * 16
            } else {
                seed
            };
            died += usize::from(!succeeds(start_child(&survivor.dir(), seed, Some(&at))));
            survivor.check(&at);
            // The same work again finds what was left and succeeds.
            assert!(succeeds(start_child(&survivor.dir(), seed, None)), "{at}");
            survivor.check(&at);
        }
    }
    assert!(
        died >= 2 * points.len(),
        "only {died} of {} died",
        3 * points.len()
    );
    survivor.check_clean("at the end");
}

#[test]
fn two_hundred_kills_at_random_moments_lose_nothing() {
    let survivor = Survivor::new();
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut died = 0;
    for n in 0..200 {
        // A fixed sequence, so that a failure can be repeated as far as time allows.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut child = start_child(&survivor.dir(), n, None);
        std::thread::sleep(Duration::from_micros(3_000 + random % 60_000));
        let _ = child.kill();
        died += usize::from(!succeeds(child));
        if n % 10 == 9 {
            survivor.check(&format!("kill {n}"));
        }
    }
    survivor.check("at the end");
    assert!(succeeds(start_child(&survivor.dir(), 1000, None)));
    survivor.check_clean("at the end");
    assert!(
        died > 20,
        "only {died} children were killed while they worked"
    );
}
