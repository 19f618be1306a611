//! `flake:nixpkgs/ref/rev`: a name that a registry explains.

use super::{Input, InputError, is_revision};
use crate::fetch::attrs::Attrs;
use crate::fetch::git::is_legal_ref_name;
use crate::fetch::url::{BadUrl, Url};

fn bad(text: String) -> InputError {
    BadUrl(text).into()
}

fn is_id(text: &str) -> bool {
    text.bytes().next().is_some_and(|c| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}

pub(super) fn from_url(url: &Url) -> Result<Option<Attrs>, InputError> {
    if url.scheme != "flake" {
        return Ok(None);
    }
    let (id, reference, revision) = match url.segments()[..] {
        [id] => (id, None, None),
        [id, revision] if is_revision(revision) => (id, None, Some(revision)),
        [id, reference] if is_legal_ref_name(reference) => (id, Some(reference), None),
        [_, other] => {
            return Err(bad(format!(
                "in flake URL '{url}', '{other}' is not a commit hash or branch/tag name"
            )));
        }
        [id, reference, revision] => {
            if !is_legal_ref_name(reference) {
                return Err(bad(format!(
                    "in flake URL '{url}', '{reference}' is not a branch/tag name"
                )));
            }
            if !is_revision(revision) {
                return Err(bad(format!(
                    "in flake URL '{url}', '{revision}' is not a commit hash"
                )));
            }
            (id, Some(reference), Some(revision))
        }
        _ => return Err(bad(format!("GitHub URL '{url}' is invalid"))),
    };
    let mut attrs = Attrs::new().with("type", "indirect").with("id", id);
    if let Some(reference) = reference {
        attrs.set("ref", reference);
    }
    if let Some(revision) = revision {
        attrs.set("rev", revision.to_lowercase());
    }
    check(attrs).map(Some)
}

pub(super) fn check(attrs: Attrs) -> Result<Attrs, InputError> {
    let id = attrs.str("id")?;
    if is_id(id) {
        Ok(attrs)
    } else {
        Err(bad(format!("'{id}' is not a valid flake ID")))
    }
}

pub(super) fn to_url(input: &Input) -> Result<Url, InputError> {
    let mut path = vec![input.attrs.str("id")?.to_owned()];
    if let Some(reference) = input.reference()? {
        path.push(reference.to_owned());
    }
    if let Some(revision) = input.revision()? {
        path.push(revision.base16());
    }
    Ok(Url {
        scheme: "flake".into(),
        authority: None,
        path,
        query: Default::default(),
        fragment: String::new(),
    })
}
