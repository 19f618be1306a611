//! Whole builds against a store that keeps its table in memory and its files in a temporary place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::*;
use crate::cache::Fetched;
use crate::content_address::ContentAddress;
use crate::derivation::{BasicDerivation, Derivation, InputOutputs, Output};
use crate::fetch::download::Downloader;
use crate::hash::Hash;
use crate::path::{StoreDir, StorePath};
use crate::settings::{Places, Settings, SettingsBuilder};
use crate::store::PathInfo;

/// A store for one test.
pub(super) struct TestStore {
    root: tempfile::TempDir,
    dir: StoreDir,
    real: PathBuf,
    state: PathBuf,
    log: PathBuf,
    paths: Mutex<BTreeMap<StorePath, PathInfo>>,
    realisations: Mutex<BTreeMap<(StorePath, String), StorePath>>,
}

impl TestStore {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        Self {
            dir: StoreDir::default(),
            real: path("store"),
            state: path("state"),
            log: path("log"),
            root,
            paths: Mutex::default(),
            realisations: Mutex::default(),
        }
    }

    fn read(&self, path: &StorePath, inside: &str) -> String {
        let file = self.real.join(path.base_name()).join(inside);
        let file = if inside.is_empty() {
            self.real.join(path.base_name())
        } else {
            file
        };
        std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        let _ = crate::remove::remove_tree(&self.root.path().join("store"));
    }
}

