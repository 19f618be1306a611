//! Directories and other facts that the environment gives: `NIX_*`, `XDG_*`, `HOME`, `TMPDIR`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::kinds::Words;

/// Where things are. Read from the environment once, at start.
#[derive(Clone, Debug)]
pub struct Places {
    /// The logical store directory (`NIX_STORE_DIR`), nearly always `/nix/store`.
    pub store_dir: PathBuf,
    /// The database, roots and profiles (`NIX_STATE_DIR`), by default `/nix/var/nix`.
    pub state_dir: PathBuf,
    /// Build logs (`NIX_LOG_DIR`), by default `/nix/var/log/nix`.
    pub log_dir: PathBuf,
    /// The system's configuration (`NIX_CONF_DIR`), by default `/etc/nix`.
    pub conf_dir: PathBuf,
    /// The user's home directory.
    pub home: PathBuf,
    /// Temporary files (`TMPDIR`), by default `/tmp`.
    pub temp_dir: PathBuf,
    /// The user's caches: `NIX_CACHE_HOME`, or `nix` below `XDG_CACHE_HOME`.
    pub cache_dir: PathBuf,
    /// The user's configuration: `NIX_CONFIG_HOME`, or `nix` below `XDG_CONFIG_HOME`.
    pub config_dir: PathBuf,
    /// The user's data: `NIX_DATA_HOME`, or `nix` below `XDG_DATA_HOME`.
    pub data_dir: PathBuf,
    /// The user's state: `NIX_STATE_HOME`, or `nix` below `XDG_STATE_HOME`.
    pub user_state_dir: PathBuf,
    /// The user's configuration files, the most important first.
    pub user_conf_files: Vec<PathBuf>,
    /// Settings from the variable `NIX_CONFIG`.
    pub nix_config: Option<OsString>,
    /// The search path from the variable `NIX_PATH`.
    pub nix_path: Option<OsString>,
    /// The store from the variable `NIX_REMOTE`.
    pub remote: Option<OsString>,
    /// `NIX_IGNORE_SYMLINK_STORE=1` was set.
    pub ignore_symlink_store: bool,
    remote_systems: Option<OsString>,
    ssl_cert_file: Option<OsString>,
}

impl Places {
    /// Reads the environment of this process.
    pub fn from_env() -> Places {
        Places::from_lookup(|name| std::env::var_os(name))
    }

    /// Reads an environment given as a function.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Places {
        let filled = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let dir = |name: &str| filled(name).map(|value| clean(Path::new(&value)));
        let home = home_dir(filled("HOME"));
        let xdg = |own: &str, name: &str, fallback: &str| {
            filled(own).map(PathBuf::from).unwrap_or_else(|| {
                filled(name)
                    .map_or_else(|| home.join(fallback), PathBuf::from)
                    .join("nix")
            })
        };
        let config_dir = xdg("NIX_CONFIG_HOME", "XDG_CONFIG_HOME", ".config");
        let user_conf_files = match lookup("NIX_USER_CONF_FILES") {
            Some(files) => split_colons(&files),
            None => {
                let system = filled("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".into());
                std::iter::once(config_dir.clone())
                    .chain(split_colons(&system).into_iter().map(|dir| dir.join("nix")))
                    .map(|dir| dir.join("nix.conf"))
                    .collect()
            }
        };
        let local_state = dir("NIX_LOCALSTATE_DIR").unwrap_or_else(|| "/nix/var".into());
        Places {
            store_dir: dir("NIX_STORE_DIR")
                .or_else(|| dir("NIX_STORE"))
                .unwrap_or_else(|| "/nix/store".into()),
            state_dir: dir("NIX_STATE_DIR").unwrap_or_else(|| local_state.join("nix")),
            log_dir: dir("NIX_LOG_DIR").unwrap_or_else(|| local_state.join("log/nix")),
            conf_dir: dir("NIX_CONF_DIR").unwrap_or_else(|| "/etc/nix".into()),
            temp_dir: filled("TMPDIR").map_or_else(|| "/tmp".into(), PathBuf::from),
            cache_dir: xdg("NIX_CACHE_HOME", "XDG_CACHE_HOME", ".cache"),
            data_dir: xdg("NIX_DATA_HOME", "XDG_DATA_HOME", ".local/share"),
            user_state_dir: xdg("NIX_STATE_HOME", "XDG_STATE_HOME", ".local/state"),
            config_dir,
            user_conf_files,
            nix_config: lookup("NIX_CONFIG"),
            nix_path: lookup("NIX_PATH"),
            remote: filled("NIX_REMOTE"),
            ignore_symlink_store: lookup("NIX_IGNORE_SYMLINK_STORE").is_some_and(|it| it == "1"),
            remote_systems: lookup("NIX_REMOTE_SYSTEMS"),
            ssl_cert_file: filled("NIX_SSL_CERT_FILE").or_else(|| filled("SSL_CERT_FILE")),
            home,
        }
    }

    pub(super) fn default_store(&self) -> String {
        self.remote
            .as_ref()
            .map_or_else(|| "auto".into(), |url| url.to_string_lossy().into_owned())
    }

    pub(super) fn default_builders(&self) -> String {
        match &self.remote_systems {
            Some(files) => split_colons(files)
                .iter()
                .map(|file| format!("@{}", file.display()))
                .collect::<Vec<_>>()
                .join("\n"),
            None => format!("@{}", self.conf_dir.join("machines").display()),
        }
    }

    pub(super) fn default_ssl_cert_file(&self) -> Option<PathBuf> {
        if let Some(file) = &self.ssl_cert_file {
            return Some(file.into());
        }
        [
            Path::new("/etc/ssl/certs/ca-certificates.crt"),
            Path::new("/nix/var/nix/profiles/default/etc/ssl/certs/ca-bundle.crt"),
        ]
        .into_iter()
        .find(|file| file.exists())
        .map(Path::to_owned)
    }

    /// The channels of this user and of root, as far as they exist: what `<name>` is looked up in at last.
    pub fn default_nix_path(&self) -> Words {
        let root_channels = self.state_dir.join("profiles/per-user/root/channels");
        let mut words = Words::default();
        let mut add = |prefix: &str, path: PathBuf| {
            if path.exists() {
                let mut word = OsString::from(prefix);
                word.push(path);
                words.0.push(word);
            }
        };
        add("", self.home.join(".nix-defexpr/channels"));
        add("nixpkgs=", root_channels.join("nixpkgs"));
        add("", root_channels);
        words
    }
}

