//! Caches written and read: directories, servers that behave and servers that do not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::content_address::Method;
use crate::fetch::download::{DownloadSettings, Downloader, ProcessMonitor};
use crate::fetch::test_server::{Seen, TestServer, answer};
use crate::hash::Algorithm;
use crate::path::{StoreDir, StorePath};
use crate::settings::{Places, Settings};
use crate::store::signature::{PublicKeys, SecretKey};
use crate::store::{
    AddFlags, Addition, Contents, DrvOutput, LocalConfig, LocalStore, Realisation, Store,
};

fn downloader() -> Downloader {
    let settings = DownloadSettings {
        attempts: 2,
        retry_delay: std::time::Duration::from_millis(1),
        stalled_timeout: std::time::Duration::from_secs(2),
        ..DownloadSettings::default()
    };
    Downloader::new(settings, Arc::new(ProcessMonitor))
}

fn store(dir: &Path, keys: &[&SecretKey]) -> LocalStore {
    let mut config = LocalConfig::at_root(dir);
    for key in keys {
        config.trusted_keys.add(key.public());
    }
    LocalStore::open(config).unwrap()
}

fn cache(url: &str) -> BinaryCacheStore {
    BinaryCacheStore::open(url, StoreDir::default(), &downloader(), None).unwrap()
}

/// Two paths, one of which refers to the other; registered as if they had been built.
fn two_paths(store: &LocalStore) -> (StorePath, StorePath) {
    let none = BTreeSet::new();
    let lower = store
        .add_to_store(
            Addition {
                references: &none,
                ..Addition::new("lower", Method::Flat, Algorithm::Sha256)
            },
            Contents::Bytes(b"contents"),
        )
        .unwrap();
    let text = format!("needs {}", store.dir().display(&lower));
    let upper = store
        .add_text(
            "upper",
            text.as_bytes(),
            &BTreeSet::from([lower.clone()]),
            AddFlags::default(),
        )
        .unwrap();
    (lower, upper)
}

