//! What a user of a local store relies on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::*;
use crate::content_address::Method;
use crate::hash::{Algorithm, Hash};
use crate::nar::Tree;
use crate::store::api::{GcAction, GcOptions};
use crate::store::export::{export_paths, import_paths};
use crate::store::signature::SecretKey;

struct Fixture {
    temp: tempfile::TempDir,
    store: LocalStore,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Objects are read-only, which the temporary directory's own removal cannot cope with for ordinary users.
        let _ = crate::remove::remove_tree(&self.temp.path().join("root"));
    }
}

fn config(temp: &Path) -> LocalConfig {
    let mut config = LocalConfig::at_root(&temp.join("root"));
    config.reserved_space = 4096;
    config.sync_contents = false;
    config
}

fn fixture() -> Fixture {
    fixture_with(|_| {})
}

fn fixture_with(change: impl FnOnce(&mut LocalConfig)) -> Fixture {
    let temp = tempfile::tempdir().unwrap();
    let mut config = config(temp.path());
    change(&mut config);
    let store = LocalStore::open(config).unwrap();
    Fixture { temp, store }
}

impl Fixture {
    fn text(&self, name: &str, text: &str, references: &[&StorePath]) -> StorePath {
        let references = references.iter().map(|p| (*p).clone()).collect();
        self.store
            .add_text(name, text.as_bytes(), &references, AddFlags::default())
            .unwrap()
    }

    /// The store as another process sees it: without this one's temporary roots.
    fn reopened(&self) -> LocalStore {
        self.store.flush().unwrap();
        LocalStore::open(self.store.config.clone()).unwrap()
    }

