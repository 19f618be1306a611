//! The text form of derivations.
//!
//! ```text
//! drv     = "Derive(" body ")" | "DrvWithVersion(\"xp-dyn-drv\"," body ")"
//! body    = [output,…] "," [(path "," node),…] "," [path,…] "," string "," string "," [string,…] "," [(string,string),…]
//! output  = (name, path, method-and-algorithm, hash)
//! node    = [name,…] | ([name,…],[(name,node),…])         the second only with version
//! string  = '"' … '"' with \" \\ \n \r \t
//! ```
//!
//! Printing is one pass into a byte buffer. Reading accepts exactly what printing makes: a second text for the
//! same derivation would have another hash, and whoever compares texts must not be fooled.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{
    BasicDerivation, Derivation, DerivationError, InputOutputs, Output, check_output_name,
};
use crate::content_address::{ContentAddress, ContentAddressError, Method};
use crate::hash::{Algorithm, Hash, HashError};
use crate::path::{NameError, PathError, StoreDir, StorePath};

/// Why a text is no derivation.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum ParseError {
    /// Something else was expected at this place.
    #[error("expected string '{0}'")]
    Expected(&'static str),
    /// A string does not end.
    #[error("unterminated string in derivation")]
    Unterminated,
    /// Escapes, order or duplicates that printing never makes.
    #[error("derivation is not in canonical form: {0}")]
    NotCanonical(&'static str),
    /// Neither of the two known beginnings.
    #[error("derivation does not start with 'Derive' or 'DrvWithVersion'")]
    NoStart,
    /// A version that is not known.
    #[error("Unknown derivation ATerm format version '{0}'")]
    UnknownVersion(String),
    /// An input derivation of which nothing is wanted.
    #[error("inputDrvs entry for '{0}' specifies no outputs")]
    NoOutputsWanted(String),
    /// An input's node is neither list nor pair.
    #[error("invalid inputDrvs entry in derivation")]
    BadNode,
    /// Derivations that are outputs of derivations of derivations …
    #[error("inputDrvs entry in derivation is nested too deeply")]
    TooDeep,
    /// A declared path differs from what the content address gives.
    #[error(
        "derivation output '{output}' has path '{path}', which does not match its content address"
    )]
    PathMismatch {
        /// The output.
        output: String,
        /// Its declared path.
        path: String,
    },
    /// An impure output has a path.
    #[error("impure derivation output should not specify output path")]
    ImpureWithPath,
    /// A floating output has a path.
    #[error("content-addressing derivation output should not specify output path")]
    FloatingWithPath,
    /// Text after the end.
    #[error("trailing data after the derivation")]
    Trailing,
    /// A path is none.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A hash is none.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A content address makes no path.
    #[error(transparent)]
    ContentAddress(#[from] ContentAddressError),
}

/// Nesting limit of dynamic inputs.
const MAX_NESTING: usize = 64;

const NEEDS_ESCAPE: [bool; 256] = {
    let mut map = [false; 256];
    map[b'"' as usize] = true;
    map[b'\\' as usize] = true;
    map[b'\n' as usize] = true;
    map[b'\r' as usize] = true;
    map[b'\t' as usize] = true;
    map
};

/// Appends a quoted string.
#[inline]
pub(super) fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut start = 0;
    for (i, &c) in text.iter().enumerate() {
        if NEEDS_ESCAPE[c as usize] {
            out.extend_from_slice(&text[start..i]);
            out.push(b'\\');
            out.push(match c {
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                other => other,
            });
            start = i + 1;
        }
    }
    out.extend_from_slice(&text[start..]);
    out.push(b'"');
}

/// Appends a quoted string that is known to need no escapes.
#[inline]
fn write_plain(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

#[inline]
fn write_path(out: &mut Vec<u8>, dir: &StoreDir, path: &StorePath) {
    out.push(b'"');
    dir.append_to(path, out);
    out.push(b'"');
}

/// Appends the items with commas between them.
#[inline]
fn separated<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    let mut first = true;
    for item in items {
        if !first {
            out.push(b',');
        }
        first = false;
        write(out, item);
    }
}

fn write_node(out: &mut Vec<u8>, node: &InputOutputs) {
    // Nodes nest as deep as the parser let them in: at most MAX_NESTING.
    if !node.dynamic.is_empty() {
        out.push(b'(');
    }
    out.push(b'[');
    separated(out, &node.outputs, |out, name| {
        write_plain(out, name.as_bytes())
    });
    out.push(b']');
    if !node.dynamic.is_empty() {
        out.extend_from_slice(b",[");
        separated(out, &node.dynamic, |out, (name, child)| {
            out.push(b'(');
            write_plain(out, name.as_bytes());
            out.push(b',');
            write_node(out, child);
            out.push(b')');
        });
        out.extend_from_slice(b"])");
    }
}

