//! Searching for packages: what is found, what is shown, and that the index keeps up with what changes.

mod common;

use std::fmt::Write as _;
use std::process::Command;

use common::Place;
use common::processes::tell;
use rustix::process::Signal;

/// A package expression.
fn package(name: &str, description: &str) -> String {
    format!("{{ type = \"derivation\"; name = \"{name}\"; meta.description = \"{description}\"; }}")
}

/// A place with a file of a few packages.
fn small() -> Place {
    let place = Place::new();
    place.write("a.nix", &package("alpha-1.0", "the first letter"));
    place.write("b.nix", &package("beta-2.0", "the letter after alpha"));
    place.write(
        "default.nix",
        "{ a = import ./a.nix; b = import ./b.nix;
           set = { recurseForDerivations = true; c = import ./b.nix // { name = \"gamma-3\"; }; };
           hidden = { d = import ./a.nix; };
           bad = throw \"never mind\"; worse = import ./missing.nix; number = 1; }",
    );
    place
}

/// What a search for everything finds, as JSON.
fn everything(place: &Place) -> String {
    place
        .run("rx", ["search", "-f", ".", "", "^", "--json"])
        .success()
}

/// Standard error of a talkative search for everything.
fn told(place: &Place) -> String {
    let outcome = place.run("rx", ["search", "-v", "-f", ".", "", "^", "--json"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    outcome.err
}

#[test]
fn packages_are_found_by_attribute_name_and_description() {
    let place = small().with("NO_COLOR", "1");
    let found = place
        .run("rx", ["search", "-f", ".", "", "ALPHA"])
        .success();
    // The package of that name comes first, then the one that mentions it.
    assert_eq!(
        found,
        "* a (1.0)\n  the first letter\n\n* b (2.0)\n  the letter after alpha\n\n* set.c (3)\n  the letter after alpha\n"
    );
    let found = place.run("rx", ["search", "-f", ".", "", "letter", "first"]);
    assert_eq!(found.success(), "* a (1.0)\n  the first letter\n");
    let found = place.run(
        "rx",
        ["search", "-f", ".", "", "^", "-e", "after", "-e", "x"],
    );
    assert_eq!(found.success(), "* a (1.0)\n  the first letter\n");
    let found = place.run("rx", ["search", "-f", ".", "set", "gamma"]);
    assert_eq!(found.success(), "* set.c (3)\n  the letter after alpha\n");
    let found = place.run("rx", ["search", "--expr", "import ./.", "a", "^"]);
    assert_eq!(found.success(), "* a (1.0)\n  the first letter\n");
}

#[test]
fn a_search_without_result_or_pattern_fails() {
    let place = small();
    let none = place.run("rx", ["search", "-f", ".", "", "nosuchthing"]);
    assert!(none.out.is_empty());
    assert!(
        none.failure()
            .contains("no results for the given search term(s)!")
    );
    let none = place.run("rx", ["search", "-f", ".", "", "nosuchthing", "--json"]);
    assert_eq!(none.success().trim(), "{}");
    let none = place.run("rx", ["search", "-f", ".", ""]).failure();
    assert!(none.contains("Must provide at least one regex!"), "{none}");
    let none = place.run("rx", ["search", "-f", ".", "", "a("]).failure();
    assert!(none.contains("'a(' is not a regular expression"), "{none}");
    let none = place.run("rx", ["search", "hello"]).failure();
    assert!(none.contains("there is nothing to search"), "{none}");
}

#[test]
fn matches_are_marked() {
    let place = small();
    let found = place.run("rx", ["search", "-f", ".", "", "lett", "tter after"]);
    assert!(
        found
            .success()
            .contains("  the \u{1b}[32;1mletter after\u{1b}[0m alpha\n")
    );
}

#[test]
fn packages_marked_as_broken_are_only_counted() {
    let place = Place::new().with("NO_COLOR", "1");
    place.write(
        "default.nix",
        "let p = name: broken: { type = \"derivation\"; inherit name; meta = { inherit broken; }; };
         in { a = p \"a-1\" true; b = p \"b-1\" false; c = p \"c-1\" (throw \"?\"); }",
    );
    let outcome = place.run("rx", ["search", "-f", ".", "", "^"]);
    assert!(outcome.err.contains("1 more package is marked as broken"));
    assert_eq!(outcome.success(), "* b (1)\n\n* c (1)\n");
    assert!(everything(&place).contains("\"a\":"));
}

#[test]
fn channels_and_the_search_path_are_searched_under_their_names() {
    let place = small().with("NO_COLOR", "1");
    let nixpkgs = format!("nixpkgs={}", place.work().display());
    let place = place.with("NIX_PATH", &nixpkgs);
    let channel = place.root().join("home/.nix-defexpr/channels/extra");
    std::fs::create_dir_all(&channel).unwrap();
    let text = format!("{{ z = {}; }}", package("zeta-9", "the letter zeta"));
    std::fs::write(channel.join("default.nix"), text).unwrap();
    assert_eq!(
        place.run("rx", ["search", "zeta"]).success(),
        "* extra.z (9)\n  the letter zeta\n"
    );
    assert_eq!(
        place.run("rx", ["search", "first", "alpha"]).success(),
        "* nixpkgs.a (1.0)\n  the first letter\n"
    );
    // With an installable, attributes are named as in the flake of that name.
    let found = place.run("rx", ["search", "nixpkgs", "gamma"]).success();
    assert!(found.starts_with("* legacyPackages."), "{found}");
    assert!(found.contains(".set.c (3)\n"), "{found}");
    let found = place.run("rx", ["search", "nixpkgs#set", "^", "--json"]);
    assert!(found.success().contains(".set.c\":"));
    let found = place.run("rx", ["search", "<nixpkgs>", "gamma"]).success();
    assert_eq!(found, "* set.c (3)\n  the letter after alpha\n");
}

#[test]
fn only_what_depends_on_a_changed_file_is_evaluated_again() {
    let place = small();
    let first = everything(&place);
    assert!(!told(&place).contains("have changed"));
    place.write("a.nix", &package("alpha-1.1", "the first letter"));
    let told_now = told(&place);
    assert!(
        told_now.contains("1 inputs have changed, 1 attributes depend on them"),
        "{told_now}"
    );
    assert_eq!(everything(&place), first.replace("1.0", "1.1"));
    // A file that is written again as it was changes nothing.
    place.write("a.nix", &package("alpha-1.1", "the first letter"));
    assert!(!told(&place).contains("have changed"));
    // Two attributes come from this one.
    place.write("b.nix", &package("beta-2.1", "new"));
    let told_now = told(&place);
    assert!(
        told_now.contains("2 attributes depend on them"),
        "{told_now}"
    );
    // What was missing is there.
    place.write("missing.nix", &package("found-1", ""));
    let told_now = told(&place);
    assert!(
        told_now.contains("1 attributes depend on them"),
        "{told_now}"
    );
    assert!(everything(&place).contains("\"worse\":"));
    // A package becomes a set.
    let set = format!(
        "{{ recurseForDerivations = true; x = {}; }}",
        package("x-1", "")
    );
    place.write("a.nix", &set);
    assert!(everything(&place).contains("\"a.x\":"));
    place.write("a.nix", &set.replace("x-1", "x-2"));
    assert!(everything(&place).contains("\"pname\":\"x\",\"version\":\"2\""));
    place.write("a.nix", &package("alpha-2", ""));
    let all = everything(&place);
    assert!(all.contains("\"a\":") && !all.contains("\"a.x\""), "{all}");
    // A search in one package, and in a set that has an attribute of its own name.
    let search = |attribute: &str| {
        let found = place.run("rx", ["search", "-f", ".", attribute, "^", "--json"]);
        found.success()
    };
    assert!(search("a").starts_with("{\"a\":"));
    place.write("a.nix", &package("alpha-3", ""));
    assert!(search("a").contains("\"version\":\"3\""));
    place.write(
        "a.nix",
        &format!(
            "{{ recurseForDerivations = true; a = {}; }}",
            package("a-1", "")
        ),
    );
    assert!(search("a").starts_with("{\"a.a\":"));
    // And the root another.
    place.write("default.nix", "{ only = import ./b.nix; }");
    assert!(everything(&place).starts_with("{\"only\":"));
}

/// A search for people that has no time to evaluate anything.
fn hurried(place: &Place, pattern: &str) -> common::Outcome {
    let mut command = place.command("rx");
    command
        .args(["search", "-f", ".", "", pattern])
        .env("RX_SEARCH_PATIENCE", "0")
        .env("NO_COLOR", "1");
    place.outcome(&command.output().unwrap())
}

/// Searches until nothing is told to be old, which must come.
fn until_up_to_date(place: &Place, pattern: &str) -> String {
    for _ in 0..3000 {
        let outcome = hurried(place, pattern);
        if !outcome.err.contains("in the background") {
            return outcome.success();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("the index is never brought up to date");
}

#[test]
fn what_is_shown_without_having_been_looked_at_again_is_told_and_brought_up_to_date_later() {
    let place = small().with("NO_COLOR", "1");
    everything(&place);
    place.write("a.nix", &package("alpha-1.1", "the first letter"));
    let outcome = hurried(&place, "first");
    assert!(
        outcome.err.contains("a.nix' has changed"),
        "{}",
        outcome.err
    );
    assert!(
        outcome.err.contains("1 package is being looked at again")
            && outcome.err.contains("a is shown as it was (--wait waits)"),
        "{}",
        outcome.err
    );
    assert_eq!(outcome.success(), "* a (1.0)\n  the first letter\n");
    let new = "* a (1.1)\n  the first letter\n";
    assert_eq!(until_up_to_date(&place, "first"), new);
    // Who asks for it waits, and so do programs.
    place.write("a.nix", &package("alpha-1.3", "the first letter"));
    assert!(everything(&place).contains("1.3"));
    place.write("a.nix", &package("alpha-1.4", "the first letter"));
    let waiting = ["search", "--wait", "-f", ".", "", "first"];
    assert!(place.run("rx", waiting).success().contains("1.4"));
}

#[test]
fn what_does_not_depend_on_a_change_is_shown_as_up_to_date() {
    let place = small();
    everything(&place);
    place.write("a.nix", &package("alpha-1.2", "the first letter"));
    let outcome = hurried(&place, "beta");
    assert!(
        outcome.err.contains("those shown are up to date"),
        "{}",
        outcome.err
    );
    assert_eq!(outcome.success(), "* b (2.0)\n  the letter after alpha\n");
}

#[test]
fn that_nothing_is_found_is_not_said_before_all_is_looked_at() {
    let place = small();
    everything(&place);
    place.write("a.nix", &package("new-1", "something else"));
    let outcome = hurried(&place, "something else");
    assert_eq!(outcome.success(), "* a (1)\n  something else\n");
}

#[test]
fn a_change_that_everything_depends_on_is_told_as_such() {
    let place = small();
    everything(&place);
    place.write(
        "default.nix",
        &format!("{{ b = {}; }}", package("beta-3", "the letter")),
    );
    // A program may be in a hurry, too.
    let mut hasty = place.command("rx");
    hasty
        .args(["search", "--no-wait", "--json", "-f", ".", "", "beta"])
        .env("RX_SEARCH_PATIENCE", "0");
    let outcome = place.outcome(&hasty.output().unwrap());
    assert!(
        outcome
            .err
            .contains("all packages are being looked at again"),
        "{}",
        outcome.err
    );
    assert!(outcome.success().contains("\"version\":\"2.0\""));
    assert_eq!(until_up_to_date(&place, "beta"), "* b (3)\n  the letter\n");
}

#[test]
fn a_mistake_in_the_root_is_told_although_the_old_packages_are_known() {
    let place = small();
    everything(&place);
    place.write("default.nix", "{ a = ");
    let mut command = place.command("rx");
    command
        .args(["search", "-f", ".", "", "alpha"])
        .env("RX_SEARCH_PATIENCE", "60000");
    let outcome = place.outcome(&command.output().unwrap());
    assert!(outcome.failure().contains("syntax error"));
}

#[test]
fn a_damaged_index_is_made_anew() {
    let place = small();
    let first = everything(&place);
    let dir = place.root().join("home/.cache/rx/search");
    let files = || -> Vec<_> {
        let entries = std::fs::read_dir(&dir).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    for file in files() {
        if file.extension().is_some_and(|e| e == "index") {
            let mut bytes = std::fs::read(&file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xff;
            std::fs::write(&file, bytes).unwrap();
        }
    }
    assert_eq!(everything(&place), first);
    assert!(files().iter().all(|file| !file.ends_with("partial")));
    // And where none can be kept, none is.
    std::fs::remove_dir_all(place.root().join("home/.cache")).unwrap();
    std::fs::write(place.root().join("home/.cache"), "no directory").unwrap();
    assert_eq!(everything(&place), first);
}

#[test]
fn a_large_set_is_indexed_by_workers_and_gives_the_same() {
    let place = Place::new();
    let mut all = String::from("{\n");
    for n in 0..620 {
        place.write(
            &format!("p/{n}.nix"),
            &format!("{{ shared }}: {}", package(&format!("p{n}-1"), "x")),
        );
        let _ = writeln!(
            all,
            "p{n} = import ./p/{n}.nix {{ shared = import ./shared.nix; }};"
        );
    }
    all.push_str("nested = { recurseForDerivations = true;\n");
    for n in 0..20 {
        let _ = writeln!(
            all,
            "q{n} = import ./p/{n}.nix {{ shared = null; }} // {{ name = \"q{n}-${{import ./version.nix}}\"; }};"
        );
    }
    all.push_str("};\n}\n");
    place.write("default.nix", &all);
    place.write("shared.nix", "1");
    place.write("version.nix", "\"7\"");
    let first = everything(&place);
    assert_eq!(first.matches("\"pname\"").count(), 640);
    assert!(first.contains("\"pname\":\"q3\",\"version\":\"7\""));
    assert!(!told(&place).contains("have changed"));
    place.write("p/3.nix", &format!("_: {}", package("p3-2", "y")));
    let told_now = told(&place);
    assert!(
        told_now.contains("1 inputs have changed, 2 attributes depend on them"),
        "{told_now}"
    );
    let now = everything(&place);
    assert!(now.contains("\"pname\":\"p3\",\"version\":\"2\""), "{now}");
    // All in the nested set depend on this one.
    place.write("version.nix", "\"8\"");
    assert_eq!(everything(&place).matches("\"version\":\"8\"").count(), 20);
}

#[test]
fn flakes_are_searched_by_reference_directory_and_registered_name() {
    let place = Place::new().with("NO_COLOR", "1");
    place.configure("experimental-features = nix-command flakes\nflake-registry =\n");
    let system = format!("{}-linux", std::env::consts::ARCH);
    let flake = |version: u32| {
        format!(
            "{{ outputs = _: {{
                 packages.{system}.a = {};
                 packages.other-system.z = throw \"of another system\";
                 legacyPackages.{system} = {{ b = {}; set = {{ recurseForDerivations = true; c = {}; }}; }};
                 hidden.d = {};
               }}; }}",
            package(&format!("alpha-{version}"), "first"),
            package("beta-2", "second"),
            package("gamma-3", "third"),
            package("delta-4", "fourth"),
        )
    };
    place.write("flake/flake.nix", &flake(1));
    let all = place.line("rx search ./flake ^ --json").success();
    let found: Vec<&str> = all
        .split('"')
        .filter(|text| text.contains(&system))
        .collect();
    assert_eq!(
        found,
        [
            format!("legacyPackages.{system}.b"),
            format!("legacyPackages.{system}.set.c"),
            format!("packages.{system}.a"),
        ]
    );
    let one = format!("* packages.{system}.a (1)\n  first\n");
    let reference = format!("path:{}/flake", place.work().display());
    let line = format!("rx search {reference} alpha");
    assert_eq!(place.line(&line).success(), one);
    place
        .line(&format!("rx registry add mine {reference}"))
        .success();
    assert_eq!(place.line("rx search mine alpha").success(), one);
    // What is in an attribute, what is no set of packages, what is not there.
    let below = place.line("rx search mine#set ^").success();
    assert_eq!(
        below,
        format!("* legacyPackages.{system}.set.c (3)\n  third\n")
    );
    let hidden = place.line("rx search mine#hidden.d ^").success();
    assert_eq!(hidden, "* hidden.d (4)\n  fourth\n");
    let unknown = place.line("rx search mine#sett ^").failure();
    assert!(unknown.contains("does not provide attribute"), "{unknown}");
    // Another tree is searched as it is.
    place.write("flake/flake.nix", &flake(5));
    let now = place.line("rx search mine alpha").success();
    assert_eq!(now, one.replace("(1)", "(5)"));
    // A word that is no flake's name is a word.
    let none = place.line("rx search other alpha").failure();
    assert!(none.contains("there is nothing to search"), "{none}");
}

/// A root of two attributes: in one are a set of `count` packages and a small set, and so on once more inside.
fn nested(place: &Place, count: usize) {
    let set = |from: usize| {
        let mut text = String::from("{ recurseForDerivations = true;\n");
        for n in from..from + count {
            let _ = writeln!(text, "p{n} = import ./package.nix {n};");
        }
        text
    };
    place.write(
        "package.nix",
        "n: { type = \"derivation\"; name = \"p${toString n}-${import ./version.nix}\"; }",
    );
    place.write("version.nix", "\"1\"");
    place.write(
        "default.nix",
        &format!(
            "{{ legacyPackages.here = {} inner = {} }};
               small = {{ recurseForDerivations = true; a = import ./package.nix 9000; }}; }};
               other = import ./package.nix 9001; }}",
            set(0),
            set(1000)
        ),
    );
}

