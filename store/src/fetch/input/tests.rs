//! Inputs fetched from real repositories, archives and directories.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::*;
use crate::fetch::test_server::{TestServer, answer};
use crate::settings::{Places, Settings};
use crate::store::{LocalConfig, LocalStore};

struct World {
    dir: tempfile::TempDir,
    settings: Settings,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_owned();
        let places = Places::from_lookup(|name| (name == "HOME").then(|| home.clone().into()));
        let mut settings = Settings::with_defaults(places);
        settings.download_attempts = 1;
        settings.warn_dirty = false;
        World { dir, settings }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn fetcher(&self) -> Fetcher {
        let store = LocalStore::open(LocalConfig::at_root(&self.path("root"))).unwrap();
        Fetcher::new(Arc::new(store), Arc::new(self.settings.clone()))
    }

    /// A repository with two commits, a tag, a branch, a link and an executable.
    fn repository(&self, name: &str) -> PathBuf {
        let repo = self.path(name);
        std::fs::create_dir_all(repo.join("sub")).unwrap();
        git(&repo, &["init", "-q", "-b", "main"]);
        std::fs::write(repo.join("file"), "one\n").unwrap();
        std::fs::write(repo.join("sub/run"), "#!/bin/sh\n").unwrap();
        std::fs::write(repo.join(".gitattributes"), "ignored export-ignore\n").unwrap();
        std::fs::write(repo.join("ignored"), "x").unwrap();
        std::os::unix::fs::symlink("file", repo.join("link")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(repo.join("sub/run"), mode).unwrap();
        commit(&repo, "first");
        git(&repo, &["branch", "old"]);
        std::fs::write(repo.join("file"), "two\n").unwrap();
        commit(&repo, "second");
        git(&repo, &["tag", "v1"]);
        repo
    }
}

fn git(repo: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "protocol.file.allow=always",
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "-c",
            "commit.gpgsign=false",
        ])
        .arg("-C")
        .arg(repo)
        .args(args)
        .env("GIT_AUTHOR_DATE", "2020-01-01T00:00:00Z")
        .env("GIT_COMMITTER_DATE", "2020-01-02T00:00:00Z")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(repo: &Path, message: &str) {
    git(repo, &["add", "-A"]);
    git(repo, &["commit", "-q", "-m", message]);
}

fn git_input(url: &Path) -> Attrs {
    Attrs::new()
        .with("type", "git")
        .with("url", url.to_str().unwrap())
}

fn fetch(fetcher: &Fetcher, attrs: Attrs) -> Result<Fetched, InputError> {
    fetcher.fetch(&Input::from_attrs(attrs)?)
}

fn read(fetcher: &Fetcher, fetched: &Fetched, file: &str) -> Option<String> {
    let bytes = fetcher
        .store()
        .read_file(&fetched.store_path, format!("/{file}").as_bytes())
        .ok()?;
    Some(String::from_utf8(bytes).unwrap())
}

