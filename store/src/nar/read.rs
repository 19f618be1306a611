//! Bytes to events: strict, streaming, without recursion, and never allocating what a length merely claims.

use std::io::{BufRead, Write};

use super::{MAGIC, MAX_DEPTH, MAX_NAME, MAX_TARGET, NarError, check_entry_name, padding};

/// The longest keyword is ten bytes; a little more keeps messages about garbage useful.
const MAX_TAG: usize = 32;

/// One step through an archive. The root's name is empty.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A directory begins.
    Directory {
        /// Its name.
        name: &'a [u8],
    },
    /// The innermost directory ends.
    EndDirectory,
    /// A symbolic link.
    Symlink {
        /// Its name.
        name: &'a [u8],
        /// Where it points.
        target: &'a [u8],
    },
    /// A regular file; its contents may be taken with [`Reader::copy_contents`] or are skipped.
    File {
        /// Its name.
        name: &'a [u8],
        /// Whether it may be executed.
        executable: bool,
        /// The number of bytes.
        size: u64,
    },
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum State {
    Start,
    /// Inside a directory, before `entry` or `)`.
    Entries,
    /// Inside a file with contents left to take.
    Contents,
    End,
}

/// Reads one archive and stops after its last byte.
pub struct Reader<R> {
    input: R,
    state: State,
    /// The last name in every open directory.
    open: Vec<Vec<u8>>,
    name: Vec<u8>,
    target: Vec<u8>,
    left: u64,
    pad: usize,
    /// Bytes taken from the input so far.
    position: u64,
}

impl<R: BufRead> Reader<R> {
    /// Starts before the first byte.
    pub fn new(input: R) -> Self {
        Reader {
            input,
            state: State::Start,
            open: Vec::new(),
            name: Vec::new(),
            target: Vec::new(),
            left: 0,
            pad: 0,
            position: 0,
        }
    }

    /// The input, at the place reached.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// Bytes taken from the input so far: after a [`Event::File`], where its contents begin.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next event; `None` after the last.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, NarError> {
        loop {
            match self.state {
                State::End => return Ok(None),
                State::Contents => self.skip_contents()?,
                State::Start => {
                    let found = self.word(MAGIC.len()).map_err(|error| match error {
                        NarError::TooLong | NarError::Padding | NarError::Eof => NarError::NoMagic,
                        other => other,
                    })?;
                    if found != MAGIC {
                        return Err(NarError::NoMagic);
                    }
                    self.name.clear();
                    return self.object().map(Some);
                }
                State::Entries => {
                    let tag = self.word(MAX_TAG)?;
                    if tag == b")" {
                        self.open.pop();
                        self.end_object()?;
                        return Ok(Some(Event::EndDirectory));
                    }
                    if tag != b"entry" {
                        return Err(NarError::Tag {
                            expected: "entry",
                            found: lossy(&tag),
                        });
                    }
                    self.tag("(")?;
                    self.tag("name")?;
                    let name = self.word(MAX_NAME)?;
                    check_entry_name(&name)?;
                    match self.open.last_mut() {
                        Some(last) if *last >= name => return Err(NarError::NotSorted),
                        Some(last) => last.clone_from(&name),
                        None => return Err(NarError::Order),
                    }
                    self.name = name;
                    self.tag("node")?;
                    return self.object().map(Some);
                }
            }
        }
    }

    /// Contents of the current file that are at hand; empty at its end. [`Reader::consume`] takes them.
    pub fn chunk(&mut self) -> Result<&[u8], NarError> {
        if self.left == 0 || self.state != State::Contents {
            return Ok(&[]);
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let data = fill(&mut self.input)?;
        Ok(&data[..data.len().min(left)])
    }

    /// Takes `n` bytes of what [`Reader::chunk`] showed.
    pub fn consume(&mut self, n: usize) -> Result<(), NarError> {
        self.input.consume(n);
        self.position += n as u64;
        self.left -= n as u64;
        if self.left == 0 && self.state == State::Contents {
            self.end_file()?;
        }
        Ok(())
    }

    /// Copies what is left of the current file.
    pub fn copy_contents(&mut self, mut out: impl Write) -> Result<(), NarError> {
        loop {
            let data = self.chunk()?;
            if data.is_empty() {
                return Ok(());
            }
            out.write_all(data)?;
            let n = data.len();
            self.consume(n)?;
        }
    }

    fn skip_contents(&mut self) -> Result<(), NarError> {
        self.copy_contents(std::io::sink())
    }

    fn object(&mut self) -> Result<Event<'_>, NarError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(NarError::TooDeep);
        }
        self.tag("(")?;
        self.tag("type")?;
        let kind = self.word(MAX_TAG)?;
        match kind.as_slice() {
            b"regular" => {
                let mut executable = false;
                let mut tag = self.word(MAX_TAG)?;
                if tag == b"executable" {
                    if !self.word(0)?.is_empty() {
                        return Err(NarError::ExecutableMarker);
                    }
                    executable = true;
                    tag = self.word(MAX_TAG)?;
                }
                if tag != b"contents" {
                    return Err(NarError::Tag {
                        expected: "contents",
                        found: lossy(&tag),
                    });
                }
                let size = self.length()?;
                self.left = size;
                self.pad = padding(size);
                self.state = State::Contents;
                if size == 0 {
                    self.end_file()?;
                }
                Ok(Event::File {
                    name: &self.name,
                    executable,
                    size,
                })
            }
            b"directory" => {
                self.open.push(Vec::new());
                self.state = State::Entries;
                Ok(Event::Directory { name: &self.name })
            }
            b"symlink" => {
                self.tag("target")?;
                self.target = self.word(MAX_TARGET)?;
                if self.target.is_empty() || self.target.contains(&0) {
                    return Err(NarError::BadTarget);
                }
                self.tag(")")?;
                self.end_object()?;
                Ok(Event::Symlink {
                    name: &self.name,
                    target: &self.target,
                })
            }
            other => Err(NarError::UnknownType(lossy(other))),
        }
    }

    fn end_file(&mut self) -> Result<(), NarError> {
        self.zeros(self.pad)?;
        self.tag(")")?;
        self.end_object()
    }

    /// After an object's `)`: closes the entry around it, or the archive.
    fn end_object(&mut self) -> Result<(), NarError> {
        if self.open.is_empty() {
            self.state = State::End;
            return Ok(());
        }
        self.state = State::Entries;
        self.tag(")")
    }

    fn tag(&mut self, expected: &'static str) -> Result<(), NarError> {
        let found = self.word(MAX_TAG)?;
        if found == expected.as_bytes() {
            return Ok(());
        }
        Err(NarError::Tag {
            expected,
            found: lossy(&found),
        })
    }

    fn length(&mut self) -> Result<u64, NarError> {
        let mut bytes = [0; 8];
        self.exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn word(&mut self, max: usize) -> Result<Vec<u8>, NarError> {
        let length = self.length()?;
        if length > max as u64 {
            return Err(NarError::TooLong);
        }
        let mut word = vec![0; length as usize];
        self.exact(&mut word)?;
        self.zeros(padding(length))?;
        Ok(word)
    }

    fn zeros(&mut self, n: usize) -> Result<(), NarError> {
        let mut bytes = [0; 8];
        self.exact(&mut bytes[..n])?;
        if bytes == [0; 8] {
            Ok(())
        } else {
            Err(NarError::Padding)
        }
    }

    fn exact(&mut self, mut out: &mut [u8]) -> Result<(), NarError> {
        self.position += out.len() as u64;
        while !out.is_empty() {
            let data = fill(&mut self.input)?;
            let n = data.len().min(out.len());
            out[..n].copy_from_slice(&data[..n]);
            self.input.consume(n);
            out = &mut out[n..];
        }
        Ok(())
    }
}

