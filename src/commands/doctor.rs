//! `rx doctor`: looks at what builds and installations need, and says what to do where it is missing.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rx_store::build::sandbox::namespaces_supported;
use rx_store::fetch::download::{Downloader, Request};
use rx_store::progress;
use rx_store::settings::{SandboxMode, Settings, machine};
use rx_store::store::address::{StoreAddress, Target};
use rx_store::store::local::{LocalConfig, SCHEMA};
use serde_json::{Value, json};

use crate::cli::{Category, Invocation, Subcommand};
use crate::ui::{self, Failure, local_date, render_size};

/// Arguments of `rx doctor`.
#[derive(clap::Args)]
pub struct Doctor {
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

impl Subcommand for Doctor {
    const PATH: &'static str = "doctor";
    const ABOUT: &'static str = "Check what builds and installations need, and say what to do";
    const CATEGORY: Category = Category::Own;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        examine(invocation, self.json)
    }
}

/// Arguments of `rx config check`, which the reference has.
#[derive(clap::Args)]
pub struct ConfigCheck {
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

impl Subcommand for ConfigCheck {
    const PATH: &'static str = "config check";
    const ABOUT: &'static str = "Check the configuration and the system, as 'rx doctor' does";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        examine(invocation, self.json)
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Works, but could be better.
    Weak,
    /// Something will not work.
    Bad,
}

struct Finding {
    verdict: Verdict,
    /// What was looked at.
    subject: &'static str,
    /// What was found.
    found: String,
    /// What to do.
    advice: Option<String>,
}

impl Finding {
    fn good(subject: &'static str, found: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Good,
            subject,
            found: found.into(),
            advice: None,
        }
    }

    fn weak(subject: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        let advice = Some(advice.into());
        Finding {
            verdict: Verdict::Weak,
            subject,
            found: found.into(),
            advice,
        }
    }

    fn bad(subject: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Bad,
            ..Finding::weak(subject, found, advice)
        }
    }
}

fn examine(invocation: &Invocation, as_json: bool) -> Result<(), Failure> {
    let settings = &*invocation.settings;
    let mut findings = vec![
        configuration(settings),
        store(settings),
        database(settings),
        isolation(settings),
        disk(
            "disk of the store",
            &local_store(settings).map_or(settings.places.store_dir.clone(), |config| {
                config.real_store_dir
            }),
            "'rx-collect-garbage -d' frees what is not used",
        ),
        disk(
            "disk for builds",
            settings
                .build_dir
                .as_deref()
                .unwrap_or(&settings.places.temp_dir),
            "free space there, or name another place with '--build-dir' or the variable TMPDIR",
        ),
        clock(settings),
        search_path(settings),
        certificates(settings),
        programs(),
    ];
    if invocation.offline || !settings.substitute {
        findings.push(Finding::good(
            "caches",
            "not asked: substitution is switched off",
        ));
    } else {
        findings.extend(caches(settings));
    }
    if as_json {
        ui::print_json(&findings.iter().map(to_json).collect::<Value>())?;
    } else {
        ui::print(&render(&findings))?;
    }
    if findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Bad)
    {
        return Err(Failure::Status(1));
    }
    Ok(())
}

fn to_json(finding: &Finding) -> Value {
    let verdict = match finding.verdict {
        Verdict::Good => "good",
        Verdict::Weak => "weak",
        Verdict::Bad => "bad",
    };
    json!({
        "advice": finding.advice,
        "found": finding.found,
        "subject": finding.subject,
        "verdict": verdict,
    })
}

fn render(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let (mark, colour) = match finding.verdict {
            Verdict::Good => ("ok  ", "32"),
            Verdict::Weak => ("hint", "33"),
            Verdict::Bad => ("FAIL", "31;1"),
        };
        let mark = ui::coloured(colour, mark);
        let _ = writeln!(text, "{mark}  {:<18} {}", finding.subject, finding.found);
        if let Some(advice) = &finding.advice {
            let _ = writeln!(text, "      {:<18} → {advice}", "");
        }
    }
    text
}

