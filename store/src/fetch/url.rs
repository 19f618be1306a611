//! URLs as flake references and fetchers write them: RFC 3986, read a little more generously.
//!
//! ```text
//! scheme ":" [ "//" authority ] path [ "?" query ] [ "#" fragment ]
//! scheme = [ application "+" ] transport          git+https, tarball+file
//! ```
//!
//! Paths are kept as decoded segments (an absolute path begins with an empty one), queries as a
//! sorted map, so that printing gives one canonical spelling whatever the user typed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use parking_lot::Mutex;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// A text that is no URL, or not the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadUrl(pub String);

/// Where a URL points: `user:password@host:port`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Authority {
    /// Host name or address, decoded, without the brackets of an IPv6 address.
    pub host: String,
    /// User name, decoded.
    pub user: Option<String>,
    /// Password, decoded.
    pub password: Option<String>,
    /// Port, if one is written.
    pub port: Option<u16>,
}

/// How generously a URL is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As RFC 3986 wants it.
    Strict,
    /// Unescaped spaces, quotes and carets are accepted in query and fragment.
    Lenient,
}

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Url {
    /// Scheme with its application part: `git+https`.
    pub scheme: String,
    /// Host part; `file:///x` has an empty one, `path:x` has none.
    pub authority: Option<Authority>,
    /// Decoded path segments; the first is empty for an absolute path.
    pub path: Vec<String>,
    /// Decoded parameters.
    pub query: BTreeMap<String, String>,
    /// Decoded fragment, empty if there is none.
    pub fragment: String,
}

/// Splits `git+https` into `(Some("git"), "https")`.
pub fn split_scheme(scheme: &str) -> (Option<&str>, &str) {
    match scheme.split_once('+') {
        Some((application, transport)) => (Some(application), transport),
        None => (None, scheme),
    }
}

const KEEP_IN_QUERY: &[u8] = b":@/?";
const KEEP_IN_PATH: &[u8] = b":@";

fn is_unreserved(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~')
}

fn is_pchar(c: u8) -> bool {
    is_unreserved(c)
        || matches!(
            c,
            b'%' | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

/// Percent-encodes everything except unreserved characters and those in `keep`.
pub fn percent_encode(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for &c in text.as_bytes() {
        if is_unreserved(c) || keep.contains(&c) {
            out.push(c as char);
        } else {
            out.push_str(&format!("%{c:02X}"));
        }
    }
    out
}

/// Decodes percent escapes; the result must be UTF-8.
pub fn percent_decode(text: &str) -> Result<String, BadUrl> {
    let bad = |why: &str| BadUrl(format!("invalid URI parameter '{text}': {why}"));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == b'%' {
            let digits = text
                .get(i + 1..i + 3)
                .ok_or_else(|| bad("incomplete pct-encoding"))?;
            if !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
                return Err(bad("bad pct-encoding"));
            }
            out.push(u8::from_str_radix(digits, 16).map_err(|_| bad("bad pct-encoding"))?);
            i += 3;
        } else {
            out.push(bytes[i]);
            i += 1;
        }
    }
    String::from_utf8(out).map_err(|_| bad("the decoded text is not UTF-8"))
}

/// Decodes `a=b&c=d`; the first of several equal names wins, names without `=` are ignored with a warning.
pub fn decode_query(query: &str) -> Result<BTreeMap<String, String>, BadUrl> {
    let mut out = BTreeMap::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let Some((name, value)) = part.split_once('=') else {
            warn_of_part(part);
            continue;
        };
        out.entry(percent_decode(name)?)
            .or_insert(percent_decode(value)?);
    }
    Ok(out)
}

/// Warns once: the same address is read again and again.
fn warn_of_part(part: &str) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if TOLD.lock().insert(part.to_owned()) {
        crate::progress::warn(format_args!(
            "dubious URI query '{part}' is missing equal sign '=', ignoring"
        ));
    }
}

/// Encodes parameters in their sorted order.
pub fn encode_query(query: &BTreeMap<String, String>) -> String {
    let parts: Vec<String> = query
        .iter()
        .map(|(name, value)| {
            format!(
                "{}={}",
                percent_encode(name, KEEP_IN_QUERY),
                percent_encode(value, KEEP_IN_QUERY)
            )
        })
        .collect();
    parts.join("&")
}

