//! `github:owner/repo/ref`, `gitlab:…`, `sourcehut:…`: archives that forges make of repositories.

use serde_json::Value as Json;

use super::fetch::Fetcher;
use super::{Input, InputError, Scheme, is_revision};
use crate::fetch::attrs::Attrs;
use crate::fetch::git::is_legal_ref_name;
use crate::fetch::url::{BadUrl, Url};
use crate::hash::{Algorithm, Hash};

pub(super) const ATTRIBUTES: &[&str] = &[
    "owner",
    "repo",
    "ref",
    "rev",
    "narHash",
    "lastModified",
    "host",
    "treeHash",
];

fn bad(text: String) -> InputError {
    BadUrl(text).into()
}

pub(super) fn from_url(scheme: Scheme, url: &Url) -> Result<Option<Attrs>, InputError> {
    if url.scheme != scheme.name() {
        return Ok(None);
    }
    let parts = url.segments();
    if parts.len() < 2 {
        return Err(bad(format!("URL '{url}' is invalid")));
    }
    let mut attrs = Attrs::new()
        .with("type", scheme.name())
        .with("owner", parts[0])
        .with("repo", parts[1]);
    match &parts[2..] {
        [] => {}
        [revision] if is_revision(revision) => attrs.set("rev", *revision),
        reference => attrs.set("ref", reference.join("/")),
    }
    for (name, value) in &url.query {
        match name.as_str() {
            "rev" if attrs.has("rev") => {
                return Err(bad(format!("URL '{url}' contains multiple commit hashes")));
            }
            "ref" if attrs.has("ref") => {
                return Err(bad(format!(
                    "URL '{url}' contains multiple branch/tag names"
                )));
            }
            "rev" | "ref" | "host" | "narHash" => attrs.set(name, value.as_str()),
            // Others are passed over, as in every Nix; references in use have them.
            _ => {}
        }
    }
    check(attrs).map(Some)
}

pub(super) fn check(attrs: Attrs) -> Result<Attrs, InputError> {
    attrs.str("owner")?;
    attrs.str("repo")?;
    let shown = || attrs.to_json();
    let (reference, revision) = (attrs.str_opt("ref")?, attrs.str_opt("rev")?);
    if let (Some(reference), Some(revision)) = (reference, revision) {
        return Err(bad(format!(
            "input {} contains both a commit hash ('{revision}') and a branch/tag name ('{reference}')",
            shown()
        )));
    }
    if let Some(revision) = revision {
        Hash::parse_any(revision, Some(Algorithm::Sha1))?;
    }
    if reference.is_some_and(|reference| !is_legal_ref_name(reference)) {
        return Err(bad(format!(
            "input {} contains an invalid branch/tag name",
            shown()
        )));
    }
    if let Some(host) = attrs.str_opt("host")?
        && !host
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'.' || c == b'-')
    {
        return Err(bad(format!(
            "input {} contains an invalid instance host",
            shown()
        )));
    }
    Ok(attrs)
}

pub(super) fn to_url(scheme: Scheme, input: &Input) -> Result<Url, InputError> {
    let mut path = vec![
        input.attrs.str("owner")?.to_owned(),
        input.attrs.str("repo")?.to_owned(),
    ];
    if let Some(reference) = input.reference()? {
        path.push(reference.to_owned());
    }
    if let Some(revision) = input.revision()? {
        path.push(revision.base16());
    }
    let mut url = Url {
        scheme: scheme.name().into(),
        authority: None,
        path,
        query: Default::default(),
        fragment: String::new(),
    };
    if let Some(hash) = input.nar_hash()? {
        url.query.insert("narHash".into(), hash.sri());
    }
    if let Some(host) = input.attrs.str_opt("host")? {
        url.query.insert("host".into(), host.to_owned());
    }
    Ok(url)
}

/// What the addresses of a forge are made of.
struct Place<'a> {
    scheme: Scheme,
    host: &'a str,
    owner: &'a str,
    repo: &'a str,
}

impl<'a> Place<'a> {
    fn of(scheme: Scheme, input: &'a Input) -> Result<Self, InputError> {
        let default = match scheme {
            Scheme::GitLab => "gitlab.com",
            Scheme::SourceHut => "git.sr.ht",
            _ => "github.com",
        };
        let host = input.attrs.str_opt("host")?.unwrap_or(default);
        Ok(Place {
            scheme,
            host,
            owner: input.attrs.str("owner")?,
            repo: input.attrs.str("repo")?,
        })
    }