/// Makes the path's signature matter: without content address nothing else vouches for it.
fn forget_content_address(directory: &Path, path: &StorePath) {
    let file = directory.join(format!("{}.narinfo", path.hash_part().as_str()));
    let text = std::fs::read_to_string(&file).unwrap();
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("CA:"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(file, text).unwrap();
}

fn both(paths: &(StorePath, StorePath)) -> BTreeSet<StorePath> {
    BTreeSet::from([paths.0.clone(), paths.1.clone()])
}

/// Serves a directory.
fn serve(directory: PathBuf) -> TestServer {
    serve_with(directory, |_, _| None)
}

/// Serves a directory, except for what the function answers itself: a status and a body.
fn serve_with(
    directory: PathBuf,
    special: impl Fn(&Seen, usize) -> Option<(&'static str, Vec<u8>)> + Send + Sync + 'static,
) -> TestServer {
    TestServer::start(move |seen, count, stream| {
        if let Some((status, body)) = special(seen, count) {
            return answer(stream, status, &[], &body);
        }
        let file = directory.join(seen.path.trim_start_matches('/'));
        if seen.method == "PUT" {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &seen.body).unwrap();
            return answer(stream, "201 Created", &[], b"");
        }
        match std::fs::read(file) {
            Ok(_) if seen.method == "HEAD" => answer(stream, "200 OK", &[], b""),
            Ok(body) => answer(stream, "200 OK", &[], &body),
            Err(_) => answer(stream, "404 Not Found", &[], b""),
        }
    })
}

struct World {
    dir: tempfile::TempDir,
    key: SecretKey,
    paths: (StorePath, StorePath),
}

impl World {
    /// A store with two paths, and a signed cache of them in a directory.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SecretKey::generate("test-1").unwrap();
        std::fs::write(dir.path().join("key"), key.to_string()).unwrap();
        let source = store(&dir.path().join("source"), &[]);
        let paths = two_paths(&source);
        let world = World { dir, key, paths };
        let cache = cache(&world.file_url(&format!(
            "?secret-key={}&write-nar-listing=1",
            world.path("key").display()
        )));
        let copied =
            copy_paths(&source, &cache, &both(&world.paths), CopyOptions::default()).unwrap();
        assert_eq!(copied, both(&world.paths));
        for path in both(&world.paths) {
            forget_content_address(&world.path("cache"), &path);
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file_url(&self, parameters: &str) -> String {
        format!("file://{}{parameters}", self.path("cache").display())
    }

    fn settings(&self, substituters: &[&str]) -> Settings {
        let home = self.path("home");
        let places = Places::from_lookup(|name| (name == "HOME").then(|| home.clone().into()));
        let mut settings = Settings::with_defaults(places);
        settings.substituters = substituters.iter().map(|url| (*url).to_owned()).collect();
        settings.trusted_public_keys = [self.key.public().to_string()].into_iter().collect();
        settings
    }

    fn substituters(&self, urls: &[&str]) -> Substituters {
        Substituters::from_settings(&self.settings(urls), &StoreDir::default(), &downloader())
    }

    fn destination(&self, name: &str) -> LocalStore {
        store(&self.path(name), &[&self.key])
    }

    fn fetch_both(&self, substituters: &Substituters, to: &LocalStore) -> bool {
        [&self.paths.0, &self.paths.1]
            .iter()
            .all(|path| substituters.fetch(path, to, false).unwrap() == Fetched::Done)
    }
}

#[test]
fn a_directory_becomes_a_cache_that_can_be_read() {
    let world = World::new();
    let files = |name: &str| {
        std::fs::read_dir(world.path("cache").join(name))
            .unwrap()
            .count()
    };
    assert_eq!(
        std::fs::read_to_string(world.path("cache/nix-cache-info")).unwrap(),
        "StoreDir: /nix/store\n"
    );
    assert_eq!(files("nar"), 2);
    let cache = cache(&world.file_url(""));
    assert_eq!(cache.all_valid_paths().unwrap(), both(&world.paths));
    let info = cache.path_info(&world.paths.1).unwrap();
    assert_eq!(info.references, BTreeSet::from([world.paths.0.clone()]));
    assert_eq!(info.signatures.len(), 1);
    assert_eq!(cache.read_file(&world.paths.0, b"").unwrap(), b"contents");
    let listing = world
        .path("cache")
        .join(format!("{}.ls", world.paths.0.hash_part().as_str()));
    assert_eq!(
        std::fs::read_to_string(listing).unwrap(),
        r#"{"root":{"narOffset":96,"size":8,"type":"regular"},"version":1}"#
    );
    let nobody = StorePath::parse("00000000000000000000000000000000-x").unwrap();
    assert!(!cache.is_valid(&nobody).unwrap());
}

#[test]
fn every_compression_can_be_written_and_read() {
    for (name, suffix) in [
        ("none", ".nar"),
        ("zstd", ".zst"),
        ("bzip2", ".bz2"),
        ("br", ".br"),
        ("gzip", ".nar"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let source = store(&dir.path().join("source"), &[]);
        let paths = two_paths(&source);
        let cache = cache(&format!(
            "file://{}?compression={name}",
            dir.path().join("cache").display()
        ));
        copy_paths(&source, &cache, &both(&paths), CopyOptions::default()).unwrap();
        assert!(
            cache
                .nar_info(&paths.0)
                .unwrap()
                .unwrap()
                .url
                .ends_with(suffix)
        );
        assert_eq!(cache.read_file(&paths.0, b"").unwrap(), b"contents");
    }
}

#[test]
fn a_path_is_not_added_before_what_it_refers_to() {
    let dir = tempfile::tempdir().unwrap();
    let source = store(&dir.path().join("source"), &[]);
    let (_, upper) = two_paths(&source);
    let cache = cache(&format!("file://{}", dir.path().join("cache").display()));
    let error = copy_paths(
        &source,
        &cache,
        &BTreeSet::from([upper.clone()]),
        CopyOptions::default(),
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("because the reference"),
        "{error}"
    );
    assert!(!cache.is_valid(&upper).unwrap());
}

#[test]
fn contents_can_be_added_to_a_cache_directly() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&format!("file://{}", dir.path().display()));
    let path = cache
        .add_text("foo", b"bar", &BTreeSet::new(), AddFlags::default())
        .unwrap();
    assert_eq!(path.to_string(), "vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo");
    assert_eq!(cache.read_file(&path, b"").unwrap(), b"bar");
    let drv = StorePath::parse("00000000000000000000000000000000-x.drv").unwrap();
    cache.add_build_log(&drv, b"log").unwrap();
    assert_eq!(cache.build_log(&drv).unwrap().unwrap(), b"log");
    assert_eq!(cache.build_log(&path).unwrap(), None);
    let id = DrvOutput {
        drv_hash: crate::hash::Hash::zero(Algorithm::Sha256),
        output: "out".into(),
    };
    let realisation = Realisation::new(id.clone(), path);
    cache.register_realisation(&realisation, false).unwrap();
    assert_eq!(cache.query_realisation(&id).unwrap(), Some(realisation));
}

#[test]
fn paths_come_over_http_with_their_references() {
    let world = World::new();
    let server = serve(world.path("cache"));
    let substituters = world.substituters(&[&server.url]);
    let store = world.destination("d");
    let found = substituters
        .query_closure(&store, &BTreeSet::from([world.paths.1.clone()]))
        .unwrap();
    assert_eq!(
        found.keys().cloned().collect::<BTreeSet<_>>(),
        both(&world.paths)
    );
    assert!(
        found
            .values()
            .all(|available| available.download_size() > 0)
    );
    assert!(world.fetch_both(&substituters, &store));
    assert_eq!(store.read_file(&world.paths.0, b"").unwrap(), b"contents");
    assert!(!store.path_info(&world.paths.0).unwrap().ultimate);
    // The answers are remembered, so another run asks nothing but the archives.
    let asked = server.paths().len();
    let again = world.substituters(&[&server.url]);
    assert_eq!(again.query(&both(&world.paths)).len(), 2);
    assert_eq!(server.paths().len(), asked);
}

#[test]
fn a_cache_over_http_can_be_written() {
    let world = World::new();
    let server = serve(world.path("uploaded"));
    let source = store(&world.path("source"), &[]);
    copy_paths(
        &source,
        &cache(&server.url),
        &both(&world.paths),
        CopyOptions::default(),
    )
    .unwrap();
    let back = cache(&format!("file://{}", world.path("uploaded").display()));
    assert_eq!(back.read_file(&world.paths.0, b"").unwrap(), b"contents");
    let narinfo = server
        .seen
        .lock()
        .unwrap()
        .iter()
        .find(|seen| seen.method == "PUT" && seen.path.ends_with(".narinfo"))
        .cloned();
    assert_eq!(
        narinfo.unwrap().headers["content-type"],
        "text/x-nix-narinfo"
    );
}

#[test]
fn unsigned_paths_are_not_fetched() {
    let world = World::new();
    let mut settings = world.settings(&[&world.file_url("")]);
    settings.trusted_public_keys = Default::default();
    let strangers = Substituters::from_settings(&settings, &StoreDir::default(), &downloader());
    assert!(strangers.query(&both(&world.paths)).is_empty());
    assert_eq!(
        strangers
            .fetch(&world.paths.0, &world.destination("d"), false)
            .unwrap(),
        Fetched::Nowhere
    );
    // A cache that the user trusts needs no signature, nor does anything if the user wants so.
    settings.substituters = [world.file_url("?trusted=1")].into_iter().collect();
    let trusting = Substituters::from_settings(&settings, &StoreDir::default(), &downloader());
    assert_eq!(
        trusting
            .fetch(&world.paths.0, &world.destination("e"), false)
            .unwrap(),
        Fetched::Done
    );
}

#[test]
fn a_valid_signature_of_another_path_does_not_help() {
    let world = World::new();
    let file = |path: &StorePath| {
        world
            .path("cache")
            .join(format!("{}.narinfo", path.hash_part().as_str()))
    };
    let signature = |path: &StorePath| {
        let text = std::fs::read_to_string(file(path)).unwrap();
        text.lines()
            .find(|line| line.starts_with("Sig:"))
            .unwrap()
            .to_owned()
    };
    let text = std::fs::read_to_string(file(&world.paths.0)).unwrap();
    let swapped = text.replace(&signature(&world.paths.0), &signature(&world.paths.1));
    std::fs::write(file(&world.paths.0), swapped).unwrap();
    assert!(
        world
            .substituters(&[&world.file_url("")])
            .find(&world.paths.0)
            .is_none()
    );
}

#[test]
fn a_dead_cache_is_never_the_end() {
    let world = World::new();
    let broken = serve_with(world.path("cache"), |_, _| Some(("500 Broken", Vec::new())));
    let silent = TestServer::start(|_, _, _| {});
    let server = serve(world.path("cache"));
    let urls = [
        "http://127.0.0.1:1",
        &broken.url,
        &silent.url,
        "nonsense",
        "http://nowhere.invalid",
        &server.url,
    ];
    let substituters = world.substituters(&urls);
    let store = world.destination("d");
    assert!(world.fetch_both(&substituters, &store));
    let asked = broken.paths().len();
    substituters.query(&both(&world.paths));
    assert_eq!(broken.paths().len(), asked);
}

#[test]
fn a_cache_that_breaks_in_the_middle_is_replaced_by_the_next() {
    let world = World::new();
    let good = serve(world.path("cache"));
    // Archives that are cut, exchanged, endless, or gone although the .narinfo promises them.
    let damages: [fn(Vec<u8>) -> (&'static str, Vec<u8>); 4] = [
        |mut body| {
            body.truncate(body.len() / 2);
            ("200 OK", body)
        },
        |_| ("200 OK", b"<html>not an archive</html>".to_vec()),
        |_| ("200 OK", vec![0; 1 << 20]),
        |_| ("404 Not Found", Vec::new()),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let directory = world.path("cache");
        let bad = serve_with(world.path("cache"), move |seen, _| {
            let name = seen.path.trim_start_matches('/');
            name.starts_with("nar/")
                .then(|| damage(std::fs::read(directory.join(name)).unwrap()))
        });
        let store = world.destination(&format!("d{number}"));
        let only_bad = world.substituters(&[&bad.url]);
        let outcome = only_bad.fetch(&world.paths.0, &store, false).unwrap();
        let gone = number == 3;
        assert_eq!(
            outcome,
            if gone {
                Fetched::Nowhere
            } else {
                Fetched::Failed
            }
        );
        assert!(!store.is_valid(&world.paths.0).unwrap());
        let with_good = world.substituters(&[&format!("{}?priority=1", bad.url), &good.url]);
        assert!(world.fetch_both(&with_good, &store), "{number}");
    }
}

#[test]
fn another_archive_of_the_right_form_is_noticed_by_its_hash() {
    let world = World::new();
    let cache = cache(&world.file_url(""));
    let place = |path: &StorePath| {
        world
            .path("cache")
            .join(&cache.nar_info(path).unwrap().unwrap().url)
    };
    std::fs::copy(place(&world.paths.1), place(&world.paths.0)).unwrap();
    let store = world.destination("d");
    assert_eq!(
        world
            .substituters(&[&world.file_url("")])
            .fetch(&world.paths.0, &store, false)
            .unwrap(),
        Fetched::Failed
    );
    assert!(!store.is_valid(&world.paths.0).unwrap());
}

#[test]
fn hostile_addresses_of_archives_are_refused() {
    let world = World::new();
    let file = world
        .path("cache")
        .join(format!("{}.narinfo", world.paths.0.hash_part().as_str()));
    let text = std::fs::read_to_string(&file).unwrap();
    let url = text.lines().find(|line| line.starts_with("URL:")).unwrap();
    let server = serve(world.path("cache"));
    for address in [
        "../../etc/passwd",
        "/etc/passwd",
        "nar/../../x",
        "file:///etc/passwd",
    ] {
        std::fs::write(&file, text.replace(url, &format!("URL: {address}"))).unwrap();
        for cache_url in [world.file_url(""), server.url.clone()] {
            let cache = cache(&cache_url);
            let info = cache.nar_info(&world.paths.0).unwrap().unwrap();
            assert!(cache.open_nar(&info).is_err(), "{address} {cache_url}");
        }
    }
}

#[test]
fn a_cache_that_answers_with_another_path_does_not_have_it() {
    let world = World::new();
    let name = |path: &StorePath| {
        world
            .path("cache")
            .join(format!("{}.narinfo", path.hash_part().as_str()))
    };
    std::fs::copy(name(&world.paths.1), name(&world.paths.0)).unwrap();
    assert!(
        cache(&world.file_url(""))
            .nar_info(&world.paths.0)
            .unwrap()
            .is_none()
    );
    std::fs::write(name(&world.paths.0), "<html>welcome</html>").unwrap();
    let substituters = world.substituters(&[&world.file_url("")]);
    assert!(substituters.find(&world.paths.0).is_none());
    assert!(substituters.find(&world.paths.1).is_some());
}

#[test]
fn caches_of_other_stores_and_servers_that_are_no_caches_are_left_out() {
    let world = World::new();
    std::fs::write(
        world.path("cache/nix-cache-info"),
        "StoreDir: /other/store\n",
    )
    .unwrap();
    let error = cache(&world.file_url("")).info().unwrap_err().to_string();
    assert!(
        error.ends_with("is for Nix stores with prefix '/other/store', not '/nix/store'"),
        "{error}"
    );
    assert!(
        world
            .substituters(&[&world.file_url("")])
            .find(&world.paths.0)
            .is_none()
    );
    let empty = serve(world.path("nothing"));
    let error = cache(&empty.url).info().unwrap_err().to_string();
    assert_eq!(
        error,
        format!("'{}' does not appear to be a binary cache", empty.url)
    );
}

#[test]
fn missing_paths_are_remembered_as_missing_only_as_long_as_allowed() {
    let world = World::new();
    let hidden = Arc::new(AtomicBool::new(true));
    let flag = hidden.clone();
    let server = serve_with(world.path("cache"), move |seen, _| {
        (flag.load(Ordering::Relaxed) && seen.path.ends_with(".narinfo"))
            .then(|| ("404 Not Found", Vec::new()))
    });
    assert!(
        world
            .substituters(&[&server.url])
            .find(&world.paths.0)
            .is_none()
    );
    hidden.store(false, Ordering::Relaxed);
    assert!(
        world
            .substituters(&[&server.url])
            .find(&world.paths.0)
            .is_none()
    );
    let mut settings = world.settings(&[&server.url]);
    settings.narinfo_cache_negative_ttl = 0;
    let impatient = Substituters::from_settings(&settings, &StoreDir::default(), &downloader());
    assert!(impatient.find(&world.paths.0).is_some());
}

#[test]
fn preferred_caches_are_asked_first() {
    let world = World::new();
    let (first, second) = (serve(world.path("cache")), serve(world.path("cache")));
    let urls = [
        format!("{}?priority=40", second.url),
        format!("{}?priority=10", first.url),
    ];
    let substituters = world.substituters(&[&urls[0], &urls[1]]);
    assert_eq!(
        substituters.find(&world.paths.0).unwrap().cache(),
        first.url
    );
    assert!(!second.paths().iter().any(|path| path.ends_with(".narinfo")));
}

#[test]
fn many_paths_are_copied_and_fetched_at_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    let source = store(&dir.path().join("source"), &[]);
    let mut paths = BTreeSet::new();
    let mut references = BTreeSet::new();
    for i in 0..40 {
        let text = format!("{i} {references:?}");
        let path = source
            .add_text(
                &format!("p{i}"),
                text.as_bytes(),
                &references,
                AddFlags::default(),
            )
            .unwrap();
        references = BTreeSet::from([path.clone()]);
        paths.insert(path);
    }
    let target = cache(&format!(
        "file://{}?compression=zstd",
        dir.path().join("cache").display()
    ));
    assert_eq!(
        copy_paths(&source, &target, &paths, CopyOptions::default())
            .unwrap()
            .len(),
        40
    );
    let back = store(&dir.path().join("back"), &[]);
    // They are content-addressed, so nobody needs to have signed them.
    let options = CopyOptions {
        check_signatures: true,
        ..CopyOptions::default()
    };
    assert_eq!(copy_paths(&target, &back, &paths, options).unwrap(), paths);
    assert!(
        copy_paths(&target, &back, &paths, options)
            .unwrap()
            .is_empty()
    );
    let keys = PublicKeys::default();
    assert!(
        back.path_info(paths.first().unwrap())
            .unwrap()
            .count_valid_signatures(back.dir(), &keys)
            > 0
    );
}