    /// Forgets the temporary roots of this process.
    fn forget_temp_roots(&mut self) {
        self.store.flush().unwrap();
        let config = self.store.config.clone();
        self.store = LocalStore::open(config).unwrap();
        let temp_roots = self.store.config.state_dir.join("temproots");
        for entry in fs::read_dir(temp_roots).unwrap().flatten() {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn set(paths: &[&StorePath]) -> BTreeSet<StorePath> {
    paths.iter().map(|p| (*p).clone()).collect()
}

fn sample_tree() -> Tree {
    Tree::Directory(BTreeMap::from([
        (
            b"bin".to_vec(),
            Tree::Directory(BTreeMap::from([(
                b"run".to_vec(),
                Tree::File {
                    executable: true,
                    contents: b"#!/bin/sh\n".to_vec(),
                },
            )])),
        ),
        (b"data".to_vec(), Tree::file(vec![b'x'; 100_000])),
        (b"link".to_vec(), Tree::Symlink(b"bin/run".to_vec())),
    ]))
}

#[test]
fn a_text_is_there_with_the_right_path_mode_time_and_row() {
    let f = fixture();
    let path = f.text("foo", "bar", &[]);
    assert_eq!(path.to_string(), "vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo");
    let stat = fs::metadata(f.store.physical(&path)).unwrap();
    assert_eq!((stat.mode() & 0o7777, stat.mtime()), (0o444, 1));
    let info = f.reopened().path_info(&path).unwrap();
    assert_eq!(info.nar_size, 120);
    assert_eq!(
        info.nar_hash.base16(),
        "bfdf43b4bef0636de9a334222aae292bbe911fc1fb3b8915f36ab7d97465cff6"
    );
    assert_eq!(
        info.content_address.unwrap().to_string(),
        "text:sha256:1fcgpy7vc4ammr7s17j2xq88scswkgz23dqzc04g8sx5vcp2pppw"
    );
    assert!(info.registration_time > 1);
}

#[test]
fn a_reference_to_what_is_not_there_is_refused_and_leaves_nothing() {
    let f = fixture();
    let missing = StorePath::parse("00000000000000000000000000000000-x").unwrap();
    let result = f
        .store
        .add_text("a", b"x", &BTreeSet::from([missing]), AddFlags::default());
    assert!(matches!(result, Err(StoreError::InvalidPath(_))));
    let names: Vec<_> = fs::read_dir(&f.store.config.real_store_dir)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, [".links"]);
}

#[test]
fn trees_small_and_large_are_added_and_archived_unchanged() {
    let f = fixture();
    let large = Tree::Directory(BTreeMap::from([
        (b"a".to_vec(), Tree::file(vec![7; 20 << 20])),
        (b"b".to_vec(), sample_tree()),
    ]));
    for tree in [sample_tree(), large] {
        let nar = tree.to_nar().unwrap();
        let source = f.temp.path().join("source");
        nar::restore(&nar[..], &source, nar::RestoreOptions::default()).unwrap();
        let path = f
            .store
            .add_to_store(
                Addition::new("src", Method::NixArchive, Algorithm::Sha256),
                Contents::Path(&source),
            )
            .unwrap();
        let mut out = Vec::new();
        f.store.nar_from_path(&path, &mut out).unwrap();
        assert!(out == nar);
        let by_stream = f
            .store
            .add_to_store(
                Addition::new("src", Method::NixArchive, Algorithm::Sha256),
                Contents::Nar(&mut &nar[..]),
            )
            .unwrap();
        assert_eq!(by_stream, path);
        let place = f.store.physical(&path);
        assert_eq!(
            fs::metadata(&place).unwrap().permissions().mode() & 0o7777,
            0o555
        );
        assert_eq!(fs::metadata(&place).unwrap().mtime(), 1);
        crate::remove::remove_tree(&source).unwrap();
    }
    assert!(!f.store.verify(true, false).unwrap());
}

#[test]
fn a_flat_file_gets_the_same_path_from_memory_disk_and_stream() {
    let f = fixture();
    for size in [10, 17 << 20] {
        let bytes = vec![b'y'; size];
        let file = f.temp.path().join("file");
        fs::write(&file, &bytes).unwrap();
        let add = |contents: Contents<'_>| {
            f.store
                .add_to_store(
                    Addition::new("file", Method::Flat, Algorithm::Sha1),
                    contents,
                )
                .unwrap()
        };
        let path = add(Contents::Path(&file));
        assert_eq!(add(Contents::Bytes(&bytes)), path);
        assert_eq!(add(Contents::Stream(&mut &bytes[..])), path);
        assert!(f.store.read_file(&path, b"").unwrap() == bytes);
    }
}

#[test]
fn an_archive_with_another_hash_than_announced_is_refused_and_leaves_nothing() {
    let f = fixture();
    let nar = sample_tree().to_nar().unwrap();
    let path = StorePath::parse("00000000000000000000000000000000-x").unwrap();
    let mut info = PathInfo::new(path.clone(), Hash::zero(Algorithm::Sha256), 0);
    let result = f.store.add_nar(&info, &mut &nar[..], AddFlags::default());
    assert!(matches!(result, Err(StoreError::HashMismatch { .. })));
    assert!(!f.store.physical(&path).exists());
    assert!(!f.store.is_valid(&path).unwrap());

    info.nar_hash = Hash::of(Algorithm::Sha256, &nar);
    let checked = AddFlags {
        check_signatures: true,
        repair: false,
    };
    let result = f.store.add_nar(&info, &mut &nar[..], checked);
    assert!(matches!(result, Err(StoreError::Unsigned(_))));
    f.store
        .add_nar(&info, &mut &nar[..], AddFlags::default())
        .unwrap();
    assert_eq!(f.store.path_info(&path).unwrap().nar_size, nar.len() as u64);
}

#[test]
fn signatures_of_trusted_keys_open_the_store() {
    let key = SecretKey::generate("k").unwrap();
    let f = fixture_with(|config| config.trusted_keys.add(key.public()));
    let nar = sample_tree().to_nar().unwrap();
    let path = StorePath::parse("00000000000000000000000000000000-x").unwrap();
    let mut info = PathInfo::new(
        path.clone(),
        Hash::of(Algorithm::Sha256, &nar),
        nar.len() as u64,
    );
    info.sign(f.store.dir(), &key);
    let checked = AddFlags {
        check_signatures: true,
        repair: false,
    };
    f.store.add_nar(&info, &mut &nar[..], checked).unwrap();
    assert_eq!(
        f.reopened().path_info(&path).unwrap().signatures,
        info.signatures
    );
}

#[test]
fn closures_follow_references_both_ways() {
    let f = fixture();
    let a = f.text("a", "a", &[]);
    let b = f.text("b", "b", &[&a]);
    let c = f.text("c", "c", &[&b]);
    let other = f.text("d", "d", &[]);
    let closure = f
        .store
        .closure(&set(&[&c]), ClosureOptions::default())
        .unwrap();
    assert_eq!(closure, set(&[&a, &b, &c]));
    let reverse = ClosureOptions {
        reverse: true,
        ..ClosureOptions::default()
    };
    assert_eq!(
        f.store.closure(&set(&[&a]), reverse).unwrap(),
        set(&[&a, &b, &c])
    );
    assert_eq!(
        f.store.closure(&set(&[&other]), reverse).unwrap(),
        set(&[&other])
    );
    assert_eq!(f.store.query_referrers(&a).unwrap(), set(&[&b]));
    assert_eq!(
        f.store
            .query_path_from_hash_part(a.hash_part().as_bytes())
            .unwrap(),
        Some(a.clone())
    );
    assert_eq!(
        f.store.query_path_from_hash_part(&[b'0'; 32]).unwrap(),
        None
    );
}

const DRV: &str = r#"Derive([("out","/nix/store/ysaxs29agsiw8y1xcflr86jw57xpbmd3-c","","")],[],[],"c","x",[],[("builder","x"),("name","c"),("out","/nix/store/ysaxs29agsiw8y1xcflr86jw57xpbmd3-c"),("system","c")])"#;

#[test]
fn derivations_are_registered_with_their_outputs() {
    let f = fixture();
    let drv = Derivation::parse(f.store.dir(), DRV.as_bytes(), "c").unwrap();
    let path = f.store.write_derivation(&drv, AddFlags::default()).unwrap();
    assert_eq!(path.to_string(), "bmf27niw5nk0zz6mnq9hwhdjd0psl3r4-c.drv");
    let again = f.reopened();
    let output = StorePath::parse("ysaxs29agsiw8y1xcflr86jw57xpbmd3-c").unwrap();
    assert_eq!(
        again.query_derivation_outputs(&path).unwrap(),
        BTreeMap::from([("out".to_owned(), Some(output.clone()))])
    );
    assert_eq!(again.query_valid_derivers(&output).unwrap(), set(&[&path]));
    assert_eq!(again.read_derivation(&path).unwrap(), drv);
}

#[test]
fn a_derivation_with_a_wrong_output_path_is_refused() {
    let f = fixture();
    let wrong = DRV.replace("ysax", "ysay");
    let result = f.store.add_text(
        "c.drv",
        wrong.as_bytes(),
        &BTreeSet::new(),
        AddFlags::default(),
    );
    assert!(
        matches!(result, Err(StoreError::CheckDerivation { .. })),
        "{result:?}"
    );
    assert!(f.store.all_valid_paths().unwrap().is_empty());
}

#[test]
fn collection_keeps_what_roots_need_and_deletes_the_rest() {
    let mut f = fixture();
    let a = f.text("a", "a", &[]);
    let b = f.text("b", "b", &[&a]);
    let c = f.text("c", "c", &[&a]);
    f.forget_temp_roots();
    let link = f.temp.path().join("result");
    f.store.add_permanent_root(&b, &link).unwrap();
    f.forget_temp_roots();
    fs::write(f.store.config.real_store_dir.join("junk"), "x").unwrap();

    let roots = f.store.find_roots(false).unwrap();
    assert_eq!(roots.keys().collect::<Vec<_>>(), [&b]);
    let live = f
        .store
        .collect_garbage(&GcOptions::new(GcAction::ReturnLive))
        .unwrap();
    assert_eq!(live.paths.len(), 2);
    let dead = f
        .store
        .collect_garbage(&GcOptions::new(GcAction::ReturnDead))
        .unwrap();
    assert_eq!(dead.paths, BTreeSet::from([f.store.dir().print(&c)]));
    let deleted = f
        .store
        .collect_garbage(&GcOptions::new(GcAction::DeleteDead))
        .unwrap();
    assert_eq!(deleted.paths.len(), 2);
    assert!(deleted.bytes_freed > 0);
    assert!(f.store.physical(&a).exists() && f.store.physical(&b).exists());
    assert!(!f.store.physical(&c).exists() && !f.store.is_valid(&c).unwrap());
    assert!(!f.store.config.real_store_dir.join("junk").exists());
    fs::remove_file(&link).unwrap();
    f.store
        .collect_garbage(&GcOptions::new(GcAction::DeleteDead))
        .unwrap();
    assert!(f.store.all_valid_paths().unwrap().is_empty());
    assert!(!f.store.verify(true, false).unwrap());
}

#[test]
fn temporary_roots_protect_what_this_process_has_added() {
    let f = fixture();
    let a = f.text("a", "a", &[]);
    f.store
        .collect_garbage(&GcOptions::new(GcAction::DeleteDead))
        .unwrap();
    assert!(f.store.is_valid(&a).unwrap() && f.store.physical(&a).exists());
}

#[test]
fn only_unneeded_paths_can_be_deleted_by_name() {
    let mut f = fixture();
    let a = f.text("a", "a", &[]);
    let b = f.text("b", "b", &[&a]);
    f.forget_temp_roots();
    let mut options = GcOptions::new(GcAction::DeleteSpecific);
    options.paths = set(&[&a]);
    assert!(matches!(
        f.store.collect_garbage(&options),
        Err(StoreError::Alive(_))
    ));
    options.paths = set(&[&a, &b]);
    assert_eq!(f.store.collect_garbage(&options).unwrap().paths.len(), 2);
    assert!(f.store.all_valid_paths().unwrap().is_empty());
}

#[test]
fn rows_without_contents_go_when_a_collection_on_a_full_disk_was_cut_short() {
    let f = fixture();
    let low = f.text("low", "low", &[]);
    let high = f.text("high", "high", &[&low]);
    let kept = f.text("kept", "kept", &[]);
    f.store.flush().unwrap();
    for path in [&low, &high] {
        fs::remove_file(f.store.physical(path)).unwrap();
    }
    // Without the mark nobody looks whether contents are there: that is left to verifying.
    assert!(f.reopened().is_valid(&low).unwrap());
    let mark = f.store.config.state_dir.join("db/collecting");
    fs::write(&mark, "").unwrap();
    let store = f.reopened();
    let valid = [&low, &high, &kept].map(|path| store.is_valid(path).unwrap());
    assert_eq!(valid, [false, false, true]);
    assert!(!mark.exists());
}

#[test]
fn collection_stops_when_enough_is_freed() {
    let mut f = fixture();
    for n in 0..20 {
        f.text(&format!("t{n}"), &"x".repeat(1000), &[]);
    }
    f.forget_temp_roots();
    let mut options = GcOptions::new(GcAction::DeleteDead);
    options.max_freed = 2500;
    let results = f.store.collect_garbage(&options).unwrap();
    assert_eq!(results.paths.len(), 3);
    assert_eq!(f.store.all_valid_paths().unwrap().len(), 17);
    assert!(!f.store.verify(true, false).unwrap());
}

#[test]
fn deduplication_links_equal_files_and_collection_frees_the_links() {
    let mut f = fixture();
    let a = f.text("a", "same contents", &[]);
    let b = f.text("b", "same contents", &[]);
    f.store.optimise().unwrap();
    let ino = |p: &StorePath| fs::metadata(f.store.physical(p)).unwrap().ino();
    assert_eq!(ino(&a), ino(&b));
    assert!(!f.store.verify(true, false).unwrap());
    f.forget_temp_roots();
    f.store
        .collect_garbage(&GcOptions::new(GcAction::DeleteDead))
        .unwrap();
    assert_eq!(
        fs::read_dir(f.store.config.real_store_dir.join(".links"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn verification_notices_changed_and_lost_contents() {
    let f = fixture();
    let a = f.text("a", "a", &[]);
    let b = f.text("b", "b", &[&a]);
    let place = f.store.physical(&a);
    fs::set_permissions(&place, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&place, "z").unwrap();
    assert!(!f.store.verify(false, false).unwrap());
    assert!(f.store.verify(true, false).unwrap());
    fs::remove_file(&place).unwrap();
    assert!(f.store.verify(false, false).unwrap(), "b still needs a");
    fs::remove_file(f.store.physical(&b)).unwrap();
    assert!(!f.store.verify(false, false).unwrap());
    assert!(f.store.all_valid_paths().unwrap().is_empty());
}

#[test]
fn what_is_exported_can_be_imported_elsewhere() {
    let f = fixture();
    let a = f.text("a", "a", &[]);
    let b = f.text("b", "b", &[&a]);
    let mut stream = Vec::new();
    export_paths(&f.store, &set(&[&a, &b]), &mut stream).unwrap();
    let g = fixture();
    let imported = import_paths(&g.store, &mut &stream[..], false).unwrap();
    assert_eq!(imported, [a.clone(), b.clone()]);
    assert_eq!(g.store.path_info(&b).unwrap().references, set(&[&a]));
    for end in 0..stream.len() {
        let h = import_paths(&g.store, &mut &stream[..end], false);
        assert!(h.is_err(), "cut at {end}");
    }
}

#[test]
fn a_lost_database_is_rebuilt_from_what_vouches_for_itself() {
    let f = fixture();
    let a = f.text("a", "a", &[]);
    let b = f.text("b", &f.store.shown(&a).clone(), &[&a]);
    let drv = Derivation::parse(f.store.dir(), DRV.as_bytes(), "c").unwrap();
    let drv_path = f.store.write_derivation(&drv, AddFlags::default()).unwrap();
    let out = StorePath::parse("ysaxs29agsiw8y1xcflr86jw57xpbmd3-c").unwrap();
    fs::write(f.store.physical(&out), "built").unwrap();
    fs::write(
        f.store
            .config
            .real_store_dir
            .join("00000000000000000000000000000000-alien"),
        "?",
    )
    .unwrap();
    f.store.flush().unwrap();
    let db = f.store.config.state_dir.join("db");
    fs::remove_file(db.join("schema")).unwrap();
    for entry in fs::read_dir(&db).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("db.sqlite") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let store = LocalStore::open(f.store.config.clone()).unwrap();
    assert!(store.all_valid_paths().unwrap().is_empty());
    let report = store.fsck(Vec::new()).unwrap();
    assert_eq!(report.restored, set(&[&a, &b, &drv_path, &out]));
    assert_eq!(report.unknown.len(), 1);
    assert_eq!(store.path_info(&b).unwrap().references, set(&[&a]));
    assert_eq!(store.path_info(&out).unwrap().deriver, Some(drv_path));
    assert_eq!(store.fsck(Vec::new()).unwrap().kept, 4);
}

#[test]
fn a_database_of_another_schema_or_a_broken_schema_file_is_refused() {
    let f = fixture();
    let schema = f.store.config.state_dir.join("db/schema");
    fs::write(&schema, "11").unwrap();
    assert!(matches!(
        LocalStore::open(f.store.config.clone()),
        Err(StoreError::Schema { found: 11, .. })
    ));
    fs::write(&schema, "").unwrap();
    assert!(matches!(
        LocalStore::open(f.store.config.clone()),
        Err(StoreError::SchemaFile(_))
    ));
}

#[test]
fn a_damaged_database_is_an_error_and_no_crash() {
    let f = fixture();
    for n in 0..50 {
        f.text(&format!("t{n}"), "x", &[]);
    }
    let config = f.store.config.clone();
    let file = config.state_dir.join("db/db.sqlite");
    f.store.with_db(|db| db.checkpoint()).unwrap();
    let good = fs::read(&file).unwrap();
    for damage in [0usize, 100, 5000, good.len() / 2] {
        let temp = tempfile::tempdir().unwrap();
        let mut copy = super::tests::config(temp.path());
        drop(LocalStore::open(copy.clone()).unwrap());
        copy.sync_contents = false;
        let target = copy.state_dir.join("db/db.sqlite");
        let mut bytes = good.clone();
        let end = (damage + 64).min(bytes.len());
        for byte in &mut bytes[damage.min(end)..end] {
            *byte ^= 0xff;
        }
        fs::write(&target, &bytes).unwrap();
        let _ = fs::remove_file(copy.state_dir.join("db/db.sqlite-wal"));
        if let Ok(store) = LocalStore::open(copy) {
            let _ = store.verify(false, false);
            let _ = store.all_valid_paths();
        }
    }
}

#[test]
fn a_read_only_store_is_read_without_writing() {
    let mut f = fixture();
    let a = f.text("a", "a", &[]);
    f.forget_temp_roots();
    let mut config = f.store.config.clone();
    config.read_only = true;
    f.store.with_db(|db| db.checkpoint()).unwrap();
    let store = LocalStore::open(config).unwrap();
    assert!(store.is_valid(&a).unwrap());
    assert!(
        store
            .add_text("n", b"n", &BTreeSet::new(), AddFlags::default())
            .is_err()
    );
    assert_eq!(store.all_valid_paths().unwrap().len(), 1);
}

#[test]
fn two_stores_on_one_directory_see_each_others_additions() {
    let f = fixture();
    let other = LocalStore::open(f.store.config.clone()).unwrap();
    let a = f.text("a", "a", &[]);
    assert!(other.is_valid(&a).unwrap());
    let b = other
        .add_text("b", b"b", &set(&[&a]), AddFlags::default())
        .unwrap();
    assert_eq!(f.store.path_info(&b).unwrap().references, set(&[&a]));
}

#[test]
fn threads_that_add_the_same_object_agree() {
    let f = fixture();
    let nar = sample_tree().to_nar().unwrap();
    let paths: BTreeSet<StorePath> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    f.store
                        .add_to_store(
                            Addition::new("x", Method::NixArchive, Algorithm::Sha256),
                            Contents::Nar(&mut &nar[..]),
                        )
                        .unwrap()
                })
            })
            .collect();
        handles.into_iter().map(|h| h.join().unwrap()).collect()
    });
    assert_eq!(paths.len(), 1);
    assert!(!f.store.verify(true, false).unwrap());
}