impl Authority {
    fn parse(text: &str) -> Result<Self, BadUrl> {
        let bad = |why: &str| BadUrl(format!("invalid URL authority: '{text}': {why}"));
        let (userinfo, rest) = match text.rsplit_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, text),
        };
        let (user, password) = match userinfo {
            None => (None, None),
            Some(info) => match info.split_once(':') {
                Some((user, password)) => {
                    (Some(percent_decode(user)?), Some(percent_decode(password)?))
                }
                None => (Some(percent_decode(info)?), None),
            },
        };
        let (host, port) = if let Some(inner) = rest.strip_prefix('[') {
            let (address, after) = inner.split_once(']').ok_or_else(|| bad("missing ']'"))?;
            let plain = address.split('%').next().unwrap_or(address);
            if plain.parse::<Ipv6Addr>().is_err() {
                return Err(bad("bad IPv6 address"));
            }
            let port = match after.strip_prefix(':') {
                Some(port) => port,
                None if after.is_empty() => "",
                None => return Err(bad("leftover characters")),
            };
            (percent_decode(address)?, port)
        } else {
            let (host, port) = rest.split_once(':').unwrap_or((rest, ""));
            if !host.bytes().all(|c| is_pchar(c) && c != b':' && c != b'@') {
                return Err(bad("bad host"));
            }
            (percent_decode(host)?, port)
        };
        let port = match port {
            "" => None,
            digits if digits.bytes().all(|c| c.is_ascii_digit()) => Some(
                digits
                    .parse()
                    .map_err(|_| BadUrl(format!("port '{digits}' is invalid")))?,
            ),
            other => return Err(BadUrl(format!("port '{other}' is invalid"))),
        };
        Ok(Authority {
            host,
            user,
            password,
            port,
        })
    }

    /// `host:port` as it stands in a `Host` header.
    pub fn host_and_port(&self) -> String {
        let host = if self.host.parse::<Ipv6Addr>().is_ok() || self.host.contains(':') {
            format!("[{}]", percent_encode(&self.host, b":"))
        } else if self.host.parse::<Ipv4Addr>().is_ok() {
            self.host.clone()
        } else {
            percent_encode(&self.host, b"")
        };
        match self.port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            f.write_str(&percent_encode(user, b""))?;
            if let Some(password) = &self.password {
                write!(f, ":{}", percent_encode(password, b""))?;
            }
            f.write_str("@")?;
        }
        f.write_str(&self.host_and_port())
    }
}

