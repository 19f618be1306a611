//! Scripts whose interpreter is rx: `#! /usr/bin/env rx`, with the command line on lines `#! rx …` (or `#! nix …`).
//!
//! ```text
//! word      what stands between white space; ``…`` is taken as it is
//! ```(n)    among backticks: n ≥ 3 of them stand for n-1
//! ```

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::ui::UsageError;

/// What a line of a comment can begin with, in any language that people write scripts in.
const COMMENT: &[u8] = b"#/\\%@*-(";

/// Characters that mean nothing yet, and may some day.
const RESERVED: &[u8] = b"$*~<>|;()[]{}'\"\\";

/// If the first argument is a script: the command line that stands in it, and the script's directory.
pub(super) fn expand(args: &[OsString]) -> Result<Option<(Vec<OsString>, PathBuf)>, UsageError> {
    let Some(script) = args.first() else {
        return Ok(None);
    };
    let Some(text) = read(Path::new(script)) else {
        return Ok(None);
    };
    let mut expanded: Vec<_> = words(&directives(&text))?
        .into_iter()
        .map(OsString::from_vec)
        .collect();
    expanded.extend_from_slice(args);
    let directory = std::path::absolute(script)
        .ok()
        .and_then(|file| file.parent().map(Path::to_owned));
    Ok(directory.map(|directory| (expanded, directory)))
}

/// The text of a script; nothing if the file is none.
fn read(script: &Path) -> Option<Vec<u8>> {
    use std::io::Read;
    // Names of commands are not worth a look at the disk.
    let plain = |name: &OsStr| {
        name.as_encoded_bytes()
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || *byte == b'-')
    };
    if plain(script.as_os_str()) {
        return None;
    }
    let mut file = std::fs::File::open(script).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut begin = [0; 2];
    file.read_exact(&mut begin).ok()?;
    let mut rest = Vec::new();
    (begin == *b"#!").then(|| file.read_to_end(&mut rest).ok())??;
    Some([&begin[..], &rest].concat())
}

/// The lines after the first that are meant for rx, as long as there are comments.
fn directives(text: &[u8]) -> Vec<u8> {
    let lines = text.split(|&byte| byte == b'\n').skip(1);
    let mut found = Vec::new();
    for line in lines.take_while(|line| line.first().is_some_and(|first| COMMENT.contains(first))) {
        let line = line.trim_ascii_end();
        let Some(rest) = line.strip_prefix(b"#!").map(<[u8]>::trim_ascii_start) else {
            continue;
        };
        let Some(rest) = rest
            .strip_prefix(b"nix")
            .or_else(|| rest.strip_prefix(b"rx"))
        else {
            continue;
        };
        // One space belongs to the name; more are an indentation of what follows.
        match rest {
            [] => found.push(b'\n'),
            [b' ', rest @ ..] => {
                found.extend_from_slice(rest);
                found.push(b'\n');
            }
            _ => {}
        }
    }
    found
}

fn words(text: &[u8]) -> Result<Vec<Vec<u8>>, UsageError> {
    let mut words = Vec::new();
    let mut word: Vec<u8> = Vec::new();
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            b'`' => {
                let [b'`', after @ ..] = after else {
                    return Err(UsageError::new(
                        "single backtick is not a supported syntax in the nix shebang.",
                    ));
                };
                word.clear();
                let (quoted, after) = quoted(after)?;
                words.push(quoted);
                rest = after;
                continue;
            }
            b'#' if word.is_empty() => {
                return Err(UsageError::new(
                    "unquoted nix shebang argument cannot start with #. Use double backticks to escape?",
                ));
            }
            byte if RESERVED.contains(byte) => {
                return Err(UsageError::new(format!(
                    "unsupported unquoted character in nix shebang: {}. Use double backticks to escape?",
                    char::from(*byte)
                )));
            }
            byte => word.push(*byte),
        }
        rest = after;
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// The text up to the closing pair of backticks, and what follows that. One space before the pair does not count.
fn quoted(text: &[u8]) -> Result<(Vec<u8>, &[u8]), UsageError> {
    let ticks = |text: &[u8]| text.iter().take_while(|&&byte| byte == b'`').count();
    let mut word = Vec::new();
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        if *byte == b' ' && ticks(after) == 2 {
            return Ok((word, &after[2..]));
        }
        if *byte != b'`' {
            word.push(*byte);
            rest = after;
            continue;
        }
        let count = ticks(rest);
        if count == 2 {
            return Ok((word, &rest[2..]));
        }
        word.extend(std::iter::repeat_n(b'`', (count - 1).max(1)));
        rest = &rest[count..];
    }
    Err(UsageError::new("unterminated quoted string in nix shebang"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Result<Vec<String>, String> {
        let words = words(&directives(text.as_bytes())).map_err(|error| error.to_string())?;
        let text = |word| String::from_utf8(word).unwrap();
        Ok(words.into_iter().map(text).collect())
    }

    #[test]
    fn the_command_line_stands_on_lines_of_its_own() {
        let script = "#! /usr/bin/env rx\n// other\n#! nix shell a#b\n#!rx   --command ``x y``\n\n#! nix not here\n";
        assert_eq!(split(script).unwrap(), ["shell", "a#b", "--command", "x y"]);
    }

    #[test]
    fn quoted_words_keep_lines_and_backticks() {
        let script =
            "#!x\n#! nix --expr ``\n#! nix  a ```` b\n#! nix ``\n#! nix ````` `` c\n#! nix";
        let words = split(script);
        // Two open, and of the three that follow one marks them as text.
        assert_eq!(words.unwrap(), ["--expr", "\n a ``` b\n", "``", "c"]);
    }

    #[test]
    fn what_has_no_meaning_yet_must_be_quoted() {
        for (line, message) in [
            ("a *", "unsupported unquoted character in nix shebang: *."),
            ("#a", "cannot start with #"),
            ("`a`", "single backtick"),
            ("``a", "unterminated"),
        ] {
            let error = split(&format!("#!x\n#! nix {line}")).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
        assert!(split("#!x\n#! nix a#b ``$``").is_ok());
    }
}
