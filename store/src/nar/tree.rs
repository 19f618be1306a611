//! File trees in memory: small archives made by programs, and tests.

use std::collections::BTreeMap;
use std::io::BufRead;

use thiserror::Error;

use super::{Event, NarError, Reader, Writer};

/// A file tree in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tree {
    /// A regular file.
    File {
        /// Whether it may be executed.
        executable: bool,
        /// Its bytes.
        contents: Vec<u8>,
    },
    /// A symbolic link's target.
    Symlink(Vec<u8>),
    /// Entries by name.
    Directory(BTreeMap<Vec<u8>, Tree>),
}

/// Why an archive did not become a tree.
#[derive(Debug, Error)]
pub enum TreeParseError {
    /// The archive is malformed.
    #[error(transparent)]
    Nar(#[from] NarError),
    /// The archive has no root.
    #[error("empty archive")]
    Empty,
}

impl From<TreeParseError> for NarError {
    fn from(error: TreeParseError) -> NarError {
        match error {
            TreeParseError::Nar(error) => error,
            TreeParseError::Empty => NarError::Eof,
        }
    }
}

impl Tree {
    /// A file that may not be executed.
    pub fn file(contents: impl Into<Vec<u8>>) -> Self {
        Tree::File {
            executable: false,
            contents: contents.into(),
        }
    }

    /// Writes the events of this tree; recursion is bounded by the writer's depth limit.
    pub fn write<W: std::io::Write>(
        &self,
        name: &[u8],
        writer: &mut Writer<W>,
    ) -> Result<(), NarError> {
        match self {
            Tree::File {
                executable,
                contents,
            } => {
                writer.file(name, *executable, contents.len() as u64)?;
                writer.contents(contents)
            }
            Tree::Symlink(target) => writer.symlink(name, target),
            Tree::Directory(entries) => {
                writer.directory(name)?;
                for (name, child) in entries {
                    child.write(name, writer)?;
                }
                writer.end_directory()
            }
        }
    }

    /// The archive of this tree.
    pub fn to_nar(&self) -> Result<Vec<u8>, NarError> {
        let mut writer = Writer::new(Vec::new());
        self.write(b"", &mut writer)?;
        writer.finish()
    }

    /// Reads an archive into memory.
    pub fn read<R: BufRead>(reader: &mut Reader<R>) -> Result<Tree, TreeParseError> {
        let mut open: Vec<(Vec<u8>, BTreeMap<Vec<u8>, Tree>)> = Vec::new();
        loop {
            let (name, tree) = match reader.next_event()?.ok_or(TreeParseError::Empty)? {
                Event::Directory { name } => {
                    open.push((name.to_vec(), BTreeMap::new()));
                    continue;
                }
                Event::EndDirectory => {
                    let (name, entries) = open.pop().ok_or(TreeParseError::Empty)?;
                    (name, Tree::Directory(entries))
                }
                Event::Symlink { name, target } => (name.to_vec(), Tree::Symlink(target.to_vec())),
                Event::File {
                    name, executable, ..
                } => {
                    let name = name.to_vec();
                    let mut contents = Vec::new();
                    reader.copy_contents(&mut contents)?;
                    (
                        name,
                        Tree::File {
                            executable,
                            contents,
                        },
                    )
                }
            };
            match open.last_mut() {
                None => return Ok(tree),
                Some((_, entries)) => {
                    entries.insert(name, tree);
                }
            }
        }
    }
}
