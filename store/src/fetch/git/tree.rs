//! The files of a commit or of a work tree, written as a NAR.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;

use super::command::GitError;
use super::lfs::LfsSource;
use super::repo::{MODE_EXECUTABLE, MODE_SUBMODULE, MODE_SYMLINK, Repo, below};
use crate::nar::{MAX_DEPTH, Writer, check_entry_name};

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
enum Content {
    /// In the object database of the numbered repository.
    Blob(usize, String),
    /// In the file system.
    Disk(PathBuf),
    /// Downloaded by the numbered source of large files.
    Large(usize, String),
}

#[derive(Debug, Clone)]
enum Node {
    Directory(BTreeMap<Vec<u8>, Node>),
    File { executable: bool, content: Content },
    Symlink(Content),
}

/// A tree of files, perhaps of several repositories, one mounted in another.
#[derive(Debug)]
pub struct GitTree {
    root: BTreeMap<Vec<u8>, Node>,
    repos: Vec<Repo>,
    large: Vec<Arc<LfsSource>>,
}

fn parts(path: &[u8]) -> Result<Vec<&[u8]>, GitError> {
    let parts: Vec<&[u8]> = path.split(|&c| c == b'/').collect();
    for part in &parts {
        check_entry_name(part)?;
    }
    if parts.len() >= MAX_DEPTH {
        return Err(crate::nar::NarError::TooDeep.into());
    }
    Ok(parts)
}

impl GitTree {
    fn empty() -> Self {
        GitTree {
            root: BTreeMap::new(),
            repos: Vec::new(),
            large: Vec::new(),
        }
    }

    /// The files of a commit. With `export_ignore`, what `.gitattributes` marks so is left out; with
    /// `large`, pointers to large files are replaced by the files.
    pub fn of_commit(
        repo: &Repo,
        revision: &str,
        export_ignore: bool,
        large: Option<Arc<LfsSource>>,
    ) -> Result<Self, GitError> {
        let entries = repo.entries(revision)?;
        let mut tree = Self::empty();
        tree.repos.push(repo.clone());
        let paths: Vec<Vec<u8>> = entries.iter().map(|entry| entry.path.clone()).collect();
        let has_attributes = paths.iter().any(|path| path.ends_with(b".gitattributes"))
            || repo.path().join("info/attributes").exists()
            || repo.path().join(".git/info/attributes").exists();
        let ignored = if export_ignore && has_attributes {
            ignored_paths(repo, Some(revision), &paths)?
        } else {
            BTreeSet::new()
        };
        let pointers = match &large {
            Some(source) if has_attributes => source.pointers(repo, revision, &entries)?,
            _ => BTreeMap::new(),
        };
        tree.large.extend(large);
        for entry in entries {
            if is_ignored(&ignored, &entry.path) {
                continue;
            }
            let content = match pointers.get(&entry.path) {
                Some(object) => Content::Large(0, object.clone()),
                None => Content::Blob(0, entry.id),
            };
            let node = match entry.mode {
                // Without its contents a submodule is an empty directory.
                MODE_SUBMODULE => Node::Directory(BTreeMap::new()),
                MODE_SYMLINK => Node::Symlink(content),
                mode => Node::File {
                    executable: mode == MODE_EXECUTABLE,
                    content,
                },
            };
            tree.insert(&entry.path, node)?;
        }
        Ok(tree)
    }

    /// The tracked files of a work tree as they are now.
    pub fn of_work_tree(
        repo: &Repo,
        files: &BTreeSet<Vec<u8>>,
        export_ignore: bool,
    ) -> Result<Self, GitError> {
        let mut tree = Self::empty();
        let has_attributes = files.iter().any(|path| path.ends_with(b".gitattributes"))
            || repo.path().join(".git/info/attributes").exists();
        let ignored = if export_ignore && has_attributes {
            let paths: Vec<Vec<u8>> = files.iter().cloned().collect();
            ignored_paths(repo, None, &paths)?
        } else {
            BTreeSet::new()
        };
        for path in files.iter().filter(|path| !is_ignored(&ignored, path)) {
            let file = below(repo.path(), path);
            let metadata = match file.symlink_metadata() {
                Ok(metadata) => metadata,
                // A directory that was replaced by something else takes its files with it.
                Err(e)
                    if matches!(
                        e.kind(),
                        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                    ) =>
                {
                    continue;
                }
                Err(e) => return Err(GitError::file("reading", &file, e)),
            };
            let content = Content::Disk(file.clone());
            let node = if metadata.is_symlink() {
                Node::Symlink(content)
            } else if metadata.is_file() {
                Node::File {
                    executable: metadata.permissions().mode() & 0o100 != 0,
                    content,
                }
            } else if metadata.is_dir() {
                Node::Directory(BTreeMap::new())
            } else {
                return Err(GitError::Refused(format!(
                    "file '{}' has an unsupported type",
                    file.display()
                )));
            };
            tree.insert(path, node)?;
        }
        Ok(tree)
    }

