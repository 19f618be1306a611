//! What the settings of builders change, seen from inside of builds and from the command line.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use common::{Outcome, Place};

/// One derivation, named and scripted by arguments.
const FILE: &str = r#"
{ text, name ? "built", system ? builtins.currentSystem, more ? "{ }" }:
derivation ({
  inherit name system;
  builder = "/bin/sh";
  args = [ "-c" text ];
  PATH = "/usr/bin:/bin";
} // import (builtins.toFile "more.nix" more))
"#;

struct Builds(Place);

impl Builds {
    /// With this machine's programs visible to builders, and these settings.
    fn with(settings: &str) -> Builds {
        let place = Place::new();
        let mut paths = String::new();
        for name in ["/usr", "/lib", "/lib64"] {
            if let Ok(real) = fs::canonicalize(name) {
                paths += &format!(" {name}={}", real.display());
            }
        }
        place.configure(&format!(
            "substituters =\nbuild-users-group =\nsandbox-paths ={paths}\n\
             experimental-features = nix-command cgroups impure-derivations ca-derivations\n{settings}\n"
        ));
        place.write("default.nix", FILE);
        Builds(place)
    }

    fn try_build(&self, text: &str, more: &[&str]) -> Outcome {
        let mut arguments = vec!["--no-out-link", "--argstr", "text", text];
        arguments.extend(more);
        self.0.run("rx-build", &arguments)
    }

    fn build(&self, text: &str, more: &[&str]) -> Outcome {
        let run = self.try_build(text, more);
        assert_eq!(run.code, 0, "{}", run.err);
        run
    }

    /// A program on the host that settings can name.
    fn script(&self, name: &str, text: &str) -> String {
        let path = self.0.write(name, &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    fn real(&self, path: &str) -> PathBuf {
        let root = self.0.root().display().to_string();
        path.trim().replace("DIR", &root).into()
    }

    fn logs(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut directories = vec![self.0.root().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    directories.push(path);
                } else if path.to_string_lossy().contains("/drvs/") {
                    found.push(path);
                }
            }
        }
        found
    }
}

fn has(program: &str) -> bool {
    let there = Path::new("/usr/bin").join(program).exists();
    if !there {
        println!("this machine has no /usr/bin/{program}: nothing is built with it");
    }
    there
}

/// Whether builders can be isolated here.
fn isolated() -> bool {
    let found = rx_store::build::sandbox::namespaces_supported().isolation;
    if !found {
        println!("this machine gives no namespaces: not tried");
    }
    found
}

#[test]
fn builders_for_narrower_machines_see_a_narrower_machine() {
    if !(cfg!(target_arch = "x86_64") && isolated() && has("uname")) {
        return;
    }
    let builds = Builds::with("extra-platforms = i686-linux armv7l-linux aarch64-linux");
    let machine = |system: &str| {
        let run = builds.build("uname -m > $out; uname -m", &["--argstr", "system", system]);
        fs::read_to_string(builds.real(&run.out)).unwrap()
    };
    assert_eq!(machine("x86_64-linux"), "x86_64\n");
    assert_eq!(machine("i686-linux"), "i686\n");
    assert_eq!(machine("armv7l-linux"), "i686\n");
    assert_eq!(machine("aarch64-linux"), "x86_64\n");
    let other = Builds::with("extra-platforms =")
        .try_build("echo > $out", &["--argstr", "system", "aarch64-linux"]);
    assert_eq!(other.code, 100);
    assert!(other.err.contains("platform mismatch"), "{}", other.err);
}

#[test]
fn a_builder_in_a_control_group_sees_it_as_the_outermost_and_leaves_nothing_of_it() {
    if !isolated() {
        return;
    }
    let builds = Builds::with("use-cgroups = true");
    let text = "while read line; do case $line in 0::*) echo $line > $out;; esac; done < /proc/self/cgroup";
    let run = builds.try_build(text, &["-vvvv"]);
    if run.err.contains("cannot determine the cgroups")
        || run.err.contains("expected cgroup directory")
        || run.err.contains("creating cgroup")
    {
        println!("this machine has no control groups for us: not tried");
        return;
    }
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(fs::read_to_string(builds.real(&run.out)).unwrap(), "0::/\n");
    assert!(run.err.contains("s on processors and"), "{}", run.err);

    let without = Builds::with("use-cgroups = true\nexperimental-features = nix-command");
    let run = without.try_build("echo > $out", &[]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("'cgroups' is disabled"), "{}", run.err);
}

#[test]
fn hooks_run_before_and_after_a_build() {
    if !isolated() {
        return;
    }
    let builds = Builds::with("");
    let shown = builds.0.work().join("shown");
    fs::create_dir(&shown).unwrap();
    let before = builds.script(
        "before",
        &format!(
            "echo extra-sandbox-paths; echo /shown-to-it={}; echo",
            shown.display()
        ),
    );
    let told = builds.0.work().join("told");
    let after = builds.script(
        "after",
        &format!(
            "echo \"$DRV_PATH $OUT_PATHS\" > {}; echo said",
            told.display()
        ),
    );
    let failing = builds.script("failing", "exit 3");
    let test = "test -d /shown-to-it && echo x > $out";
    let run = builds.build(
        test,
        &[
            "--option",
            "pre-build-hook",
            &before,
            "--option",
            "post-build-hook",
            &after,
        ],
    );
    let told = fs::read_to_string(told).unwrap();
    let (derivation, output) = told.trim().split_once(' ').unwrap();
    assert!(derivation.ends_with("-built.drv"), "{told}");
    assert_eq!(Path::new(output), builds.real(&run.out));
    assert!(run.err.contains("post-build-hook: said"), "{}", run.err);
    assert_eq!(builds.try_build("test -d /shown-to-it", &[]).code, 100);

    let run = builds.try_build("echo y > $out", &["--option", "post-build-hook", &failing]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("failed with exit code 3"), "{}", run.err);
}

#[test]
fn builds_that_differ_when_repeated_are_shown_to_a_program() {
    let builds = Builds::with("sandbox = false\nrun-diff-hook = true");
    let count = builds.0.work().join("count");
    // Another result each time.
    let text = format!(
        "echo x >> {0}; while read line; do echo $line; done < {0} > $out",
        count.display()
    );
    let hook = builds.script(
        "differs",
        "read a < $1; echo \"first $a, of $3\"; test -f $2",
    );
    builds.build(&text, &[]);
    let run = builds.try_build(&text, &["--check", "--option", "diff-hook", &hook]);
    assert_eq!(run.code, 104, "{}", run.err);
    assert!(run.err.contains("first x, of "), "{}", run.err);
    assert!(run.err.contains("may not be deterministic"), "{}", run.err);
    assert!(run.err.contains("differs from"), "{}", run.err);
    let failing = builds.script("fails", "exit 3");
    let run = builds.try_build(&text, &["--check", "--option", "diff-hook", &failing]);
    assert_eq!(run.code, 104);
    assert!(
        run.err.contains("diff hook execution failed"),
        "{}",
        run.err
    );
    let unused = [
        "--check",
        "--option",
        "diff-hook",
        &hook,
        "--option",
        "run-diff-hook",
        "false",
    ];
    let run = builds.try_build(&text, &unused);
    assert_eq!(run.code, 104);
    assert!(!run.err.contains("first x"), "{}", run.err);
}

#[test]
fn an_impure_derivation_is_built_anew_each_time() {
    let builds = Builds::with("sandbox = false");
    let count = builds.0.work().join("count");
    let text = format!(
        "echo x >> {0}; while read line; do echo $line; done < {0} > $out",
        count.display()
    );
    let more = ["--argstr", "more", "{ __impure = true; }"];
    let (first, second) = (builds.build(&text, &more), builds.build(&text, &more));
    assert_ne!(first.out, second.out);
    let lines = |run: &Outcome| {
        fs::read_to_string(builds.real(&run.out))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!((lines(&first), lines(&second)), (1, 2));
}

#[test]
fn equal_files_of_results_are_one_file_when_wanted() {
    let text = "echo the same > $out; echo the same > $dev";
    let more = ["--argstr", "more", r#"{ outputs = [ "out" "dev" ]; }"#];
    for (setting, links) in [
        ("auto-optimise-store = true", 3),
        ("auto-optimise-store = false", 1),
    ] {
        let builds = Builds::with(setting);
        let run = builds.build(text, &more);
        let file = fs::metadata(builds.real(&run.out)).unwrap();
        assert_eq!(file.nlink(), links, "{setting}");
    }
}

#[test]
fn garbage_is_collected_when_little_space_is_free() {
    let builds = Builds::with("");
    let dead = builds.real(
        &builds
            .build("echo dead > $out", &["--argstr", "name", "dead"])
            .out,
    );
    builds.build("echo 1 > $out", &["--option", "min-free", "0"]);
    assert!(dead.exists());
    // No disk has as much.
    let never = [
        "--option",
        "min-free",
        "1000000T",
        "--option",
        "min-free-check-interval",
        "0",
    ];
    builds.build("echo 2 > $out", &never);
    assert!(!dead.exists());
}

#[test]
fn derivations_and_outputs_keep_each_other_as_settings_say() {
    let builds = Builds::with("");
    let output = builds.build("echo x > $out", &[]).out;
    let derivation = builds
        .0
        .run("rx-store", ["-qd", builds.real(&output).to_str().unwrap()]);
    let derivation = builds.real(&derivation.out);
    let link = builds.0.work().join("root");
    let dead = |path: &Path, settings: &[&str]| {
        fs::remove_file(&link).ok();
        let root = [
            "--realise",
            path.to_str().unwrap(),
            "--add-root",
            link.to_str().unwrap(),
        ];
        if path.extension().is_some() {
            // A root for the derivation itself.
            std::os::unix::fs::symlink(path, &link).unwrap();
            let roots = builds.0.root().join("var/nix/gcroots");
            let roots = [roots, builds.0.root().join("nix/var/nix/gcroots")];
            let roots = roots
                .iter()
                .find(|roots| roots.exists())
                .expect("a place for roots");
            fs::remove_file(roots.join("it")).ok();
            std::os::unix::fs::symlink(&link, roots.join("it")).unwrap();
        } else {
            builds.0.run("rx-store", root).success();
        }
        let mut arguments = vec!["--gc", "--print-dead"];
        arguments.extend(settings);
        builds.0.run("rx-store", &arguments).out
    };
    let named =
        |text: &str, path: &Path| text.contains(path.file_name().unwrap().to_str().unwrap());
    let keeping = dead(&builds.real(&output), &[]);
    assert!(!named(&keeping, &derivation), "{keeping}");
    let apart = dead(
        &builds.real(&output),
        &["--option", "keep-derivations", "false"],
    );
    assert!(named(&apart, &derivation), "{apart}");
    let apart = dead(&derivation, &[]);
    assert!(named(&apart, &builds.real(&output)), "{apart}");
    let keeping = dead(&derivation, &["--option", "keep-outputs", "true"]);
    assert!(!named(&keeping, &builds.real(&output)), "{keeping}");
}

#[test]
fn groups_that_cannot_be_given_up_are_kept_only_if_that_is_allowed() {
    if !isolated() {
        return;
    }
    let builds = Builds::with("");
    // Root of a namespace that was made without privileges cannot set groups.
    let build = |option: &str| {
        let line = format!("rx-build --no-out-link --argstr text :>$out {option}");
        builds.0.inside(":", &line)
    };
    let Some(refused) = build("--option require-drop-supplementary-groups true") else {
        return;
    };
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(refused.err.contains("setgroups failed"), "{}", refused.err);
    let kept = build("").unwrap();
    assert_eq!(kept.code, 0, "{}", kept.err);
}

#[test]
fn builds_go_on_without_a_sandbox_where_there_can_be_none_if_that_is_allowed() {
    let builds = Builds::with("");
    let limits = "for what in user mnt pid; do echo 0 > /proc/sys/user/max_${what}_namespaces || exit 199; done";
    let build = |option: &str| {
        let line = format!("rx-build --no-out-link --argstr text :>$out {option}");
        builds.0.inside(limits, &line)
    };
    let Some(refused) = build("--option sandbox-fallback false") else {
        return;
    };
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(refused.err.contains("kernel namespaces"), "{}", refused.err);
    let built = build("").unwrap();
    assert_eq!(built.code, 0, "{}", built.err);
    assert!(
        built.err.contains("auto-disabling sandboxing"),
        "{}",
        built.err
    );
    // Without a sandbox, nobody would find the outputs of a store that lies elsewhere.
    let elsewhere = builds.0.root().join("elsewhere");
    let refused = build(&format!("--store {}", elsewhere.display())).unwrap();
    assert_eq!(refused.code, 1, "{}", refused.err);
}

#[test]
fn a_store_and_other_paths_can_lie_where_only_their_owner_may_go() {
    if !isolated() {
        return;
    }
    let builds = Builds::with("");
    let closed = builds.0.root().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
    fs::write(closed.join("file"), "shown\n").unwrap();
    let store = closed.join("store").display().to_string();
    let paths = format!("/shown={0}/file /missing={0}/none?", closed.display());
    let options = ["--store", &store, "--option", "extra-sandbox-paths", &paths];
    let text = "read line < /shown; echo $line > $out; test ! -e /missing";
    let run = builds.build(text, &options);
    let output = builds.real(&run.out);
    let output = Path::new(&store)
        .join("nix/store")
        .join(output.file_name().unwrap());
    assert_eq!(fs::read_to_string(output).unwrap(), "shown\n");
}

#[test]
fn a_builder_can_build_in_a_sandbox_of_its_own() {
    if !isolated() {
        return;
    }
    let builds = Builds::with("");
    let root = builds.0.root();
    let program = root.join("rx-inside");
    fs::copy(env!("CARGO_BIN_EXE_rx"), &program).unwrap();
    fs::set_permissions(root, PermissionsExt::from_mode(0o755)).unwrap();
    let text = r#"
        cat > inner.nix <<'END'
        derivation {
          name = "inner"; system = builtins.currentSystem; builder = "/bin/sh";
          args = [ "-c" "if test -e /inner; then exit 1; fi; echo inner $PWD > $out" ];
        }
END
        export HOME=$PWD NIX_CONF_DIR=$PWD; unset NIX_STORE
        path=$(/inner/rx-build --store $PWD/store --no-out-link --option substituters '' \
          --option sandbox true --option sandbox-fallback false \
          --option sandbox-paths '/usr? /lib? /lib64?' inner.nix) || exit
        read line < store$path
        echo outer $PWD, $line > $out
    "#;
    let paths = format!("/inner/rx-build={}", program.display());
    let run = builds.try_build(text, &["--option", "extra-sandbox-paths", &paths]);
    if run.err.contains("kernel namespaces") {
        println!("this machine gives no namespaces to builders: not tried");
        return;
    }
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(
        fs::read_to_string(builds.real(&run.out)).unwrap(),
        "outer /build, inner /build\n"
    );
}

#[test]
fn builders_work_where_settings_say() {
    if !isolated() {
        return;
    }
    let builds = Builds::with("sandbox-build-dir = /work/here");
    let outside = builds.0.work().join("outside");
    fs::create_dir(&outside).unwrap();
    let text = "echo $PWD $NIX_BUILD_TOP > $out";
    let run = builds.build(text, &[]);
    assert_eq!(
        fs::read_to_string(builds.real(&run.out)).unwrap(),
        "/work/here /work/here\n"
    );
    let kept = ["-K", "--option", "build-dir", outside.to_str().unwrap()];
    let run = builds.try_build("echo left > file; exit 1", &kept);
    assert_eq!(run.code, 100);
    let build = fs::read_dir(&outside).unwrap().next().unwrap().unwrap();
    let left = build.path().join("build/file");
    assert_eq!(fs::read_to_string(left).unwrap(), "left\n");
    let relative = builds
        .0
        .run("rx", ["build", "--build-dir", "here", "nothing"]);
    assert!(
        relative.err.contains("not an absolute path"),
        "{}",
        relative.err
    );
}

#[test]
fn shared_memory_is_as_large_as_settings_say() {
    if !(isolated() && has("df")) {
        return;
    }
    let text = "df -k /dev/shm > $out";
    let builds = Builds::with("sandbox-dev-shm-size = 5m");
    let run = builds.build(text, &[]);
    let found = fs::read_to_string(builds.real(&run.out)).unwrap();
    assert!(found.contains(" 5120 "), "{found}");
    let wrong = Builds::with("sandbox-dev-shm-size = much").try_build(text, &[]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.contains("/dev/shm"), "{}", wrong.err);
    assert!(!wrong.err.contains("sandbox-paths"), "{}", wrong.err);
}

#[test]
fn a_derivation_sees_files_of_the_host_only_if_both_sides_agree() {
    let builds = Builds::with("");
    let more = [
        "--argstr",
        "more",
        r#"{ __impureHostDeps = [ "/some/where" ]; }"#,
    ];
    let run = builds.try_build("echo x > $out", &more);
    if !isolated() {
        return;
    }
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("not in allowed-impure-host-deps"),
        "{}",
        run.err
    );
}

#[test]
fn a_log_ends_at_its_limit_and_shows_what_came_before() {
    let builds = Builds::with("max-build-log-size = 100");
    let run = builds.try_build("while :; do echo a line of it; done", &[]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("a line of it"), "{}", run.err);
    assert!(
        run.err
            .contains("killed after writing more than 100 bytes of log output"),
        "{}",
        run.err
    );
}

#[test]
fn logs_are_kept_packed_or_not_at_all_as_settings_say() {
    for (settings, kept) in [
        ("", Some("drv.bz2")),
        ("compress-build-log = false", Some(".drv")),
        ("keep-build-log = false", None),
    ] {
        let builds = Builds::with(settings);
        let run = builds.build("echo some words; echo x > $out", &[]);
        let logs = builds.logs();
        match kept {
            Some(end) => {
                let [log] = &logs[..] else { panic!("{logs:?}") };
                assert!(log.to_string_lossy().ends_with(end), "{log:?}");
                let path = builds.real(&run.out);
                let read = builds
                    .0
                    .run("rx-store", ["--read-log", path.to_str().unwrap()]);
                assert_eq!(read.out, "some words\n", "{}", read.err);
            }
            None => assert!(logs.is_empty(), "{logs:?}"),
        }
    }
}

#[test]
fn builders_are_told_how_many_processors_to_use() {
    let builds = Builds::with("cores = 3");
    let cores = |more: &[&str]| {
        let run = builds.build(
            &format!("echo $NIX_BUILD_CORES > $out # {}", more.len()),
            more,
        );
        fs::read_to_string(builds.real(&run.out)).unwrap()
    };
    assert_eq!(cores(&[]), "3\n");
    assert_eq!(cores(&["--cores", "7"]), "7\n");
    let all = std::thread::available_parallelism().unwrap();
    assert_eq!(
        cores(&["--cores", "0", "--argstr", "name", "all"]),
        format!("{all}\n")
    );
    // What a derivation says itself comes first.
    let own = ["--argstr", "more", r#"{ NIX_BUILD_CORES = "99"; }"#];
    assert_eq!(cores(&own), "99\n");
}

#[test]
fn large_things_that_are_copied_to_the_store_are_told() {
    let builds = Builds::with("warn-large-path-threshold = 1000");
    builds.0.write("large", &"x".repeat(2000));
    builds.0.write("small", "x");
    let run = builds.0.run("rx-store", ["--add", "large"]);
    assert!(run.err.contains("copied large path"), "{}", run.err);
    let run = builds.0.run("rx-store", ["--add", "small"]);
    assert_eq!(run.err, "");
}