fn configuration(settings: &Settings) -> Finding {
    let places = &settings.places;
    let files: Vec<String> = std::iter::once(places.conf_dir.join("nix.conf"))
        .chain(places.user_conf_files.iter().cloned())
        .filter(|file| file.exists())
        .map(|file| file.display().to_string())
        .collect();
    let mut found = match files.as_slice() {
        [] => "no nix.conf, defaults apply".to_owned(),
        files => files.join(", "),
    };
    if places.nix_config.is_some() {
        found += ", NIX_CONFIG";
    }
    Finding::good("configuration", found)
}

fn writable(path: &Path) -> bool {
    path.is_dir() && rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// The nearest directory of a path that exists.
fn existing(path: &Path) -> &Path {
    path.ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"))
}

/// The store on this machine that the settings name; nothing if it is elsewhere.
fn local_store(settings: &Settings) -> Option<LocalConfig> {
    let address = StoreAddress::parse(&settings.store).ok()?;
    match address.target {
        Target::Auto | Target::Local(_) => LocalConfig::from_settings(settings, &address).ok(),
        _ => None,
    }
}

fn store(settings: &Settings) -> Finding {
    let shown = settings.places.store_dir.display();
    let Some(config) = local_store(settings) else {
        return match StoreAddress::parse(&settings.store) {
            Ok(address) => Finding::good("store", format!("{shown} ({address})")),
            Err(error) => Finding::bad(
                "store",
                error.to_string(),
                "correct the setting 'store', the variable NIX_REMOTE or the option '--store'",
            ),
        };
    };
    let dir = &config.real_store_dir;
    let kept = match &config.root {
        Some(root) => format!("{shown}, kept in {}", root.display()),
        None => shown.to_string(),
    };
    if dir.exists() && writable(dir) {
        return Finding::good("store", format!("{kept}, writable"));
    }
    if !dir.exists() && writable(existing(dir)) {
        return Finding::good("store", format!("{kept}, will be made"));
    }
    let socket = settings.places.state_dir.join("daemon-socket/socket");
    if config.root.is_none() && socket.exists() {
        return Finding::good("store", format!("{kept}, through the daemon"));
    }
    let advice = match &config.root {
        // The directory comes from the account where HOME is not the user's own.
        Some(_)
            if StoreAddress::parse(&settings.store).is_ok_and(|it| it.target == Target::Auto) =>
        {
            "let HOME be a directory of yours, or name one that you may write with '--store'"
        }
        Some(_) => "name a directory that you may write, or let its owner make it writable for you",
        None => {
            "let an administrator make it writable for you, or take a directory of yours with '--store'"
        }
    };
    let there = existing(dir);
    let owner = match there.metadata() {
        Ok(metadata) if !is_me(metadata.uid()) => {
            format!(", it belongs to {}", user_name(metadata.uid()))
        }
        _ => String::new(),
    };
    Finding::bad(
        "store",
        format!("{} cannot be written{owner}", there.display()),
        advice,
    )
}

fn is_me(user: u32) -> bool {
    rustix::process::geteuid().as_raw() == user
}

/// The name of a user, or the number where nobody knows the name.
fn user_name(user: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = user.to_string();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("user {number}"))
}

/// How a file with a database begins.
const DATABASE: &[u8; 16] = b"SQLite format 3\0";

