//! The texts that name stores.
//!
//! ```text
//! auto                      the local store, or the daemon's where there is one
//! local[?root=…&real=…]     the local store, elsewhere
//! daemon, unix://SOCKET     a daemon
//! /some/root                the local store below that root
//! scheme://authority?…      anything else: caches, ssh, dummy
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Why a text names no store.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum AddressError {
    /// No rule fits the text.
    #[error("'{0}' is not a valid URL")]
    Invalid(String),
    /// No kind of store has that scheme.
    #[error("don't know how to open Nix store '{0}'")]
    Unknown(String),
}

/// What a text names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// `auto`.
    Auto,
    /// `local`, or a path: the local store, below that root if one is given.
    Local(Option<PathBuf>),
    /// `daemon` or `unix://…`: the socket if one is given.
    Daemon(Option<PathBuf>),
    /// Another scheme with what follows `://`.
    Scheme {
        /// Before `://`.
        scheme: String,
        /// After it, without parameters.
        rest: String,
    },
}

/// A store's name with parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreAddress {
    /// What it names.
    pub target: Target,
    /// `key=value` after the question mark.
    pub params: BTreeMap<String, String>,
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%')
            .then(|| bytes.get(i + 1..i + 3))
            .flatten()
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match hex {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl StoreAddress {
    /// Reads a store's name. Parameters that follow a `?` are decoded.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let params = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (percent_decode(key), percent_decode(value)))
            .collect();
        let target = match base {
            "" | "auto" => Target::Auto,
            "local" => Target::Local(None),
            "daemon" => Target::Daemon(None),
            _ if base.starts_with('/') || base.starts_with("./") || base.starts_with("../") => {
                Target::Local(Some(base.into()))
            }
            "." | ".." => Target::Local(Some(base.into())),
            _ => match base.split_once("://") {
                Some(("auto", "")) => Target::Auto,
                Some(("local", "")) => Target::Local(None),
                Some(("local", rest)) => Target::Local(Some(percent_decode(rest).into())),
                Some(("unix", "")) => Target::Daemon(None),
                Some(("unix", rest)) => Target::Daemon(Some(percent_decode(rest).into())),
                Some((scheme, rest)) => Target::Scheme {
                    scheme: scheme.to_owned(),
                    rest: percent_decode(rest),
                },
                None if base.contains('/') => Target::Local(Some(base.into())),
                None => return Err(AddressError::Invalid(text.to_owned())),
            },
        };
        Ok(StoreAddress { target, params })
    }

    /// A parameter that is a truth value.
    pub fn flag(&self, name: &str) -> bool {
        matches!(
            self.params.get(name).map(String::as_str),
            Some("true" | "1" | "yes")
        )
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Auto => f.write_str("auto")?,
            Target::Local(None) => f.write_str("local")?,
            Target::Local(Some(root)) => write!(f, "{}", root.display())?,
            Target::Daemon(None) => f.write_str("daemon")?,
            Target::Daemon(Some(socket)) => write!(f, "unix://{}", socket.display())?,
            Target::Scheme { scheme, rest } => write!(f, "{scheme}://{rest}")?,
        }
        for (i, (key, value)) in self.params.iter().enumerate() {
            write!(f, "{}{key}={value}", if i == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_stores_are_understood() {
        let target = |text: &str| StoreAddress::parse(text).unwrap().target;
        assert_eq!(target("auto"), Target::Auto);
        assert_eq!(target("local"), Target::Local(None));
        assert_eq!(target("/tmp/x"), Target::Local(Some("/tmp/x".into())));
        assert_eq!(target("local?root=/tmp/x"), Target::Local(None));
        assert_eq!(target("daemon"), Target::Daemon(None));
        assert_eq!(
            target("unix:///run/s"),
            Target::Daemon(Some("/run/s".into()))
        );
        let cache = StoreAddress::parse("https://example.org/a?priority=10&x=a%20b").unwrap();
        assert_eq!(
            cache.target,
            Target::Scheme {
                scheme: "https".into(),
                rest: "example.org/a".into()
            }
        );
        assert_eq!(cache.params["x"], "a b");
        assert!(StoreAddress::parse("nonsense").is_err());
    }
}
