//! What garbage collection keeps, and telling what takes the space.

mod common;

use common::Place;

const FILE: &str = r#"
{ text ? "one" }:
derivation {
  name = "thing-${text}";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ "-c" "echo ${text} > $out" ];
}
"#;

fn place() -> Place {
    let place = Place::new();
    place.configure("substituters =\nbuild-users-group =\nexperimental-features = nix-command\n");
    place.write("default.nix", FILE);
    place
}

/// Makes generations of a profile and gives its path.
fn profile(place: &Place, texts: &[&str]) -> String {
    let profile = place.root().join("var/nix/profiles/p");
    std::fs::create_dir_all(profile.parent().unwrap()).unwrap();
    let profile = profile.display().to_string();
    for text in texts {
        let run = place.run(
            "rx",
            [
                "build",
                "-f",
                ".",
                "--argstr",
                "text",
                text,
                "--profile",
                &profile,
                "--no-link",
            ],
        );
        assert_eq!(run.code, 0, "{}", run.err);
    }
    profile
}

fn generations(place: &Place) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(place.root().join("var/nix/profiles"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with("-link"))
        .collect();
    names.sort();
    names
}

#[test]
fn the_newest_generations_are_kept_and_the_rest_is_collected() {
    let place = place();
    profile(&place, &["a", "b", "c", "d"]);
    let dry = place.line("rx-collect-garbage --keep 2 --dry-run");
    assert_eq!(dry.code, 0, "{}", dry.err);
    assert_eq!(generations(&place).len(), 4);
    let run = place.line("rx-collect-garbage --keep 2");
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(generations(&place), ["p-3-link", "p-4-link"]);
    let left: Vec<String> = std::fs::read_dir(place.root().join("store"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("-thing-") && !name.ends_with(".drv"))
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn young_generations_are_kept_however_many_there_are() {
    let place = place();
    profile(&place, &["a", "b", "c"]);
    let run = place.line("rx store gc --keep 1 --keep-since 14d");
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(generations(&place).len(), 3);
    let run = place.line("rx store gc --keep 1");
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(generations(&place), ["p-3-link"]);
    let both = place.line("rx-collect-garbage -d --keep 1");
    assert_eq!(both.code, 1);
}

#[test]
fn roots_and_sizes_are_told() {
    let place = place();
    let profile = profile(&place, &["a", "b"]);
    let roots = place.line("rx store roots --json").success();
    assert!(roots.contains("DIR/var/nix/profiles/p-1-link"), "{roots}");
    assert!(roots.contains("\"freedPaths\":"), "{roots}");
    let way = place.run("rx", ["store", "roots", &profile]).success();
    assert!(way.starts_with("DIR/var/nix/profiles/p-2-link\n"), "{way}");
    assert!(way.contains("-thing-b"), "{way}");
    let usage = place.line("rx store du --json").success();
    assert!(usage.contains("\"deadPaths\":"), "{usage}");
    let text = place.line("rx store du").success();
    assert!(text.contains("FREES") && text.contains("thing"), "{text}");
}

#[test]
fn what_a_package_fetches_is_downloaded_by_its_attribute() {
    let place = place();
    let source = place.write("source.txt", "content\n");
    place.write(
        "package.nix",
        &format!(
            r#"{{ src = {{ urls = [ "file://{}" ]; name = "renamed"; outputHashMode = "flat"; }}; }}"#,
            source.display()
        ),
    );
    let run = place.run(
        "rx-prefetch-url",
        ["-A", "src", "package.nix", "--print-path"],
    );
    assert_eq!(run.code, 0, "{}", run.err);
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.out);
    assert!(lines[1].ends_with("-renamed"), "{}", run.out);
}
