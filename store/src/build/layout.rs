//! The file system that an isolated builder sees.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use super::backend::Backend;
use super::error::BuildError;
use super::hooks;
use super::options::{self, Options};
use super::sandbox::{Access, BindMount, Isolation, Network, SandboxUser, shell};
use crate::derivation::BasicDerivation;
use crate::path::StorePath;
use crate::settings::Settings;

/// Everything the layout follows from.
pub struct LayoutInput<'a> {
    /// The store.
    pub store: &'a dyn Backend,
    /// The user's settings.
    pub settings: &'a Settings,
    /// The derivation.
    pub derivation_path: &'a StorePath,
    /// What is built.
    pub derivation: &'a BasicDerivation,
    /// Its options.
    pub options: &'a Options,
    /// Whether it has no network but loopback.
    pub private_network: bool,
    /// The closure of its inputs.
    pub inputs: &'a BTreeSet<StorePath>,
    /// Holds `root`, `store` and `tmp`.
    pub chroot: &'a Path,
    /// The build directory on the host.
    pub build_dir: &'a Path,
    /// Whether the builder is root over a range of users.
    pub user_range: bool,
}

/// What of the host a builder sees, and where.
pub fn isolation(
    input: &LayoutInput<'_>,
    user_namespace: bool,
    user: Option<&SandboxUser>,
) -> Result<Isolation, BuildError> {
    let settings = input.settings;
    let seen_build_dir = &settings.sandbox_build_dir;
    let store_dir = input.store.dir().as_path();
    if store_dir.starts_with(seen_build_dir) {
        return Err(BuildError::misc(
            "`sandbox-build-dir` must not contain the storeDir",
        ));
    }
    let mut host = host_paths(input)?;
    let own_devices = !host.contains_key(Path::new("/dev"));
    if own_devices {
        add_devices(settings, &mut host);
    }
    if !input.private_network {
        add_network_files(settings, &mut host);
    }
    let outputs: BTreeSet<PathBuf> = input
        .derivation
        .output_paths(input.store.dir())
        .into_iter()
        .flatten()
        .filter_map(|(_, path)| path)
        .map(|path| store_dir.join(path.base_name()))
        .collect();
    // What is built again must not be shadowed by what is there.
    host.retain(|target, _| !outputs.contains(target));

    for path in input.inputs {
        let target = store_dir.join(path.base_name());
        if !outputs.contains(&target) {
            let real = input.store.real_dir().join(path.base_name());
            host.insert(target.clone(), BindMount::read_only(real, target));
        }
    }
    for (source, target) in [
        (input.chroot.join("store"), store_dir),
        (input.build_dir.to_owned(), seen_build_dir.as_path()),
        (input.chroot.join("tmp"), Path::new("/tmp")),
    ] {
        host.insert(target.to_owned(), BindMount::writable(source, target));
    }
    // In this order, outer places come before inner ones.
    let mut binds: Vec<BindMount> = host.into_values().collect();
    let caller = rustix::process::geteuid().as_raw();
    if user.is_some_and(|user| user.outside_uid != caller) {
        open_hidden_as_caller(&mut binds);
    }
    Ok(Isolation {
        root: input.chroot.join("root"),
        network: if input.private_network {
            Network::Private
        } else {
            Network::Host
        },
        user_namespace,
        files: files(input, user),
        binds,
        own_devices,
        shared_memory_size: settings.sandbox_dev_shm_size.clone(),
        system_information: input.user_range,
        writable_etc: input.user_range,
    })
}

/// What lies below a directory that only the caller may enter is opened by the caller, and not by the builder's user: a store
/// in root's home, say.
fn open_hidden_as_caller(binds: &mut [BindMount]) {
    let mut known: BTreeMap<PathBuf, bool> = BTreeMap::new();
    for bind in binds {
        let parent = bind.source.parent().unwrap_or(Path::new("/"));
        let hidden = match known.get(parent) {
            Some(hidden) => *hidden,
            None => {
                let hidden = is_hidden(parent);
                known.insert(parent.to_owned(), hidden);
                hidden
            }
        };
        bind.private |= hidden;
    }
}