#[test]
fn build_logs_are_kept_and_read_with_and_without_compression() {
    let f = fixture();
    let drv = Derivation::parse(f.store.dir(), DRV.as_bytes(), "c").unwrap();
    let path = f.store.write_derivation(&drv, AddFlags::default()).unwrap();
    assert_eq!(f.store.build_log(&path).unwrap(), None);
    f.store.add_build_log(&path, b"hello\n").unwrap();
    assert_eq!(f.store.build_log(&path).unwrap().unwrap(), b"hello\n");
    let plain = f.store.log_path(&path);
    fs::write(&plain, "plain\n").unwrap();
    assert_eq!(f.store.build_log(&path).unwrap().unwrap(), b"plain\n");
}

#[test]
fn realisations_are_remembered_and_conflicts_noticed() {
    let f = fixture();
    let a = f.text("a", "a", &[]);
    let b = f.text("b", "b", &[]);
    f.store.flush().unwrap();
    let id = DrvOutput {
        drv_hash: Hash::of(Algorithm::Sha256, b"x"),
        output: "out".into(),
    };
    assert_eq!(f.store.query_realisation(&id).unwrap(), None);
    let realisation = Realisation::new(id.clone(), a.clone());
    f.store.register_realisation(&realisation, false).unwrap();
    assert_eq!(f.store.query_realisation(&id).unwrap(), Some(realisation));
    let other = Realisation::new(id, b);
    assert!(f.store.register_realisation(&other, false).is_err());
}

#[test]
fn an_object_in_the_place_of_a_new_one_is_replaced() {
    let f = fixture();
    let probe = fixture();
    let path = probe.text("a", "a", &[]);
    let place = f.store.physical(&path);
    fs::create_dir_all(place.join("left/by/a/crash")).unwrap();
    assert_eq!(f.text("a", "a", &[]), path);
    assert_eq!(fs::read(&place).unwrap(), b"a");
}

#[test]
fn large_sets_are_sorted_as_small_ones_are() {
    let f = fixture();
    let mut paths: Vec<StorePath> = Vec::new();
    for n in 0..1200usize {
        let references: Vec<&StorePath> = [n / 2, n / 3, n.saturating_sub(7)]
            .into_iter()
            .filter_map(|i| paths.get(i))
            .collect();
        let path = f.text(&format!("t{n}"), "x", &references);
        paths.push(path);
    }
    let all: BTreeSet<StorePath> = paths.into_iter().collect();
    let by_graph = f.store.sort_topologically(&all).unwrap();
    let by_walking = crate::store::closure::sort_by_walking(&f.store, &all).unwrap();
    assert_eq!(by_graph, by_walking);
}