impl Url {
    /// Parses strictly.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        Self::read(text, Reading::Strict)
    }

    /// Parses as generously as `reading` says.
    pub fn read(text: &str, reading: Reading) -> Result<Self, BadUrl> {
        let bad = |why: &str| BadUrl(format!("'{text}' is not a valid URL: {why}"));
        let (rest, fragment) = match text.split_once('#') {
            Some((rest, fragment)) => (rest, fragment),
            None => (text, ""),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, query),
            None => (rest, ""),
        };
        let lenient = reading == Reading::Lenient;
        let query_char = |c: u8| {
            is_pchar(c) || c == b'/' || c == b'?' || (lenient && matches!(c, b' ' | b'"' | b'^'))
        };
        if !query.bytes().chain(fragment.bytes()).all(query_char) {
            return Err(bad("leftover"));
        }
        let (scheme, rest) = match rest.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
            _ => return Err(BadUrl(format!("'{text}' doesn't have a scheme"))),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(Authority::parse(&rest[..end])?), &rest[end..])
            }
            None => (None, rest),
        };
        if !path.bytes().all(|c| is_pchar(c) || c == b'/') {
            return Err(bad("leftover"));
        }
        let is_file = split_scheme(scheme).1 == "file";
        if let Some(authority) = authority.as_ref().filter(|a| is_file && !a.host.is_empty()) {
            return Err(BadUrl(format!(
                "file:// URL '{text}' has unexpected authority '{authority}'"
            )));
        }
        let path = if is_file && path.is_empty() {
            "/"
        } else {
            path
        };
        Ok(Url {
            scheme: scheme.to_owned(),
            authority,
            path: path
                .split('/')
                .map(percent_decode)
                .collect::<Result<_, _>>()?,
            query: decode_query(query)?,
            fragment: percent_decode(fragment)?,
        })
    }

    /// The `file` URL of a local path.
    pub fn from_file_path(path: &str) -> Self {
        Url {
            scheme: "file".into(),
            authority: Some(Authority::default()),
            path: path.split('/').map(str::to_owned).collect(),
            query: BTreeMap::new(),
            fragment: String::new(),
        }
    }

    /// The path segments as a local path.
    pub fn to_path(&self) -> Result<PathBuf, BadUrl> {
        for part in &self.path {
            if part.contains('/') {
                return Err(BadUrl(format!(
                    "URL path component '{part}' contains '/', which is not allowed in file names"
                )));
            }
            if part.contains('\0') {
                return Err(BadUrl(format!(
                    "URL path component '{}' contains NUL byte which is not allowed",
                    part.replace('\0', "␀")
                )));
            }
        }
        Ok(PathBuf::from(self.path.join("/")))
    }

    /// Path segments without the empty ones.
    pub fn segments(&self) -> Vec<&str> {
        self.path
            .iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect()
    }

    /// The path, percent-encoded.
    pub fn encoded_path(&self) -> String {
        let parts: Vec<String> = self
            .path
            .iter()
            .map(|part| percent_encode(part, KEEP_IN_PATH))
            .collect();
        parts.join("/")
    }

    /// The transport part of the scheme.
    pub fn transport(&self) -> &str {
        split_scheme(&self.scheme).1
    }

    /// Last path segment, or nothing.
    pub fn base_name(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }

    /// The URL without user name and password, for messages.
    pub fn without_credentials(&self) -> Url {
        let mut url = self.clone();
        if let Some(authority) = &mut url.authority {
            authority.user = None;
            authority.password = None;
        }
        url
    }

    /// Resolves a relative reference against this URL, as RFC 3986 section 5 says.
    pub fn join(&self, reference: &str) -> Result<Url, BadUrl> {
        if let Some((scheme, _)) = reference.split_once(':')
            && is_scheme(scheme)
        {
            return Url::parse(reference);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return Url::parse(&format!("{}://{rest}", self.scheme));
        }
        // Parsed behind a placeholder of the same scheme, so that the rules are in one place.
        let (rest, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let check = |c: u8| is_pchar(c) || matches!(c, b'/' | b'?' | b' ');
        if !reference.bytes().all(|c| check(c) || c == b'#') {
            return Err(BadUrl(format!(
                "'{reference}' is not a valid URL: leftover"
            )));
        }
        let mut url = self.clone();
        url.fragment = percent_decode(fragment)?;
        if path.is_empty() {
            if let Some(query) = query {
                url.query = decode_query(query)?;
            }
            return Ok(url);
        }
        url.query = query.map_or_else(|| Ok(BTreeMap::new()), decode_query)?;
        let parts: Vec<String> = path
            .split('/')
            .map(percent_decode)
            .collect::<Result<_, _>>()?;
        if path.starts_with('/') {
            url.path = remove_dots(parts);
        } else {
            url.path.pop();
            if url.path.is_empty() {
                url.path.push(String::new());
            }
            url.path.extend(parts);
            url.path = remove_dots(std::mem::take(&mut url.path));
        }
        Ok(url)
    }

    /// This URL with the path one level deeper, so that [`Url::join`] keeps its last segment.
    pub fn as_directory(&self) -> Url {
        let mut url = self.clone();
        if url.path.last().is_none_or(|last| !last.is_empty()) {
            url.path.push(String::new());
        }
        url
    }
}

fn remove_dots(parts: Vec<String>) -> Vec<String> {
    let last = parts.len().saturating_sub(1);
    let mut out: Vec<String> = Vec::with_capacity(parts.len());
    for (i, part) in parts.into_iter().enumerate() {
        match part.as_str() {
            "." | ".." => {
                if part == ".." && out.len() > 1 {
                    out.pop();
                }
                if i == last {
                    out.push(String::new());
                }
            }
            _ => out.push(part),
        }
    }
    out
}

fn is_scheme(text: &str) -> bool {
    text.bytes().next().is_some_and(|c| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if let Some(authority) = &self.authority {
            write!(f, "//{authority}")?;
        }
        f.write_str(&self.encoded_path())?;
        if !self.query.is_empty() {
            write!(f, "?{}", encode_query(&self.query))?;
        }
        if !self.fragment.is_empty() {
            write!(f, "#{}", percent_encode(&self.fragment, b""))?;
        }
        Ok(())
    }
}

/// Reads what Git accepts as the address of a repository: a URL, a path, or `host:path`.
pub fn parse_git_url(text: &str) -> Result<Url, BadUrl> {
    if Path::new(text).is_absolute() {
        return Ok(Url::from_file_path(text));
    }
    if let Some(url) = parse_scp_style(text)? {
        return Ok(url);
    }
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    if !scheme.is_some_and(is_scheme) && !text.is_empty() {
        return Ok(Url {
            authority: None,
            ..Url::from_file_path(text)
        });
    }
    let mut url = Url::parse(text)?;
    if let Some(transport) = url.scheme.strip_prefix("git+") {
        url.scheme = transport.to_owned();
    }
    Ok(url)
}

