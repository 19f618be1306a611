//! What to do next, for errors whose message does not say it.

use std::path::Path;

use rx_eval::ErrorKind;

use super::report::Report;
use crate::cli::suggest;

/// A phrase of a message, and what helps.
struct Advice {
    phrase: &'static str,
    help: &'static str,
}

const EVALUATION: &[Advice] = &[
    Advice {
        phrase: "infinite recursion encountered",
        help: "a value needs itself before it is finished; in overlays take packages from 'prev' \
               where you change them, and in modules do not let 'imports' depend on 'config'",
    },
    Advice {
        phrase: "file 'nixpkgs' was not found in the Nix search path",
        help: "give a package collection: '-I nixpkgs=/path/to/nixpkgs', the variable NIX_PATH, \
               or a channel ('rx-channel --add URL nixpkgs', then 'rx-channel --update')",
    },
    Advice {
        phrase: "was not found in the Nix search path",
        help: "add it with '-I NAME=PATH' or to the variable NIX_PATH",
    },
    Advice {
        phrase: "is forbidden in pure evaluation mode",
        help: "pass '--impure' if the result may depend on this machine",
    },
    Advice {
        phrase: "is forbidden in restricted mode",
        help: "add the path with '-I', or the URL to the setting 'allowed-uris'",
    },
    Advice {
        phrase: "max-call-depth exceeded",
        help: "a function calls itself without end, or '--max-call-depth' is too small for it",
    },
    Advice {
        phrase: "stack overflow; max-call-depth exceeded",
        help: "a function calls itself without end, or '--max-call-depth' is too small for it",
    },
    Advice {
        phrase: "cannot coerce a set to a string",
        help: "only derivations and sets with '__toString' or 'outPath' become strings; \
               select the attribute that you want",
    },
    Advice {
        phrase: "cannot coerce a function to a string",
        help: "the function needs its arguments first; in a list, a call stands in parentheses: '[ (f x) ]'",
    },
    Advice {
        phrase: "cannot coerce an integer to a string",
        help: "use 'toString' to turn the number into text",
    },
    Advice {
        phrase: "cannot coerce a Boolean to a string",
        help: "use 'lib.boolToString', or 'toString', which gives \"1\" and \"\"",
    },
    Advice {
        phrase: "is not allowed to refer to a store path",
        help: "the string came from a derivation; 'builtins.unsafeDiscardStringContext' forgets that, \
               if the file need not exist",
    },
    Advice {
        phrase: "called without required argument",
        help: "pass it where the function is called, on the command line with '--arg NAME EXPRESSION' \
               or '--argstr NAME TEXT'",
    },
    Advice {
        phrase: "function 'outputs' called with unexpected argument 'self'",
        help: "a flake's 'outputs' always gets the flake itself: '{ self, … }: …', or '{ ... }: …'",
    },
    Advice {
        phrase: "called with unexpected argument",
        help: "remove it, or let the function accept more with '...'",
    },
    Advice {
        phrase: "attempt to call something which is not a function",
        help: "list elements and arguments with spaces need parentheses: '(f x)'",
    },
    Advice {
        phrase: "dynamic attributes not allowed in let",
        help: "make a set with the dynamic name and select from it",
    },
    Advice {
        phrase: "cannot coerce a list to a string",
        help: "lists are joined with '++', and become text with 'toString' or 'builtins.concatStringsSep'",
    },
    Advice {
        phrase: "cannot add a string to an integer",
        help: "numbers become text with 'toString'",
    },
    Advice {
        phrase: "cannot coerce null to a string",
        help: "give it another value before, as in 'if x == null then \"\" else x'",
    },
    Advice {
        phrase: "derivation name missing",
        help: "a package needs 'name', or 'pname' and 'version'",
    },
    Advice {
        phrase: "derivation name",
        help: "names of derivations have letters, digits and the characters +-._?= only",
    },
    Advice {
        phrase: "required attribute 'builder' missing",
        help: "a derivation needs 'name', 'system' and 'builder'; package collections have 'mkDerivation', which sets them",
    },
    Advice {
        phrase: "invalid SRI hash",
        help: "it is not complete; an empty string as hash makes the build tell the right one",
    },
    Advice {
        phrase: "has wrong length for hash algorithm",
        help: "an empty string as hash makes the build tell the right one",
    },
    Advice {
        phrase: "evaluate a function that has an argument without a value",
        help: "pass it with '--arg NAME EXPRESSION' or '--argstr NAME TEXT', as in \
               '--arg pkgs \"import <nixpkgs> { }\"', or give it a default: '{ NAME ? VALUE }'",
    },
    Advice {
        phrase: "undefined variable 'or'",
        help: "'or' stands behind an attribute that may be missing: 'set.name or default'",
    },
    Advice {
        phrase: "undefined variable",
        help: "a name is bound by 'let', as an argument of the function ('{ stdenv, NAME }:'), by 'rec', or comes from a \
               set with 'with'",
    },
    Advice {
        phrase: "expected a Boolean but found a string",
        help: "true and false are written without quotes",
    },
    Advice {
        phrase: "expected a set but found a list",
        help: "elements of a list are counted from 0: 'builtins.elemAt list 0'; of all sets in it, 'map (x: x.name) list'",
    },
    Advice {
        phrase: "expected a set but found a string",
        help: "only sets have attributes; what stands before the dot is a text",
    },
    Advice {
        phrase: "expected a set but found a path",
        help: "only sets have attributes; the file's value is had with 'import'",
    },
    Advice {
        phrase: "expected a set but found an integer",
        help: "only sets have attributes; what stands before the dot is a number",
    },
    Advice {
        phrase: "expected a set but found null",
        help: "only sets have attributes; what stands before the dot has no value here: 'set.name or default' does without",
    },
    Advice {
        phrase: "Is a directory",
        help: "a file is wanted here; 'builtins.readDir' lists a directory",
    },
    Advice {
        phrase: "cannot read directory",
        help: "a directory is wanted here; 'builtins.readFile' reads a file",
    },
    Advice {
        phrase: "but got a thunk",
        help: "'description' and 'inputs' of a flake are written out as they are: texts, numbers and sets, nothing that has to be evaluated",
    },
    Advice {
        phrase: "different lengths",
        help: "there must be as many texts to put in as texts to look for",
    },
    Advice {
        phrase: "expected a set but found a function",
        help: "the function needs its arguments first: '(f x) // …', '(f x).name'",
    },
    Advice {
        phrase: "cannot compare",
        help: "both sides must be of the same type: 'toString' makes text of a number, 'builtins.fromJSON' a number of text",
    },
    Advice {
        phrase: "integer overflow",
        help: "integers have 64 bits; with a decimal point ('1.0') numbers go further and are less exact",
    },
    Advice {
        phrase: "'builtins.head' called on an empty list",
        help: "ask before whether there is an element: 'if list == [ ] then … else builtins.head list'",
    },
    Advice {
        phrase: "parse error at line",
        help: "JSON wants names and texts in double quotes, and no comma after the last element",
    },
    Advice {
        phrase: "invalid regular expression",
        help: "it is a POSIX extended expression: ( [ { need their closing partner, and a backslash before them \
               ('\\\\(' in a string) takes their meaning away",
    },
    Advice {
        phrase: "files created by builtins.toFile may not reference derivations",
        help: "a file whose text names something that is built must be built itself: 'writeText' of a package set does that",
    },
    Advice {
        phrase: "attribute 'name' missing",
        help: "a derivation needs 'name', 'system' and 'builder'; package collections have 'mkDerivation', which sets them",
    },
    Advice {
        phrase: "during evaluation because the option 'allow-import-from-derivation' is disabled",
        help: "the expression reads a file that must be built first; allow it with \
               '--option allow-import-from-derivation true', or keep the file beside the expression",
    },
    Advice {
        phrase: "does not evaluate to a derivation",
        help: "name an attribute that is a package with '-A', give a function all its arguments, or see the value with \
               'rx-instantiate --eval'",
    },
    Advice {
        phrase: "cannot look up '<",
        help: "pure evaluation has no search path: take what is needed from an input of the flake, or pass '--impure'",
    },
];