/// `HOME`, unless it belongs to somebody else (as under `sudo`): then what the user database says.
fn home_dir(variable: Option<OsString>) -> PathBuf {
    let uid = rustix::process::geteuid().as_raw();
    if let Some(home) = &variable
        && std::fs::metadata(home).map_or(true, |meta| meta.uid() == uid)
    {
        return home.into();
    }
    passwd_home(uid)
        .or(variable.map(PathBuf::from))
        .unwrap_or_else(|| "/homeless-shelter".into())
}

/// The sixth field of the user's line in `/etc/passwd`.
fn passwd_home(uid: u32) -> Option<PathBuf> {
    let table = std::fs::read("/etc/passwd").ok()?;
    table.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let id = fields.nth(2)?;
        let home = fields.nth(2)?;
        (id == uid.to_string().as_bytes() && !home.is_empty())
            .then(|| PathBuf::from(OsStr::from_bytes(home)))
    })
}

fn split_colons(list: &OsStr) -> Vec<PathBuf> {
    list.as_bytes()
        .split(|byte| *byte == b':')
        .filter(|part| !part.is_empty())
        .map(|part| PathBuf::from(OsStr::from_bytes(part)))
        .collect()
}

/// An absolute path without `.`, `..` and repeated slashes; symbolic links are not looked at.
pub fn clean(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut result = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => result.push(name),
            Component::ParentDir => {
                result.pop();
            }
            _ => {}
        }
    }
    result
}

/// Splits `NIX_PATH` at colons, except at those that belong to a URL or to `channel:`, `flake:`.
pub fn split_nix_path(path: &OsStr) -> Words {
    let mut words = Vec::new();
    let mut rest = path.as_bytes();
    while !rest.is_empty() {
        let colon = |from: usize| {
            rest[from..]
                .iter()
                .position(|byte| *byte == b':')
                .map_or(rest.len(), |at| from + at)
        };
        let mut end = colon(0);
        if end < rest.len() {
            let value = rest[..end]
                .iter()
                .rposition(|byte| *byte == b'=')
                .map_or(0, |at| at + 1);
            if is_url(&rest[value..]) {
                end = colon(end + 1);
            }
        }
        if end > 0 {
            words.push(OsString::from_vec(rest[..end].to_vec()));
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    Words(words)
}

fn is_url(text: &[u8]) -> bool {
    const SCHEMES: [&[u8]; 7] = [
        b"http://",
        b"https://",
        b"file://",
        b"channel://",
        b"git://",
        b"s3://",
        b"ssh://",
    ];
    text.starts_with(b"channel:")
        || text.starts_with(b"flake:")
        || SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)]) -> Places {
        let variables: Vec<(String, OsString)> = variables
            .iter()
            .map(|(name, value)| ((*name).into(), value.into()))
            .collect();
        Places::from_lookup(move |name| {
            variables
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn directories_have_the_usual_defaults() {
        let places = places(&[]);
        assert_eq!(places.store_dir, Path::new("/nix/store"));
        assert_eq!(places.state_dir, Path::new("/nix/var/nix"));
        assert_eq!(places.log_dir, Path::new("/nix/var/log/nix"));
        assert_eq!(places.conf_dir, Path::new("/etc/nix"));
    }

    #[test]
    fn variables_move_directories_and_are_cleaned() {
        let places = places(&[
            ("NIX_STATE_DIR", "/a/./b//c/../d/"),
            ("NIX_STORE_DIR", "/s"),
        ]);
        assert_eq!(places.state_dir, Path::new("/a/b/d"));
        assert_eq!(places.store_dir, Path::new("/s"));
    }

    #[test]
    fn the_users_files_come_from_the_variable_or_from_xdg() {
        let own = places(&[("NIX_USER_CONF_FILES", "/a:/b")]);
        assert_eq!(own.user_conf_files, [Path::new("/a"), Path::new("/b")]);
        let xdg = places(&[("XDG_CONFIG_HOME", "/x"), ("XDG_CONFIG_DIRS", "/y:/z")]);
        let expected = ["/x/nix/nix.conf", "/y/nix/nix.conf", "/z/nix/nix.conf"];
        assert_eq!(xdg.user_conf_files, expected.map(PathBuf::from));
    }

    #[test]
    fn urls_in_the_search_path_keep_their_colons() {
        let split = |text: &str| {
            split_nix_path(OsStr::new(text))
                .0
                .into_iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(split("a:b=c::/d"), ["a", "b=c", "/d"]);
        assert_eq!(
            split("nixpkgs=https://e.org/x.tar.gz:/d:channel:foo:y"),
            ["nixpkgs=https://e.org/x.tar.gz", "/d", "channel:foo", "y"]
        );
    }
}