    fn archive_url(&self, revision: &str, authorized: bool) -> String {
        let Place {
            host, owner, repo, ..
        } = self;
        match self.scheme {
            Scheme::GitLab => format!(
                "https://{host}/api/v4/projects/{owner}%2F{repo}/repository/archive.tar.gz?sha={revision}"
            ),
            Scheme::SourceHut => format!("https://{host}/{owner}/{repo}/archive/{revision}.tar.gz"),
            _ if *host != "github.com" => {
                format!("https://{host}/api/v3/repos/{owner}/{repo}/tarball/{revision}")
            }
            // Without a token the public archives have no rate limit.
            _ if !authorized => format!("https://{host}/{owner}/{repo}/archive/{revision}.tar.gz"),
            _ => format!("https://api.{host}/repos/{owner}/{repo}/tarball/{revision}"),
        }
    }

    /// The header that carries an access token.
    fn token_header(&self, token: &str) -> (String, String) {
        match self.scheme {
            Scheme::GitLab => match token.split_once(':') {
                Some(("OAuth2", token)) => ("Authorization".into(), format!("Bearer {token}")),
                Some(("PAT", token)) => ("Private-token".into(), token.into()),
                Some((kind, token)) => {
                    crate::progress::warn(format_args!("Unrecognized GitLab token type {kind}"));
                    (kind.into(), token.into())
                }
                None => {
                    crate::progress::warn(format_args!("Unrecognized GitLab token type {token}"));
                    (token.into(), token.into())
                }
            },
            Scheme::SourceHut => ("Authorization".into(), format!("Bearer {token}")),
            _ => ("Authorization".into(), format!("token {token}")),
        }
    }
}

/// The token for the longest name that is the host or a path below it.
fn access_token<'a>(
    tokens: impl Iterator<Item = (&'a str, &'a str)>,
    host: &str,
    path: &str,
) -> Option<String> {
    let mut best: Option<(&str, &str)> = None;
    for (name, token) in tokens {
        let applies = name == host
            || path
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if applies && best.is_none_or(|(longest, _)| name.len() > longest.len()) {
            best = Some((name, token));
        }
    }
    best.map(|(_, token)| token.to_owned())
}

impl Fetcher {
    fn forge_headers(&self, place: &Place<'_>) -> Vec<(String, String)> {
        let tokens = self
            .settings
            .access_tokens
            .iter()
            .map(|(name, token)| (name.as_str(), token.as_str()));
        let path = format!("{}/{}/{}", place.host, place.owner, place.repo);
        access_token(tokens, place.host, &path)
            .map(|token| place.token_header(&token))
            .into_iter()
            .collect()
    }