impl Backend for TestStore {
    fn dir(&self) -> &StoreDir {
        &self.dir
    }
    fn real_dir(&self) -> &Path {
        &self.real
    }
    fn state_dir(&self) -> &Path {
        &self.state
    }
    fn log_dir(&self) -> &Path {
        &self.log
    }
    fn is_valid(&self, path: &StorePath) -> Result<bool, BackendError> {
        Ok(self.paths.lock().unwrap().contains_key(path))
    }
    fn info(&self, path: &StorePath) -> Result<std::sync::Arc<PathInfo>, BackendError> {
        self.paths
            .lock()
            .unwrap()
            .get(path)
            .cloned()
            .map(std::sync::Arc::new)
            .ok_or_else(|| format!("path '{path}' is not valid").into())
    }
    fn closure(&self, paths: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, BackendError> {
        let mut done = BTreeSet::new();
        let mut waiting: Vec<StorePath> = paths.iter().cloned().collect();
        while let Some(path) = waiting.pop() {
            if done.insert(path.clone()) {
                waiting.extend(self.info(&path)?.references.clone());
            }
        }
        Ok(done)
    }
    fn derivation(&self, path: &StorePath) -> Result<Option<Derivation>, BackendError> {
        let Ok(text) = std::fs::read(self.real.join(path.base_name())) else {
            return Ok(None);
        };
        let name = path.name().strip_suffix(".drv").unwrap_or(path.name());
        Ok(Some(Derivation::parse(&self.dir, &text, name)?))
    }
    fn write_derivation(&self, derivation: &Derivation) -> Result<StorePath, BackendError> {
        let text = derivation.to_aterm(&self.dir);
        let path = derivation.path_of(&self.dir, &text)?;
        let file = self.real.join(path.base_name());
        let _ = std::fs::remove_file(&file);
        std::fs::write(file, &text)?;
        self.paths.lock().unwrap().insert(
            path.clone(),
            PathInfo {
                references: derivation.references(),
                ..PathInfo::new(
                    path.clone(),
                    Hash::of(crate::hash::Algorithm::Sha256, &text),
                    text.len() as u64,
                )
            },
        );
        Ok(path)
    }
    fn register(&self, paths: &[PathInfo]) -> Result<(), BackendError> {
        let mut table = self.paths.lock().unwrap();
        for info in paths {
            assert!(
                self.real
                    .join(info.path.base_name())
                    .symlink_metadata()
                    .is_ok()
            );
            table.insert(info.path.clone(), info.clone());
        }
        Ok(())
    }
    fn add_temporary_root(&self, _: &StorePath) -> Result<(), BackendError> {
        Ok(())
    }
    fn optimise(&self, _: &StorePath) -> Result<(), BackendError> {
        Ok(())
    }
    fn realisation(
        &self,
        derivation: &StorePath,
        output: &str,
    ) -> Result<Option<StorePath>, BackendError> {
        let key = (derivation.clone(), output.to_owned());
        Ok(self.realisations.lock().unwrap().get(&key).cloned())
    }
    fn register_realisation(
        &self,
        derivation: &StorePath,
        output: &str,
        path: &StorePath,
    ) -> Result<(), BackendError> {
        let key = (derivation.clone(), output.to_owned());
        self.realisations.lock().unwrap().insert(key, path.clone());
        Ok(())
    }
    fn contents_are_good(&self, path: &StorePath) -> Result<bool, BackendError> {
        let mut hasher = crate::hash::Hasher::new(crate::hash::Algorithm::Sha256);
        struct W<'a>(&'a mut crate::hash::Hasher);
        impl std::io::Write for W<'_> {
            fn write(&mut self, d: &[u8]) -> std::io::Result<usize> {
                self.0.update(d);
                Ok(d.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        crate::nar::dump(&self.real.join(path.base_name()), W(&mut hasher))?;
        Ok(hasher.finish() == self.info(path)?.nar_hash)
    }
    fn find_substitute(&self, _: &StorePath) -> Result<Option<BTreeSet<StorePath>>, BackendError> {
        Ok(None)
    }
    fn substitute(&self, _: &StorePath, _: bool) -> Result<Fetched, BackendError> {
        Ok(Fetched::Nowhere)
    }
    fn find_realisation(&self, _: &StorePath, _: &str) -> Result<Option<StorePath>, BackendError> {
        Ok(None)
    }
}

/// A derivation that runs a script with the shell of the sandbox.
fn script(store: &TestStore, name: &str, outputs: &[&str], text: &str) -> Derivation {
    let mut derivation = Derivation {
        basic: BasicDerivation {
            name: name.to_owned(),
            outputs: outputs
                .iter()
                .map(|output| ((*output).to_owned(), Output::Deferred))
                .collect(),
            platform: crate::settings::machine::system().into_bytes(),
            builder: b"/bin/sh".to_vec(),
            args: vec![b"-c".to_vec(), text.as_bytes().to_vec()],
            ..BasicDerivation::default()
        },
        input_derivations: BTreeMap::new(),
    };
    fill_in(store, &mut derivation);
    derivation
}

fn fill_in(store: &TestStore, derivation: &mut Derivation) {
    derivation
        .fill_in_output_paths::<BuildError>(&store.dir, &mut |path| modulo(store, path))
        .unwrap();
}

fn modulo(
    store: &TestStore,
    path: &StorePath,
) -> Result<crate::derivation::HashModulo, BuildError> {
    let derivation = store.derivation(path)?;
    derivation
        .unwrap()
        .hash_modulo::<BuildError>(&store.dir, &mut |path| modulo(store, path))
}

fn settings(text: &str) -> Settings {
    let mut builder = SettingsBuilder::new(Places::from_lookup(|_| None));
    let text = format!(
        "substitute = false\nbuild-users-group =\nexperimental-features = ca-derivations impure-derivations nix-command\n{text}"
    );
    builder
        .apply_text(text.as_bytes(), Path::new("test"))
        .unwrap();
    builder.finish().0
}

fn run(store: &TestStore, settings: &Settings, drvs: &[&StorePath], mode: BuildMode) -> Outcome {
    let downloader = Downloader::from_settings(settings);
    let cancel = Cancel::default();
    let context = BuildContext {
        store,
        settings,
        downloader: &downloader,
        cancel: &cancel,
    };
    let targets: Vec<Target> = drvs
        .iter()
        .map(|drv| Target::Outputs {
            derivation: (*drv).clone(),
            outputs: None,
        })
        .collect();
    realise(&context, &targets, mode)
}

fn outputs(store: &TestStore, drv: &Derivation, text: &str) -> BTreeMap<String, StorePath> {
    let path = store.write_derivation(drv).unwrap();
    let mut outcome = run(store, &settings(text), &[&path], BuildMode::Normal);
    match outcome.targets.remove(0).1 {
        Ok(outputs) => outputs,
        Err(error) => panic!("{error}"),
    }
}

fn failure(store: &TestStore, drv: &Derivation, text: &str) -> RunError {
    let path = store.write_derivation(drv).unwrap();
    run(store, &settings(text), &[&path], BuildMode::Normal)
        .into_result(store)
        .unwrap_err()
}

fn possible() -> bool {
    sandbox::namespaces_supported().user
}

#[test]
fn a_script_becomes_a_valid_path_with_references_between_outputs() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let drv = script(
        &store,
        "two",
        &["dev", "out"],
        "echo $out > $dev; echo hello > $out",
    );
    let made = outputs(&store, &drv, "");
    assert_eq!(store.read(&made["out"], ""), "hello\n");
    let dev = store.info(&made["dev"]).unwrap();
    assert_eq!(dev.references, BTreeSet::from([made["out"].clone()]));
    let leftovers: Vec<_> = std::fs::read_dir(&store.real)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".chroot") || name.ends_with(".lock"))
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
    assert_eq!(
        std::fs::read_dir(store.state.join("builds"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn an_input_is_visible_and_a_stranger_is_not() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let stranger = script(&store, "stranger", &["out"], "echo secret > $out");
    outputs(&store, &stranger, "");
    let input = script(&store, "input", &["out"], "echo data > $out");
    let input_path = store.write_derivation(&input).unwrap();
    let mut user = script(
        &store,
        "user",
        &["out"],
        "for f in /nix/store/*; do echo $f; done > list; while read l; do case $l in *stranger) exit 3;; esac; done < list; read x < $input; echo $x $input > $out",
    );
    let input_out = match &input.outputs["out"] {
        Output::InputAddressed(path) => path.clone(),
        other => panic!("{other:?}"),
    };
    user.input_derivations
        .insert(input_path, InputOutputs::of(["out"]));
    user.env
        .insert(b"input".to_vec(), store.dir.print(&input_out));
    user.outputs.insert("out".to_owned(), Output::Deferred);
    user.env.remove(&b"out"[..]);
    fill_in(&store, &mut user);
    let made = outputs(&store, &user, "");
    assert!(store.read(&made["out"], "").starts_with("data /nix/store/"));
    assert!(
        store
            .info(&made["out"])
            .unwrap()
            .references
            .contains(&input_out)
    );
}

#[test]
fn a_failing_builder_is_reported_with_its_log_and_leaves_nothing() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let drv = script(
        &store,
        "bad",
        &["out"],
        "echo partial > $out; echo oh no; exit 7",
    );
    let error = failure(&store, &drv, "");
    assert_eq!(error.code, 100);
    assert!(error.message.contains("builder failed with exit code 7"));
    assert!(error.message.contains("> oh no"), "{}", error.message);
    assert_eq!(
        std::fs::read_dir(&store.real)
            .unwrap()
            .filter(|e| !e
                .as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .contains(".drv"))
            .filter(|e| !e
                .as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .ends_with(".lock"))
            .count(),
        0
    );
}

#[test]
fn fixed_outputs_must_have_their_hash() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let fixed = |hash: &str| {
        let mut drv = script(&store, "fixed", &["out"], "echo content > $out");
        let hash = Hash::parse_any_prefixed(hash).unwrap();
        drv.outputs.insert(
            "out".to_owned(),
            Output::Fixed(ContentAddress {
                method: crate::content_address::Method::Flat,
                hash,
            }),
        );
        drv.env.remove(&b"out"[..]);
        let path = drv.outputs["out"]
            .path(&store.dir, "fixed", "out")
            .unwrap()
            .unwrap();
        drv.env.insert(b"out".to_vec(), store.dir.print(&path));
        drv
    };
    let right = Hash::of(crate::hash::Algorithm::Sha256, b"content\n");
    let made = outputs(&store, &fixed(&right.sri()), "");
    assert_eq!(store.read(&made["out"], ""), "content\n");
    let wrong = Hash::of(crate::hash::Algorithm::Sha256, b"other");
    let error = failure(&store, &fixed(&wrong.sri()), "");
    assert_eq!(error.code, 102);
    assert!(
        error
            .message
            .contains(&format!("specified: {}", wrong.sri()))
    );
    assert!(error.message.contains(&format!("got:    {}", right.sri())));
}