#[test]
fn a_set_of_many_in_a_small_root_is_shared_by_workers_however_often_they_begin_anew() {
    let place = Place::new();
    nested(&place, 300);
    let first = everything(&place);
    assert_eq!(first.matches("\"pname\"").count(), 602);
    assert!(
        first.contains("\"legacyPackages.here.inner.p1299\":"),
        "{first}"
    );
    // Each worker ends after some of the answers, the next one goes on.
    let command = ["search", "-f", "./default.nix", "", "^", "--json"];
    let again = place.with("RX_SEARCH_MEMORY", "50000");
    assert_eq!(again.run("rx", command).success(), first);
    // All of them are scanned again, then none.
    again.write("version.nix", "\"2\"");
    let changed = everything(&again);
    assert_eq!(
        changed,
        first.replace("\"version\":\"1\"", "\"version\":\"2\"")
    );
    assert!(!told(&again).contains("changed"));
}

/// A generator of numbers, so that a failure can be had again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Twenty packages that look at each other, at files, directories and variables, in many ways.
fn write_package(place: &Place, n: u64, numbers: &mut Numbers) {
    let (i, j, v) = (numbers.below(20), numbers.below(20), numbers.below(6));
    let version = match numbers.below(7) {
        0 => format!("(import ../v{v}.nix)"),
        1 => format!("(builtins.tryEval (all.p{i}.version or \"none\")).value or \"cyclic\""),
        2 => "(toString (builtins.length (builtins.attrNames (builtins.readDir ../dir))))".into(),
        3 => format!("(if builtins.pathExists ../dir/{v} then \"there\" else \"missing\")"),
        4 => format!("(lib.pick all.p{i}.known all.p{j}.known)"),
        5 => format!("(builtins.readFile ../v{v}.nix)"),
        _ => format!("\"{n}.{v}\""),
    };
    let known = match numbers.below(4) {
        0 => format!("import ../v{v}.nix"),
        1 => "lib.text".to_owned(),
        2 if n > 0 => format!("all.p{}.known", numbers.below(n)),
        _ => format!("\"k{n}\""),
    };
    place.write(
        &format!("p/{n}.nix"),
        &format!(
            "{{ all, lib }}: let self = {{ type = \"derivation\"; version = {version}; known = {known};
               name = \"p{n}-${{toString (builtins.stringLength self.version)}}\";
               meta.description = \"${{self.known}} ${{lib.text}}\"; }}; in self"
        ),
    );
}

