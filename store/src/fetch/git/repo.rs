//! Questions to one repository.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::command::{Git, GitError};

/// A repository on this machine.
#[derive(Debug, Clone)]
pub struct Repo {
    path: PathBuf,
    bare: bool,
}

/// A submodule as `.gitmodules` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submodule {
    /// Where it is mounted.
    pub path: Vec<u8>,
    /// Where it comes from, perhaps relative to its parent.
    pub url: String,
    /// The branch to follow; `.` is the parent's.
    pub branch: String,
}

/// The state of a work tree compared with its last commit.
#[derive(Debug, Clone, Default)]
pub struct WorkTree {
    /// The commit that is checked out.
    pub head: Option<String>,
    /// Something differs from that commit.
    pub dirty: bool,
    /// Files that were changed or added since that commit.
    pub modified: BTreeSet<Vec<u8>>,
    /// Files of that commit that are gone.
    pub deleted: BTreeSet<Vec<u8>>,
    /// All tracked files that exist, without submodules.
    pub files: BTreeSet<Vec<u8>>,
    /// Submodules in `.gitmodules`.
    pub submodules: Vec<Submodule>,
}

/// One entry of a commit's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TreeEntry {
    pub(super) mode: u32,
    pub(super) id: String,
    pub(super) path: Vec<u8>,
}

pub(super) const MODE_SUBMODULE: u32 = 0o160_000;
pub(super) const MODE_SYMLINK: u32 = 0o120_000;
pub(super) const MODE_EXECUTABLE: u32 = 0o100_755;

/// What Git accepts as the name of a branch, a tag or a full reference.
pub fn is_legal_ref_name(name: &str) -> bool {
    let bad_byte = |c: u8| c <= b' ' || c == 0x7f || b"~^:?*[\\".contains(&c);
    !name.is_empty()
        && name != "@"
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.bytes().any(bad_byte)
        && name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|c| c.is_ascii_hexdigit())
}

impl Repo {
    /// A work tree that has `.git`.
    pub fn work_tree(path: impl Into<PathBuf>) -> Self {
        Repo {
            path: path.into(),
            bare: false,
        }
    }