/// How outputs and their variables are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outputs {
    /// As they are.
    Shown,
    /// Blank, so that a hash of the text does not depend on them.
    Masked,
}

impl BasicDerivation {
    /// Prints everything; `inputs` prints the items of the list of input derivations.
    pub(super) fn write_with(
        &self,
        dir: &StoreDir,
        outputs: Outputs,
        out: &mut Vec<u8>,
        inputs: impl FnOnce(&mut Vec<u8>),
    ) {
        out.push(b'[');
        separated(out, &self.outputs, |out, (name, output)| {
            out.push(b'(');
            write_plain(out, name.as_bytes());
            out.push(b',');
            match outputs {
                Outputs::Masked => out.extend_from_slice(b"\"\",\"\",\"\""),
                Outputs::Shown => self.write_output(dir, name, output, out),
            }
            out.push(b')');
        });
        out.extend_from_slice(b"],[");
        inputs(out);
        out.extend_from_slice(b"],[");
        separated(out, &self.input_sources, |out, path| {
            write_path(out, dir, path)
        });
        out.extend_from_slice(b"],");
        write_string(out, &self.platform);
        out.push(b',');
        write_string(out, &self.builder);
        out.extend_from_slice(b",[");
        separated(out, &self.args, |out, arg| write_string(out, arg));
        out.extend_from_slice(b"],[");
        separated(out, &self.env, |out, (name, value)| {
            out.push(b'(');
            write_string(out, name);
            out.push(b',');
            let masked = outputs == Outputs::Masked
                && std::str::from_utf8(name).is_ok_and(|name| self.outputs.contains_key(name));
            write_string(out, if masked { b"" } else { value });
            out.push(b')');
        });
        out.extend_from_slice(b"])");
    }

    fn write_output(&self, dir: &StoreDir, name: &str, output: &Output, out: &mut Vec<u8>) {
        match output {
            Output::InputAddressed(path) => {
                write_path(out, dir, path);
                out.extend_from_slice(b",\"\",\"\"");
            }
            Output::Fixed(address) => {
                match output.path(dir, &self.name, name) {
                    Ok(Some(path)) => write_path(out, dir, &path),
                    _ => out.extend_from_slice(b"\"\""),
                }
                out.push(b',');
                write_plain(out, address.method_algorithm().as_bytes());
                out.push(b',');
                write_plain(out, address.hash.base16().as_bytes());
            }
            Output::Floating { method, algorithm } | Output::Impure { method, algorithm } => {
                out.extend_from_slice(b"\"\",\"");
                out.extend_from_slice(method.prefix().as_bytes());
                out.extend_from_slice(algorithm.name().as_bytes());
                out.extend_from_slice(match output {
                    Output::Impure { .. } => b"\",\"impure\"",
                    _ => b"\",\"\"",
                });
            }
            Output::Deferred => out.extend_from_slice(b"\"\",\"\",\"\""),
        }
    }
}

impl Derivation {
    /// Appends the text form to `out`.
    pub fn write_aterm(&self, dir: &StoreDir, out: &mut Vec<u8>) {
        if self.has_dynamic_inputs() {
            out.extend_from_slice(b"DrvWithVersion(\"xp-dyn-drv\",");
        } else {
            out.extend_from_slice(b"Derive(");
        }
        self.basic.write_with(dir, Outputs::Shown, out, |out| {
            separated(out, &self.input_derivations, |out, (path, node)| {
                out.push(b'(');
                write_path(out, dir, path);
                out.push(b',');
                write_node(out, node);
                out.push(b')');
            });
        });
    }

    /// The text form: the bytes of the `.drv` file.
    pub fn to_aterm(&self, dir: &StoreDir) -> Vec<u8> {
        let mut out = Vec::with_capacity(4096);
        self.write_aterm(dir, &mut out);
        out
    }

    /// Reads the text form; `name` is the file's name without `.drv`.
    pub fn parse(dir: &StoreDir, text: &[u8], name: &str) -> Result<Self, ParseError> {
        Parser {
            rest: text,
            dir,
            name,
        }
        .derivation()
    }
}

struct Parser<'a> {
    rest: &'a [u8],
    dir: &'a StoreDir,
    name: &'a str,
}