    fn insert(&mut self, path: &[u8], node: Node) -> Result<(), GitError> {
        let parts = parts(path)?;
        let Some((last, parents)) = parts.split_last() else {
            return Ok(());
        };
        let mut here = &mut self.root;
        for part in parents {
            let next = here
                .entry(part.to_vec())
                .or_insert_with(|| Node::Directory(BTreeMap::new()));
            match next {
                Node::Directory(entries) => here = entries,
                _ => {
                    return Err(GitError::Refused(format!(
                        "'{}' is both a file and a directory",
                        String::from_utf8_lossy(path)
                    )));
                }
            }
        }
        here.insert(last.to_vec(), node);
        Ok(())
    }

    /// Puts another tree in the place of a directory: a submodule.
    pub fn mount(&mut self, path: &[u8], mut other: GitTree) -> Result<(), GitError> {
        let (repos, large) = (self.repos.len(), self.large.len());
        shift(&mut other.root, repos, large);
        self.repos.append(&mut other.repos);
        self.large.append(&mut other.large);
        self.insert(path, Node::Directory(other.root))
    }

    /// Writes everything as a NAR.
    pub fn write_nar<W: Write>(&self, out: W) -> Result<W, GitError> {
        let mut readers = Vec::with_capacity(self.repos.len());
        for (number, repo) in self.repos.iter().enumerate() {
            let mut wanted = Vec::new();
            collect_blobs(&self.root, number, &mut wanted);
            readers.push(BlobReader::start(repo, wanted)?);
        }
        let mut writer = Writer::new(out);
        writer.directory(b"")?;
        self.write_entries(&self.root, &mut readers, &mut writer)?;
        writer.end_directory()?;
        Ok(writer.finish()?)
    }

    fn write_entries<W: Write>(
        &self,
        entries: &BTreeMap<Vec<u8>, Node>,
        readers: &mut [BlobReader],
        writer: &mut Writer<W>,
    ) -> Result<(), GitError> {
        for (name, node) in entries {
            crate::interrupt::check()?;
            match node {
                Node::Directory(entries) => {
                    writer.directory(name)?;
                    self.write_entries(entries, readers, writer)?;
                    writer.end_directory()?;
                }
                Node::Symlink(content) => {
                    let target = match content {
                        Content::Blob(repo, id) => {
                            let mut target = Vec::new();
                            let size = readers[*repo].begin(id)?;
                            if size > 4095 {
                                return Err(crate::nar::NarError::BadTarget.into());
                            }
                            readers[*repo].copy(size, |data| {
                                target.extend_from_slice(data);
                                Ok(())
                            })?;
                            target
                        }
                        Content::Disk(path) => {
                            let target = std::fs::read_link(path)
                                .map_err(|e| GitError::file("reading symbolic link", path, e))?;
                            target.as_os_str().as_bytes().to_vec()
                        }
                        Content::Large(..) => return Err(crate::nar::NarError::BadTarget.into()),
                    };
                    writer.symlink(name, &target)?;
                }
                Node::File {
                    executable,
                    content,
                } => match content {
                    Content::Blob(repo, id) => {
                        let size = readers[*repo].begin(id)?;
                        writer.file(name, *executable, size)?;
                        readers[*repo].copy(size, |data| Ok(writer.contents(data)?))?;
                    }
                    Content::Disk(path) => {
                        let file = std::fs::File::open(path)
                            .map_err(|e| GitError::file("opening", path, e))?;
                        let size = file
                            .metadata()
                            .map_err(|e| GitError::file("reading", path, e))?
                            .len();
                        writer.file(name, *executable, size)?;
                        let read = copy_exactly(file, size, |data| Ok(writer.contents(data)?))?;
                        if read < size {
                            return Err(
                                crate::nar::NarError::Changed(path.display().to_string()).into()
                            );
                        }
                    }
                    Content::Large(source, object) => {
                        let (size, data) = self.large[*source].open(object)?;
                        writer.file(name, *executable, size)?;
                        if copy_exactly(data, size, |data| Ok(writer.contents(data)?))? < size {
                            return Err(GitError::Refused(format!(
                                "large file '{object}' is cut short"
                            )));
                        }
                    }
                },
            }
        }
        Ok(())
    }
}