    /// The commit that a branch or tag of a forge stands for.
    fn forge_revision(&self, place: &Place<'_>, reference: &str) -> Result<Hash, InputError> {
        let Place {
            host, owner, repo, ..
        } = place;
        let headers = self.forge_headers(place);
        let get = |url: String| -> Result<Vec<u8>, InputError> {
            let file = self.download_file(&url, "source", &headers)?;
            Ok(self.store.read_file(&file.store_path, b"")?)
        };
        let json = |url: String| -> Result<Json, InputError> {
            serde_json::from_slice(&get(url)?).map_err(|e| {
                InputError::Other(format!("unexpected answer about '{}': {e}", place.repo))
            })
        };
        let sha = match place.scheme {
            Scheme::GitLab => {
                let answer = json(format!(
                    "https://{host}/api/v4/projects/{owner}%2F{repo}/repository/commits?ref_name={reference}"
                ))?;
                match answer.as_array().map(Vec::as_slice) {
                    Some([]) => {
                        return Err(InputError::Other(
                            "No commits returned by GitLab API -- does the git ref really exist?"
                                .into(),
                        ));
                    }
                    Some([first, ..]) if first["id"].is_string() => {
                        first["id"].as_str().map(str::to_owned)
                    }
                    _ => {
                        return Err(InputError::Other(format!(
                            "Unexpected response received from GitLab: {answer}"
                        )));
                    }
                }
            }
            Scheme::SourceHut => {
                let base = format!("https://{host}/{owner}/{repo}");
                let wanted = if reference == "HEAD" {
                    let head = String::from_utf8_lossy(&get(format!("{base}/HEAD"))?).into_owned();
                    let target = head.lines().next().unwrap_or_default();
                    vec![
                        target
                            .strip_prefix("ref: ")
                            .unwrap_or(target)
                            .trim()
                            .to_owned(),
                    ]
                } else {
                    vec![
                        format!("refs/heads/{reference}"),
                        format!("refs/tags/{reference}"),
                    ]
                };
                let refs = String::from_utf8_lossy(&get(format!("{base}/info/refs"))?).into_owned();
                let found = refs.lines().find_map(|line| {
                    let (id, name) = line.split_once('\t')?;
                    wanted
                        .iter()
                        .any(|want| want == name)
                        .then(|| id.to_owned())
                });
                if found.is_none() {
                    return Err(bad(format!(
                        "in '{owner}/{repo}', couldn't find ref '{reference}'"
                    )));
                }
                found
            }
            _ => {
                let url = if *host == "github.com" {
                    format!("https://api.{host}/repos/{owner}/{repo}/commits/{reference}")
                } else {
                    format!("https://{host}/api/v3/repos/{owner}/{repo}/commits/{reference}")
                };
                json(url)?["sha"].as_str().map(str::to_owned)
            }
        };
        let sha = sha.ok_or_else(|| {
            InputError::Other(format!(
                "'{host}' does not tell the commit of '{reference}'"
            ))
        })?;
        Ok(Hash::parse_any(&sha, Some(Algorithm::Sha1))?)
    }

    /// Downloads a forge's archive; gives the hash of its tree and the input with what was found out.
    pub(super) fn fetch_forge(
        &self,
        scheme: Scheme,
        input: &Input,
    ) -> Result<(crate::path::StorePath, Input), InputError> {
        let mut input = input.clone();
        let place_input = input.clone();
        let place = Place::of(scheme, &place_input)?;
        let revision = match input.revision()? {
            Some(revision) => revision,
            None => self.forge_revision(&place, input.reference()?.unwrap_or("HEAD"))?,
        };
        input.attrs.remove("ref");
        input.attrs.set("rev", revision.base16());
        let key = Attrs::new()
            .with("type", scheme.name())
            .with("host", place.host)
            .with("owner", place.owner)
            .with("repo", place.repo)
            .with("rev", revision.base16());
        let headers = self.forge_headers(&place);
        let url = place.archive_url(&revision.base16(), !headers.is_empty());
        let archive = self.download_immutable_archive(&key, &url, &headers)?;
        input.attrs.set("lastModified", archive.last_modified);
        Ok((archive.store_path, input))
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_longest_matching_token_is_used() {
        let tokens = [
            ("github.com", "all"),
            ("github.com/owner", "owner"),
            ("github.com/own", "wrong"),
        ];
        let token = |path: &str| access_token(tokens.iter().copied(), "github.com", path);
        assert_eq!(token("github.com/owner/repo").as_deref(), Some("owner"));
        assert_eq!(token("github.com/other/repo").as_deref(), Some("all"));
        assert_eq!(
            access_token(tokens.iter().copied(), "example.org", "example.org/a/b"),
            None
        );
    }

    #[test]
    fn archives_have_addresses() {
        let at = |scheme, host| Place {
            scheme,
            host,
            owner: "o",
            repo: "r",
        };
        assert_eq!(
            at(Scheme::GitHub, "github.com").archive_url("1", false),
            "https://github.com/o/r/archive/1.tar.gz"
        );
        assert_eq!(
            at(Scheme::GitHub, "github.com").archive_url("1", true),
            "https://api.github.com/repos/o/r/tarball/1"
        );
        assert_eq!(
            at(Scheme::GitHub, "ghe.x").archive_url("1", false),
            "https://ghe.x/api/v3/repos/o/r/tarball/1"
        );
        assert_eq!(
            at(Scheme::GitLab, "gitlab.com").archive_url("1", false),
            "https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz?sha=1"
        );
        assert_eq!(
            at(Scheme::SourceHut, "git.sr.ht").archive_url("1", false),
            "https://git.sr.ht/o/r/archive/1.tar.gz"
        );
    }
}