fn database(settings: &Settings) -> Finding {
    let Some(config) = local_store(settings) else {
        return Finding::good("database", "that of the other store");
    };
    let file = config.state_dir.join("db/db.sqlite");
    let shown = file.display();
    let mut begin = [0; 16];
    let opened = File::open(&file).and_then(|mut file| {
        let size = file.metadata()?.len();
        if size > 0 {
            file.read_exact(&mut begin)?;
        }
        Ok(size)
    });
    let schema = std::fs::read_to_string(config.state_dir.join("db/schema"));
    let schema = schema.ok().and_then(|text| text.trim().parse::<u64>().ok());
    match opened {
        Ok(_) if schema.is_some_and(|number| number > SCHEMA) => Finding::bad(
            "database",
            format!("{shown}, written by a newer program"),
            "use that program, or another store with '--store'",
        ),
        Ok(size) if size == 0 || begin == *DATABASE => {
            Finding::good("database", format!("{shown}, {}", render_size(size)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Finding::good("database", format!("{shown}, will be made"))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::bad(
            "database",
            format!("{shown} cannot be read"),
            "it belongs to somebody else: take a store of your own with '--store DIRECTORY'",
        ),
        _ => Finding::bad(
            "database",
            format!("{shown} is damaged"),
            "'rx store fsck' sets it aside and makes a new one from what is in the store",
        ),
    }
}

fn isolation(settings: &Settings) -> Finding {
    let can = namespaces_supported();
    let advice = || {
        let limit =
            std::fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
        let armour =
            std::fs::read_to_string("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
                .unwrap_or_default();
        if limit.trim() == "0" {
            "'sysctl user.max_user_namespaces=10000' allows user namespaces"
        } else if armour.trim() == "1" {
            "'sysctl kernel.apparmor_restrict_unprivileged_userns=0' allows user namespaces"
        } else {
            "run it where user namespaces are allowed (containers need '--privileged' or a seccomp profile)"
        }
    };
    match (settings.sandbox, can.isolation) {
        (SandboxMode::Disabled, true) => Finding::weak(
            "isolation",
            "builds see the whole system: 'sandbox' is off",
            "remove 'sandbox = false' from the configuration",
        ),
        (SandboxMode::Disabled, false) => Finding::weak(
            "isolation",
            "builds see the whole system: 'sandbox' is off, and the kernel would not allow it",
            advice(),
        ),
        (_, true) => {
            let how = if can.user {
                "with user namespaces"
            } else {
                "as root"
            };
            Finding::good("isolation", format!("builds are isolated {how}"))
        }
        (_, false) if settings.sandbox_fallback => Finding::weak(
            "isolation",
            "the kernel does not allow it: builds will see the whole system",
            advice(),
        ),
        (_, false) => Finding::bad("isolation", "the kernel does not allow it", advice()),
    }
}

fn disk(subject: &'static str, path: &Path, advice: &'static str) -> Finding {
    let there = existing(path);
    let Ok(stat) = rustix::fs::statvfs(there) else {
        return Finding::weak(
            subject,
            format!("{} cannot be looked at", there.display()),
            "check its permissions",
        );
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let found = format!("{} free at {}", render_size(free), there.display());
    if stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Finding::bad(
            subject,
            format!("{} is read-only", there.display()),
            "mount it writable, or choose another place",
        );
    }
    if free < 16 << 20 {
        return Finding::bad(subject, format!("full: {found}"), advice);
    }
    if free < 1 << 30 || (stat.f_files > 0 && stat.f_favail < 10_000) {
        return Finding::weak(subject, found, advice);
    }
    Finding::good(subject, found)
}

/// Seconds since 1970.
fn seconds(moment: SystemTime) -> u64 {
    moment
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

/// Whether the clock can be right: nothing that is there was made in the future.
fn clock(settings: &Settings) -> Finding {
    let database = local_store(settings).map(|config| config.state_dir.join("db/db.sqlite"));
    let made = std::env::current_exe()
        .ok()
        .into_iter()
        .chain(database)
        .filter_map(|file| Some((seconds(file.metadata().ok()?.modified().ok()?), file)))
        .max();
    let now = seconds(SystemTime::now());
    match made {
        Some((made, file)) if made > now.saturating_add(24 * 60 * 60) => Finding::weak(
            "clock",
            format!(
                "it says {}, but {} was written on {}",
                local_date(now),
                file.display(),
                local_date(made)
            ),
            "set the clock: with a wrong one, certificates are refused and downloads count as fresh or stale when they are not",
        ),
        _ => Finding::good("clock", local_date(now)),
    }
}

fn search_path(settings: &Settings) -> Finding {
    let words: Vec<_> = settings
        .nix_path
        .0
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    if words.is_empty() {
        return Finding::weak(
            "search path",
            "empty: <nixpkgs> has no meaning",
            "set NIX_PATH=nixpkgs=/path/to/nixpkgs, or 'rx-channel --add URL nixpkgs'",
        );
    }
    let missing: Vec<&str> = words
        .iter()
        .map(|word| word.split_once('=').map_or(&**word, |(_, path)| path))
        .filter(|path| path.starts_with('/') && !Path::new(path).exists())
        .collect();
    if missing.is_empty() {
        Finding::good("search path", words.join(" "))
    } else {
        let found = format!("{} (missing: {})", words.join(" "), missing.join(", "));
        Finding::weak(
            "search path",
            found,
            "correct NIX_PATH or the setting 'nix-path'",
        )
    }
}

fn certificates(settings: &Settings) -> Finding {
    match &settings.ssl_cert_file {
        Some(file) if file.exists() => Finding::good("certificates", file.display().to_string()),
        Some(file) => Finding::bad(
            "certificates",
            format!("{} does not exist", file.display()),
            "correct NIX_SSL_CERT_FILE or the setting 'ssl-cert-file'",
        ),
        None => Finding::weak(
            "certificates",
            "none found",
            "install the package 'ca-certificates', or set NIX_SSL_CERT_FILE",
        ),
    }
}

/// Programs that some commands call.
fn programs() -> Finding {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let find = |name: &str| -> Option<PathBuf> {
        std::env::split_paths(&path)
            .map(|dir| dir.join(name))
            .find(|file| file.is_file())
    };
    let missing: Vec<&str> = ["git", "ssh"]
        .into_iter()
        .filter(|name| find(name).is_none())
        .collect();
    let threads = machine::cpus();
    if missing.is_empty() {
        Finding::good(
            "programs",
            format!("git and ssh are there; {threads} threads run at once"),
        )
    } else {
        let found = format!("not installed: {}", missing.join(", "));
        Finding::weak(
            "programs",
            found,
            "git fetches git sources, ssh reaches other stores",
        )
    }
}

fn caches(settings: &Settings) -> Vec<Finding> {
    if settings.substituters.is_empty() {
        return vec![Finding::weak(
            "caches",
            "none: everything is built here",
            "add one to the setting 'substituters'",
        )];
    }
    let mut patient = settings.clone();
    patient.connect_timeout = 5;
    patient.stalled_download_timeout = 5;
    let downloader = Downloader::from_settings(&patient);
    let reach = |url: &str| -> Finding {
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return Finding::good("cache", format!("{url}, not asked"));
        }
        let mut request = Request::get(format!("{}/nix-cache-info", url.trim_end_matches('/')));
        request.attempts = Some(1);
        request.size_limit = Some(1 << 16);
        match downloader.fetch(&request) {
            Ok((_, body)) if body.starts_with(b"StoreDir:") => {
                Finding::good("cache", format!("{url} answers"))
            }
            Ok(_) => Finding::weak(
                "cache",
                format!("{url} is no binary cache"),
                "correct the setting 'substituters'",
            ),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().next().unwrap_or_default();
                Finding::weak(
                    "cache",
                    format!("{url} cannot be reached: {reason}"),
                    "is the network up? Builds work without it",
                )
            }
        }
    };
    let level = progress::level();
    // Repeated attempts and their warnings are no news here.
    progress::set_level(progress::Level::Error);
    let findings = settings.substituters.iter().map(|url| reach(url)).collect();
    progress::set_level(level);
    findings
}