/// `a-b` is one name.
pub fn for_difference(message: &str, suggestions: &[Vec<u8>]) -> Option<String> {
    let name = between(message, "undefined variable '", "'")?;
    let (left, right) = name.split_once('-').filter(|(left, _)| !left.is_empty())?;
    let parts = [left.as_bytes(), right.as_bytes()];
    let other = suggestions.iter().any(|name| !parts.contains(&&name[..]));
    (!other).then(|| {
        format!(
            "a name may have '-' in it; for a difference, put spaces around it: '{left} - {right}'"
        )
    })
}

/// What to do about an evaluation error.
pub fn for_evaluation(kind: ErrorKind, report: &Report) -> Option<String> {
    let message = &report.message;
    let own = matches!(kind, ErrorKind::Throw | ErrorKind::Abort);
    if own && !message.contains("was not found in the Nix search path") {
        // The author of the expression has said what there is to say.
        return None;
    }
    if message.starts_with("attempt to call something which is not a function")
        && calls_overlay(report)
    {
        return Some("an overlay is a function of two arguments: 'final: prev: { … }'".to_owned());
    }
    if let Some(name) = between(message, "undefined variable '", "'")
        && is_interpolated(report, name)
    {
        return Some(format!(
            "'${{…}}' in a string is for the language; a variable of the shell is '${name}', or '''${{{name}}}' in '' strings \
             and '\\${{{name}}}' in others"
        ));
    }
    if let Some(name) = between(message, "attribute '", "' missing")
        && let Some(builtin) = rx_eval::builtins::all().find(|builtin| builtin.name == name)
        && let Some(feature) = builtin.feature
    {
        return Some(format!(
            "'builtins.{name}' is there with '--extra-experimental-features {feature}'"
        ));
    }
    EVALUATION
        .iter()
        .find(|advice| message.contains(advice.phrase))
        .map(|advice| advice.help.to_owned())
        // The store and the network have their mistakes also while something is evaluated.
        .or_else(|| for_message(message))
        .or_else(|| {
            let missing = message.starts_with("path '") && message.ends_with("' does not exist");
            missing.then(|| match report.labels.first() {
                Some(_) => "relative paths start at the file that they are written in".to_owned(),
                None => "relative paths start at the directory that you are in".to_owned(),
            })
        })
}

