//! Where a local store is, and how it behaves.

use std::path::{Path, PathBuf};

use crate::path::StoreDir;
use crate::settings::Settings;
use crate::store::address::{StoreAddress, Target};
use crate::store::error::StoreError;
use crate::store::signature::PublicKeys;

/// Where a local store is, and how it behaves.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// The directory that store paths are printed with.
    pub dir: StoreDir,
    /// The directory that they are in.
    pub real_store_dir: PathBuf,
    /// The root below which everything lies, when it is not `/`.
    pub root: Option<PathBuf>,
    /// Database, roots, profiles.
    pub state_dir: PathBuf,
    /// Build logs.
    pub log_dir: PathBuf,
    /// Where builds run; below the state directory unless set.
    pub build_dir: Option<PathBuf>,
    /// Nothing is written, and the database is taken as unchanging.
    pub read_only: bool,
    /// Objects from elsewhere need a signature.
    pub require_signatures: bool,
    /// Keys that are trusted.
    pub trusted_keys: PublicKeys,
    /// Derivations keep their outputs.
    pub keep_outputs: bool,
    /// Outputs keep their derivations.
    pub keep_derivations: bool,
    /// Link identical files together when they are added.
    pub auto_optimise: bool,
    /// Collect garbage when less is free.
    pub min_free: u64,
    /// Stop collecting when more is free.
    pub max_free: u64,
    /// Seconds between looks at what is free.
    pub min_free_interval: u64,
    /// Bytes set aside, so that garbage can be collected on a full disk.
    pub reserved_space: u64,
    /// The database is synced at checkpoints.
    pub fsync_metadata: bool,
    /// Contents are synced before they are registered.
    pub sync_contents: bool,
    /// Use SQLite's write-ahead log.
    pub use_wal: bool,
    /// The store may lie behind symbolic links.
    pub allow_symlinks: bool,
    /// Group of the users that builders run as.
    pub build_users_group: String,
    /// Extended attributes that are left alone.
    pub ignored_acls: Vec<String>,
    /// What is copied from elsewhere and is as large is told; never when 0.
    pub warn_large_path: u64,
    /// Outputs of content-addressed derivations are recorded.
    pub ca_derivations: bool,
    /// The text that names this store.
    pub url: String,
}

impl LocalConfig {
    /// A store below `root`, with logical paths in `/nix/store` and defaults for everything.
    pub fn at_root(root: &Path) -> Self {
        LocalConfig {
            dir: StoreDir::default(),
            real_store_dir: root.join("nix/store"),
            root: Some(root.to_owned()),
            state_dir: root.join("nix/var/nix"),
            log_dir: root.join("nix/var/log/nix"),
            build_dir: None,
            read_only: false,
            require_signatures: true,
            trusted_keys: PublicKeys::default(),
            keep_outputs: false,
            keep_derivations: true,
            auto_optimise: false,
            min_free: 0,
            max_free: i64::MAX as u64,
            min_free_interval: 5,
            reserved_space: 8 << 20,
            fsync_metadata: true,
            sync_contents: true,
            use_wal: true,
            allow_symlinks: false,
            build_users_group: String::new(),
            ignored_acls: Vec::new(),
            warn_large_path: 0,
            ca_derivations: false,
            url: root.display().to_string(),
        }
    }