#[test]
fn an_index_that_was_kept_up_to_date_is_the_one_that_is_made_anew() {
    let place = Place::new();
    let mut numbers = Numbers(20);
    let mut all = String::from(
        "let lib = { text = import ./text.nix; pick = a: b: if a < b then a else b; }; all = {\n",
    );
    for n in 0..20 {
        let _ = writeln!(all, "p{n} = import ./p/{n}.nix {{ inherit all lib; }};");
        write_package(&place, n, &mut numbers);
    }
    all.push_str(
        "sub = { recurseForDerivations = import ./flag.nix; x = all.p1 // { inherit (all.p2) meta; }; };
         }; in all\n",
    );
    place.write("default.nix", &all);
    place.write("text.nix", "\"text\"");
    place.write("flag.nix", "true");
    for v in 0..6 {
        place.write(&format!("v{v}.nix"), &format!("\"v{v}\""));
    }
    place.write("dir/0", "");
    for round in 0..40 {
        match numbers.below(8) {
            0 => {
                let text = format!("\"text{}\"", numbers.below(100));
                place.write("text.nix", &text);
            }
            1 => {
                let flag = ["true", "false"][numbers.below(2) as usize];
                place.write("flag.nix", flag);
            }
            2 => {
                place.write(&format!("dir/{}", numbers.below(9)), "");
            }
            3 | 4 => {
                let (v, text) = (numbers.below(6), "x".repeat(numbers.below(9) as usize));
                place.write(&format!("v{v}.nix"), &format!("\"{text}\""));
            }
            5 => {
                let broken = numbers.below(20);
                place.write(&format!("p/{broken}.nix"), "{ all, lib }: throw \"no\"");
            }
            _ => {
                let n = numbers.below(20);
                write_package(&place, n, &mut numbers);
            }
        }
        let kept = everything(&place);
        let mut fresh = place.command("rx");
        fresh
            .args(["search", "-f", ".", "", "^", "--json"])
            .env("XDG_CACHE_HOME", place.root().join(format!("cache{round}")));
        assert_eq!(kept, output(&mut fresh), "round {round}");
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_search_goes_on_where_it_was_interrupted() {
    let place = Place::new();
    let mut all = String::from("{\n");
    for n in 0..600 {
        place.write(
            &format!("p/{n}.nix"),
            &package(&format!("p{n}-1"), "something"),
        );
        let _ = writeln!(all, "p{n} = import ./p/{n}.nix;");
    }
    // The last one takes a while.
    all.push_str("z = builtins.foldl' (a: b: a + b) 0 (builtins.genList (x: x) 3000000); }\n");
    place.write("default.nix", &all);
    let mut child = place
        .command("rx")
        .args(["search", "-f", ".", "", "^", "--json"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    tell(&child, Signal::INT);
    child.wait().unwrap();
    // Whatever was done by then: the next search is whole.
    let found = everything(&place);
    assert_eq!(found.matches("\"pname\"").count(), 600);
}

#[test]
fn a_search_that_is_killed_at_any_moment_leaves_nothing_that_stays() {
    let place = Place::new();
    let mut all = String::from("let v = import ./v.nix; in {\n");
    for n in 0..520 {
        place.write(
            &format!("p/{n}.nix"),
            &format!("v: {}", package(&format!("p{n}-${{v}}"), "x")),
        );
        let _ = writeln!(all, "p{n} = import ./p/{n}.nix v;");
    }
    all.push_str("}\n");
    place.write("default.nix", &all);
    let mut numbers = Numbers(7);
    for round in 0..12 {
        place.write("v.nix", &format!("\"{round}\""));
        let mut child = place
            .command("rx")
            .args(["search", "-f", ".", "", "^", "--wait"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let moment = std::time::Duration::from_millis(numbers.below(400));
        std::thread::sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        if round % 3 == 2 {
            let found = everything(&place);
            let version = format!("\"version\":\"{round}\"");
            assert_eq!(found.matches(&version).count(), 520, "round {round}");
        }
    }
    // What a killed process was writing is taken away some time later.
    let dir = place.root().join("home/.cache/rx/search");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(24 * 3600);
    let left = std::fs::File::create(dir.join(".tmpleft")).unwrap();
    left.set_modified(old).unwrap();
    for entry in std::fs::read_dir(&dir).unwrap().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".tmp") {
            let file = std::fs::File::open(entry.path()).unwrap();
            file.set_modified(old).unwrap();
        }
    }
    place.write("v.nix", "\"last\"");
    everything(&place);
    let mut kinds: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .flatten()
        .map(|entry| entry.path().extension().map(std::ffi::OsStr::to_owned))
        .collect();
    kinds.sort();
    assert_eq!(kinds, [Some("index".into()), Some("lock".into())]);
}

#[test]
fn newer_versions_of_what_is_installed_are_listed() {
    let place = Place::new();
    let text = format!(
        "{{ a = {}; b = {}; old = {}; }}",
        package("alpha-1.10", ""),
        package("beta-2.0", ""),
        package("beta-1.0", "")
    );
    place.write("default.nix", &text);
    let store = place.root().join("store");
    let path = |name: &str| {
        let hash = "0123456789abcdfghijklmnpqrsvwxyz";
        format!("{}/{hash}-{name}", store.display())
    };
    let profile = place.root().join("profile");
    std::fs::create_dir(&profile).unwrap();
    let element = |name: &str| {
        format!(
            "{{ \"active\": true, \"priority\": 5, \"storePaths\": [\"{}\"] }}",
            path(name)
        )
    };
    let manifest = format!(
        "{{ \"version\": 3, \"elements\": {{ \"alpha\": {}, \"beta\": {}, \"other\": {} }} }}",
        element("alpha-1.9"),
        element("beta-2.0"),
        element("other-1")
    );
    std::fs::write(profile.join("manifest.json"), manifest).unwrap();
    let profile = profile.display().to_string();
    let check = ["upgrade-check", "--profile", &profile, "-f", "."];
    let outcome = place.run("rx", check).success();
    assert_eq!(outcome, "alpha  1.9 -> 1.10  a\n");
    let all = place.run("rx", check.iter().chain(&["--json"])).success();
    for status in ["outdated", "current", "unknown"] {
        assert_eq!(all.matches(&format!("\"status\":\"{status}\"")).count(), 1);
    }
}