#[test]
fn urls_and_attributes_are_two_spellings_of_one_input() {
    for (url, want) in [
        (
            "github:NixOS/nixpkgs/nixos-20.03",
            r#"{"owner":"NixOS","ref":"nixos-20.03","repo":"nixpkgs","type":"github"}"#,
        ),
        (
            "gitlab:a%2Fb/c",
            r#"{"owner":"a/b","repo":"c","type":"gitlab"}"#,
        ),
        (
            "sourcehut:~u/r",
            r#"{"owner":"~u","repo":"r","type":"sourcehut"}"#,
        ),
        (
            "git+ssh://git@h.org:22/a%20b?shallow=1",
            r#"{"shallow":true,"type":"git","url":"ssh://git@h.org:22/a%20b"}"#,
        ),
        (
            "https://example.org/x.tar.gz?a=b&narHash=",
            r#"{"narHash":"","type":"tarball","url":"https://example.org/x.tar.gz?a=b"}"#,
        ),
        (
            "file+https://h/p.tar.gz",
            r#"{"type":"file","url":"https://h/p.tar.gz"}"#,
        ),
        ("hg+https://h/x", r#"{"type":"hg","url":"https://h/x"}"#),
        ("path:./x", r#"{"path":"./x","type":"path"}"#),
        (
            "flake:nixpkgs/x",
            r#"{"id":"nixpkgs","ref":"x","type":"indirect"}"#,
        ),
    ] {
        let input = Input::parse(url, Wanted::Tree).unwrap();
        assert_eq!(input.attrs.to_json().to_string(), want);
        let again = Input::from_url(&input.to_url().unwrap(), Wanted::Tree).unwrap();
        if !url.contains("narHash") && !url.starts_with("file+") {
            assert_eq!(again, input);
        }
    }
}

#[test]
fn plain_urls_are_archives_only_where_a_tree_is_wanted() {
    let kind = |url: &str, wanted| Input::parse(url, wanted).unwrap().scheme();
    assert_eq!(kind("https://h/x", Wanted::Tree), Some(Scheme::Tarball));
    assert_eq!(kind("https://h/x", Wanted::Anything), Some(Scheme::File));
    assert_eq!(
        kind("https://h/x.tar.xz", Wanted::Anything),
        Some(Scheme::Tarball)
    );
}

#[test]
fn wrong_attributes_are_refused_with_their_names() {
    let error = |attrs: Attrs| Input::from_attrs(attrs).unwrap_err().to_string();
    assert_eq!(
        error(git_input(Path::new("/x")).with("foo", 1)),
        "input attribute 'foo' not supported by scheme 'git'"
    );
    assert_eq!(
        error(Attrs::new()),
        "'type' attribute to specify input scheme is required but not provided"
    );
    assert!(
        error(git_input(Path::new("/x")).with("ref", "a..b"))
            .contains("invalid Git branch/tag name 'a..b'")
    );
    let github = Attrs::new()
        .with("type", "github")
        .with("owner", "o")
        .with("repo", "r");
    assert!(
        error(github.clone().with("ref", "a").with("rev", "0".repeat(40)))
            .contains("contains both")
    );
    assert!(error(github.with("host", "evil.org/x?")).contains("invalid instance host"));
    let unknown = Input::from_attrs(Attrs::new().with("type", "cvs")).unwrap();
    assert!(
        World::new()
            .fetcher()
            .fetch(&unknown)
            .unwrap_err()
            .to_string()
            .starts_with("cannot fetch unsupported input")
    );
}

#[test]
fn a_clean_work_tree_has_its_commit() {
    let world = World::new();
    let repo = world.repository("repo");
    let fetcher = world.fetcher();
    let fetched = fetch(&fetcher, git_input(&repo)).unwrap();
    let out = fetched.output_attributes(true).unwrap();
    assert_eq!(out.str("rev").unwrap(), git(&repo, &["rev-parse", "HEAD"]));
    assert_eq!(out.str("shortRev").unwrap().len(), 7);
    assert_eq!(
        (
            out.int("revCount").unwrap(),
            out.int("lastModified").unwrap()
        ),
        (2, 1_577_923_200)
    );
    assert_eq!(out.str("lastModifiedDate").unwrap(), "20200102000000");
    assert_eq!(read(&fetcher, &fetched, "file").unwrap(), "two\n");
    assert!(read(&fetcher, &fetched, ".git/HEAD").is_none());
    assert_eq!(fetched.input.attrs.str("ref").unwrap(), "refs/heads/main");
    // Export rules apply when they are asked for.
    assert!(read(&fetcher, &fetched, "ignored").is_some());
    let exported = fetch(&fetcher, git_input(&repo).with("exportIgnore", true)).unwrap();
    assert!(read(&fetcher, &exported, "ignored").is_none());
}

#[test]
fn a_work_tree_and_its_commit_and_its_clone_give_the_same_path() {
    let world = World::new();
    let repo = world.repository("repo");
    git(
        world.dir.path(),
        &["clone", "-q", "--bare", "repo", "bare.git"],
    );
    let fetcher = world.fetcher();
    let tree = fetch(&fetcher, git_input(&repo)).unwrap();
    let commit = fetch(&fetcher, git_input(&repo).with("ref", "v1")).unwrap();
    let remote = fetch(&fetcher, git_input(&world.path("bare.git"))).unwrap();
    let shallow = fetch(
        &fetcher,
        git_input(&world.path("bare.git")).with("shallow", true),
    )
    .unwrap();
    assert!(
        [&commit, &remote, &shallow]
            .iter()
            .all(|other| other.store_path == tree.store_path)
    );
    assert_eq!(
        remote.output_attributes(false).unwrap(),
        tree.output_attributes(false).unwrap()
    );
    assert!(!shallow.input.attrs.has("revCount"));
    let old = fetch(
        &fetcher,
        git_input(&world.path("bare.git")).with("ref", "old"),
    )
    .unwrap();
    assert_eq!(read(&fetcher, &old, "file").unwrap(), "one\n");
    assert_eq!(old.input.attrs.int("revCount").unwrap(), 1);
}

#[test]
fn uncommitted_changes_are_part_of_a_work_tree() {
    let world = World::new();
    let repo = world.repository("repo");
    std::fs::write(repo.join("file"), "changed\n").unwrap();
    std::fs::write(repo.join("untracked"), "").unwrap();
    std::fs::write(repo.join("added"), "new").unwrap();
    git(&repo, &["add", "added"]);
    std::fs::remove_file(repo.join("link")).unwrap();
    git(&repo, &["rm", "-q", "--cached", "ignored"]);
    let fetcher = world.fetcher();
    let fetched = fetch(&fetcher, git_input(&repo)).unwrap();
    assert_eq!(read(&fetcher, &fetched, "file").unwrap(), "changed\n");
    assert!(read(&fetcher, &fetched, "added").is_some());
    for gone in ["untracked", "link", "ignored"] {
        assert!(read(&fetcher, &fetched, gone).is_none(), "{gone}");
    }
    let out = fetched.output_attributes(true).unwrap();
    let head = git(&repo, &["rev-parse", "HEAD"]);
    assert_eq!(out.str("dirtyRev").unwrap(), format!("{head}-dirty"));
    assert_eq!(out.str("rev").unwrap(), "0".repeat(40));
    assert!(!fetched.output_attributes(false).unwrap().has("rev"));
    let mut strict = world;
    strict.settings.allow_dirty = false;
    let error = fetch(&strict.fetcher(), git_input(&repo)).unwrap_err();
    assert_eq!(
        error.cause().to_string(),
        format!("Git tree '{}' is dirty", repo.display())
    );
}

#[test]
fn a_repository_without_commits_is_a_tree_too() {
    let world = World::new();
    let repo = world.path("empty");
    std::fs::create_dir(&repo).unwrap();
    git(&repo, &["init", "-q", "-b", "main"]);
    let fetched = fetch(&world.fetcher(), git_input(&repo)).unwrap();
    let out = fetched.output_attributes(false).unwrap();
    assert_eq!(
        (out.str("shortRev").unwrap(), out.int("revCount").unwrap()),
        ("0000000", 0)
    );
    assert_eq!(
        out.str("narHash").unwrap(),
        "sha256-pQpattmS9VmO3ZIQUFn66az8GSmB4IvYhTTCFn6SUmo="
    );
}

#[test]
fn a_fetched_commit_needs_its_remote_no_more() {
    let world = World::new();
    let repo = world.repository("repo");
    git(
        world.dir.path(),
        &["clone", "-q", "--bare", "repo", "bare.git"],
    );
    let head = git(&repo, &["rev-parse", "HEAD"]);
    let bare = world.path("bare.git");
    let attrs = Attrs::new()
        .with("type", "git")
        .with("url", format!("file://{}", bare.display()));
    let first = fetch(&world.fetcher(), attrs.clone()).unwrap();
    // Gone, but the mirror has it; and the branch was fetched a moment ago.
    std::fs::rename(&bare, world.path("elsewhere")).unwrap();
    std::fs::create_dir(&bare).unwrap();
    let again = fetch(&world.fetcher(), attrs.clone()).unwrap();
    assert_eq!(again.store_path, first.store_path);
    let by_commit = fetch(&world.fetcher(), attrs.clone().with("rev", head.as_str())).unwrap();
    assert_eq!(by_commit.store_path, first.store_path);
    let error = fetch(&world.fetcher(), attrs.with("ref", "other")).unwrap_err();
    assert!(
        error
            .cause()
            .to_string()
            .starts_with("Failed to fetch git repository"),
        "{error}"
    );
}

#[test]
fn missing_commits_and_branches_are_said_to_be_missing() {
    let world = World::new();
    let repo = world.repository("repo");
    git(
        world.dir.path(),
        &["clone", "-q", "--bare", "repo", "bare.git"],
    );
    let fetcher = world.fetcher();
    let missing = "0".repeat(39) + "1";
    let error = fetch(
        &fetcher,
        git_input(&world.path("bare.git")).with("rev", missing.as_str()),
    )
    .unwrap_err();
    assert!(
        error.cause().to_string().starts_with(&format!(
            "Cannot find Git revision '{missing}' in ref 'refs/heads/main'"
        )),
        "{error}"
    );
    let error = fetch(&fetcher, git_input(&repo).with("ref", "nosuch")).unwrap_err();
    assert_eq!(
        error.cause().to_string(),
        "resolving Git reference 'nosuch': revspec 'nosuch' not found"
    );
    let error = fetch(&fetcher, git_input(&world.path("nothing"))).unwrap_err();
    assert!(
        error.cause().to_string().ends_with("does not exist."),
        "{error}"
    );
}

#[test]
fn submodules_are_mounted_in_their_parent() {
    let world = World::new();
    world.repository("inner");
    let outer = world.repository("outer");
    git(
        &outer,
        &["submodule", "--quiet", "add", "../inner", "deep/inner"],
    );
    commit(&outer, "with submodule");
    let fetcher = world.fetcher();
    for attrs in [git_input(&outer), git_input(&outer).with("ref", "main")] {
        let without = fetch(&fetcher, attrs.clone()).unwrap();
        assert!(read(&fetcher, &without, "deep/inner/file").is_none());
        let with = fetch(&fetcher, attrs.with("submodules", true)).unwrap();
        assert_eq!(read(&fetcher, &with, "deep/inner/file").unwrap(), "two\n");
        assert_eq!(
            with.output_attributes(false)
                .unwrap()
                .bool_opt("submodules")
                .unwrap(),
            Some(true)
        );
    }
}

#[test]
fn a_repository_cannot_run_programs() {
    let world = World::new();
    let repo = world.repository("repo");
    let marker = world.path("marker");
    let evil = format!("touch {}; cat", marker.display());
    for (name, value) in [
        ("core.fsmonitor", evil.as_str()),
        ("filter.evil.clean", evil.as_str()),
        ("filter.evil.smudge", evil.as_str()),
        ("filter.evil.required", "true"),
        ("core.sshCommand", evil.as_str()),
        ("core.pager", evil.as_str()),
        ("diff.external", evil.as_str()),
        ("gpg.program", evil.as_str()),
    ] {
        git(&repo, &["config", name, value]);
    }
    let hook = repo.join(".git/hooks/post-checkout");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, format!("#!/bin/sh\n{evil}\n")).unwrap();
    std::fs::write(repo.join(".gitattributes"), "* filter=evil\n").unwrap();
    std::fs::write(repo.join("file"), "touched\n").unwrap();
    let fetcher = world.fetcher();
    let fetched = fetch(&fetcher, git_input(&repo)).unwrap();
    assert_eq!(read(&fetcher, &fetched, "file").unwrap(), "touched\n");
    fetch(&fetcher, git_input(&repo).with("ref", "main")).unwrap();
    let clone = Attrs::new()
        .with("type", "git")
        .with("url", format!("file://{}", repo.join(".git").display()));
    fetch(&fetcher, clone).unwrap();
    assert!(!marker.exists());
}

#[test]
fn addresses_cannot_become_options_or_programs() {
    let world = World::new();
    let fetcher = world.fetcher();
    let marker = world.path("marker");
    for url in [
        format!("ssh://-oProxyCommand=touch%20{}/x", marker.display()),
        format!("ext::sh -c touch% {}", marker.display()),
        "--upload-pack=touch".to_owned(),
    ] {
        let attrs = Attrs::new().with("type", "git").with("url", url.as_str());
        assert!(fetch(&fetcher, attrs).is_err(), "{url}");
    }
    assert!(!marker.exists());
}

#[test]
fn a_directory_is_fetched_as_it_is() {
    let world = World::new();
    let tree = world.path("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("x"), "1").unwrap();
    let fetcher = world.fetcher();
    let attrs = Attrs::new()
        .with("type", "path")
        .with("path", tree.to_str().unwrap());
    let fetched = fetch(&fetcher, attrs.clone()).unwrap();
    assert!(fetched.input.attrs.int("lastModified").unwrap() > 1_500_000_000);
    assert_eq!(
        fetch(&fetcher, attrs.with("lastModified", 7))
            .unwrap()
            .input
            .last_modified()
            .unwrap(),
        Some(7)
    );
    // What is locked is not looked at again.
    std::fs::write(tree.join("x"), "2").unwrap();
    assert_eq!(fetcher.fetch(&fetched.input).unwrap(), fetched);
    let relative = Attrs::new().with("type", "path").with("path", "./x");
    let error = fetch(&fetcher, relative).unwrap_err().cause().to_string();
    assert_eq!(
        error,
        "cannot fetch input 'path:./x' because it uses a relative path"
    );
}

fn archive(text: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mtime(1_000_000);
    header.set_mode(0o644);
    builder
        .append_data(&mut header, "top/file", text.as_bytes())
        .unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn an_archive_is_downloaded_once_as_long_as_it_is_fresh() {
    let server = TestServer::start(|seen, _, stream| match seen.headers.get("if-none-match") {
        Some(_) => answer(stream, "304 Not Modified", &[("ETag", "\"1\"")], b""),
        None => answer(stream, "200 OK", &[("ETag", "\"1\"")], &archive("hello")),
    });
    let mut world = World::new();
    let url = format!("{}/x.tar", server.url);
    let attrs = Attrs::new()
        .with("type", "tarball")
        .with("url", url.as_str());
    let first = fetch(&world.fetcher(), attrs.clone()).unwrap();
    assert_eq!(first.input.attrs.int("lastModified").unwrap(), 1_000_000);
    assert_eq!(read(&world.fetcher(), &first, "file").unwrap(), "hello");
    assert_eq!(fetch(&world.fetcher(), attrs.clone()).unwrap(), first);
    assert_eq!(server.paths().len(), 1);
    world.settings.tarball_ttl = 0;
    assert_eq!(fetch(&world.fetcher(), attrs.clone()).unwrap(), first);
    assert_eq!(
        server.seen.lock().unwrap()[1].headers["if-none-match"],
        "\"1\""
    );
    // Another name is another path of the same tree.
    let named = fetch(&world.fetcher(), attrs.with("name", "other")).unwrap();
    assert_eq!(named.store_path.name(), "other");
    assert_eq!(
        named.input.nar_hash().unwrap(),
        first.input.nar_hash().unwrap()
    );
}

#[test]
fn a_wrong_hash_is_told_with_the_right_one() {
    let server = TestServer::start(|_, _, stream| answer(stream, "200 OK", &[], &archive("hello")));
    let world = World::new();
    let fetcher = world.fetcher();
    let url = format!("{}/x.tar", server.url);
    let zero = Hash::zero(Algorithm::Sha256);
    let attrs = Attrs::new()
        .with("type", "tarball")
        .with("url", url.as_str())
        .with("narHash", zero.sri());
    let error = fetch(&fetcher, attrs).unwrap_err();
    assert!(matches!(error.cause(), InputError::HashMismatch(_)));
    let text = error.cause().to_string();
    assert!(
        text.starts_with(&format!(
            "NAR hash mismatch in input '{url}?narHash=sha256-AAAA"
        )),
        "{text}"
    );
    for unpacked in [false, true] {
        let text = fetcher
            .fetch_url(&url, "x", Some(&zero), unpacked)
            .unwrap_err()
            .to_string();
        assert!(
            text.starts_with(&format!(
                "hash mismatch in file downloaded from '{url}':\n  specified: sha256:0000000000000000000000000000000000000000000000000000\n  got:       sha256:"
            )),
            "{text}"
        );
    }
}

#[test]
fn what_is_known_by_its_hash_is_not_downloaded() {
    let server = TestServer::start(|_, _, stream| answer(stream, "200 OK", &[], b"data"));
    let world = World::new();
    let fetcher = world.fetcher();
    let url = format!("{}/x", server.url);
    let expected = Hash::of(Algorithm::Sha256, b"data");
    let path = fetcher
        .fetch_url(&url, "x", Some(&expected), false)
        .unwrap();
    assert_eq!(
        path.to_string(),
        fetcher
            .fetch_url("http://127.0.0.1:1/gone", "x", Some(&expected), false)
            .unwrap()
            .to_string()
    );
    assert_eq!(server.paths().len(), 1);
    assert_eq!(fetcher.store().read_file(&path, b"").unwrap(), b"data");
}

#[test]
fn a_dead_server_is_replaced_by_what_it_once_sent() {
    let server = TestServer::start(|_, count, stream| {
        if count == 0 {
            answer(stream, "200 OK", &[], b"data");
        } else {
            answer(stream, "500 Dead", &[], b"");
        }
    });
    let mut world = World::new();
    world.settings.tarball_ttl = 0;
    let url = format!("{}/x", server.url);
    let first = world.fetcher().download_file(&url, "x", &[]).unwrap();
    assert_eq!(
        world
            .fetcher()
            .download_file(&url, "x", &[])
            .unwrap()
            .store_path,
        first.store_path
    );
    assert_eq!(server.paths().len(), 2);
}

#[test]
fn an_immutable_link_becomes_the_locked_input() {
    let server = TestServer::start(|seen, _, stream| {
        let link = format!(
            "<http://{}/fixed.tar.gz?rev={}>; rel=\"immutable\"",
            seen.headers["host"],
            "1".repeat(40)
        );
        answer(stream, "200 OK", &[("Link", &link)], &archive("hello"));
    });
    let world = World::new();
    let attrs = Attrs::new()
        .with("type", "tarball")
        .with("url", format!("{}/latest.tar.gz", server.url));
    let fetched = fetch(&world.fetcher(), attrs).unwrap();
    assert_eq!(
        fetched.input.attrs.str("url").unwrap(),
        format!("{}/fixed.tar.gz", server.url)
    );
    assert_eq!(fetched.input.attrs.str("rev").unwrap(), "1".repeat(40));
    assert!(fetched.input.is_locked(true));
}

#[test]
fn local_archives_that_are_none_are_explained() {
    let world = World::new();
    let repo = world.repository("repo");
    let fetcher = world.fetcher();
    for (path, why) in [
        (world.path("missing.tar"), "does not exist."),
        (
            repo,
            "is a git repository, not a tarball. Please use `git+file` as the scheme.",
        ),
        (world.path("root"), "is a directory, not a file."),
    ] {
        let attrs = Attrs::new()
            .with("type", "tarball")
            .with("url", format!("file://{}", path.display()));
        let text = fetch(&fetcher, attrs).unwrap_err().cause().to_string();
        assert!(
            text.starts_with("tarball \"") && text.ends_with(why),
            "{text}"
        );
    }
}

#[test]
fn signed_commits_are_verified_against_the_given_keys() {
    let world = World::new();
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        return;
    }
    let key = world.path("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    let repo = world.repository("repo");
    std::fs::write(repo.join("file"), "signed\n").unwrap();
    git(&repo, &["add", "-A"]);
    let signing = format!("user.signingKey={}", key.display());
    git(
        &repo,
        &[
            "-c",
            "gpg.format=ssh",
            "-c",
            &signing,
            "commit",
            "-q",
            "-S",
            "-m",
            "signed",
        ],
    );
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let public = public.split(' ').nth(1).unwrap();
    let attrs = |key: &str| git_input(&repo).with("ref", "main").with("publicKey", key);
    let error = fetch(&world.fetcher(), attrs(public)).unwrap_err();
    assert!(
        error
            .cause()
            .to_string()
            .contains("'verified-fetches' is disabled"),
        "{error}"
    );
    let mut settings = world.settings.clone();
    settings
        .experimental_features
        .insert(crate::settings::Feature::VerifiedFetches);
    let world = World { settings, ..world };
    fetch(&world.fetcher(), attrs(public)).unwrap();
    let other = public.replace(&public[30..34], "AAAA");
    let error = fetch(&world.fetcher(), attrs(&other)).unwrap_err();
    assert!(
        error
            .cause()
            .to_string()
            .starts_with("Commit signature verification on commit"),
        "{error}"
    );
    let unsigned = git_input(&repo).with("ref", "v1").with("publicKey", public);
    assert!(fetch(&world.fetcher(), unsigned).is_err());
}
