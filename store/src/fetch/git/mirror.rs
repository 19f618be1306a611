//! Bare copies of remote repositories below the cache directory, one for each address.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::command::{Git, GitError};
use super::repo::Repo;
use crate::hash::Hash;
use crate::progress::{Activity, ActivityKind, Level};

/// Protocols that an address may use. Anything else would run a program of that name.
const SUBMODULE_PROTOCOLS: &str = "file:git:http:https:ssh";

/// The directory of all copies. The reference has its own there, under the same names and with the same locks, so that
/// nothing is fetched twice.
const DIRECTORY: &str = "gitv3";

/// A bare copy of a remote repository.
#[derive(Debug)]
pub struct Mirror {
    repo: Repo,
    url: String,
    shallow: bool,
    ttl: u64,
    /// Keeps other processes from changing the copy.
    _lock: File,
}

/// An address that Git could take for an option or a command is refused before Git sees it.
fn check_address(url: &str) -> Result<(), GitError> {
    let refuse = |why: &str| {
        Err(GitError::Refused(format!(
            "refusing to fetch from Git repository '{url}': {why}"
        )))
    };
    if url.starts_with('-') {
        return refuse("the address begins with '-'");
    }
    if url.bytes().any(|c| c < b' ' || c == 0x7f) {
        return refuse("the address contains control characters");
    }
    if let Ok(parsed) = crate::fetch::url::Url::parse(url)
        && let Some(authority) = parsed.authority
        && (authority.host.starts_with('-')
            || authority.user.is_some_and(|user| user.starts_with('-')))
    {
        return refuse("the host name begins with '-'");
    }
    Ok(())
}

impl Mirror {
    /// Where the copy of an address is kept.
    fn directory(cache: &Path, url: &str, shallow: bool) -> PathBuf {
        let key = Hash::of(crate::hash::Algorithm::Sha256, url.as_bytes()).nix32();
        cache
            .join(DIRECTORY)
            .join(format!("{key}{}", if shallow { "-shallow" } else { "" }))
    }

    /// Opens or makes the copy, and locks it until the result is dropped. What is fetched counts as
    /// current for `ttl` seconds.
    pub fn open(cache: &Path, url: &str, shallow: bool, ttl: u64) -> Result<Self, GitError> {
        check_address(url)?;
        let path = Self::directory(cache, url, shallow);
        std::fs::create_dir_all(cache.join(DIRECTORY))
            .map_err(|e| GitError::file("creating directory", &cache.join(DIRECTORY), e))?;
        let lock = lock(&path.with_extension("lock"), url)?;
        if !path.join("HEAD").exists() {
            Git::new()
                .args(["init", "--quiet", "--bare", "--template=", "--"])
                .args([&path])
                .run()?;
        }
        let repo = Repo::bare(&path);
        // A fetch that was killed leaves this behind; nobody else is at work here now.
        let _ = std::fs::remove_file(path.join("shallow.lock"));
        Ok(Mirror {
            repo,
            url: url.to_owned(),
            shallow,
            ttl,
            _lock: lock,
        })
    }

