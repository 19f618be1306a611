//! What to do next, for errors whose message does not say it.

use rx_eval::ErrorKind;

use super::report::Report;

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
        help: "the function needs its arguments first",
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
        phrase: "called with unexpected argument",
        help: "remove it, or let the function accept more with '...'",
    },
    Advice {
        phrase: "attempt to call something which is not a function",
        help: "list elements and arguments with spaces need parentheses: '(f x)'",
    },
    Advice {
        phrase: "dynamic attributes are not allowed in let",
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
        phrase: "derivation name",
        help: "names of derivations have letters, digits and the characters +-._?= only",
    },
    Advice {
        phrase: "required attribute 'builder' missing",
        help: "a derivation needs 'name', 'system' and 'builder'; package collections have 'mkDerivation', which sets them",
    },
    Advice {
        phrase: "has wrong length for hash algorithm",
        help: "an empty string as hash makes the build tell the right one",
    },
    Advice {
        phrase: "' does not exist",
        help: "relative paths start at the file that they are written in; in a git tree, flakes see only files that git knows",
    },
];

/// What to do about a program that cannot be read.
pub fn for_syntax(report: &Report) -> Option<String> {
    let label = report.labels.first()?;
    let found = label
        .source
        .text
        .get(label.span.start..)
        .unwrap_or_default();
    if found.starts_with('\'') {
        return Some(
            "strings stand in double quotes, or in two single quotes on each side".to_owned(),
        );
    }
    if found.starts_with("//") {
        return Some(
            "comments begin with '#' or stand between '/*' and '*/'; '//' joins two sets"
                .to_owned(),
        );
    }
    None
}

/// What to do about an evaluation error.
pub fn for_evaluation(kind: ErrorKind, report: &Report) -> Option<String> {
    let message = &report.message;
    let own = matches!(kind, ErrorKind::Throw | ErrorKind::Abort);
    if own && !message.contains("was not found in the Nix search path") {
        // The author of the expression has said what there is to say.
        return None;
    }
    EVALUATION
        .iter()
        .find(|advice| message.contains(advice.phrase))
        .map(|advice| advice.help.to_owned())
}

const OTHER: &[Advice] = &[
    Advice {
        phrase: "No space left on device",
        help: "free space with 'rx-collect-garbage -d', or move the build directory with '--build-dir'",
    },
    Advice {
        phrase: "os error 28",
        help: "free space with 'rx-collect-garbage -d', or move the build directory with '--build-dir'",
    },
    Advice {
        phrase: "Read-only file system",
        help: "the store must be writable; another one can be given with '--store'",
    },
    Advice {
        phrase: "os error 30",
        help: "the store must be writable; another one can be given with '--store'",
    },
    Advice {
        phrase: "hash mismatch",
        help: "if the new content is what you want, put the hash after 'got:' into the expression",
    },
    Advice {
        phrase: "dns error",
        help: "is the network up? '--offline' works with what is here",
    },
    Advice {
        phrase: "unable to download",
        help: "is the network up? '--offline' works with what is here",
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
        phrase: "required system or feature not available",
        help: "add a machine to 'builders', or the feature to 'system-features' if this machine has it",
    },
];

/// What to do about an error of the store, the network or the system.
pub fn for_message(message: &str) -> Option<String> {
    OTHER
        .iter()
        .find(|advice| message.contains(advice.phrase))
        .map(|advice| advice.help.to_owned())
}
