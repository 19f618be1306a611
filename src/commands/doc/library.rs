//! What the functions of `<rx>` are for, from the doc comments in its files.
//!
//! ```text
//! embedded files ─► tokens ─► doc comment before `NAME =`  ─► the attribute `lib.NAME` or `NAME`
//!                             any other doc comment        ─► the file's subject (`lib.lists`, `mkDerivation`, `hello`)
//! ```

use rx_eval::io::library_files;
use rx_lang::lexer::{Tokens, lex};
use rx_lang::{ParseOptions, SyntaxKind};

/// A documented thing of the library.
pub struct Entry {
    /// Its path in the value of `import <rx> { }`; of the library itself, `<rx>`.
    pub name: String,
    /// Markdown.
    pub text: String,
}

impl Entry {
    /// Whether a name on the command line means it: the whole path, or its end.
    pub fn is_called(&self, name: &str) -> bool {
        let end = self.name.strip_suffix(name);
        end.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    }

    /// Its first sentence.
    pub fn summary(&self) -> String {
        let lines = self.text.trim().lines().map(str::trim);
        let paragraph: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
        let paragraph = paragraph.join(" ");
        match paragraph.split_once(". ") {
            Some((sentence, _)) => format!("{sentence}."),
            None => paragraph,
        }
    }
}

/// All documented things.
pub fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    for (path, source) in library_files() {
        let path = String::from_utf8_lossy(path);
        let Some(stem) = path.strip_suffix(".nix") else {
            continue;
        };
        file_entries(stem, source, &mut entries);
    }
    entries
}

/// What a file as a whole is in the library.
fn subject(stem: &str) -> String {
    match stem {
        "default" => "<rx>".to_owned(),
        "lib/default" => "lib".to_owned(),
        _ => match stem.strip_prefix("packages/") {
            Some(package) => package.trim_end_matches("/default").to_owned(),
            None => camel_case(stem).replace('/', "."),
        },
    }
}

fn camel_case(stem: &str) -> String {
    let mut words = stem.split('-');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name += letters.as_str();
    }
    name
}

fn file_entries(stem: &str, source: &[u8], entries: &mut Vec<Entry>) {
    let tokens = lex(source, &ParseOptions::default());
    let mut docs = tokens.docs.iter().peekable();
    // The names that lead to the current set, one for each open brace.
    let mut path: Vec<Option<&str>> = Vec::new();
    if stem.starts_with("lib/") {
        path.push(Some("lib"));
    }
    let mut pending = None;
    for (at, token) in tokens.list.iter().enumerate() {
        let name = binding(&tokens, source, at);
        if let Some((_, doc)) = docs.next_if(|(start, _)| *start == token.start) {
            let text = &source[doc.start as usize..doc.end as usize];
            let name = match name {
                Some(name) => {
                    let parts = path.iter().flatten().copied().chain([name]);
                    // What the packages are laid over is no attribute itself.
                    let parts = parts.filter(|part| *part != "base");
                    parts.collect::<Vec<_>>().join(".")
                }
                None => subject(stem),
            };
            entries.push(Entry {
                name,
                text: super::inner_text(&String::from_utf8_lossy(text)),
            });
        }
        match token.kind {
            _ if name.is_some() => pending = name,
            SyntaxKind::LeftBrace | SyntaxKind::DollarBrace => path.push(pending.take()),
            SyntaxKind::RightBrace => drop(path.pop()),
            SyntaxKind::Semicolon => pending = None,
            _ => {}
        }
    }
}

/// The name that is defined where a token is: `NAME =`, `inherit NAME`.
fn binding<'a>(tokens: &Tokens, source: &'a [u8], at: usize) -> Option<&'a str> {
    let [first, second] = *tokens.list.get(at..)?.first_chunk()?;
    let name = match (first.kind, second.kind) {
        (SyntaxKind::Ident, SyntaxKind::Equal) => first,
        (SyntaxKind::Inherit, SyntaxKind::Ident) => second,
        _ => return None,
    };
    std::str::from_utf8(&source[name.start as usize..name.end as usize]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_their_place_in_the_library() {
        let entries = entries();
        for name in [
            "<rx>",
            "mkDerivation",
            "callPackage",
            "writeText",
            "symlinkJoin",
            "fetchurl",
            "hello",
            "gnu-hello",
            "lib",
            "lib.lists",
            "lib.range",
            "lib.evalModules",
            "lib.types.lines",
        ] {
            let found = entries.iter().filter(|entry| entry.name == name).count();
            assert_eq!(found, 1, "{name}");
        }
        for entry in &entries {
            assert!(!entry.summary().is_empty(), "{}", entry.name);
        }
    }
}
