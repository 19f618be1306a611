//! `path:/some/directory`: a directory as it is.

use super::{Input, InputError};
use crate::fetch::attrs::{Attr, Attrs};
use crate::fetch::url::Url;

pub(super) const ATTRIBUTES: &[&str] = &["path", "rev", "revCount", "lastModified", "narHash"];

pub(super) fn from_url(url: &Url) -> Result<Option<Attrs>, InputError> {
    if url.scheme != "path" {
        return Ok(None);
    }
    if let Some(authority) = url
        .authority
        .as_ref()
        .filter(|authority| !authority.host.is_empty())
    {
        return Err(InputError::Other(format!(
            "path URL '{url}' should not have an authority ('{authority}')"
        )));
    }
    let path = url.to_path()?;
    let mut attrs = Attrs::new()
        .with("type", "path")
        .with("path", path.to_string_lossy().into_owned());
    for (name, value) in &url.query {
        match name.as_str() {
            "rev" | "narHash" => attrs.set(name, value.as_str()),
            "revCount" | "lastModified" => {
                let number: u64 = value.parse().map_err(|_| {
                    InputError::Other(format!("path URL '{url}' has invalid parameter '{name}'"))
                })?;
                attrs.set(name, number);
            }
            _ => {
                return Err(InputError::Other(format!(
                    "path URL '{url}' has unsupported parameter '{name}'"
                )));
            }
        }
    }
    Ok(Some(attrs))
}

pub(super) fn to_url(input: &Input) -> Result<Url, InputError> {
    let mut query = std::collections::BTreeMap::new();
    for (name, value) in &input.attrs.0 {
        if !matches!(name.as_str(), "path" | "type" | "__final") {
            let text = match value {
                Attr::Str(text) => text.clone(),
                Attr::Int(number) => number.to_string(),
                Attr::Bool(flag) => u8::from(*flag).to_string(),
            };
            query.insert(name.clone(), text);
        }
    }
    Ok(Url {
        scheme: "path".into(),
        authority: None,
        path: input
            .attrs
            .str("path")?
            .split('/')
            .map(str::to_owned)
            .collect(),
        query,
        fragment: String::new(),
    })
}