/// `user@host:path`, which has no `/` before its first colon and no `://` anywhere.
fn parse_scp_style(text: &str) -> Result<Option<Url>, BadUrl> {
    const GIT_SCHEMES: &[&str] = &["ssh", "http", "https", "file", "ftp", "ftps", "git"];
    if text.contains("://") {
        return Ok(None);
    }
    let Some((mut host, mut path)) = text.split_once(':') else {
        return Ok(None);
    };
    if host.contains('/') || GIT_SCHEMES.contains(&host.strip_prefix("git+").unwrap_or(host)) {
        return Ok(None);
    }
    let bracket = text
        .find("@[")
        .map(|at| at + 1)
        .or_else(|| text.starts_with('[').then_some(0));
    if let Some(start) = bracket
        && let Some(close) = text[start..].find(']').map(|at| at + start)
    {
        match text[close + 1..].strip_prefix(':') {
            Some(rest) => (host, path) = (&text[..=close], rest),
            None => return Ok(None),
        }
    }
    let (user, host) = match host.split_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, host),
    };
    let host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => {
            address.parse::<Ipv6Addr>().map_err(|_| {
                BadUrl(format!(
                    "Git SCP bracketed URL is not valid: '{address}' is not a valid IPv6 address"
                ))
            })?;
            address
        }
        None => host,
    };
    if path.is_empty() {
        return Err(BadUrl(format!(
            "SCP-style Git URL '{text}' has an empty path"
        )));
    }
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    if !parts[0].is_empty() {
        parts.insert(0, String::new());
    }
    Ok(Some(Url {
        scheme: "ssh".into(),
        authority: Some(Authority {
            host: host.to_owned(),
            user,
            password: None,
            port: None,
        }),
        path: parts,
        query: BTreeMap::new(),
        fragment: String::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_prints_as_it_was_written() {
        for text in [
            "https://example.org/x.tar.gz?a=b",
            "git+ssh://git@example.org:22/a%20b",
            "file:///a/b",
            "path:./x",
            "github:owner/repo/ref",
            "http://[::1]:8080/x",
            "https://u:p%40@h/x#frag",
            "http://h",
        ] {
            assert_eq!(Url::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn texts_that_are_no_urls_are_refused() {
        for text in [
            "",
            "a b",
            "/x",
            "http://h/a b",
            "http://h/%zz",
            "http://[::g]/",
            "http://h:99999/",
            "file://host/x",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_of_two_equal_parameters_wins() {
        assert_eq!(
            decode_query("a=1&a=2&b").unwrap(),
            BTreeMap::from([("a".into(), "1".into())])
        );
    }

    #[test]
    fn relative_references_resolve_beside_the_base() {
        let base = Url::parse("http://h/cache?x=1").unwrap().as_directory();
        for (reference, want) in [
            ("nar/a.nar.xz", "http://h/cache/nar/a.nar.xz"),
            ("nar/a.nar?hash=1", "http://h/cache/nar/a.nar?hash=1"),
            ("../x", "http://h/x"),
            ("../../../x", "http://h/x"),
            ("/abs", "http://h/abs"),
            ("//other/y", "http://other/y"),
            ("https://z/q", "https://z/q"),
        ] {
            assert_eq!(base.join(reference).unwrap().to_string(), want);
        }
        let bare = Url::parse("http://h").unwrap().as_directory();
        assert_eq!(
            bare.join("nix-cache-info").unwrap().to_string(),
            "http://h/nix-cache-info"
        );
    }

    #[test]
    fn git_addresses_in_scp_style_become_ssh_urls() {
        for (text, want) in [
            ("git@github.com:a/b.git", "ssh://git@github.com/a/b.git"),
            ("host:/abs", "ssh://host/abs"),
            ("[::1]:x", "ssh://[::1]/x"),
            ("/a/b c", "file:///a/b%20c"),
            ("git+https://h/x", "https://h/x"),
            ("file:/x", "file:/x"),
            ("./relative", "file:./relative"),
            ("a?b", "file:a%3Fb"),
        ] {
            assert_eq!(parse_git_url(text).unwrap().to_string(), want);
        }
        assert!(parse_git_url("").is_err());
    }
}
