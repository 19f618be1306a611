//! What to do next, for errors whose message does not say it.

use rx_eval::ErrorKind;

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
        help: "pass it with '--arg NAME EXPRESSION' or '--argstr NAME TEXT', or give it a default in the function",
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
        phrase: "syntax error, unexpected '}', expecting ';'",
        help: "each binding ends with ';', also the last one",
    },
];

/// What to do about an evaluation error.
pub fn for_evaluation(kind: ErrorKind, message: &str) -> Option<String> {
    if matches!(kind, ErrorKind::Throw | ErrorKind::Abort) {
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