    /// A repository without a work tree.
    pub fn bare(path: impl Into<PathBuf>) -> Self {
        Repo {
            path: path.into(),
            bare: true,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn git(&self) -> Git {
        Git::at(&self.path, self.bare)
    }

    /// The commit that a branch, tag or other name stands for.
    pub fn resolve(&self, name: &str) -> Result<String, GitError> {
        let spec = format!("{name}^{{commit}}");
        self.git()
            .args([
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &spec,
            ])
            .line()?
            .filter(|id| is_object_id(id))
            .ok_or_else(|| {
                GitError::Refused(format!(
                    "resolving Git reference '{name}': revspec '{name}' not found"
                ))
            })
    }

    /// Whether an object is in the repository.
    pub fn has(&self, id: &str) -> Result<bool, GitError> {
        if !is_object_id(id) {
            return Ok(false);
        }
        Ok(self
            .git()
            .args(["cat-file", "-e", id])
            .output()?
            .status
            .success())
    }

    /// The full name of the checked-out branch; nothing if a commit is checked out directly.
    pub fn head_ref(&self) -> Result<Option<String>, GitError> {
        self.git().args(["symbolic-ref", "--quiet", "HEAD"]).line()
    }

    /// Whether the history is cut off.
    pub fn is_shallow(&self) -> Result<bool, GitError> {
        Ok(self
            .git()
            .args(["rev-parse", "--is-shallow-repository"])
            .line()?
            .as_deref()
            == Some("true"))
    }

    /// When a commit was made, in seconds since 1970.
    pub fn commit_time(&self, revision: &str) -> Result<u64, GitError> {
        let commit = self.git().args(["cat-file", "commit", revision]).run()?;
        let line = commit
            .split(|&c| c == b'\n')
            .take_while(|line| !line.is_empty())
            .find_map(|line| line.strip_prefix(b"committer "))
            .ok_or(GitError::Answer("cat-file"))?;
        let text = String::from_utf8_lossy(line);
        let time = text
            .rsplit(' ')
            .nth(1)
            .and_then(|time| time.parse::<i64>().ok());
        Ok(time.ok_or(GitError::Answer("cat-file"))?.max(0) as u64)
    }

    /// How many commits lead to this one, itself included.
    pub fn count_commits(&self, revision: &str) -> Result<u64, GitError> {
        let count = self
            .git()
            .args(["rev-list", "--count", revision, "--"])
            .run()?;
        String::from_utf8_lossy(&count)
            .trim()
            .parse()
            .map_err(|_| GitError::Answer("rev-list"))
    }

    /// All files, links and submodules of a commit.
    pub(super) fn entries(&self, revision: &str) -> Result<Vec<TreeEntry>, GitError> {
        let listing = self
            .git()
            .args(["ls-tree", "-r", "-z", "--full-tree", revision, "--"])
            .run()?;
        listing
            .split(|&c| c == 0)
            .filter(|record| !record.is_empty())
            .map(|record| {
                let tab = record
                    .iter()
                    .position(|&c| c == b'\t')
                    .ok_or(GitError::Answer("ls-tree"))?;
                let head =
                    std::str::from_utf8(&record[..tab]).map_err(|_| GitError::Answer("ls-tree"))?;
                let mut words = head.split(' ');
                let mode = words
                    .next()
                    .and_then(|mode| u32::from_str_radix(mode, 8).ok());
                let id = words.nth(1).filter(|id| is_object_id(id));
                match (mode, id) {
                    (Some(mode), Some(id)) => Ok(TreeEntry {
                        mode,
                        id: id.to_owned(),
                        path: record[tab + 1..].to_vec(),
                    }),
                    _ => Err(GitError::Answer("ls-tree")),
                }
            })
            .collect()
    }

    /// The contents of a blob, if it is not larger than `limit`.
    pub(super) fn blob(&self, id: &str, limit: u64) -> Result<Vec<u8>, GitError> {
        let size = self.git().args(["cat-file", "-s", id]).line()?;
        let size: u64 = size
            .and_then(|size| size.parse().ok())
            .ok_or(GitError::Answer("cat-file"))?;
        if size > limit {
            return Err(GitError::Refused(format!(
                "Git object '{id}' is larger than {limit} bytes"
            )));
        }
        self.git().args(["cat-file", "blob", id]).run()
    }

    /// Values of an attribute for paths (directories end in `/`), from the attributes of a commit,
    /// or of the work tree if there is no revision. Paths without the attribute are left out.
    pub(super) fn attribute(
        &self,
        name: &str,
        revision: Option<&str>,
        paths: &[Vec<u8>],
    ) -> Result<BTreeMap<Vec<u8>, String>, GitError> {
        let mut git = self.git().args(["check-attr", "-z", "--stdin"]);
        if let Some(revision) = revision {
            git = git.args([format!("--source={revision}")]);
        }
        let mut child = git.args([name]).spawn(true)?;
        let mut input = child.stdin.take().ok_or(GitError::Answer("check-attr"))?;
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                for path in paths {
                    // If Git ends early, its exit status tells.
                    if input
                        .write_all(path)
                        .and_then(|()| input.write_all(&[0]))
                        .is_err()
                    {
                        break;
                    }
                }
            });
            child.wait_with_output()
        })
        .map_err(GitError::Run)?;
        if !output.status.success() {
            return Err(GitError::Answer("check-attr"));
        }
        let fields: Vec<&[u8]> = output.stdout.split(|&c| c == 0).collect();
        let mut values = BTreeMap::new();
        for record in fields.chunks_exact(3) {
            if record[2] != b"unspecified" {
                values.insert(
                    record[0].to_vec(),
                    String::from_utf8_lossy(record[2]).into_owned(),
                );
            }
        }
        Ok(values)
    }

    /// The state of the work tree.
    pub fn status(&self) -> Result<WorkTree, GitError> {
        let head = self
            .git()
            .args(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
            .line()?;
        let mut state = WorkTree {
            head,
            ..WorkTree::default()
        };
        // Filters are programs that the repository names; comparing files must not run them.
        let named = self
            .git()
            .args([
                "config",
                "-z",
                "--name-only",
                "--get-regexp",
                r"^filter\..*\.(clean|smudge|process|required)$",
            ])
            .output()?;
        let filters: Vec<(String, &str)> = named
            .stdout
            .split(|&c| c == 0)
            .filter(|name| !name.is_empty())
            .map(|name| (String::from_utf8_lossy(name).into_owned(), ""))
            .map(|(name, value)| {
                if name.ends_with(".required") {
                    (name, "false")
                } else {
                    (name, value)
                }
            })
            .collect();
        let changes = self
            .git()
            .any_config(&filters)
            .args([
                "status",
                "--porcelain=v1",
                "-z",
                "--untracked-files=no",
                "--ignore-submodules=all",
                "--no-renames",
            ])
            .run()?;
        for record in changes.split(|&c| c == 0).filter(|record| record.len() > 3) {
            state.dirty = true;
            if record[0] == b'D' || record[1] == b'D' {
                state.deleted.insert(record[3..].to_vec());
            } else {
                state.modified.insert(record[3..].to_vec());
            }
        }
        let tracked = self.git().args(["ls-files", "--stage", "-z"]).run()?;
        for record in tracked
            .split(|&c| c == 0)
            .filter(|record| !record.is_empty())
        {
            let tab = record
                .iter()
                .position(|&c| c == b'\t')
                .ok_or(GitError::Answer("ls-files"))?;
            let path = record[tab + 1..].to_vec();
            if !record.starts_with(b"160000 ") && !state.deleted.contains(&path) {
                state.files.insert(path);
            }
        }
        let modules = self.path.join(".gitmodules");
        if modules
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_file())
        {
            state.submodules = parse_gitmodules(&modules)?;
        }
        Ok(state)
    }

    /// The submodules of a commit with the revisions that it wants.
    pub fn submodules(&self, revision: &str) -> Result<Vec<(Submodule, String)>, GitError> {
        const LARGEST: u64 = 1 << 20;
        let entries = self.entries(revision)?;
        let Some(modules) = entries
            .iter()
            .find(|entry| entry.path == b".gitmodules" && entry.mode & 0o170_000 == 0o100_000)
        else {
            return Ok(Vec::new());
        };
        let text = self.blob(&modules.id, LARGEST)?;
        let mut file = tempfile::NamedTempFile::new().map_err(GitError::Run)?;
        file.write_all(&text).map_err(GitError::Run)?;
        let wanted: BTreeMap<&[u8], &str> = entries
            .iter()
            .filter(|entry| entry.mode == MODE_SUBMODULE)
            .map(|entry| (entry.path.as_slice(), entry.id.as_str()))
            .collect();
        // Entries of `.gitmodules` that are no submodules of the commit mean nothing.
        Ok(parse_gitmodules(file.path())?
            .into_iter()
            .filter_map(|module| {
                wanted
                    .get(module.path.as_slice())
                    .map(|id| (module.clone(), (*id).to_owned()))
            })
            .collect())
    }

    /// The address of the remote `origin`.
    pub fn origin(&self) -> Result<Option<String>, GitError> {
        self.git()
            .args(["config", "--get", "remote.origin.url"])
            .line()
    }
}

