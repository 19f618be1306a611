//! The types of settings: how each is parsed, extended, printed and written as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::builder::nearest;
use super::features::Feature;
use super::places::clean;

/// Why a value does not fit a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not one of the six spellings of a boolean.
    #[error("Boolean setting '{0}' has invalid value '{1}'")]
    Boolean(String, String),
    /// Not an integer, or too large.
    #[error("setting '{0}' has invalid value '{1}'")]
    Invalid(String, String),
    /// Neither `auto` nor an integer.
    #[error("configuration setting '{0}' should be 'auto' or an integer")]
    Jobs(String),
    /// Not one of the words that are known.
    #[error("option '{0}' has invalid value '{1}'")]
    Word(String, String),
    /// An empty path.
    #[error("setting '{0}' is a path and paths cannot be empty")]
    EmptyPath(String),
    /// A path that would depend on where the program is started.
    #[error("not an absolute path: \"{0}\"")]
    RelativePath(String),
    /// Not the JSON that is expected.
    #[error("parsing setting '{0}': {1}")]
    Json(String, String),
}

/// A type of settings.
pub trait Kind: Sized {
    /// The type's name in documentation.
    const NAME: &'static str;
    /// Does `extra-NAME` exist?
    const APPENDABLE: bool = false;
    /// Do `--NAME` and `--no-NAME` exist instead of `--NAME VALUE`?
    const FLAG: bool = false;
    /// Reads the value of the setting `name`. What is odd but harmless goes to `notices`.
    fn parse(name: &str, text: &[u8], notices: &mut Vec<String>) -> Result<Self, ValueError>;
    /// Adds another value, for `extra-NAME`.
    fn append(&mut self, _more: Self) {}
    /// The value as in `nix.conf`.
    fn text(&self) -> String;
    /// The value as JSON.
    fn json(&self) -> Value;
}

/// A list of words, in order.
pub type Strings = Vec<String>;
/// A set of words.
pub type StringSet = BTreeSet<String>;

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Splits at white space.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        .filter(|word| !word.is_empty())
}

impl Kind for bool {
    const NAME: &'static str = "boolean";
    const FLAG: bool = true;

    fn parse(name: &str, text: &[u8], _: &mut Vec<String>) -> Result<bool, ValueError> {
        match text {
            b"true" | b"yes" | b"1" => Ok(true),
            b"false" | b"no" | b"0" => Ok(false),
            _ => Err(ValueError::Boolean(name.into(), lossy(text))),
        }
    }

    fn text(&self) -> String {
        self.to_string()
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

/// Reads an integer with an optional unit: K, M, G or T, each 1024 times the one before.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let Some(last) = text.chars().last() else {
        return Err("'' is not an integer".to_owned());
    };
    let (digits, shift) = match last.to_ascii_uppercase() {
        'K' => (&text[..text.len() - 1], 10),
        'M' => (&text[..text.len() - 1], 20),
        'G' => (&text[..text.len() - 1], 30),
        'T' => (&text[..text.len() - 1], 40),
        unit if unit.is_ascii_alphabetic() => {
            return Err(format!("invalid unit specifier '{unit}'"));
        }
        _ => (text, 0),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("'{digits}' is not an integer"))
}

macro_rules! integer_kind {
    ($($type:ty),*) => { $(impl Kind for $type {
        const NAME: &'static str = "integer";

        fn parse(name: &str, text: &[u8], _: &mut Vec<String>) -> Result<$type, ValueError> {
            let text = lossy(text);
            parse_size(&text)
                .ok()
                .and_then(|number| number.try_into().ok())
                .ok_or_else(|| ValueError::Invalid(name.into(), text))
        }

        fn text(&self) -> String {
            self.to_string()
        }

        fn json(&self) -> Value {
            json!(self)
        }
    })* };
}

integer_kind!(u32, u64);

impl Kind for String {
    const NAME: &'static str = "string";

    fn parse(_: &str, text: &[u8], _: &mut Vec<String>) -> Result<String, ValueError> {
        Ok(lossy(text))
    }

