//! Scans and inputs as bytes, between processes and in the journal.
//!
//! ```text
//! frame   length u32, checksum u64, payload
//! payload inputs that are new since the last frame, the attribute path, what was found, the names in a set of many
//! ```

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsString;
use std::hash::Hasher;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rx_eval::track::{Input, InputKind, State};

use super::roots::{Root, RootKind};
use super::scan::{Body, Found, Package};

/// A frame longer than this is no frame.
const LONGEST: u32 = 1 << 30;

/// An input with its number's place in the order: the first in a conversation is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInput {
    /// What was looked at.
    pub input: Input,
    /// What it was like.
    pub state: State,
    /// Whether it is in the base.
    pub base: bool,
}

/// What a worker says about one attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Inputs that came up since the last answer.
    pub inputs: Vec<NewInput>,
    /// The attribute path that was scanned.
    pub path: Vec<Vec<u8>>,
    /// What was found there; the first is the attribute itself.
    pub found: Vec<Found>,
    /// If it is a set of many, the names in it: they are scanned one by one.
    pub more: Vec<Vec<u8>>,
}

/// Writes a frame.
pub fn write_frame(out: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    out.write_all(&(payload.len() as u32).to_le_bytes())?;
    out.write_all(&checksum(payload).to_le_bytes())?;
    out.write_all(payload)
}

/// Reads a frame; nothing at the end or if what comes is no frame.
pub fn read_frame(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 12];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut head = Reader(&head);
    let (Some(len), Some(sum)) = (head.u32(), head.u64()) else {
        return Ok(None);
    };
    if len > LONGEST {
        return Ok(None);
    }
    let mut payload = Vec::new();
    from.take(u64::from(len)).read_to_end(&mut payload)?;
    Ok((payload.len() == len as usize && checksum(&payload) == sum).then_some(payload))
}

/// The bytes that a frame takes.
pub fn frame_size(payload: &[u8]) -> u64 {
    payload.len() as u64 + 12
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Appends numbers and texts.
pub fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

/// Takes numbers and texts from the front.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let len = self.u32()? as usize;
        self.take(len).map(<[u8]>::to_vec)
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len = self.u32()?;
        (0..len).map(|_| item(self)).collect()
    }
}

/// An attribute path.
pub fn put_path(out: &mut Vec<u8>, path: &[Vec<u8>]) {
    put_u32(out, path.len() as u32);
    for name in path {
        put_bytes(out, name);
    }
}

/// An attribute path.
pub fn get_path(from: &mut Reader<'_>) -> Option<Vec<Vec<u8>>> {
    from.list(Reader::bytes)
}

/// A root.
pub fn put_root(out: &mut Vec<u8>, root: &Root) {
    let (kind, text) = match &root.kind {
        RootKind::File(file) => (0, file),
        RootKind::Expression(text) => (1, text),
    };
    out.push(kind);
    put_bytes(out, text.as_bytes());
    put_bytes(out, &root.attribute);
}

/// A root, except for what is shown before its attributes.
pub fn get_root(from: &mut Reader<'_>) -> Option<Root> {
    let kind = from.u8()?;
    let text = OsString::from_vec(from.bytes()?);
    let kind = match kind {
        0 => RootKind::File(text),
        1 => RootKind::Expression(text),
        _ => return None,
    };
    Some(Root {
        attribute: from.bytes()?,
        ..Root::of(kind)
    })
}

/// Inputs in the order of their numbers.
pub fn put_inputs(out: &mut Vec<u8>, inputs: &[NewInput]) {
    put_u32(out, inputs.len() as u32);
    for new in inputs {
        out.push(new.input.kind as u8);
        out.push(u8::from(new.base));
        put_u64(out, new.state.quick);
        put_u64(out, new.state.contents);
        put_bytes(out, &new.input.path);
    }
}

/// Inputs in the order of their numbers.
pub fn get_inputs(from: &mut Reader<'_>) -> Option<Vec<NewInput>> {
    from.list(|from| {
        let kind = InputKind::from_u8(from.u8()?)?;
        let base = from.u8()? != 0;
        let state = State {
            quick: from.u64()?,
            contents: from.u64()?,
        };
        let input = Input::new(kind, &from.bytes()?);
        Some(NewInput { input, state, base })
    })
}