    /// The repository.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    fn local_ref(&self, name: &str) -> PathBuf {
        // Its modification time tells when the branch was last fetched.
        self.repo
            .path()
            .join("fetched")
            .join(Hash::of(crate::hash::Algorithm::Sha256, name.as_bytes()).nix32())
    }

    /// Whether a branch or tag was fetched recently enough.
    pub fn is_fresh(&self, name: &str) -> bool {
        let modified = self
            .local_ref(name)
            .metadata()
            .and_then(|metadata| metadata.modified());
        let age = modified
            .ok()
            .and_then(|time| SystemTime::now().duration_since(time).ok());
        age.is_some_and(|age| age.as_secs() < self.ttl)
    }

    /// Whether a branch or tag was ever fetched.
    pub fn was_fetched(&self, name: &str) -> bool {
        self.local_ref(name).exists()
    }

    /// Notes that a branch or tag is current now.
    pub fn mark_fetched(&self, name: &str) {
        let file = self.local_ref(name);
        // Without the mark the next run fetches again, that is all.
        let _ = std::fs::create_dir_all(self.repo.path().join("fetched"))
            .and_then(|()| std::fs::write(file, name));
    }

    /// Fetches `refspec` from the address.
    pub fn fetch(&self, refspec: &str, submodule: bool) -> Result<(), GitError> {
        let text = format!("fetching Git repository '{}'", self.url);
        let _activity = Activity::start(Level::Talkative, ActivityKind::FetchTree, text, &[]);
        let mut git = self
            .repo
            .git()
            .config("http.lowSpeedLimit=1")
            .config("http.lowSpeedTime=300")
            .env("GIT_NO_LAZY_FETCH", "0");
        if submodule {
            git = git.env("GIT_ALLOW_PROTOCOL", SUBMODULE_PROTOCOLS);
        }
        let mut git = git.args(["fetch", "--quiet", "--force", "--no-recurse-submodules"]);
        if self.shallow {
            git = git.args(["--depth", "1"]);
        }
        match git.args(["--", &self.url, refspec]).run() {
            Ok(_) => Ok(()),
            Err(GitError::Failed { output, .. }) => {
                let output = output.trim_end();
                let detail = if output.is_empty() {
                    String::new()
                } else {
                    format!(":\n{output}")
                };
                Err(GitError::Refused(format!(
                    "Failed to fetch git repository '{}'{detail}",
                    self.url
                )))
            }
            Err(other) => Err(other),
        }
    }

    /// The branch that the remote's `HEAD` stood for, the last time that somebody asked.
    pub fn cached_head(&self) -> Option<String> {
        std::fs::read_to_string(self.repo.path().join("fetched").join("HEAD")).ok()
    }

    /// The default branch: remembered, or asked for if that was too long ago.
    pub fn default_ref(&self) -> Result<Option<String>, GitError> {
        let note = self.repo.path().join("fetched").join("HEAD");
        let age = note
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|t| t.elapsed().ok());
        let cached = self.cached_head();
        if cached.is_some() && age.is_some_and(|age| age.as_secs() < self.ttl) {
            return Ok(cached);
        }
        if let Some(head) = remote_head(&self.url)? {
            return Ok(Some(head));
        }
        if let Some(cached) = &cached {
            crate::progress::warn(format_args!(
                "could not get HEAD ref for repository '{}'; using expired cached ref '{cached}'",
                self.url
            ));
        }
        Ok(cached)
    }

    /// Remembers the default branch.
    pub fn remember_head(&self, name: &str) {
        let directory = self.repo.path().join("fetched");
        let _ = std::fs::create_dir_all(&directory)
            .and_then(|()| std::fs::write(directory.join("HEAD"), name));
    }
}

/// Asks a remote which branch its `HEAD` stands for.
pub fn remote_head(url: &str) -> Result<Option<String>, GitError> {
    check_address(url)?;
    let Some(line) = Git::new()
        .args(["ls-remote", "--symref", "--", url, "HEAD"])
        .line()?
    else {
        return Ok(None);
    };
    if let Some(target) = line
        .strip_prefix("ref: ")
        .and_then(|rest| rest.strip_suffix("\tHEAD"))
    {
        return Ok(Some(target.to_owned()));
    }
    Ok(line.strip_suffix("\tHEAD").map(str::to_owned))
}

fn lock(path: &Path, url: &str) -> Result<File, GitError> {
    use rustix::fs::{FlockOperation, flock};
    let file = File::create(path).map_err(|e| GitError::file("creating lock file", path, e))?;
    let mut told = false;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                if !told {
                    crate::progress::info(format_args!(
                        "waiting for another process to finish fetching '{url}'..."
                    ));
                    told = true;
                }
                crate::interrupt::check()?;
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(e) => return Err(GitError::file("locking", path, e.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_git_would_take_for_options_are_refused() {
        for bad in [
            "-oProxyCommand=x",
            "ssh://-oProxyCommand=x/y",
            "--upload-pack=x",
            "http://h/\nx",
            "ssh://-x@h/y",
        ] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
        assert!(check_address("ssh://git@host/x").is_ok());
    }
}