/// Does package collections' code call an overlay here?
fn calls_overlay(report: &Report) -> bool {
    report.labels.first().is_some_and(|label| {
        let text = &label.source.text;
        let rest = text.get(label.span.start..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        line.trim_start_matches("// ")
            .starts_with("overlay final prev")
    })
}

/// Is a name all that stands in `${…}`, within a string?
fn is_interpolated(report: &Report, name: &str) -> bool {
    let Some(label) = report.labels.first() else {
        return false;
    };
    let Some((before, from)) = label.source.text.split_at_checked(label.span.start) else {
        return false;
    };
    let is_attribute = before
        .strip_suffix("${")
        .is_some_and(|before| before.ends_with('.') || before.trim_end().ends_with(['{', ';']));
    let ended = from
        .strip_prefix(name)
        .is_some_and(|it| it.starts_with('}'));
    before.ends_with("${") && ended && !is_attribute
}

const OTHER: &[Advice] = &[
    Advice {
        phrase: "No space left on device",
        help: "free space with 'rx-collect-garbage -d', or move the build directory with '--build-dir'",
    },
    Advice {
        phrase: "could not be run",
        help: "a builder is '/bin/sh' or a program of an input; a path that is mere text brings no input with it, so use the \
               package itself: \"${package}/bin/program\"",
    },
    Advice {
        phrase: "lack of free disk space",
        help: "free space with 'rx-collect-garbage -d', or move the build directory with '--build-dir'",
    },
    Advice {
        phrase: "/.tmp",
        help: "temporary files are made in the directory that the variable TMPDIR names: is it there, and may it be written?",
    },
    Advice {
        phrase: "creating directory '",
        help: "it cannot be made there; give another place, that may be written",
    },
    Advice {
        phrase: "Read-only file system",
        help: "the store must be writable; another one can be given with '--store'",
    },
    Advice {
        phrase: "hash mismatch",
        help: "if the new content is what you want, put the hash after 'got:' into the expression",
    },
    Advice {
        phrase: "flake-registry.json",
        help: "names like 'nixpkgs' are looked up in a list on the network: give a full reference ('github:OWNER/REPOSITORY', './path'), or \
               enter the name with 'rx registry add NAME REFERENCE'",
    },
    Advice {
        phrase: "lacks attribute 'outputs'",
        help: "a flake is a set with 'outputs', a function: '{ outputs = { self, … }: { packages = …; }; }'",
    },
    Advice {
        phrase: "does not provide attribute",
        help: "'rx flake show' lists what the flake has; packages stand below the system: 'packages.x86_64-linux.NAME'",
    },
    Advice {
        phrase: "There is a conflict for the following files",
        help: "leave one of the packages out, or let one win: the smaller 'meta.priority' does",
    },
    Advice {
        phrase: "does not include a type",
        help: "say which kind of hash it is: '--hash-algo sha256', or 'sha256:…' as a part of it",
    },
    Advice {
        phrase: "unable to execute",
        help: "'meta.mainProgram' of a package names its program; 'rx shell … --command PROGRAM' runs any of them",
    },
    Advice {
        phrase: "unexpected end-of-file",
        help: "the input ends too early: is it complete, and of the right kind?",
    },
    Advice {
        phrase: "input doesn't look like a Nix archive",
        help: "an archive as 'rx nar pack' or 'rx-store --dump' writes it is wanted",
    },
    Advice {
        phrase: "input doesn't look like something created by 'nix-store --export'",
        help: "an export holds references and signatures beside the archives: 'rx-store --export' makes one",
    },
    Advice {
        phrase: "invalid channel URL",
        help: "a channel is a URL such as 'https://nixos.org/channels/nixos-unstable'",
    },
    Advice {
        phrase: "don't know how to open Nix store",
        help: "a store is 'auto', 'local', a directory, or the URL of a binary cache: 'file:///…', 'https://…', 's3://…'",
    },
    Advice {
        phrase: "you must pass '--from' and/or '--to'",
        help: "'--to STORE' copies to another store ('file:///DIRECTORY' is a binary cache), '--from STORE' from it",
    },
    Advice {
        phrase: "Could not resolve host",
        help: "is the name of the server right, and the network up? '--offline' works with what is here",
    },
    Advice {
        phrase: "dns error",
        help: "is the network up? '--offline' works with what is here",
    },
    Advice {
        phrase: "Connection refused",
        help: "nothing answers at this address: is it right, and the server running?",
    },
    Advice {
        phrase: "unable to download",
        help: "is the address right, and the network up? '--offline' works with what is here",
    },
    Advice {
        phrase: "lacks a signature by a trusted key",
        help: "add the cache's key to 'trusted-public-keys', or pass '--no-require-sigs' if you trust it",
    },
    Advice {
        phrase: "Required features: {host-tools}",
        help: "the package uses compilers or other programs of this machine: allow it with '--host-tools', \
               or 'host-tools = true' in nix.conf",
    },
    Advice {
        phrase: "Reason: missing system features",
        help: "add a machine with these features to 'builders'; if this machine can do what they name, pass \
               '--option extra-system-features \"NAME\"'",
    },
    Advice {
        phrase: "Reason: platform mismatch",
        help: "add a machine of that system to 'builders', or the system to 'extra-platforms' if this machine can \
               run its programs",
    },
    Advice {
        phrase: "Reason: local builds are disabled",
        help: "pass '--max-jobs auto', or add a machine to 'builders'",
    },
    Advice {
        phrase: "failed to produce output path",
        help: "the builder ended well but made nothing at this place: its script must write to \"$out\" \
               (or to the variable of the output's name)",
    },
    Advice {
        phrase: "cycle detected in build of",
        help: "outputs may mention each other in one direction only: move the files that refer back to the other output, or \
               take the mention out of them",
    },
    Advice {
        phrase: "is not allowed to refer to the following paths",
        help: "something in the output mentions them ('grep -r' in the path finds it); 'disallowedReferences' and \
               'allowedReferences' of the derivation say what may be",
    },
    Advice {
        phrase: "timed out after",
        help: "'--timeout SECONDS' and '--max-silent-time SECONDS' say how long a build may take and be silent; 0 means for ever",
    },
    Advice {
        phrase: "getting attributes of path",
        help: "a path of 'sandbox-paths' is not on this machine; with '?' at its end it may be missing",
    },
    Advice {
        phrase: "Failed to find a machine for remote build",
        help: "see the machines with 'rx config show builders'",
    },
    Advice {
        phrase: "but there is no substituter that can build it",
        help: "the path is neither here nor in one of the caches ('rx config show substituters'); if it is built from an \
               expression, build that",
    },
    Advice {
        phrase: "file is not a database",
        help: "the store's database is damaged: 'rx store fsck' sets it aside and makes a new one \
               from what is in the store",
    },
    Advice {
        phrase: "disk image is malformed",
        help: "the store's database is damaged: 'rx store fsck' sets it aside and makes a new one \
               from what is in the store",
    },
    Advice {
        phrase: "current Nix store schema is version",
        help: "the store was written by a newer program: use that one, or another store with '--store'",
    },
    Advice {
        phrase: "database is locked",
        help: "another program is at work on the store; try again when it is done",
    },
    Advice {
        phrase: "lock file \"",
        help: "the store belongs to somebody else: take one of your own with '--store DIRECTORY'",
    },
    Advice {
        phrase: "Permission denied",
        help: "the file belongs to somebody else; a store of your own can be had with '--store DIRECTORY'",
    },
    Advice {
        phrase: "has wrong length for hash algorithm",
        help: "a sha256 hash has 64 digits in base 16, 52 in base 32, 44 in base 64; 'rx hash convert' knows them all",
    },
    Advice {
        phrase: "build log of '",
        help: "logs are kept of what was built on this machine; a path that was fetched has its log, if any, in the cache",
    },
    Advice {
        phrase: "is not in the Nix store",
        help: "a path of the store is wanted; a link to one, such as './result', may stand for it",
    },
    Advice {
        phrase: "is not valid",
        help: "nothing of this name is in the store: it was not built or fetched here, or has been collected as garbage",
    },
    Advice {
        phrase: "is not a flake (because it's not a directory)",
        help: "a flake is a directory with a 'flake.nix'; an expression in a file is given with '--file FILE'",
    },
    Advice {
        phrase: "could not find a flake.nix file",
        help: "name what is meant: '-f FILE ATTRIBUTE' for a file ('-f \"<rx>\" hello' is a package that rx brings), or go to a \
               directory that has a 'flake.nix'",
    },
    Advice {
        phrase: "in the flake registries",
        help: "a path begins with './' or '/'; an attribute of a file is given with '-f FILE ATTRIBUTE'",
    },
    Advice {
        phrase: "no 'shell.nix' or 'default.nix' file found",
        help: "name a file, or packages with '-p' (which takes them from <nixpkgs>)",
    },
    Advice {
        phrase: "should be 'auto' or an integer",
        help: "as in 'max-jobs = 4'; 'rx doc SETTING' explains a setting",
    },
    Advice {
        phrase: "has invalid value",
        help: "'rx doc SETTING' explains a setting and says what it may be",
    },
    Advice {
        phrase: "included from",
        help: "with '!include' a file may be missing",
    },
    Advice {
        phrase: "syntax error in configuration line",
        help: "a line is 'NAME = VALUE', with spaces around '='; what follows '#' is a comment",
    },
    Advice {
        phrase: "to be a derivation or path but found",
        help: "name an attribute that is a package; 'rx eval' shows any value",
    },
    Advice {
        phrase: "should have type 'derivation' or 'app'",
        help: "'rx run' wants a package or '{ type = \"app\"; program = …; }'; 'rx eval' shows any value",
    },
    Advice {
        phrase: "profile version",
        help: "'--list-generations' of 'rx-env' and 'rx profile history' list what there is",
    },
    Advice {
        phrase: "no generation older than",
        help: "'--list-generations' of 'rx-env' and 'rx profile history' list what there is",
    },
    Advice {
        phrase: "matches no derivations",
        help: "'rx-env -qa' lists what is there; '-f FILE' names the expressions, '-A' an attribute of them",
    },
];

/// What to do when the network is reached through a proxy and cannot be reached.
fn for_proxy(message: &str) -> Option<String> {
    let url = between(message, "unable to download '", "'")?;
    let unreachable = [
        "Could not connect",
        "Could not resolve",
        "(5)",
        "(7)",
        "(97)",
    ];
    if !unreachable.iter().any(|phrase| message.contains(phrase)) {
        return None;
    }
    let scheme = url.split("://").next()?;
    let names = [
        format!("{scheme}_proxy"),
        format!("{}_PROXY", scheme.to_uppercase()),
        "all_proxy".to_owned(),
        "ALL_PROXY".to_owned(),
    ];
    let (name, proxy) = names
        .iter()
        .filter(|name| *name != "HTTP_PROXY")
        .find_map(|name| Some((name, std::env::var(name).ok().filter(|it| !it.is_empty())?)))?;
    let host = url.split("://").nth(1)?.split(['/', ':']).next()?;
    let direct = ["no_proxy", "NO_PROXY"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .any(|list| {
            list.split(',')
                .any(|it| it == "*" || host.ends_with(it.trim()))
        });
    (!direct).then(|| {
        format!("the variable {name} sends this through '{proxy}': does that answer? 'no_proxy={host}' goes around it")
    })
}

/// How references to flakes begin.
const SCHEMES: [&str; 16] = [
    "flake",
    "path",
    "file",
    "git",
    "git+file",
    "git+http",
    "git+https",
    "git+ssh",
    "github",
    "gitlab",
    "sourcehut",
    "hg+https",
    "http",
    "https",
    "tarball+http",
    "tarball+https",
];

/// What to do about an error of the store, the network or the system.
pub fn for_message(message: &str) -> Option<String> {
    // What stands in a log or expression is not what is wrong.
    let first = message.lines().next().unwrap_or_default();
    if let Some(path) = between(first, "path '", "' does not exist")
        .or_else(|| between(first, "getting status of \"", "\": No such file"))
    {
        return for_missing_file(Path::new(path));
    }
    if let Some(help) = for_proxy(first) {
        return Some(help);
    }
    if let Some(reference) = between(first, "input '", "' is unsupported")
        && let Some((scheme, rest)) = reference.split_once(':')
        && let Some(near) = suggest::nearest(scheme, SCHEMES.into_iter())
        && near != scheme
    {
        return Some(format!("did you mean '{near}:{rest}'?"));
    }
    OTHER
        .iter()
        .find(|advice| message.contains(advice.phrase))
        .map(|advice| advice.help.to_owned())
        .or_else(|| for_failed_builder(message))
}

/// The text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    Some(&rest[..rest.find(after)?])
}

/// What to do about a build that failed by itself.
fn for_failed_builder(message: &str) -> Option<String> {
    if !message.contains("Reason: builder failed") {
        return None;
    }
    let derivation = between(message, "Cannot build '", "'")?;
    let mut help = String::new();
    if message.contains("exit code 127") {
        help += "a program was not found: builds see nothing of this machine but a shell, unless inputs have it; ";
    }
    if message.contains("For full logs, run") {
        return Some(help + "'--keep-failed' keeps the build directory, to look around in it");
    }
    help += &format!(
        "see the whole log with 'rx log {derivation}', or keep the build directory with '--keep-failed' and look around in it"
    );
    Some(help)
}

/// What may have been meant by a file that is not there.
fn for_missing_file(path: &Path) -> Option<String> {
    let (parent, name) = path.parent().zip(path.file_name())?;
    let here = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let names: Vec<String> = std::fs::read_dir(here)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    if name == "default.nix" && here.is_dir() {
        let mut files: Vec<_> = names.iter().filter(|name| name.ends_with(".nix")).collect();
        files.sort();
        return Some(match files.first() {
            Some(file) => format!(
                "of a directory, its 'default.nix' is read; name the file that is meant, such as '{}'",
                parent.join(file).display()
            ),
            None => {
                "of a directory, its 'default.nix' is read; there is no Nix file in it".to_owned()
            }
        });
    }
    if let Some(near) = suggest::nearest(&name.to_string_lossy(), names.iter().map(String::as_str))
    {
        return Some(format!("did you mean '{}'?", parent.join(near).display()));
    }
    let missing = path
        .ancestors()
        .skip(1)
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .last()?;
    Some(format!("there is no directory '{}'", missing.display()))
}