impl<'a> Parser<'a> {
    fn eat(&mut self, token: &'static str) -> Result<(), ParseError> {
        match self.rest.strip_prefix(token.as_bytes()) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(ParseError::Expected(token)),
        }
    }

    /// Reads a list up to and including its `]`; the `[` is already gone.
    fn list(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        if self.eat("]").is_ok() {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.eat("]").is_ok() {
                return Ok(());
            }
            self.eat(",")?;
        }
    }

    fn string(&mut self) -> Result<std::borrow::Cow<'a, [u8]>, ParseError> {
        self.eat("\"")?;
        let text = self.rest;
        let mut owned: Option<Vec<u8>> = None;
        let mut start = 0;
        loop {
            let at = start
                + memchr::memchr2(b'"', b'\\', &text[start..]).ok_or(ParseError::Unterminated)?;
            let piece = &text[start..at];
            if memchr::memchr3(b'\n', b'\r', b'\t', piece).is_some() {
                return Err(ParseError::NotCanonical(
                    "a control character is not escaped",
                ));
            }
            if text[at] == b'"' {
                self.rest = &text[at + 1..];
                return Ok(match owned {
                    None => piece.into(),
                    Some(mut bytes) => {
                        bytes.extend_from_slice(piece);
                        bytes.into()
                    }
                });
            }
            let bytes = owned.get_or_insert_with(Vec::new);
            bytes.extend_from_slice(piece);
            bytes.push(match text.get(at + 1) {
                None => return Err(ParseError::Unterminated),
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(c @ (b'"' | b'\\')) => *c,
                Some(_) => {
                    return Err(ParseError::NotCanonical(
                        "a character is escaped needlessly",
                    ));
                }
            });
            start = at + 2;
        }
    }

    fn path(&mut self) -> Result<StorePath, ParseError> {
        Ok(self.dir.parse_canonical(&self.string()?)?)
    }

    fn output_name(&mut self) -> Result<String, ParseError> {
        Ok(check_output_name(&self.string()?)?.to_owned())
    }

    fn derivation(mut self) -> Result<Derivation, ParseError> {
        let versioned = if self.eat("Derive(").is_ok() {
            false
        } else if self.eat("DrvWithVersion(").is_ok() {
            let version = self.string()?;
            if &*version != b"xp-dyn-drv" {
                let version = String::from_utf8_lossy(&version).into_owned();
                return Err(ParseError::UnknownVersion(version));
            }
            self.eat(",")?;
            true
        } else {
            return Err(ParseError::NoStart);
        };
        let mut drv = Derivation::default();
        drv.name = self.name.to_owned();

        self.eat("[")?;
        let outputs = &mut drv.basic.outputs;
        self.list(|p| {
            p.eat("(")?;
            let name = p.output_name()?;
            let output = p.output(&name)?;
            p.eat(")")?;
            insert_ascending(outputs, name, output, "outputs are not sorted")
        })?;

        self.eat(",[")?;
        let inputs = &mut drv.input_derivations;
        self.list(|p| {
            p.eat("(")?;
            let path = p.path()?;
            p.eat(",")?;
            let node = p.node(versioned, 0)?;
            if node.is_empty() {
                return Err(ParseError::NoOutputsWanted(
                    p.dir.display(&path).to_string(),
                ));
            }
            p.eat(")")?;
            insert_ascending(inputs, path, node, "input derivations are not sorted")
        })?;

        self.eat(",[")?;
        let sources = &mut drv.basic.input_sources;
        self.list(|p| {
            let path = p.path()?;
            if sources.last().is_some_and(|last| *last >= path) {
                return Err(ParseError::NotCanonical("input sources are not sorted"));
            }
            sources.insert(path);
            Ok(())
        })?;

        self.eat(",")?;
        drv.platform = self.string()?.into_owned();
        self.eat(",")?;
        drv.builder = self.string()?.into_owned();

        self.eat(",[")?;
        let args = &mut drv.basic.args;
        self.list(|p| {
            args.push(p.string()?.into_owned());
            Ok(())
        })?;

        self.eat(",[")?;
        let env = &mut drv.basic.env;
        self.list(|p| {
            p.eat("(")?;
            let name = p.string()?.into_owned();
            p.eat(",")?;
            let value = p.string()?.into_owned();
            p.eat(")")?;
            insert_ascending(env, name, value, "the environment is not sorted")
        })?;
        self.eat(")")?;
        if versioned && !drv.has_dynamic_inputs() {
            return Err(ParseError::NotCanonical("a version without need"));
        }
        if self.rest.is_empty() {
            Ok(drv)
        } else {
            Err(ParseError::Trailing)
        }
    }

    fn output(&mut self, name: &str) -> Result<Output, ParseError> {
        self.eat(",")?;
        let path = self.string()?;
        self.eat(",")?;
        let algorithm = self.string()?;
        self.eat(",")?;
        let hash = self.string()?;
        Output::from_parts(self.dir, self.name, name, &path, &algorithm, &hash)
    }

    fn node(&mut self, versioned: bool, depth: usize) -> Result<InputOutputs, ParseError> {
        if depth >= MAX_NESTING {
            return Err(ParseError::TooDeep);
        }
        let pair = versioned && self.eat("(").is_ok();
        if self.eat("[").is_err() {
            return Err(if versioned {
                ParseError::BadNode
            } else {
                ParseError::Expected("[")
            });
        }
        let mut node = InputOutputs::default();
        let outputs = &mut node.outputs;
        self.list(|p| {
            let name = p.output_name()?;
            if outputs.last().is_some_and(|last| *last >= name) {
                return Err(ParseError::NotCanonical("wanted outputs are not sorted"));
            }
            outputs.insert(name);
            Ok(())
        })?;
        if pair {
            self.eat(",[")?;
            let dynamic = &mut node.dynamic;
            self.list(|p| {
                p.eat("(")?;
                let name = p.output_name()?;
                p.eat(",")?;
                let child = p.node(versioned, depth + 1)?;
                p.eat(")")?;
                insert_ascending(dynamic, name, child, "dynamic outputs are not sorted")
            })?;
            self.eat(")")?;
        }
        Ok(node)
    }
}