#[test]
fn floating_outputs_are_named_after_their_content_even_with_references_to_themselves() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let mut drv = script(&store, "selfref", &["out"], "echo hello $out > $out");
    drv.outputs.insert(
        "out".to_owned(),
        Output::Floating {
            method: crate::content_address::Method::NixArchive,
            algorithm: crate::hash::Algorithm::Sha256,
        },
    );
    let placeholder = crate::derivation::output_placeholder("out");
    drv.env.insert(b"out".to_vec(), placeholder.into_bytes());
    let made = outputs(&store, &drv, "");
    assert_eq!(
        made["out"].to_string(),
        "a0s65hr0643cykpv1314jq4gazy9fdc5-selfref"
    );
    assert_eq!(
        store.read(&made["out"], ""),
        "hello /nix/store/a0s65hr0643cykpv1314jq4gazy9fdc5-selfref\n"
    );
    let info = store.info(&made["out"]).unwrap();
    assert!(info.references.contains(&made["out"]));
    assert!(store.contents_are_good(&made["out"]).unwrap());
}

#[test]
fn timeouts_and_limits_end_a_builder() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let endless = script(&store, "endless", &["out"], "while true; do :; done");
    assert_eq!(failure(&store, &endless, "timeout = 1").code, 101);
    assert_eq!(failure(&store, &endless, "max-silent-time = 1").code, 101);
    let talker = script(&store, "talker", &["out"], "while true; do echo talk; done");
    let error = failure(&store, &talker, "max-build-log-size = 1000");
    assert!(error.message.contains("1000 bytes"), "{}", error.message);
    let closed = script(
        &store,
        "closed",
        &["out"],
        "exec >/dev/null 2>&1; while true; do :; done",
    );
    assert_eq!(failure(&store, &closed, "").code, 100);
}

