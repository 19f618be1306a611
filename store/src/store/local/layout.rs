//! What lies on disk before there is a database: directories, the file that sets space aside, the number of the schema.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::config::LocalConfig;
use crate::store::StoreError;

fn create_dirs(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(|e| StoreError::file("creating directory", path, e))
}

/// Makes the directories that a store consists of, with the owners and modes that they must have.
pub(super) fn prepare_directories(config: &LocalConfig, db_dir: &Path) -> Result<(), StoreError> {
    create_dirs(&config.real_store_dir)?;
    create_dirs(&config.real_store_dir.join(".links"))?;
    create_dirs(&config.state_dir.join("temproots"))?;
    create_dirs(db_dir)?;
    for dir in ["profiles", "gcroots"] {
        let per_user = config.state_dir.join(dir).join("per-user");
        create_dirs(&per_user)?;
        if fs::metadata(&per_user).is_ok_and(|m| m.mode() & 0o7777 != 0o755) {
            // Not ours to change when somebody else owns it; then it is theirs to get right.
            let _ = fs::set_permissions(&per_user, fs::Permissions::from_mode(0o755));
        }
    }
    if rustix::process::geteuid().is_root()
        && !config.build_users_group.is_empty()
        && let Some(gid) = group_id(&config.build_users_group)
        && let Ok(stat) = fs::metadata(&config.real_store_dir)
        && (stat.uid(), stat.gid(), stat.mode() & 0o7777) != (0, gid, 0o1775)
    {
        let dir = &config.real_store_dir;
        std::os::unix::fs::chown(dir, Some(0), Some(gid))
            .map_err(|e| StoreError::file("changing owner of", dir, e))?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o1775))
            .map_err(|e| StoreError::file("changing mode of", dir, e))?;
    }
    Ok(())
}

fn group_id(name: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

/// A store directory below a symbolic link would have two names.
pub(super) fn refuse_symlinks(store_dir: &Path) -> Result<(), StoreError> {
    for path in store_dir.ancestors() {
        if fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_symlink()) {
            return Err(StoreError::SymlinkedStore(path.display().to_string()));
        }
    }
    Ok(())
}

/// Sets disk space aside that a collection can free first, if there is plenty; failing to do so is no error.
pub(super) fn reserve_space(path: &Path, size: u64) {
    let is_whole = |meta: fs::Metadata| meta.len() == size && meta.blocks() * 512 >= size;
    if fs::metadata(path).is_ok_and(is_whole) {
        return;
    }
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    let Ok(file) = file else {
        return;
    };
    let _ = file.set_len(size);
    // On a disk that is nearly full others need the rest.
    let is_plenty = rustix::fs::fstatvfs(&file)
        .is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) / 4 > size);
    if is_plenty {
        let flags = rustix::fs::FallocateFlags::empty();
        let _ = rustix::fs::fallocate(&file, flags, 0, size.max(1));
    }
}

/// Gives back an eighth of what was set aside, if there still is some.
pub(super) fn release_some(path: &Path, size: u64) -> bool {
    let Ok(file) = fs::OpenOptions::new().write(true).open(path) else {
        return false;
    };
    let Ok(meta) = file.metadata() else {
        return false;
    };
    let allocated = meta.len().min(meta.blocks() * 512);
    allocated > 0
        && file
            .set_len(allocated.saturating_sub(size.max(8) / 8))
            .is_ok()
}

/// The number of the schema; nothing if there is no database yet.
pub(super) fn read_schema(path: &Path) -> Result<Option<u64>, StoreError> {
    match fs::read_to_string(path) {
        Ok(text) => match text.trim().parse() {
            Ok(0) => Ok(None),
            Ok(schema) => Ok(Some(schema)),
            Err(_) => Err(StoreError::SchemaFile(path.display().to_string())),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StoreError::file("reading file", path, e)),
    }
}

/// Replaces a small file so that it is either old or new, whatever happens.
pub(super) fn write_synced(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    let temp = path.with_extension(format!("tmp-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temp)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&temp, path)
    };
    write().map_err(|e| StoreError::file("writing file", path, e))
}