fn insert_ascending<K: Ord, V>(
    map: &mut BTreeMap<K, V>,
    key: K,
    value: V,
    complaint: &'static str,
) -> Result<(), ParseError> {
    if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
        return Err(ParseError::NotCanonical(complaint));
    }
    map.insert(key, value);
    Ok(())
}

impl Output {
    /// Makes an output of the three strings that derivations and protocols carry for it.
    pub fn from_parts(
        dir: &StoreDir,
        derivation_name: &str,
        name: &str,
        path: &[u8],
        algorithm: &[u8],
        hash: &[u8],
    ) -> Result<Output, ParseError> {
        if algorithm.is_empty() {
            if !hash.is_empty() {
                return Err(ParseError::NotCanonical(
                    "an output has a hash without algorithm",
                ));
            }
            return Ok(if path.is_empty() {
                Output::Deferred
            } else {
                Output::InputAddressed(dir.parse_canonical(path)?)
            });
        }
        let (method, algorithm) = Method::split_prefix(algorithm);
        let algorithm = Algorithm::parse(algorithm)?;
        match hash {
            b"impure" if !path.is_empty() => Err(ParseError::ImpureWithPath),
            b"impure" => Ok(Output::Impure { method, algorithm }),
            b"" if !path.is_empty() => Err(ParseError::FloatingWithPath),
            b"" => Ok(Output::Floating { method, algorithm }),
            _ => {
                let hash = Hash::parse_unprefixed(hash, algorithm)?;
                let output = Output::Fixed(ContentAddress { method, hash });
                let declared = dir.parse_canonical(path)?;
                if output.path(dir, derivation_name, name)?.as_ref() != Some(&declared) {
                    return Err(ParseError::PathMismatch {
                        output: name.to_owned(),
                        path: dir.display(&declared).to_string(),
                    });
                }
                Ok(output)
            }
        }
    }
}