fn copy_exactly(
    mut from: impl Read,
    size: u64,
    mut sink: impl FnMut(&[u8]) -> Result<(), GitError>,
) -> Result<u64, GitError> {
    let mut buffer = vec![0; 64 * 1024];
    let mut done = 0;
    while done < size {
        let want = buffer
            .len()
            .min(usize::try_from(size - done).unwrap_or(usize::MAX));
        match from.read(&mut buffer[..want]) {
            Ok(0) => break,
            Ok(n) => {
                sink(&buffer[..n])?;
                done += n as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(GitError::Nar(e.into())),
        }
    }
    Ok(done)
}

fn shift(entries: &mut BTreeMap<Vec<u8>, Node>, repos: usize, large: usize) {
    for node in entries.values_mut() {
        match node {
            Node::Directory(entries) => shift(entries, repos, large),
            Node::File { content, .. } | Node::Symlink(content) => match content {
                Content::Blob(number, _) => *number += repos,
                Content::Large(number, _) => *number += large,
                Content::Disk(_) => {}
            },
        }
    }
}

fn collect_blobs(entries: &BTreeMap<Vec<u8>, Node>, repo: usize, out: &mut Vec<String>) {
    for node in entries.values() {
        match node {
            Node::Directory(entries) => collect_blobs(entries, repo, out),
            Node::File {
                content: Content::Blob(number, id),
                ..
            }
            | Node::Symlink(Content::Blob(number, id))
                if *number == repo =>
            {
                out.push(id.clone());
            }
            _ => {}
        }
    }
}

/// Paths of files and directories (which end in `/`) with the attribute `export-ignore`.
fn ignored_paths(
    repo: &Repo,
    revision: Option<&str>,
    files: &[Vec<u8>],
) -> Result<BTreeSet<Vec<u8>>, GitError> {
    let mut all: BTreeSet<Vec<u8>> = files.iter().cloned().collect();
    for file in files {
        for (at, _) in file.iter().enumerate().filter(|(_, c)| **c == b'/') {
            all.insert(file[..=at].to_vec());
        }
    }
    let all: Vec<Vec<u8>> = all.into_iter().collect();
    Ok(repo
        .attribute("export-ignore", revision, &all)?
        .into_iter()
        .filter(|(_, value)| value == "set")
        .map(|(path, _)| path)
        .collect())
}

fn is_ignored(ignored: &BTreeSet<Vec<u8>>, path: &[u8]) -> bool {
    !ignored.is_empty()
        && (ignored.contains(path)
            || path
                .iter()
                .enumerate()
                .any(|(at, c)| *c == b'/' && ignored.contains(&path[..=at])))
}

/// A running `git cat-file --batch` that was told everything in advance, in the order of reading.
struct BlobReader {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    feeder: Option<std::thread::JoinHandle<()>>,
}

impl BlobReader {
    fn start(repo: &Repo, wanted: Vec<String>) -> Result<Self, GitError> {
        let mut child = repo
            .git()
            .args(["cat-file", "--batch", "--buffer"])
            .spawn(true)?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(GitError::Answer("cat-file"));
        };
        let feeder = std::thread::spawn(move || {
            for id in wanted {
                // If Git ends early, the reader notices.
                if writeln!(input, "{id}").is_err() {
                    break;
                }
            }
        });
        Ok(BlobReader {
            child,
            output: BufReader::with_capacity(128 * 1024, output),
            feeder: Some(feeder),
        })
    }

    /// Reads the header of the next object, which must be `id`; returns its size.
    fn begin(&mut self, id: &str) -> Result<u64, GitError> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .map_err(|_| GitError::Answer("cat-file"))?;
        let mut words = line.trim_end().split(' ');
        match (
            words.next(),
            words.next(),
            words.next().and_then(|size| size.parse().ok()),
        ) {
            (Some(have), Some("blob"), Some(size)) if have == id => Ok(size),
            _ => Err(GitError::Refused(format!(
                "Git object '{id}' is missing or damaged"
            ))),
        }
    }

    fn copy(
        &mut self,
        size: u64,
        sink: impl FnMut(&[u8]) -> Result<(), GitError>,
    ) -> Result<(), GitError> {
        let copied = copy_exactly(&mut self.output, size, sink)?;
        let mut newline = [0];
        if copied < size || self.output.read_exact(&mut newline).is_err() {
            return Err(GitError::Answer("cat-file"));
        }
        Ok(())
    }
}

impl Drop for BlobReader {
    fn drop(&mut self) {
        // After a failure it may still be printing; it has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(feeder) = self.feeder.take() {
            let _ = feeder.join();
        }
    }
}