    /// The store that settings and address name. For [`Target::Auto`] and [`Target::Local`] only; a daemon's or a
    /// cache's address is somebody else's.
    pub fn from_settings(settings: &Settings, address: &StoreAddress) -> Result<Self, StoreError> {
        let places = &settings.places;
        let param = |name: &str| address.params.get(name).filter(|v| !v.is_empty());
        let mut root = param("root").map(PathBuf::from);
        let mut url = address.to_string();
        match &address.target {
            Target::Local(Some(path)) => root = Some(absolute(path)?),
            Target::Auto if param("root").is_none() => {
                url = "local".to_owned();
                if let Some(private) = private_root(settings) {
                    url = private.display().to_string();
                    root = Some(private);
                }
            }
            _ => {}
        }
        let root = root.map(|root| absolute(&root)).transpose()?;
        // Below a root the layout is fixed; the environment's directories are those of the system's store.
        let below = |default: &Path, rest: &str| match &root {
            Some(root) => root.join(rest),
            None => default.to_owned(),
        };
        let dir = match param("store") {
            Some(dir) => StoreDir::new(dir)?,
            None => {
                use std::os::unix::ffi::OsStrExt;
                StoreDir::new(places.store_dir.as_os_str().as_bytes())?
            }
        };
        let real_store_dir = match (param("real"), &root) {
            (Some(real), _) => PathBuf::from(real),
            (None, Some(root)) => root.join("nix/store"),
            (None, None) => dir.as_path().to_owned(),
        };
        let state_dir =
            param("state").map_or_else(|| below(&places.state_dir, "nix/var/nix"), PathBuf::from);
        let log_dir =
            param("log").map_or_else(|| below(&places.log_dir, "nix/var/log/nix"), PathBuf::from);
        let trusted = settings.trusted_public_keys.iter().map(String::as_str);
        let mut trusted_keys = PublicKeys::parse(trusted)?;
        for file in &settings.secret_key_files {
            // Whoever can sign here is trusted here; a file that cannot be read only means less trust.
            if let Ok(text) = std::fs::read_to_string(file)
                && let Ok(key) = crate::store::signature::SecretKey::parse(text.trim())
            {
                trusted_keys.add(key.public());
            }
        }
        Ok(LocalConfig {
            dir,
            real_store_dir,
            state_dir,
            log_dir,
            build_dir: param("build-dir")
                .map(PathBuf::from)
                .or(settings.build_dir.clone()),
            read_only: address.flag("read-only"),
            require_signatures: match param("require-sigs") {
                Some(_) => address.flag("require-sigs"),
                None => settings.require_sigs,
            },
            trusted_keys,
            keep_outputs: settings.keep_outputs,
            keep_derivations: settings.keep_derivations,
            auto_optimise: settings.auto_optimise_store,
            min_free: settings.min_free,
            max_free: settings.max_free,
            min_free_interval: settings.min_free_check_interval,
            reserved_space: settings.gc_reserved_space,
            fsync_metadata: settings.fsync_metadata,
            sync_contents: settings.fsync_metadata
                || settings.fsync_store_paths
                || settings.sync_before_registering,
            use_wal: settings.use_sqlite_wal,
            allow_symlinks: settings.allow_symlinked_store,
            build_users_group: settings.build_users_group.clone(),
            ignored_acls: settings.ignored_acls.iter().cloned().collect(),
            warn_large_path: settings.warn_large_path_threshold,
            ca_derivations: settings
                .experimental_features
                .contains(&crate::settings::Feature::CaDerivations),
            root,
            url,
        })
    }

    /// Where an object is on disk.
    pub fn real_path(&self, path: &crate::path::StorePath) -> PathBuf {
        self.real_store_dir.join(path.to_string())
    }
}

fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path)
        .map(|path| crate::settings::clean(&path))
        .map_err(|e| StoreError::file("resolving", path, e))
}

/// The private root of a user who can neither write the system's store nor ask a daemon, and has not said where
/// the store is.
fn private_root(settings: &Settings) -> Option<PathBuf> {
    use rustix::fs::{Access, access};
    let places = &settings.places;
    if access(&places.state_dir, Access::READ_OK | Access::WRITE_OK).is_ok()
        || places.state_dir.join("daemon-socket/socket").exists()
        || rustix::process::geteuid().is_root()
        || std::env::var_os("NIX_STORE_DIR").is_some()
        || std::env::var_os("NIX_STATE_DIR").is_some()
    {
        return None;
    }
    Some(places.data_dir.join("root"))
}
