//! Parameters of a cache's address.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::compression::Compression;
use super::super::transport::CacheError;
use crate::store::signature::SecretKey;

/// Parameters of a cache's address.
#[derive(Clone)]
pub struct CacheOptions {
    /// `compression`
    pub compression: Compression,
    /// `compression-level`; -1 is the compression's default.
    pub level: i32,
    /// `parallel-compression`
    pub parallel: bool,
    /// `write-nar-listing`
    pub write_listing: bool,
    /// `index-debug-info`
    pub index_debug_info: bool,
    /// `secret-key` and `secret-keys`: who signs what is added.
    pub keys: Vec<SecretKey>,
    /// `local-nar-cache`: a directory where archives that were looked into stay.
    pub local_archives: Option<PathBuf>,
    /// `trusted`: signatures of its paths are not checked.
    pub trusted: bool,
    /// `want-mass-query`, if not what the cache says.
    pub want_mass_query: Option<bool>,
    /// `priority`, if not what the cache says.
    pub priority: Option<i32>,
}

impl Default for CacheOptions {
    fn default() -> Self {
        CacheOptions {
            compression: Compression::Xz,
            level: -1,
            parallel: false,
            write_listing: false,
            index_debug_info: false,
            keys: Vec::new(),
            local_archives: None,
            trusted: false,
            want_mass_query: None,
            priority: None,
        }
    }
}

fn flag(value: &str) -> bool {
    matches!(value, "true" | "1" | "yes")
}

impl CacheOptions {
    /// Takes the parameters that it knows out of a query.
    pub fn take_from(query: &mut BTreeMap<String, String>) -> Result<Self, CacheError> {
        let mut options = Self::default();
        let mut take = |name: &str| query.remove(name);
        if let Some(name) = take("compression") {
            options.compression = Compression::from_name(&name).ok_or_else(|| {
                CacheError::Setting(format!(
                    "failed to initialize compression: there is no method '{name}' (but none, brotli, bzip2, gzip, xz, zstd)"
                ))
            })?;
            options.parallel = options.compression == Compression::Zstd;
        }
        let number = |name: &str, value: String| {
            value.parse().map_err(|_| {
                CacheError::Setting(format!("setting '{name}' has invalid value '{value}'"))
            })
        };
        if let Some(level) = take("compression-level") {
            options.level = number("compression-level", level)?;
        }
        if let Some(value) = take("parallel-compression") {
            options.parallel = flag(&value);
        }
        options.write_listing = take("write-nar-listing").is_some_and(|value| flag(&value));
        options.index_debug_info = take("index-debug-info").is_some_and(|value| flag(&value));
        options.local_archives = take("local-nar-cache")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        options.trusted = take("trusted").is_some_and(|value| flag(&value));
        options.want_mass_query = take("want-mass-query").map(|value| flag(&value));
        if let Some(priority) = take("priority") {
            options.priority = Some(number("priority", priority)?);
        }
        let files = [take("secret-key"), take("secret-keys")];
        for file in files
            .iter()
            .flatten()
            .flat_map(|files| files.split(','))
            .filter(|file| !file.is_empty())
        {
            let text = std::fs::read_to_string(file)
                .map_err(|e| CacheError::file("reading", std::path::Path::new(file), e))?;
            let key =
                SecretKey::parse(text.trim()).map_err(|e| CacheError::Setting(e.to_string()))?;
            options.keys.push(key);
        }
        // Settings of all stores, and of the reference's caches, that have no meaning here.
        for name in [
            "store",
            "path-info-cache-size",
            "system-features",
            "narinfo-compression",
            "ls-compression",
            "log-compression",
        ] {
            take(name);
        }
        Ok(options)
    }
}