fn parse_gitmodules(file: &Path) -> Result<Vec<Submodule>, GitError> {
    let listing = Git::new()
        .args([OsStr::new("config"), OsStr::new("--file"), file.as_os_str()])
        .args([
            "--no-includes",
            "-z",
            "--get-regexp",
            r"^submodule\..*\.(path|url|branch)$",
        ])
        .output()?;
    let mut modules: BTreeMap<Vec<u8>, Submodule> = BTreeMap::new();
    for record in listing
        .stdout
        .split(|&c| c == 0)
        .filter(|record| !record.is_empty())
    {
        let line = record
            .iter()
            .position(|&c| c == b'\n')
            .unwrap_or(record.len());
        let (key, value) = (&record[..line], record.get(line + 1..).unwrap_or_default());
        let Some(dot) = key.iter().rposition(|&c| c == b'.') else {
            continue;
        };
        let module = modules
            .entry(key[..dot].to_vec())
            .or_insert_with(|| Submodule {
                path: Vec::new(),
                url: String::new(),
                branch: String::new(),
            });
        match &key[dot + 1..] {
            b"path" => module.path = value.to_vec(),
            b"url" => module.url = String::from_utf8_lossy(value).into_owned(),
            _ => module.branch = String::from_utf8_lossy(value).into_owned(),
        }
    }
    Ok(modules
        .into_values()
        .filter(|module| !module.path.is_empty())
        .collect())
}

/// A path below a work tree.
pub(super) fn below(root: &Path, path: &[u8]) -> PathBuf {
    root.join(OsStr::from_bytes(path))
}

#[cfg(test)]
mod tests {
    use super::is_legal_ref_name;

    #[test]
    fn names_of_references_are_checked_as_git_does() {
        for good in [
            "master",
            "HEAD",
            "refs/heads/x",
            "feature/a-b",
            "v1.0",
            "a@b",
        ] {
            assert!(is_legal_ref_name(good), "{good}");
        }
        for bad in [
            "", "@", "-x", "a..b", "a b", "a~1", "a:b", "/a", "a/", "a//b", ".a", "a/.b", "a.lock",
            "a.", "a@{1}", "a\u{7f}",
        ] {
            assert!(!is_legal_ref_name(bad), "{bad}");
        }
    }
}