impl Answer {
    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_inputs(&mut out, &self.inputs);
        put_path(&mut out, &self.path);
        put_u32(&mut out, self.found.len() as u32);
        for found in &self.found {
            put_u32(&mut out, found.parent.map_or(u32::MAX, |parent| parent));
            put_bytes(&mut out, &found.name);
            match &found.body {
                Body::Nothing => out.push(0),
                Body::Set => out.push(1),
                Body::Package(package) => {
                    out.push(2 + u8::from(package.broken));
                    put_bytes(&mut out, &package.name);
                    put_bytes(&mut out, &package.version);
                    put_bytes(&mut out, &package.description);
                }
            }
            put_u32(&mut out, found.inputs.len() as u32);
            for &input in &found.inputs {
                put_u32(&mut out, input);
            }
        }
        put_path(&mut out, &self.more);
        out
    }

    /// From bytes; nothing if they are not an answer.
    pub fn from_bytes(bytes: &[u8]) -> Option<Answer> {
        let mut from = Reader(bytes);
        let inputs = get_inputs(&mut from)?;
        let path = get_path(&mut from)?;
        let found = from.list(get_found)?;
        let more = get_path(&mut from)?;
        (from.0.is_empty() && !found.is_empty()).then_some(Answer {
            inputs,
            path,
            found,
            more,
        })
    }
}

fn get_found(from: &mut Reader<'_>) -> Option<Found> {
    let parent = Some(from.u32()?).filter(|&parent| parent != u32::MAX);
    let name = from.bytes()?;
    let body = match from.u8()? {
        0 => Body::Nothing,
        1 => Body::Set,
        kind @ (2 | 3) => Body::Package(Package {
            name: from.bytes()?,
            version: from.bytes()?,
            description: from.bytes()?,
            broken: kind == 3,
        }),
        _ => return None,
    };
    let inputs = from.list(Reader::u32)?;
    Some(Found {
        parent,
        name,
        body,
        inputs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer {
            inputs: vec![NewInput {
                input: Input::new(InputKind::Contents, b"/a"),
                state: State {
                    quick: 7,
                    contents: 9,
                },
                base: false,
            }],
            path: vec![b"set".to_vec()],
            found: vec![
                Found {
                    parent: None,
                    name: b"set".to_vec(),
                    body: Body::Set,
                    inputs: vec![0],
                },
                Found {
                    parent: Some(0),
                    name: b"x.y".to_vec(),
                    body: Body::Package(Package {
                        name: b"x".to_vec(),
                        version: b"1".to_vec(),
                        description: b"\xff".to_vec(),
                        broken: true,
                    }),
                    inputs: Vec::new(),
                },
            ],
            more: vec![b"a.b".to_vec(), Vec::new()],
        }
    }

    #[test]
    fn an_answer_comes_back_as_it_was() {
        let bytes = answer().to_bytes();
        assert_eq!(Answer::from_bytes(&bytes), Some(answer()));
        for cut in 0..bytes.len() {
            assert_eq!(Answer::from_bytes(&bytes[..cut]), None);
        }
    }

    #[test]
    fn a_root_comes_back_as_it_was() {
        for kind in [
            RootKind::File(OsString::from_vec(b"/\xff".to_vec())),
            RootKind::Expression("{ }".into()),
        ] {
            let root = Root {
                attribute: b"a.b".to_vec(),
                ..Root::of(kind)
            };
            let mut bytes = Vec::new();
            put_root(&mut bytes, &root);
            assert_eq!(get_root(&mut Reader(&bytes)), Some(root));
        }
    }

    #[test]
    fn a_frame_that_was_not_written_whole_is_not_read() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &answer().to_bytes()).unwrap();
        assert!(read_frame(&mut &bytes[..]).unwrap().is_some());
        for cut in 0..bytes.len() {
            assert_eq!(read_frame(&mut &bytes[..cut]).unwrap(), None);
        }
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert_eq!(read_frame(&mut &bytes[..]).unwrap(), None);
    }
}
