//! The `netrc` file: user names and passwords by host.
//!
//! ```text
//! machine cache.example.org login me password secret
//! default login anonymous password x
//! macdef init ... (up to an empty line)
//! ```
//!
//! Words are separated by blanks and line ends, a word may stand in double quotes with backslash
//! escapes, `#` begins a comment where a word could begin. A file that cannot be read is an empty
//! one, as everywhere else that reads netrc files.

/// One login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    /// `None` is the `default` entry.
    host: Option<String>,
    user: String,
    password: String,
}

/// A parsed netrc file.
#[derive(Debug, Clone, Default)]
pub struct Netrc {
    entries: Vec<Entry>,
}

impl Netrc {
    /// Reads a file; a missing or unreadable one gives no logins.
    pub fn read(path: &std::path::Path) -> Self {
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(&String::from_utf8_lossy(&bytes)),
            Err(_) => Self::default(),
        }
    }

    /// Parses the text of a netrc file; what is not understood is skipped.
    pub fn parse(text: &str) -> Self {
        let mut netrc = Netrc::default();
        let mut words = Words { rest: text };
        while let Some(word) = words.next_word() {
            match word.as_str() {
                "machine" => {
                    let host = words.next_word();
                    netrc.entries.push(Entry {
                        host: host.or(Some(String::new())),
                        ..Entry::default()
                    });
                }
                "default" => netrc.entries.push(Entry::default()),
                "login" | "user" => {
                    if let (Some(value), Some(entry)) =
                        (words.next_word(), netrc.entries.last_mut())
                    {
                        entry.user = value;
                    }
                }
                "password" | "passwd" => {
                    if let (Some(value), Some(entry)) =
                        (words.next_word(), netrc.entries.last_mut())
                    {
                        entry.password = value;
                    }
                }
                "account" => drop(words.next_word()),
                "macdef" => words.skip_macro(),
                _ => {}
            }
        }
        netrc
    }

    /// The login for a host; with `user`, only an entry of that user counts.
    pub fn login(&self, host: &str, user: Option<&str>) -> Option<Login> {
        self.entries
            .iter()
            .filter(|entry| {
                entry
                    .host
                    .as_deref()
                    .is_none_or(|name| name.eq_ignore_ascii_case(host))
            })
            .find(|entry| user.is_none_or(|user| entry.user == user))
            .map(|entry| Login {
                user: entry.user.clone(),
                password: entry.password.clone(),
            })
    }
}

struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    fn next_word(&mut self) -> Option<String> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with('#') {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.rest = &self.rest[end..];
                continue;
            }
            break;
        }
        if self.rest.is_empty() {
            return None;
        }
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let mut word = String::new();
            let mut chars = quoted.char_indices();
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => {
                        self.rest = &quoted[at + 1..];
                        return Some(word);
                    }
                    '\\' => match chars.next().map(|(_, c)| c) {
                        Some('n') => word.push('\n'),
                        Some('r') => word.push('\r'),
                        Some('t') => word.push('\t'),
                        Some(c) => word.push(c),
                        None => {}
                    },
                    c => word.push(c),
                }
            }
            self.rest = "";
            return Some(word);
        }
        let end = self
            .rest
            .find(char::is_whitespace)
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(word.to_owned())
    }

    fn skip_macro(&mut self) {
        let end = self.rest.find("\n\n").map_or(self.rest.len(), |at| at + 2);
        self.rest = &self.rest[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str) -> Login {
        Login {
            user: user.into(),
            password: password.into(),
        }
    }

    #[test]
    fn the_login_of_a_host_is_found() {
        let netrc = Netrc::parse(
            "# comment\nmachine a.org login me password s3cret\nmachine b.org\n  login you\n  password \"a b\\\"c\"\n\
             macdef init\nmachine evil login x\n\ndefault login anon password p\n",
        );
        assert_eq!(netrc.login("a.org", None), Some(login("me", "s3cret")));
        assert_eq!(
            netrc.login("A.ORG", Some("me")),
            Some(login("me", "s3cret"))
        );
        assert_eq!(netrc.login("b.org", None), Some(login("you", "a b\"c")));
        assert_eq!(netrc.login("evil", None), Some(login("anon", "p")));
        assert_eq!(netrc.login("a.org", Some("other")), None);
    }

    #[test]
    fn broken_files_are_read_as_far_as_possible() {
        assert_eq!(Netrc::parse("login x password y").login("h", None), None);
        assert_eq!(
            Netrc::parse("machine h login \"unterminated").login("h", None),
            Some(login("unterminated", ""))
        );
        assert_eq!(Netrc::parse("machine").login("h", None), None);
    }
}