    fn text(&self) -> String {
        self.clone()
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

impl Kind for PathBuf {
    const NAME: &'static str = "path";

    fn parse(name: &str, text: &[u8], _: &mut Vec<String>) -> Result<PathBuf, ValueError> {
        if text.is_empty() {
            return Err(ValueError::EmptyPath(name.into()));
        }
        let path = Path::new(OsStr::from_bytes(text));
        if path.is_absolute() {
            Ok(clean(path))
        } else if name == "eval-profile-file" {
            // The one that is meant to lie where one works.
            Ok(path.to_owned())
        } else {
            Err(ValueError::RelativePath(lossy(text)))
        }
    }

    fn text(&self) -> String {
        self.to_string_lossy().into_owned()
    }

    fn json(&self) -> Value {
        json!(Kind::text(self))
    }
}

impl Kind for Option<PathBuf> {
    const NAME: &'static str = "path";

    fn parse(name: &str, text: &[u8], notices: &mut Vec<String>) -> Result<Self, ValueError> {
        if text.is_empty() {
            return Ok(None);
        }
        PathBuf::parse(name, text, notices).map(Some)
    }

    fn text(&self) -> String {
        self.as_ref().map(Kind::text).unwrap_or_default()
    }

    fn json(&self) -> Value {
        self.as_ref().map_or(Value::Null, Kind::json)
    }
}

impl Kind for Strings {
    const NAME: &'static str = "list of words";
    const APPENDABLE: bool = true;

    fn parse(_: &str, text: &[u8], _: &mut Vec<String>) -> Result<Strings, ValueError> {
        Ok(words(text).map(lossy).collect())
    }

    fn append(&mut self, more: Strings) {
        self.extend(more);
    }

    fn text(&self) -> String {
        self.join(" ")
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

/// A list of words that may be paths with any bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(pub Vec<OsString>);

impl Kind for Words {
    const NAME: &'static str = "list of words";
    const APPENDABLE: bool = true;

    fn parse(_: &str, text: &[u8], _: &mut Vec<String>) -> Result<Words, ValueError> {
        Ok(Words(
            words(text)
                .map(|word| OsString::from_vec(word.to_vec()))
                .collect(),
        ))
    }

    fn append(&mut self, more: Words) {
        self.0.extend(more.0);
    }

    fn text(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    fn json(&self) -> Value {
        self.0
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    }
}

impl Kind for StringSet {
    const NAME: &'static str = "set of words";
    const APPENDABLE: bool = true;

    fn parse(_: &str, text: &[u8], _: &mut Vec<String>) -> Result<StringSet, ValueError> {
        Ok(words(text).map(lossy).collect())
    }

    fn append(&mut self, more: StringSet) {
        self.extend(more);
    }

    fn text(&self) -> String {
        self.iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

impl Kind for BTreeMap<String, String> {
    const NAME: &'static str = "set of NAME=VALUE";
    const APPENDABLE: bool = true;

    fn parse(_: &str, text: &[u8], _: &mut Vec<String>) -> Result<Self, ValueError> {
        let mut map = BTreeMap::new();
        for word in words(text) {
            if let Some((name, value)) = lossy(word).split_once('=') {
                // The first of two equal names counts.
                map.entry(name.to_owned())
                    .or_insert_with(|| value.to_owned());
            }
        }
        Ok(map)
    }

    fn append(&mut self, more: Self) {
        for (name, value) in more {
            self.entry(name).or_insert(value);
        }
    }

    /// Each pair has a space before it, also the first, as the reference prints it.
    fn text(&self) -> String {
        self.iter().fold(String::new(), |text, (name, value)| {
            text + " " + name + "=" + value
        })
    }

    fn json(&self) -> Value {
        json!(self)
    }
}

impl Kind for BTreeSet<Feature> {
    const NAME: &'static str = "set of features";
    const APPENDABLE: bool = true;

    fn parse(_: &str, text: &[u8], notices: &mut Vec<String>) -> Result<Self, ValueError> {
        let mut features = BTreeSet::new();
        for word in words(text).map(lossy) {
            match Feature::from_name(&word) {
                Some(Feature::Flakes) => features.extend([Feature::Flakes, Feature::FetchTree]),
                Some(feature) => features.extend([feature]),
                None if word == "no-url-literals" => notices.push(format!(
                    "experimental feature '{word}' has been stabilized and renamed; \
                     use 'lint-url-literals = fatal' setting instead"
                )),
                None => {
                    let known = Feature::ALL.iter().map(|feature| feature.name());
                    let near = nearest(&word, known)
                        .map(|near| format!(" (did you mean '{near}'?)"))
                        .unwrap_or_default();
                    notices.push(format!("unknown experimental feature '{word}'{near}"));
                }
            }
        }
        Ok(features)
    }

    fn append(&mut self, more: Self) {
        self.extend(more);
    }

    fn text(&self) -> String {
        self.iter()
            .map(|feature| feature.name())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn json(&self) -> Value {
        self.iter().map(|feature| feature.name()).collect()
    }
}

/// The number of builds at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxJobs(pub u32);

impl Kind for MaxJobs {
    const NAME: &'static str = "integer or auto";

    fn parse(name: &str, text: &[u8], _: &mut Vec<String>) -> Result<MaxJobs, ValueError> {
        if text == b"auto" {
            return Ok(MaxJobs(super::machine::cpus()));
        }
        lossy(text)
            .parse()
            .map(MaxJobs)
            .map_err(|_| ValueError::Jobs(name.into()))
    }

    fn text(&self) -> String {
        self.0.to_string()
    }

    fn json(&self) -> Value {
        json!(self.0)
    }
}

/// A type with a fixed list of words.
macro_rules! word_kind {
    ($(#[doc = $doc:literal])+ $name:ident, $kind:literal, $default:ident:
        $($(#[doc = $variant_doc:literal])+ $variant:ident = $word:literal),+) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $variant_doc])+ $variant),+ }

        impl $name {
            /// The word in `nix.conf`.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl Kind for $name {
            const NAME: &'static str = $kind;
            const FLAG: bool = $default;

            fn parse(name: &str, text: &[u8], _: &mut Vec<String>) -> Result<$name, ValueError> {
                $(if text == $word.as_bytes() { return Ok($name::$variant); })+
                Err(ValueError::Word(name.into(), lossy(text)))
            }

            fn text(&self) -> String {
                self.word().to_owned()
            }

            fn json(&self) -> Value {
                match self.word() {
                    "true" => json!(true),
                    "false" => json!(false),
                    word => json!(word),
                }
            }
        }
    };
}

const IS_FLAG: bool = true;
const TAKES_WORD: bool = false;

word_kind! {
    /// How builds are isolated.
    SandboxMode, "true, false or relaxed", IS_FLAG:
    /// Always.
    Enabled = "true",
    /// Never.
    Disabled = "false",
    /// Except for derivations with `__noChroot`.
    Relaxed = "relaxed"
}

word_kind! {
    /// What is done about a questionable construct.
    Diagnose, "ignore, warn or fatal", TAKES_WORD:
    /// Nothing.
    Ignore = "ignore",
    /// A warning.
    Warn = "warn",
    /// An error.
    Fatal = "fatal"
}

word_kind! {
    /// How evaluations are profiled.
    EvalProfiler, "disabled or flamegraph", TAKES_WORD:
    /// Not at all.
    Disabled = "disabled",
    /// By sampling the stack of calls.
    Flamegraph = "flamegraph"
}

/// Where a path of the sandbox comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxSource {
    /// The path outside of the sandbox.
    pub source: PathBuf,
    /// It may be missing.
    pub optional: bool,
}

/// Paths inside the sandbox, and where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxPaths(pub BTreeMap<PathBuf, SandboxSource>);

impl Kind for SandboxPaths {
    const NAME: &'static str = "list of paths";
    const APPENDABLE: bool = true;

    fn parse(_: &str, text: &[u8], _: &mut Vec<String>) -> Result<Self, ValueError> {
        let mut paths = BTreeMap::new();
        for word in words(text) {
            let (word, optional) = match word.strip_suffix(b"?") {
                Some(word) => (word, true),
                None => (word, false),
            };
            let (inside, outside) = match word.iter().position(|byte| *byte == b'=') {
                Some(at) => (&word[..at], &word[at + 1..]),
                None => (word, word),
            };
            let source = PathBuf::from(OsStr::from_bytes(outside));
            paths.insert(
                OsStr::from_bytes(inside).into(),
                SandboxSource { source, optional },
            );
        }
        Ok(SandboxPaths(paths))
    }

    fn append(&mut self, more: Self) {
        for (inside, source) in more.0 {
            self.0.entry(inside).or_insert(source);
        }
    }

    fn text(&self) -> String {
        let words: Vec<_> = self
            .0
            .iter()
            .map(|(inside, from)| {
                let mut word = inside.to_string_lossy().into_owned();
                if *inside != from.source {
                    word.push('=');
                    word.push_str(&from.source.to_string_lossy());
                }
                if from.optional {
                    word.push('?');
                }
                word
            })
            .collect();
        words.join(" ")
    }

    fn json(&self) -> Value {
        self.0
            .iter()
            .map(|(inside, from)| {
                let value =
                    json!({"optional": from.optional, "source": from.source.to_string_lossy()});
                (inside.to_string_lossy().into_owned(), value)
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// A program that builds derivations of some systems.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExternalBuilder {
    /// The systems that it builds for.
    pub systems: Vec<String>,
    /// The program.
    pub program: String,
    /// Its first arguments.
    #[serde(default)]
    pub args: Vec<String>,
}

/// Programs that build derivations of some systems.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalBuilders(pub Vec<ExternalBuilder>);

impl Kind for ExternalBuilders {
    const NAME: &'static str = "JSON";

    fn parse(name: &str, text: &[u8], _: &mut Vec<String>) -> Result<Self, ValueError> {
        serde_json::from_slice(text)
            .map(ExternalBuilders)
            .map_err(|error| ValueError::Json(name.into(), error.to_string()))
    }

    fn text(&self) -> String {
        self.json().to_string()
    }

    fn json(&self) -> Value {
        self.0
            .iter()
            .map(|it| json!({"args": it.args, "program": it.program, "systems": it.systems}))
            .collect()
    }
}