/// Whether not everybody may enter a directory; one that is not there is not hidden.
fn is_hidden(directory: &Path) -> bool {
    let Ok(directory) = fs::canonicalize(directory) else {
        return false;
    };
    directory.ancestors().any(|directory| {
        fs::metadata(directory).is_ok_and(|status| status.permissions().mode() & 0o001 == 0)
    })
}

/// The user's paths, a shell, and what the pre-build hook adds.
fn host_paths(input: &LayoutInput<'_>) -> Result<BTreeMap<PathBuf, BindMount>, BuildError> {
    let mut paths = BTreeMap::new();
    let mut in_store = BTreeSet::new();
    for (target, source) in &input.settings.sandbox_paths.0 {
        // Every builder has its own.
        if source.source == Path::new("/proc") {
            continue;
        }
        if let Ok((path, _)) = input
            .store
            .dir()
            .split(source.source.as_os_str().as_encoded_bytes())
            && input.store.is_valid(&path)?
        {
            in_store.insert(path);
        }
        paths.insert(
            target.clone(),
            BindMount {
                optional: source.optional,
                ..BindMount::host(&source.source, target)
            },
        );
    }
    for path in input.store.closure(&in_store)? {
        let target = input.store.dir().as_path().join(path.base_name());
        let real = input.store.real_dir().join(path.base_name());
        paths.insert(target.clone(), BindMount::read_only(real, target));
    }
    if input.settings.host_tools
        && input
            .options
            .required_system_features
            .contains(options::HOST_TOOLS)
    {
        add_host_tools(&mut paths);
    }
    add_shell(&mut paths);
    add_host_dependencies(input, &mut paths)?;
    if !input.settings.pre_build_hook.is_empty() {
        let shown = input.store.dir().display(input.derivation_path).to_string();
        let added = hooks::run_pre_build_hook(
            &input.settings.pre_build_hook,
            &shown,
            Some(&input.chroot.join("root")),
        )?;
        for (target, source) in added {
            paths.insert(target.clone(), BindMount::host(source, target));
        }
    }
    Ok(paths)
}

/// `/bin/sh`, which nearly every builder relies on, unless the user provides it.
fn add_shell(paths: &mut BTreeMap<PathBuf, BindMount>) {
    static SHELL: LazyLock<Vec<BindMount>> = LazyLock::new(shell::binds);
    if ["/bin/sh", "/bin", "/"]
        .iter()
        .any(|path| paths.contains_key(Path::new(path)))
    {
        return;
    }
    for bind in &*SHELL {
        let covered = bind
            .target
            .ancestors()
            .any(|ancestor| paths.contains_key(ancestor));
        if !covered {
            paths.insert(bind.target.clone(), bind.clone());
        }
    }
}

/// Where a machine has its programs, and what these need.
const HOST_TOOLS: [&str; 8] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
];

/// The machine's own programs, for derivations that may use them. What the user says of these paths stays.
fn add_host_tools(paths: &mut BTreeMap<PathBuf, BindMount>) {
    for path in HOST_TOOLS {
        paths
            .entry(PathBuf::from(path))
            .or_insert_with(|| BindMount {
                optional: true,
                ..BindMount::read_only(path, path)
            });
    }
}

