//! Inputs that are downloaded from a URL: `file` as it is, `tarball` unpacked.

use super::{Input, InputError, Scheme, Wanted, query_number};
use crate::fetch::attrs::Attrs;
use crate::fetch::url::{Url, split_scheme};

pub(super) const ATTRIBUTES: &[&str] = &[
    "url",
    "narHash",
    "name",
    "unpack",
    "rev",
    "revCount",
    "lastModified",
];

const TRANSPORTS: &[&str] = &["file", "http", "https"];
const ARCHIVES: &[&str] = &[
    ".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst",
];

fn is_archive_name(url: &Url) -> bool {
    ARCHIVES
        .iter()
        .any(|suffix| url.base_name().ends_with(suffix))
}

pub(super) fn from_url(scheme: Scheme, url: &Url, wanted: Wanted) -> Option<Attrs> {
    let (application, transport) = split_scheme(&url.scheme);
    let is_tarball = wanted == Wanted::Tree || is_archive_name(url);
    let mine = match application {
        Some(name) => name == scheme.name(),
        None => is_tarball == (scheme == Scheme::Tarball),
    };
    if !TRANSPORTS.contains(&transport) || !mine {
        return None;
    }
    let mut attrs = Attrs::new().with("type", scheme.name());
    for name in ["narHash", "rev"] {
        if let Some(value) = url.query.get(name) {
            attrs.set(name, value.as_str());
        }
    }
    for name in ["revCount", "lastModified"] {
        if let Some(number) = query_number(url, name) {
            attrs.set(name, number);
        }
    }
    // What is meant for us is not sent to the server.
    let mut plain = url.clone();
    plain.scheme = transport.to_owned();
    plain
        .query
        .retain(|name, _| !ATTRIBUTES.contains(&name.as_str()));
    attrs.set("url", plain.to_string());
    Some(attrs)
}

pub(super) fn to_url(input: &Input) -> Result<Url, InputError> {
    let mut url = Url::parse(input.attrs.str("url")?)?;
    if let Some(hash) = input.nar_hash()? {
        url.query.insert("narHash".into(), hash.sri());
    }
    Ok(url)
}