impl From<ParseError> for DerivationError {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Path(e) => DerivationError::Path(e),
            ParseError::Name(e) => DerivationError::Name(e),
            ParseError::ContentAddress(e) => DerivationError::ContentAddress(e),
            other => {
                DerivationError::ContentAddress(ContentAddressError::NoPrefix(other.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIMPLE: &str = r#"Derive([("out","/nix/store/ysaxs29agsiw8y1xcflr86jw57xpbmd3-c","","")],[],[],"c","x",[],[("builder","x"),("name","c"),("out","/nix/store/ysaxs29agsiw8y1xcflr86jw57xpbmd3-c"),("system","c")])"#;

    fn parse(text: &str) -> Result<Derivation, ParseError> {
        Derivation::parse(&StoreDir::default(), text.as_bytes(), "c")
    }

    #[test]
    fn a_derivation_reads_and_prints_unchanged_and_has_the_right_path() {
        let dir = StoreDir::default();
        let drv = parse(SIMPLE).unwrap();
        assert_eq!(drv.to_aterm(&dir), SIMPLE.as_bytes());
        assert_eq!(
            drv.path(&dir).unwrap().to_string(),
            "bmf27niw5nk0zz6mnq9hwhdjd0psl3r4-c.drv"
        );
    }

    #[test]
    fn texts_that_printing_would_not_make_are_refused() {
        for (from, to) in [
            ("\"c\",\"x\"", "\"c\", \"x\""),
            ("(\"name\",\"c\")", "(\"name\",\"\\c\")"),
            ("(\"name\",\"c\")", "(\"name\",\"\n\")"),
            ("(\"name\",\"c\")", "(\"a\",\"c\")"),
            ("(\"name\",\"c\")", "(\"builder\",\"c\")"),
            ("[(\"builder\"", "[,(\"builder\""),
            (
                "],[],[],",
                "],[(\"/nix/store/bmf27niw5nk0zz6mnq9hwhdjd0psl3r4-c.drv\",[])],[],",
            ),
            ("[(\"out\"", "[(\"../x\""),
            ("/nix/store/ysax", "/nix/store/../store/ysax"),
            ("Derive(", "Derived("),
            ("Derive(", "DrvWithVersion(\"xp-dyn-drv\","),
            ("Derive(", "DrvWithVersion(\"2\","),
        ] {
            let text = SIMPLE.replacen(from, to, 1);
            assert_ne!(text, SIMPLE, "{from}");
            assert!(parse(&text).is_err(), "{text}");
        }
        assert_eq!(parse(&format!("{SIMPLE} ")), Err(ParseError::Trailing));
        for end in 0..SIMPLE.len() {
            assert!(parse(&SIMPLE[..end]).is_err());
        }
    }

    #[test]
    fn dynamic_inputs_read_and_print_unchanged() {
        let text = r#"DrvWithVersion("xp-dyn-drv",[("out","","r:sha256","")],[("/nix/store/bmf27niw5nk0zz6mnq9hwhdjd0psl3r4-c.drv",(["a"],[("b",["c"]),("d",([],[("e",["f"])]))]))],[],"s","b",[],[])"#;
        let drv = parse(text).unwrap();
        assert_eq!(drv.to_aterm(&StoreDir::default()), text.as_bytes());
    }

    #[test]
    fn endless_nesting_is_refused() {
        let mut node = String::new();
        for _ in 0..100_000 {
            node.push_str("([],[(\"e\",");
        }
        let text = format!(
            r#"DrvWithVersion("xp-dyn-drv",[("out","","r:sha256","")],[("/nix/store/bmf27niw5nk0zz6mnq9hwhdjd0psl3r4-c.drv",{node}"#
        );
        assert_eq!(parse(&text), Err(ParseError::TooDeep));
    }

    #[test]
    fn a_fixed_output_must_have_the_path_of_its_hash() {
        let text = r#"Derive([("out","/nix/store/zzrzwwl7wi19zrj7n0w80kadhf5bdq10-b","r:sha256","e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")],[],[],"x","/b",[],[])"#;
        let dir = StoreDir::default();
        let drv = Derivation::parse(&dir, text.as_bytes(), "b").unwrap();
        assert_eq!(drv.to_aterm(&dir), text.as_bytes());
        let wrong = text.replace("zzrz", "yzrz");
        assert!(matches!(
            Derivation::parse(&dir, wrong.as_bytes(), "b"),
            Err(ParseError::PathMismatch { .. })
        ));
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..20)
    }

    proptest! {
        #[test]
        fn any_strings_survive_printing_and_reading(
            builder in bytes(),
            platform in bytes(),
            args in proptest::collection::vec(bytes(), 0..5),
            env in proptest::collection::btree_map(bytes(), bytes(), 0..5),
        ) {
            let dir = StoreDir::default();
            let basic = BasicDerivation {
                name: "n".into(),
                outputs: BTreeMap::from([("out".into(), Output::Deferred)]),
                builder, platform, args, env,
                ..BasicDerivation::default()
            };
            let drv = Derivation::from(basic);
            let text = drv.to_aterm(&dir);
            prop_assert_eq!(Derivation::parse(&dir, &text, "n").unwrap(), drv);
        }

        #[test]
        fn a_changed_byte_is_an_error_or_another_derivation(at in 0usize..200, byte in any::<u8>()) {
            let dir = StoreDir::default();
            let mut text = SIMPLE.as_bytes().to_vec();
            let at = at % text.len();
            prop_assume!(text[at] != byte);
            text[at] = byte;
            if let Ok(drv) = Derivation::parse(&dir, &text, "c") {
                prop_assert_eq!(drv.to_aterm(&dir), text);
            }
        }
    }
}