/// What the derivation itself asks for, as far as the user allows it.
fn add_host_dependencies(
    input: &LayoutInput<'_>,
    paths: &mut BTreeMap<PathBuf, BindMount>,
) -> Result<(), BuildError> {
    use std::os::unix::ffi::OsStrExt;
    for wanted in &input.options.impure_host_deps {
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(wanted));
        let plain = path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        let allowed = input
            .settings
            .allowed_impure_host_deps
            .iter()
            .any(|prefix| path.starts_with(prefix));
        if !plain || !allowed {
            return Err(BuildError::misc(format!(
                "derivation '{}' requested impure path '{}', but it was not in allowed-impure-host-deps",
                input.store.dir().display(input.derivation_path),
                path.display()
            )));
        }
        paths.insert(
            path.clone(),
            BindMount {
                optional: true,
                ..BindMount::host(&path, &path)
            },
        );
    }
    Ok(())
}

fn add_devices(settings: &Settings, paths: &mut BTreeMap<PathBuf, BindMount>) {
    let mut devices = vec!["full", "null", "random", "tty", "urandom", "zero"];
    if settings.system_features.contains("kvm") && Path::new("/dev/kvm").exists() {
        devices.push("kvm");
    }
    for device in devices {
        let path = Path::new("/dev").join(device);
        paths
            .entry(path.clone())
            .or_insert_with(|| BindMount::host(&path, &path));
    }
}

/// What programs need to find hosts, and certificates to trust them.
fn add_network_files(settings: &Settings, paths: &mut BTreeMap<PathBuf, BindMount>) {
    let mut add = |source: &Path, target: &Path| {
        if let Ok(source) = fs::canonicalize(source) {
            paths.entry(target.to_owned()).or_insert_with(|| BindMount {
                access: Access::Read,
                ..BindMount::host(source, target)
            });
        }
    };
    for file in ["/etc/resolv.conf", "/etc/services", "/etc/hosts"] {
        add(Path::new(file), Path::new(file));
    }
    if let Some(file) = &settings.ssl_cert_file {
        add(file, Path::new("/etc/ssl/certs/ca-certificates.crt"));
    }
}

fn files(input: &LayoutInput<'_>, user: Option<&SandboxUser>) -> Vec<(PathBuf, Vec<u8>)> {
    let (uid, gid) = user.map_or((1000, 100), |user| (user.inside_uid, user.inside_gid));
    let home = input.settings.sandbox_build_dir.display();
    let mut files = vec![
        (
            "/etc/passwd".into(),
            format!(
                "root:x:0:0:Nix build user:{home}:/noshell\n\
                 nixbld:x:{uid}:{gid}:Nix build user:{home}:/noshell\n\
                 nobody:x:65534:65534:Nobody:/:/noshell\n"
            )
            .into_bytes(),
        ),
        (
            "/etc/group".into(),
            format!("root:x:0:\nnixbld:!:{gid}:\nnogroup:x:65534:\n").into_bytes(),
        ),
    ];
    if input.private_network {
        let hosts = b"127.0.0.1 localhost\n::1 localhost\n";
        files.push(("/etc/hosts".into(), hosts.to_vec()));
    } else {
        // Only what finds hosts and services, nothing else that the host may have configured.
        let switch = b"hosts: files dns\nservices: files\n";
        files.push(("/etc/nsswitch.conf".into(), switch.to_vec()));
    }
    files
}

/// What personality(2) is asked for: 32-bit names for 32-bit systems, and always the same addresses.
pub fn personality(platform: &[u8], impersonate_26: bool) -> u64 {
    const LINUX_32: u64 = 0x8;
    const NAME_26: u64 = 0x2_0000;
    const SAME_ADDRESSES: u64 = 0x4_0000;
    let narrow = matches!(
        (std::env::consts::ARCH, platform),
        // These have a wider relative on every machine that can run them.
        (_, b"armv5tel-linux" | b"armv6l-linux" | b"armv7l-linux")
            | ("x86_64", b"i686-linux")
            | ("powerpc64", b"powerpc-linux")
            | ("s390x", b"s390-linux")
    );
    let old = impersonate_26 && matches!(platform, b"i686-linux" | b"x86_64-linux");
    SAME_ADDRESSES | if narrow { LINUX_32 } else { 0 } | if old { NAME_26 } else { 0 }
}
