//! Examples for the help and the manual pages: what people call a command for, most wanted first.
//!
//! A test reads each of them with the command's own options.

/// A command line without the program, and what it does.
type Example = (&'static str, &'static str);

/// Examples of the subcommands of `rx`, by their path.
#[rustfmt::skip]
const MODERN: &[(&str, &[Example])] = &[
    ("build", &[
        ("build", "the default package of the flake here"),
        ("build -f . tool -o tool", "an attribute of default.nix, with the link 'tool'"),
        ("build nixpkgs#hello --dry-run", "what would be built and fetched"),
    ]),
    ("eval", &[
        ("eval --expr '1 + 2'", "the value of an expression"),
        ("eval --json -f . meta", "an attribute of default.nix as JSON"),
        ("eval --raw nixpkgs#hello.version", "a text as it is"),
    ]),
    ("flake check", &[
        ("flake check", "evaluates what the flake here offers, and builds its checks"),
        ("flake check --no-build", "only evaluates"),
    ]),
    ("flake show", &[("flake show github:NixOS/patchelf", "what a flake offers, as a tree")]),
    ("flake metadata", &[("flake metadata nixpkgs", "where it comes from, and its inputs")]),
    ("flake update", &[
        ("flake update", "all inputs of the flake here"),
        ("flake update nixpkgs", "one input"),
    ]),
    ("flake lock", &[("flake lock --override-input nixpkgs ./nixpkgs", "locks an input to another tree")]),
    ("flake init", &[("flake init -t templates#rust", "a template of a flake, into this directory")]),
    ("flake new", &[("flake new -t templates#rust project", "a template of a flake, into a new directory")]),
    ("flake clone", &[("flake clone github:NixOS/patchelf --dest patchelf", "the whole repository")]),
    ("flake archive", &[("flake archive --to file:///mnt/cache", "copies the flake here and its inputs to a cache")]),
    ("flake prefetch", &[("flake prefetch github:NixOS/patchelf", "the tree, and its hash")]),
    ("registry add", &[("registry add mine path:/home/me/mine", "from then on, mine#tool is a package of that flake")]),
    ("registry pin", &[("registry pin nixpkgs", "nixpkgs stays what it is today")]),
    ("registry remove", &[("registry remove mine", "forgets the name")]),
    ("home switch", &[
        ("home switch", "home-manager/home.nix in the configuration directory"),
        ("home switch --flake .#me", "a configuration of the flake here"),
        ("home switch -n", "only says what would be done"),
    ]),
    ("home option", &[("home option programs.git.enable", "its value, type and description")]),
    ("home expire-generations", &[("home expire-generations 30d", "those older than thirty days")]),
    ("home rollback", &[("home rollback", "activates the generation before the current one")]),
    ("os switch", &[
        ("os switch", "/etc/nixos/configuration.nix, or <nixos-config>"),
        ("os switch --flake .#host", "a configuration of the flake here"),
        ("os switch --rollback", "back to the generation before"),
    ]),
    ("os build", &[("os build -f ./configuration.nix", "builds, and makes the link 'result'")]),
    ("os option", &[("os option services.openssh.enable", "its value, type and description")]),
    ("profile list", &[("profile list --json", "what is installed, for programs")]),
    ("profile remove", &[
        ("profile remove hello", "a package by its name"),
        ("profile remove --regex '.*-doc'", "packages by a pattern"),
    ]),
    ("profile upgrade", &[
        ("profile upgrade --all", "all packages"),
        ("profile upgrade hello --dry-run", "only shows what would change"),
    ]),
    ("profile rollback", &[("profile rollback --to 7", "to version 7, which 'rx profile history' lists")]),
    ("profile wipe-history", &[("profile wipe-history --older-than 30d", "versions older than thirty days")]),
    ("search", &[
        ("search nixpkgs json viewer", "packages that match both words"),
        ("search -f '<rx>' '' json", "in the package library of rx"),
    ]),
    ("upgrade-check", &[("upgrade-check", "what is installed and could be newer")]),
    ("log", &[
        ("log ./result", "how a result was built"),
        ("log nixpkgs#hello", "the log of a package, if need be from a cache"),
    ]),
    ("path-info", &[
        ("path-info -rSh ./result", "all that a result needs, with the sizes of the closures"),
        ("path-info --json ./result", "everything that is known of it"),
    ]),
    ("why-depends", &[("why-depends ./result /nix/store/…-gcc-14.3.0", "the shortest way from one to the other")]),
    ("store gc", &[
        ("store gc --dry-run", "how much would be freed"),
        ("store gc --keep 5", "keeps five generations of each profile"),
        ("store gc --max 10G", "stops when 10 GiB are freed"),
    ]),
    ("store delete", &[("store delete /nix/store/…-hello-2.12", "one path that nothing needs")]),
    ("store du", &[("store du", "which roots and packages take the space")]),
    ("store verify", &[
        ("store verify --all --no-trust", "the contents of the whole store"),
        ("store verify -r -n 1 ./result", "whether all of a closure is signed"),
    ]),
    ("store repair", &[("store repair /nix/store/…-hello-2.12", "fetches or builds it again if it is damaged")]),
    ("store optimise", &[("store optimise", "equal files take space once")]),
    ("store diff-closures", &[("store diff-closures ./before ./after", "versions and sizes that changed")]),
    ("store info", &[("store info --store https://cache.nixos.org", "whether a cache answers")]),
    ("store ls", &[("store ls -lR ./result", "the files of a store path")]),
    ("store cat", &[("store cat ./result/share/doc/README", "a file, also of a cache with --store")]),
    ("store add", &[("store add ./src --name source", "a directory into the store")]),
    ("store sign", &[("store sign -k secret-key -r ./result", "a closure")]),
    ("store copy-log", &[("store copy-log --to ssh://host ./result", "the log of a build to another machine")]),
    ("store prefetch-file", &[("store prefetch-file https://example.org/tool-1.0.tar.gz", "its hash for an expression")]),
    ("derivation show", &[("derivation show nixpkgs#hello", "the build plan as JSON")]),
    ("print-dev-env", &[("print-dev-env -f shell.nix", "a script with the variables and functions of the environment")]),
    ("nar pack", &[("nar pack ./src", "to standard output")]),
    ("nar ls", &[("nar ls -lR src.nar /", "all that is in an archive")]),
    ("nar cat", &[("nar cat src.nar /README", "a file in an archive")]),
    ("hash convert", &[("hash convert --to nix32 sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "in another notation")]),
    ("hash file", &[("hash file ./tool-1.0.tar.gz", "as fetchurl wants it")]),
    ("hash path", &[("hash path ./src", "as an output with a hash of trees wants it")]),
    ("key generate-secret", &[("key generate-secret --key-name cache.example.org-1", "for signing")]),
    ("config show", &[
        ("config show", "all settings in effect"),
        ("config show max-jobs", "the value of one"),
    ]),
    ("parse", &[("parse --tree -E 'x: x + 1'", "the lossless tree of an expression")]),
    ("doc", &[
        ("doc map", "a builtin"),
        ("doc mkDerivation", "a function of <rx>"),
        ("doc max-jobs", "a setting"),
    ]),
    ("doctor", &[
        ("doctor", "what builds and installations need"),
        ("doctor --offline", "without asking caches"),
    ]),
    ("completions", &[("completions bash", "a script: 'source <(rx completions bash)' in ~/.bashrc")]),
    ("man", &[("man ./share/man/man1", "writes the manual pages")]),
    ("links", &[("links --nix ~/bin", "nix, nix-build, nix-env … that are rx")]),
];

/// Examples of the classic commands, by their name without `rx-`.
#[rustfmt::skip]
const CLASSIC: &[(&str, &[Example])] = &[
    ("build", &[
        ("-A tool", "an attribute of default.nix, with the link 'result'"),
        ("'<nixpkgs>' -A hello --no-out-link", "a package, without a link"),
        ("-E 'with import <rx> { }; hello' --host-tools", "the value of an expression"),
    ]),
    ("instantiate", &[
        ("-A tool", "the derivation of an attribute of default.nix"),
        ("--eval --strict -E '1 + 2'", "the value of an expression"),
        ("--eval --json -A meta", "an attribute as JSON"),
    ]),
    ("shell", &[
        ("", "the environment of shell.nix or default.nix"),
        ("-p git jq", "packages of <nixpkgs>"),
        ("-p jq --run 'jq --version'", "a command with these packages"),
    ]),
    ("env", &[
        ("-f '<nixpkgs>' -iA hello", "installs a package"),
        ("-q", "what is installed"),
        ("-qaP 'python3.*'", "what there is"),
        ("-u", "upgrades what is installed"),
        ("-e hello", "removes a package"),
        ("--rollback", "goes back to the generation before"),
    ]),
    ("store", &[
        ("-qR ./result", "all that a result needs"),
        ("-q --roots ./result", "what keeps it from being collected"),
        ("-r /nix/store/…-hello.drv", "builds a derivation"),
        ("--verify --check-contents", "looks for damage"),
    ]),
    ("channel", &[
        ("--add https://nixos.org/channels/nixpkgs-unstable nixpkgs", "<nixpkgs> from a channel"),
        ("--update", "fetches the channels' newest states"),
    ]),
    ("collect-garbage", &[
        ("", "deletes what no root needs"),
        ("-d", "and old generations of profiles first"),
        ("--delete-older-than 30d", "or those older than thirty days"),
    ]),
    ("copy-closure", &[("--to me@host ./result", "a result and all that it needs, to another machine")]),
    ("hash", &[("--type sha256 --flat --base32 ./file", "of a file as older expressions want it")]),
    ("prefetch-url", &[
        ("https://example.org/tool-1.0.tar.gz", "its hash for an expression"),
        ("--unpack https://example.org/tool-1.0.tar.gz", "as fetchTarball wants it"),
    ]),
];

/// What a help says behind its options: longer text, and examples.
pub fn after_help(details: &str, examples: &str) -> String {
    let parts = [details.trim(), examples.trim_end()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

/// The examples of a subcommand, as its help shows them.
pub fn of_subcommand(path: &str) -> String {
    shown(MODERN, path, "rx ")
}

/// The examples of a classic command, as its help shows them.
pub fn of_classic(name: &str, program: &str) -> String {
    shown(CLASSIC, name, &format!("{program} "))
}

fn shown(table: &[(&str, &[Example])], name: &str, before: &str) -> String {
    let Some((_, examples)) = table.iter().find(|(known, _)| *known == name) else {
        return String::new();
    };
    let lines: Vec<String> = examples
        .iter()
        .map(|(line, _)| format!("{before}{line}").trim_end().to_owned())
        .collect();
    // What is longer than most does not push the others' explanations away.
    const WIDEST: usize = 44;
    let width = lines
        .iter()
        .map(|line| line.chars().count())
        .filter(|width| *width <= WIDEST)
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (line, (_, what)) in lines.iter().zip(*examples) {
        if text.is_empty() {
            text += "Examples:\n";
        }
        text += &format!("  {line:<width$}  {what}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use rx_store::settings::{Places, SettingsBuilder};

    use super::super::modern;
    use super::*;
    use crate::commands;

    /// Words of a line in which only single quotes have a meaning.
    fn words(line: &str) -> Vec<OsString> {
        let mut words = Vec::new();
        for (index, part) in line.split('\'').enumerate() {
            match index % 2 {
                0 => words.extend(part.split_whitespace().map(OsString::from)),
                _ => words.push(part.into()),
            }
        }
        words
    }

    fn builder() -> SettingsBuilder {
        SettingsBuilder::new(Places::from_lookup(|_| None))
    }

    #[test]
    fn the_examples_of_subcommands_are_ones_that_they_understand() {
        for (path, examples) in MODERN {
            let entry = commands::modern().iter().find(|entry| entry.path == *path);
            let entry = entry.unwrap_or_else(|| panic!("no command '{path}'"));
            let both = entry.details.contains("xamples:") && !examples.is_empty();
            assert!(!both, "{path} has examples in its details, too");
            for (line, _) in *examples {
                assert!(line.starts_with(path), "{line}");
                let parsed = modern::parse(words(line), commands::modern(), &[], &mut builder());
                assert!(parsed.is_ok_and(|it| it.matches.is_some()), "rx {line}");
            }
        }
    }

    #[test]
    fn the_examples_of_classic_commands_are_ones_that_they_understand() {
        for (name, examples) in CLASSIC {
            let entry = commands::classic().iter().find(|entry| entry.name == *name);
            let entry = entry.unwrap_or_else(|| panic!("no command '{name}'"));
            for (line, _) in *examples {
                let parsed = entry.parse(words(line), &mut builder());
                assert!(parsed.is_ok(), "rx-{name} {line}");
            }
        }
    }

    #[test]
    fn every_command_that_changes_something_has_an_example() {
        for path in [
            "build",
            "store gc",
            "profile remove",
            "os switch",
            "flake update",
        ] {
            assert!(
                of_subcommand(path).starts_with("Examples:\n  rx "),
                "{path}"
            );
        }
    }
}