#[test]
fn a_build_that_differs_is_found_out() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let drv = script(
        &store,
        "random",
        &["out"],
        "read x < /proc/sys/kernel/random/uuid; echo $x > $out",
    );
    outputs(&store, &drv, "");
    let path = store.write_derivation(&drv).unwrap();
    let error = run(&store, &settings(""), &[&path], BuildMode::Check)
        .into_result(&store)
        .unwrap_err();
    assert_eq!(error.code, 104);
    let same = script(&store, "same", &["out"], "echo same > $out");
    outputs(&store, &same, "");
    let path = store.write_derivation(&same).unwrap();
    run(&store, &settings(""), &[&path], BuildMode::Check)
        .into_result(&store)
        .unwrap();
}

#[test]
fn a_damaged_output_is_repaired() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let drv = script(&store, "good", &["out"], "echo good > $out");
    let made = outputs(&store, &drv, "");
    let file = store.real.join(made["out"].base_name());
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&file, "bad").unwrap();
    let path = store.write_derivation(&drv).unwrap();
    run(&store, &settings(""), &[&path], BuildMode::Repair)
        .into_result(&store)
        .unwrap();
    assert_eq!(store.read(&made["out"], ""), "good\n");
}

#[test]
fn references_that_are_not_allowed_are_refused() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let mut drv = script(&store, "strict", &["out"], "echo $out > $out");
    drv.env.insert(b"allowedReferences".to_vec(), Vec::new());
    drv.outputs.insert("out".to_owned(), Output::Deferred);
    drv.env.remove(&b"out"[..]);
    fill_in(&store, &mut drv);
    let error = failure(&store, &drv, "");
    assert!(
        error.message.contains("is not allowed to refer to"),
        "{}",
        error.message
    );
}