/// What is buffered, never empty: the end of the input is an error everywhere inside an archive.
fn fill<R: BufRead>(input: &mut R) -> Result<&[u8], NarError> {
    // The borrow checker does not let a loop return the buffer that it looked at, hence the second call.
    loop {
        match input.fill_buf() {
            Ok([]) => return Err(NarError::Eof),
            Ok(_) => break,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(input.fill_buf()?)
}

fn lossy(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{Tree, Writer};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn word(out: &mut Vec<u8>, word: &[u8]) {
        out.extend((word.len() as u64).to_le_bytes());
        out.extend(word);
        out.extend(vec![0; padding(word.len() as u64)]);
    }

    fn archive(words: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for w in words {
            word(&mut out, w);
        }
        out
    }

    fn read_all(bytes: &[u8]) -> Result<(), NarError> {
        let mut reader = Reader::new(bytes);
        while reader.next_event()?.is_some() {}
        Ok(())
    }

    fn directory_with(names: &[&[u8]]) -> Vec<u8> {
        let mut words: Vec<&[u8]> = vec![MAGIC, b"(", b"type", b"directory"];
        for name in names {
            words.extend([
                &b"entry"[..],
                b"(",
                b"name",
                name,
                b"node",
                b"(",
                b"type",
                b"regular",
            ]);
            words.extend([&b"contents"[..], b"", b")", b")"]);
        }
        words.push(b")");
        archive(&words)
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        assert!(read_all(&directory_with(&[b"a", b"b"])).is_ok());
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0", &[b'a'; 256]] {
            assert!(read_all(&directory_with(&[name])).is_err(), "{name:?}");
        }
        assert!(read_all(&directory_with(&[&[b'a'; 255]])).is_ok());
    }

    #[test]
    fn unsorted_and_repeated_names_are_refused() {
        assert!(matches!(
            read_all(&directory_with(&[b"b", b"a"])),
            Err(NarError::NotSorted)
        ));
        assert!(matches!(
            read_all(&directory_with(&[b"a", b"a"])),
            Err(NarError::NotSorted)
        ));
    }

    fn nested(depth: usize) -> Vec<u8> {
        let mut words: Vec<&[u8]> = vec![MAGIC];
        for _ in 1..depth {
            words.extend([
                &b"("[..],
                b"type",
                b"directory",
                b"entry",
                b"(",
                b"name",
                b"a",
                b"node",
            ]);
        }
        words.extend([&b"("[..], b"type", b"directory", b")"]);
        for _ in 1..depth {
            words.extend([&b")"[..], b")"]);
        }
        archive(&words)
    }

    #[test]
    fn more_than_64_levels_are_refused() {
        assert!(read_all(&nested(64)).is_ok());
        assert!(matches!(read_all(&nested(65)), Err(NarError::TooDeep)));
        assert!(matches!(read_all(&nested(100_000)), Err(NarError::TooDeep)));
    }

    #[test]
    fn absurd_lengths_are_refused_without_allocation() {
        for length in [u64::MAX, u64::MAX - 7, 1 << 63, 1 << 40] {
            let mut bytes = archive(&[MAGIC, b"(", b"type", b"symlink", b"target"]);
            bytes.extend(length.to_le_bytes());
            assert!(matches!(read_all(&bytes), Err(NarError::TooLong)));
            let mut bytes = archive(&[MAGIC, b"(", b"type", b"regular", b"contents"]);
            bytes.extend(length.to_le_bytes());
            bytes.extend([0; 64]);
            assert!(matches!(read_all(&bytes), Err(NarError::Eof)));
        }
    }

    #[test]
    fn padding_must_be_zero() {
        let mut bytes = archive(&[MAGIC, b"(", b"type", b"regular", b"contents", b"abc", b")"]);
        assert!(read_all(&bytes).is_ok());
        let at = bytes.windows(3).position(|w| w == b"abc").unwrap() + 4;
        bytes[at] = 1;
        assert!(matches!(read_all(&bytes), Err(NarError::Padding)));
    }

    #[test]
    fn bad_links_and_markers_are_refused() {
        for target in [&b""[..], b"a\0b", &[b'a'; 4096]] {
            assert!(
                read_all(&archive(&[
                    MAGIC, b"(", b"type", b"symlink", b"target", target, b")"
                ]))
                .is_err()
            );
        }
        assert!(
            read_all(&archive(&[
                MAGIC,
                b"(",
                b"type",
                b"regular",
                b"executable",
                b"x",
                b"contents",
                b"",
                b")"
            ]))
            .is_err()
        );
        assert!(read_all(&archive(&[MAGIC, b"(", b"type", b"fifo", b")"])).is_err());
        assert!(matches!(read_all(b"hello"), Err(NarError::NoMagic)));
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![
            (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40)).prop_map(
                |(executable, contents)| Tree::File {
                    executable,
                    contents
                }
            ),
            proptest::collection::vec(1u8..255, 1..20).prop_map(Tree::Symlink),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            proptest::collection::btree_map("[a-zA-Z0-9~.]{1,6}", inner, 0..6).prop_map(|map| {
                let map: BTreeMap<Vec<u8>, Tree> = map
                    .into_iter()
                    .filter(|(name, _)| name != "." && name != "..")
                    .map(|(name, tree)| (name.into_bytes(), tree))
                    .collect();
                Tree::Directory(map)
            })
        })
    }

    proptest! {
        #[test]
        fn every_tree_survives_being_archived(tree in tree()) {
            let bytes = tree.to_nar().unwrap();
            let mut reader = Reader::new(&bytes[..]);
            prop_assert_eq!(Tree::read(&mut reader).unwrap(), tree);
            prop_assert_eq!(reader.position(), bytes.len() as u64);
        }

        #[test]
        fn truncation_is_always_noticed(tree in tree(), cut in 1usize..64) {
            let bytes = tree.to_nar().unwrap();
            let end = bytes.len().saturating_sub(cut);
            prop_assert!(read_all(&bytes[..end]).is_err());
        }

        #[test]
        fn garbage_is_an_error_and_never_a_panic(tree in tree(), at in any::<usize>(), byte in any::<u8>()) {
            let mut bytes = tree.to_nar().unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = read_all(&bytes);
        }

        #[test]
        fn what_is_read_can_be_written_again(tree in tree()) {
            let bytes = tree.to_nar().unwrap();
            let mut reader = Reader::new(&bytes[..]);
            let mut writer = Writer::new(Vec::new());
            loop {
                match reader.next_event().unwrap() {
                    None => break,
                    Some(Event::Directory { name }) => writer.directory(name).unwrap(),
                    Some(Event::EndDirectory) => writer.end_directory().unwrap(),
                    Some(Event::Symlink { name, target }) => writer.symlink(name, target).unwrap(),
                    Some(Event::File { name, executable, size }) => {
                        writer.file(name, executable, size).unwrap();
                        let mut contents = Vec::new();
                        reader.copy_contents(&mut contents).unwrap();
                        writer.contents(&contents).unwrap();
                    }
                }
            }
            prop_assert_eq!(writer.finish().unwrap(), bytes);
        }
    }
}
