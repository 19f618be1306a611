//! Scripts that name `nix-shell` as their interpreter.
//!
//! ```text
//! #! /usr/bin/env nix-shell
//! #! nix-shell -i python3 -p python3      <- any number of such lines, anywhere
//! ```
//!
//! The arguments are those of the lines, not those of the command line, which are for the script.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::execute::quote;
use crate::ui::UsageError;

/// A script that is being run.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The script.
    pub file: PathBuf,
    /// What it is called with.
    pub arguments: Vec<OsString>,
}

/// The script that a command line begins with, and the arguments that are written in it.
pub fn read(arguments: &[OsString]) -> Result<Option<(Script, Vec<OsString>)>, UsageError> {
    let Some((first, rest)) = arguments.split_first() else {
        return Ok(None);
    };
    let Ok(text) = std::fs::read(first) else {
        return Ok(None);
    };
    if !text.starts_with(b"#!") {
        return Ok(None);
    }
    let script = Script {
        file: PathBuf::from(first),
        arguments: rest.to_vec(),
    };
    let mut words = Vec::new();
    for line in text.split(|&b| b == b'\n').skip(1) {
        if let Some(line) = directive(line) {
            words.extend(split_words(line)?);
        }
    }
    let words = words.into_iter().map(OsString::from_vec).collect();
    Ok(Some((script, words)))
}

/// What follows `#! nix-shell` in a line.
fn directive(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii_end();
    let rest = line.strip_prefix(b"#!")?.trim_ascii_start();
    let rest = rest
        .strip_prefix(b"nix-shell")
        .or_else(|| rest.strip_prefix(b"rx-shell"))?;
    rest.first()
        .is_some_and(u8::is_ascii_whitespace)
        .then(|| rest.trim_ascii_start())
}

/// Splits a line at white space, with quotes and backslashes. A backslash takes away the meaning of what
/// follows it, except between single quotes.
fn split_words(line: &[u8]) -> Result<Vec<Vec<u8>>, UsageError> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'\\', None | Some(b'"')) => {
                word.get_or_insert_default().extend(bytes.next());
            }
            (b'\'' | b'"', None) => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (byte, Some(open)) if byte == open => quote = None,
            (byte, None) if byte.is_ascii_whitespace() => words.extend(word.take()),
            (byte, _) => word.get_or_insert_default().push(byte),
        }
    }
    if quote.is_some() {
        return Err(UsageError::new("unterminated quote in shebang line"));
    }
    words.extend(word);
    Ok(words)
}

impl Script {
    /// The directory of the script.
    pub fn directory(&self) -> std::io::Result<PathBuf> {
        let file = std::path::absolute(&self.file)?;
        Ok(file.parent().map_or_else(|| "/".into(), PathBuf::from))
    }

    /// The command that replaces the shell by the script's interpreter.
    pub fn command(&self, interpreter: &std::ffi::OsStr) -> Vec<u8> {
        let program = interpreter.as_bytes();
        let is = |name: &[u8]| program.windows(name.len()).any(|part| part == name);
        let mut command = b"exec ".to_vec();
        if is(b"perl") {
            // Perl runs the interpreter of the first line again, unless its own name lacks "perl".
            command.extend_from_slice(b"-a PERL ");
        }
        command.extend_from_slice(program);
        if is(b"ruby") {
            // Ruby looks for itself in the first line; loading the file does not.
            command.extend_from_slice(b" -e 'load(ARGV.shift)' --");
        }
        for word in std::iter::once(self.file.as_os_str())
            .chain(self.arguments.iter().map(OsString::as_os_str))
        {
            command.push(b' ');
            command.extend_from_slice(&quote(word));
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let words = split_words(line.as_bytes()).unwrap();
        words
            .into_iter()
            .map(|word| String::from_utf8(word).unwrap())
            .collect()
    }

    #[test]
    fn words_are_split_as_shells_do() {
        assert_eq!(words("-p a  'b c' \"d e\" "), ["-p", "a", "b c", "d e"]);
        assert_eq!(words(r#"a\ b "x\"y" 'z\' ''"#), ["a b", "x\"y", "z\\", ""]);
        assert_eq!(
            words(r#"-E "(import <n> {}).x""#),
            ["-E", "(import <n> {}).x"]
        );
        assert!(split_words(b"'open").is_err());
    }

    #[test]
    fn lines_that_are_not_meant_for_the_shell_are_left_alone() {
        assert_eq!(directive(b"#! nix-shell -p x\r"), Some(&b"-p x"[..]));
        assert_eq!(directive(b"#!nix-shell -i bash"), Some(&b"-i bash"[..]));
        assert_eq!(directive(b"# nix-shell -p x"), None);
        assert_eq!(directive(b"#! nix-shellx"), None);
        assert_eq!(directive(b"#! /usr/bin/env nix-shell"), None);
    }

    #[test]
    fn interpreters_that_read_the_first_line_themselves_are_outwitted() {
        let script = Script {
            file: "it's".into(),
            arguments: vec!["a b".into()],
        };
        let command = |name: &str| String::from_utf8(script.command(name.as_ref())).unwrap();
        assert_eq!(command("bash"), r"exec bash 'it'\''s' 'a b'");
        assert_eq!(command("perl"), r"exec -a PERL perl 'it'\''s' 'a b'");
        assert_eq!(
            command("ruby"),
            r"exec ruby -e 'load(ARGV.shift)' -- 'it'\''s' 'a b'"
        );
    }
}
