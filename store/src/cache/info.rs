//! `nix-cache-info`: for which stores a cache is, and how it wants to be asked.

use std::fmt;

/// The contents of `nix-cache-info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheInfo {
    /// The store directory of all its paths.
    pub store_dir: String,
    /// It likes to be asked about many paths.
    pub want_mass_query: bool,
    /// Caches with a lower number are asked first.
    pub priority: i32,
}

/// The priority of a cache that names none.
pub const DEFAULT_PRIORITY: i32 = 50;

impl CacheInfo {
    /// A cache for a store directory that says nothing else.
    pub fn new(store_dir: &str) -> Self {
        CacheInfo {
            store_dir: store_dir.to_owned(),
            want_mass_query: false,
            priority: DEFAULT_PRIORITY,
        }
    }

    /// Reads the text; lines that are not understood are skipped. Without `StoreDir`, the default
    /// directory is meant.
    pub fn parse(text: &str, default_dir: &str) -> Self {
        let mut info = Self::new(default_dir);
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match name {
                "StoreDir" => info.store_dir = value.to_owned(),
                "WantMassQuery" => info.want_mass_query = value == "1",
                "Priority" => info.priority = value.parse().unwrap_or(DEFAULT_PRIORITY),
                _ => {}
            }
        }
        info
    }
}

impl fmt::Display for CacheInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "StoreDir: {}", self.store_dir)
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn what_a_cache_says_of_itself_is_read() {
        let info = CacheInfo::parse(
            "StoreDir: /x\nWantMassQuery: 1\nPriority: 30\nnoise\n",
            "/nix/store",
        );
        assert_eq!(
            info,
            CacheInfo {
                store_dir: "/x".into(),
                want_mass_query: true,
                priority: 30
            }
        );
        assert_eq!(
            CacheInfo::parse("Priority: x", "/nix/store"),
            CacheInfo::new("/nix/store")
        );
        assert_eq!(
            CacheInfo::new("/nix/store").to_string(),
            "StoreDir: /nix/store\n"
        );
    }
}