#[test]
fn what_waits_for_a_failure_fails_and_the_rest_goes_on_if_wanted() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let bad = script(&store, "bad", &["out"], "exit 1");
    let bad_path = store.write_derivation(&bad).unwrap();
    let good = script(&store, "good", &["out"], "echo good > $out");
    let good_path = store.write_derivation(&good).unwrap();
    let mut top = script(&store, "top", &["out"], "echo top > $out");
    top.input_derivations
        .insert(bad_path.clone(), InputOutputs::of(["out"]));
    top.input_derivations
        .insert(good_path.clone(), InputOutputs::of(["out"]));
    top.outputs.insert("out".to_owned(), Output::Deferred);
    top.env.remove(&b"out"[..]);
    fill_in(&store, &mut top);
    let top_path = store.write_derivation(&top).unwrap();
    let outcome = run(
        &store,
        &settings("keep-going = true"),
        &[&top_path],
        BuildMode::Normal,
    );
    assert_eq!(outcome.built, 1);
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(outcome.failures[0].0, bad_path);
    let error = outcome.into_result(&store).unwrap_err();
    assert!(
        error.message.contains("1 dependency failed"),
        "{}",
        error.message
    );
    assert_eq!(error.code, 100);
}

#[test]
fn without_a_sandbox_valid_paths_are_still_not_overwritten() {
    // A store that is where it seems to be can be built into without isolation.
    let mut store = TestStore::new();
    store.dir = StoreDir::new(store.real.as_os_str().as_encoded_bytes()).unwrap();
    let drv = script(&store, "plain", &["out"], "echo $out > $out");
    let made = outputs(&store, &drv, "sandbox = false");
    let text = store.read(&made["out"], "");
    assert_eq!(text.trim(), store.dir.display(&made["out"]).to_string());
    let path = store.write_derivation(&drv).unwrap();
    run(
        &store,
        &settings("sandbox = false"),
        &[&path],
        BuildMode::Check,
    )
    .into_result(&store)
    .unwrap();
}

/// Settings that show builders the host's programs.
const TOOLS: &str = "sandbox-paths = /bin /usr /lib /lib64?";

#[test]
fn an_output_that_is_a_link_stays_one_and_nothing_behind_it_changes() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let victim = store.root.path().join("victim");
    std::fs::write(&victim, "untouched").unwrap();
    let text = format!("/bin/ln -s {} $out", victim.display());
    let drv = script(&store, "link", &["out"], &text);
    let made = outputs(&store, &drv, TOOLS);
    let place = store.real.join(made["out"].base_name());
    assert_eq!(std::fs::read_link(place).unwrap(), victim);
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "untouched");
}

#[test]
fn outputs_that_archives_cannot_hold_are_refused() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let drv = script(&store, "fifo", &["out"], "/usr/bin/mkfifo $out");
    let error = failure(&store, &drv, TOOLS);
    assert!(
        error.message.contains("unsupported type"),
        "{}",
        error.message
    );
    let drv = script(&store, "open", &["out"], "echo > $out; /bin/chmod 666 $out");
    let error = failure(&store, &drv, TOOLS);
    assert!(
        error.message.contains("suspicious ownership"),
        "{}",
        error.message
    );
    let drv = script(&store, "none", &["out"], ":");
    let error = failure(&store, &drv, "");
    assert!(
        error.message.contains("failed to produce output path"),
        "{}",
        error.message
    );
}

#[test]
fn outputs_that_refer_to_each_other_in_a_circle_are_refused() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let drv = script(&store, "circle", &["a", "b"], "echo $b > $a; echo $a > $b");
    let error = failure(&store, &drv, "");
    assert!(
        error.message.contains("cycle detected"),
        "{}",
        error.message
    );
}

#[test]
fn what_a_builder_writes_to_its_inputs_never_arrives() {
    if !possible() {
        return;
    }
    let store = TestStore::new();
    let input = script(&store, "input", &["out"], "echo good > $out");
    let input_path = store.write_derivation(&input).unwrap();
    let input_out = outputs(&store, &input, "")["out"].clone();
    let mut attacker = script(
        &store,
        "attacker",
        &["out"],
        "/bin/chmod 777 $input; echo bad > $input; /bin/rm -f $input; echo done > $out",
    );
    attacker
        .input_derivations
        .insert(input_path, InputOutputs::of(["out"]));
    attacker
        .env
        .insert(b"input".to_vec(), store.dir.print(&input_out));
    attacker.outputs.insert("out".to_owned(), Output::Deferred);
    attacker.env.remove(&b"out"[..]);
    fill_in(&store, &mut attacker);
    outputs(&store, &attacker, TOOLS);
    assert_eq!(store.read(&input_out, ""), "good\n");
}
