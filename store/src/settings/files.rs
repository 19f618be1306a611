//! The syntax of `nix.conf`: `name = words…`, `include FILE`, `!include FILE`, `# comments`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::kinds::words;

/// Files may include files this deeply; the reference recurses until its stack ends.
const MAX_DEPTH: usize = 64;

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A line that is neither an assignment nor an inclusion.
    #[error("syntax error in configuration line '{line}' in {}", quoted(.file))]
    Syntax {
        /// The line, without its comment.
        line: String,
        /// Where it stands.
        file: PathBuf,
    },
    /// An included file that does not exist.
    #[error("file {} included from {} not found", quoted(.included), quoted(.file))]
    Missing {
        /// The file that is missing.
        included: PathBuf,
        /// The file that asks for it.
        file: PathBuf,
    },
    /// Files that include each other.
    #[error("configuration files include each other too deeply, last {}", quoted(.0))]
    TooDeep(PathBuf),
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

/// A name and its value.
#[derive(Debug)]
pub(super) struct Assignment {
    pub name: String,
    pub value: Vec<u8>,
    /// Where it stands, as in `/etc/nix/nix.conf:3`.
    pub place: String,
}

/// In the order of the text.
pub(super) type Assignments = Vec<Assignment>;

/// Parses `contents`, which stand in `file` (or in a variable of that name).
pub(super) fn parse(contents: &[u8], file: &Path) -> Result<Assignments, FileError> {
    let mut found = Vec::new();
    parse_into(contents, file, 0, &mut found)?;
    Ok(found)
}

fn parse_into(
    contents: &[u8],
    file: &Path,
    depth: usize,
    found: &mut Assignments,
) -> Result<(), FileError> {
    if depth > MAX_DEPTH {
        return Err(FileError::TooDeep(file.to_owned()));
    }
    for (number, line) in contents.split(|byte| *byte == b'\n').enumerate() {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let tokens: Vec<&[u8]> = words(line).collect();
        let syntax = || FileError::Syntax {
            line: String::from_utf8_lossy(line).into_owned(),
            file: file.to_owned(),
        };
        match tokens.as_slice() {
            [] => {}
            [keyword @ (b"include" | b"!include"), rest @ ..] => {
                let [path] = rest else { return Err(syntax()) };
                let parent = file.parent().unwrap_or(Path::new("."));
                let path = parent.join(OsStr::from_bytes(path));
                if path.exists() {
                    // An unreadable file is passed over, as the reference does.
                    if let Ok(contents) = std::fs::read(&path) {
                        parse_into(&contents, &path, depth + 1, found)?;
                    }
                } else if *keyword == b"include" {
                    return Err(FileError::Missing {
                        included: path,
                        file: file.to_owned(),
                    });
                }
            }
            [name, b"=", value @ ..] => {
                found.push(Assignment {
                    name: String::from_utf8_lossy(name).into_owned(),
                    value: value.join(&b' '),
                    place: format!("{}:{}", file.display(), number + 1),
                });
            }
            _ => return Err(syntax()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        parse(text.as_bytes(), Path::new("nix.conf"))
            .unwrap()
            .into_iter()
            .map(|it| (it.name, String::from_utf8(it.value).unwrap()))
            .collect()
    }

    #[test]
    fn comments_and_blank_lines_are_skipped_and_words_are_joined_by_one_space() {
        let text = "# top\n\n cores = 3 # three\nsubstituters =  a   b\t c\nempty =\n";
        let expected = [("cores", "3"), ("substituters", "a b c"), ("empty", "")];
        assert_eq!(
            parsed(text),
            expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }

    #[test]
    fn a_line_without_an_equals_sign_is_an_error_that_names_it() {
        let error = parse(b"cores 3", Path::new("/etc/nix/nix.conf")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "syntax error in configuration line 'cores 3' in \"/etc/nix/nix.conf\""
        );
    }

    #[test]
    fn included_files_are_found_beside_the_file_that_includes_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("more.conf"), "cores = 4\n").unwrap();
        let text = b"include more.conf\n!include nothing.conf\ntimeout = 1\n";
        let found = parse(text, &dir.path().join("nix.conf")).unwrap();
        let names: Vec<_> = found.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["cores", "timeout"]);
        let place = |file: &str| dir.path().join(file).display().to_string();
        assert_eq!(found[0].place, place("more.conf:1"));
        assert_eq!(found[1].place, place("nix.conf:3"));
        assert!(parse(b"include nothing.conf", &dir.path().join("nix.conf")).is_err());
    }

    #[test]
    fn files_that_include_each_other_are_an_error_and_no_crash() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("loop.conf");
        std::fs::write(&file, "include loop.conf\n").unwrap();
        assert!(matches!(
            parse(b"include loop.conf", &file),
            Err(FileError::TooDeep(_))
        ));
    }
}
