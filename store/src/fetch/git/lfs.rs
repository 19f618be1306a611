//! Large files that a repository keeps on a server beside it (Git LFS).
//!
//! ```text
//! version https://git-lfs.github.com/spec/v1
//! oid sha256:<64 hexadecimal digits>
//! size <bytes>
//! ```
//!
//! Such a text stands in the place of the file. The server tells, for a batch of objects, where each
//! can be downloaded; what comes is checked against its SHA-256.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};

use serde_json::{Value as Json, json};

use super::command::GitError;
use super::repo::{Repo, TreeEntry};
use crate::fetch::download::{Downloader, Method, Request, Upload};
use crate::fetch::url::Url;
use crate::hash::{Algorithm, Hasher};

const LONGEST_POINTER: u64 = 1024;
const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// The server of a repository's large files.
#[derive(Debug)]
pub struct LfsSource {
    downloader: Downloader,
    endpoint: String,
}

struct Pointer {
    object: String,
    size: u64,
}

fn parse_pointer(text: &[u8]) -> Option<Pointer> {
    let text = std::str::from_utf8(text).ok()?;
    if !text.starts_with("version https://git-lfs.github.com/spec/v1\n") {
        return None;
    }
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
    };
    let object = field("oid")?.strip_prefix("sha256:")?;
    let hexadecimal = object.len() == 64 && object.bytes().all(|c| c.is_ascii_hexdigit());
    Some(Pointer {
        object: object.to_owned(),
        size: field("size")?.parse().ok()?,
    })
    .filter(|_| hexadecimal)
}

impl LfsSource {
    /// The server beside a repository's address.
    pub fn new(downloader: Downloader, repository: &Url) -> Result<Self, GitError> {
        let mut url = repository.clone();
        match url.scheme.as_str() {
            "http" | "https" => {}
            "ssh" => {
                url.scheme = "https".into();
                if let Some(authority) = &mut url.authority {
                    authority.user = None;
                    authority.port = None;
                }
            }
            other => {
                return Err(GitError::Refused(format!(
                    "Git LFS is not possible over '{other}' ('{repository}')"
                )));
            }
        }
        url.query.clear();
        let text = url.to_string();
        let text = text.trim_end_matches('/');
        let suffix = if text.ends_with(".git") { "" } else { ".git" };
        Ok(LfsSource {
            downloader,
            endpoint: format!("{text}{suffix}/info/lfs"),
        })
    }

    /// The large files of a commit: by path, what [`LfsSource::open`] takes.
    pub(super) fn pointers(
        &self,
        repo: &Repo,
        revision: &str,
        entries: &[TreeEntry],
    ) -> Result<BTreeMap<Vec<u8>, String>, GitError> {
        let files: Vec<Vec<u8>> = entries
            .iter()
            .filter(|entry| entry.mode & 0o170_000 == 0o100_000)
            .map(|entry| entry.path.clone())
            .collect();
        let filters = repo.attribute("filter", Some(revision), &files)?;
        let mut found = BTreeMap::new();
        for entry in entries {
            if filters.get(&entry.path).map(String::as_str) != Some("lfs") {
                continue;
            }
            // Anything larger is the file itself, committed by mistake.
            let Ok(text) = repo.blob(&entry.id, LONGEST_POINTER) else {
                continue;
            };
            if let Some(pointer) = parse_pointer(&text) {
                found.insert(
                    entry.path.clone(),
                    format!("{} {}", pointer.object, pointer.size),
                );
            }
        }
        Ok(found)
    }

    /// Downloads a file; the result is read from its beginning.
    pub(super) fn open(&self, pointer: &str) -> Result<(u64, File), GitError> {
        let (object, size) = pointer.split_once(' ').ok_or(GitError::Answer("lfs"))?;
        let size: u64 = size.parse().map_err(|_| GitError::Answer("lfs"))?;
        let bad = |why: &str| {
            GitError::Refused(format!(
                "cannot fetch large file '{object}' from '{}': {why}",
                self.endpoint
            ))
        };
        let mut request = Request::new(Method::Post, format!("{}/objects/batch", self.endpoint));
        request.headers = vec![
            ("Accept".into(), MEDIA_TYPE.into()),
            ("Content-Type".into(), MEDIA_TYPE.into()),
        ];
        let question = json!({
            "operation": "download",
            "transfers": ["basic"],
            "objects": [{ "oid": object, "size": size }],
        });
        request.upload = Some(Upload::Bytes(question.to_string().into_bytes()));
        request.size_limit = Some(1 << 20);
        let answer = self.downloader.send(&request)?;
        let answer: Json =
            serde_json::from_slice(&answer).map_err(|_| bad("the server's answer is no JSON"))?;
        let action = &answer["objects"][0]["actions"]["download"];
        let href = action["href"].as_str().ok_or_else(|| {
            bad(answer["objects"][0]["error"]["message"]
                .as_str()
                .unwrap_or("the server does not say where it is"))
        })?;
        let mut request = Request::get(href);
        request.size_limit = Some(size);
        if let Some(headers) = action["header"].as_object() {
            for (name, value) in headers {
                request
                    .headers
                    .push((name.clone(), value.as_str().unwrap_or_default().to_owned()));
            }
        }
        if !href.starts_with("http://") && !href.starts_with("https://") {
            return Err(bad("the server names an address that is not HTTP"));
        }
        let mut file = tempfile::tempfile().map_err(GitError::Run)?;
        let mut sink = HashingFile {
            file: &mut file,
            hasher: Hasher::new(Algorithm::Sha256),
        };
        self.downloader.open(&request)?.stream(&mut sink)?;
        let digest = sink.hasher.finish();
        let length = file.stream_position().map_err(GitError::Run)?;
        if digest.base16() != object || length != size {
            return Err(bad("what came has another hash"));
        }
        file.rewind().map_err(GitError::Run)?;
        Ok((size, file))
    }
}

struct HashingFile<'a> {
    file: &'a mut File,
    hasher: Hasher,
}

impl Write for HashingFile<'_> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let n = self.file.write(data)?;
        self.hasher.update(&data[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_recognised() {
        let oid = "a".repeat(64);
        let text =
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12\n");
        let pointer = parse_pointer(text.as_bytes()).unwrap();
        assert_eq!((pointer.object, pointer.size), (oid, 12));
        assert!(
            parse_pointer(b"version https://git-lfs.github.com/spec/v1\noid sha256:xyz\nsize 12\n")
                .is_none()
        );
        assert!(parse_pointer(b"just a file").is_none());
    }

    #[test]
    fn the_server_is_beside_the_repository() {
        let downloader = Downloader::from_settings(&crate::settings::Settings::with_defaults(
            crate::settings::Places::from_lookup(|_| None),
        ));
        for (url, want) in [
            ("https://h/a/b", "https://h/a/b.git/info/lfs"),
            ("https://h/a/b.git", "https://h/a/b.git/info/lfs"),
            ("ssh://git@h:22/a/b.git", "https://h/a/b.git/info/lfs"),
        ] {
            let source = LfsSource::new(downloader.clone(), &Url::parse(url).unwrap()).unwrap();
            assert_eq!(source.endpoint, want);
        }
        assert!(LfsSource::new(downloader, &Url::parse("file:///x").unwrap()).is_err());
    }
}
