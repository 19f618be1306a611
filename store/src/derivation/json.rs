//! The JSON form of derivations, version 4: what `derivation show` prints and `derivation add` reads.
//!
//! Keys are sorted. Structured attributes stand under `structuredAttrs` as JSON, not as text in the environment.

use std::fmt::Write as _;

use serde_json::Value;
use thiserror::Error;

use super::{
    Derivation, DerivationError, InputOutputs, Output, STRUCTURED_ATTRS, check_output_name,
};
use crate::content_address::{ContentAddress, ContentAddressError, Method};
use crate::hash::{Algorithm, Hash, HashError};
use crate::path::{NameError, PathError, StorePath};

/// The version of this form.
pub const JSON_VERSION: u64 = 4;

/// Nesting limit of dynamic inputs.
const MAX_NESTING: usize = 64;

/// Why JSON is no derivation.
#[derive(Debug, Error)]
pub enum JsonError {
    /// A value has another type.
    #[error("Expected JSON value to be of type '{expected}' but it is of type '{found}': {value}")]
    Type {
        /// The type wanted.
        expected: &'static str,
        /// The type met.
        found: &'static str,
        /// The value, abbreviated.
        value: String,
    },
    /// A key is absent.
    #[error("Expected JSON object to contain key '{key}' but it doesn't: {value}")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// The object, abbreviated.
        value: String,
    },
    /// Another version of this form.
    #[error(
        "Unsupported derivation JSON format version {0}, only format version {JSON_VERSION} is currently supported."
    )]
    Version(u64),
    /// An output has a set of keys that means nothing.
    #[error("invalid JSON for derivation output")]
    Output,
    /// Dynamic inputs nest too deeply.
    #[error("dynamic outputs are nested too deeply")]
    TooDeep,
    /// A string of the derivation is not UTF-8.
    #[error("invalid UTF-8 string in derivation: '{0}'")]
    NotUtf8(String),
    /// Not JSON at all.
    #[error("{0}")]
    Syntax(#[from] serde_json::Error),
    /// A path is none.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A hash is none.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A method is none.
    #[error(transparent)]
    ContentAddress(#[from] ContentAddressError),
    /// The outputs do not go together or their paths are wrong.
    #[error(transparent)]
    Derivation(#[from] DerivationError),
}

fn text(bytes: &[u8]) -> Result<&str, JsonError> {
    std::str::from_utf8(bytes)
        .map_err(|_| JsonError::NotUtf8(String::from_utf8_lossy(bytes).into_owned()))
}

fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn push_list<T>(
    out: &mut String,
    (open, close): (char, char),
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut String, T) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    out.push(open);
    let mut first = true;
    for item in items {
        if !first {
            out.push(',');
        }
        first = false;
        push(out, item)?;
    }
    out.push(close);
    Ok(())
}

const ARRAY: (char, char) = ('[', ']');
const OBJECT: (char, char) = ('{', '}');

fn push_node(out: &mut String, node: &InputOutputs) -> Result<(), JsonError> {
    out.push_str("{\"dynamicOutputs\":");
    push_list(out, OBJECT, &node.dynamic, |out, (name, child)| {
        push_string(out, name);
        out.push(':');
        push_node(out, child)
    })?;
    out.push_str(",\"outputs\":");
    push_list(out, ARRAY, &node.outputs, |out, name| {
        push_string(out, name);
        Ok(())
    })?;
    out.push('}');
    Ok(())
}

fn push_output(out: &mut String, output: &Output) {
    match output {
        Output::InputAddressed(path) => {
            out.push_str("{\"path\":");
            push_string(out, &path.to_string());
            out.push('}');
        }
        Output::Fixed(address) => {
            let _ = write!(
                out,
                "{{\"hash\":\"{}\",\"method\":\"{}\"}}",
                address.hash.sri(),
                address.method.name()
            );
        }
        Output::Floating { method, algorithm } => {
            let _ = write!(
                out,
                "{{\"hashAlgo\":\"{algorithm}\",\"method\":\"{}\"}}",
                method.name()
            );
        }
        Output::Impure { method, algorithm } => {
            let _ = write!(
                out,
                "{{\"hashAlgo\":\"{algorithm}\",\"impure\":true,\"method\":\"{}\"}}",
                method.name()
            );
        }
        Output::Deferred => out.push_str("{}"),
    }
}

impl Derivation {
    /// Prints compact JSON with sorted keys.
    pub fn to_json(&self) -> Result<String, JsonError> {
        let mut out = String::new();
        out.push_str("{\"args\":");
        push_list(&mut out, ARRAY, &self.args, |out, arg| {
            push_string(out, text(arg)?);
            Ok(())
        })?;
        out.push_str(",\"builder\":");
        push_string(&mut out, text(&self.builder)?);
        out.push_str(",\"env\":");
        let env = self
            .env
            .iter()
            .filter(|(name, _)| *name != STRUCTURED_ATTRS);
        push_list(&mut out, OBJECT, env, |out, (name, value)| {
            push_string(out, text(name)?);
            out.push(':');
            push_string(out, text(value)?);
            Ok(())
        })?;
        out.push_str(",\"inputs\":{\"drvs\":");
        push_list(
            &mut out,
            OBJECT,
            &self.input_derivations,
            |out, (path, node)| {
                push_string(out, &path.to_string());
                out.push(':');
                push_node(out, node)
            },
        )?;
        out.push_str(",\"srcs\":");
        push_list(&mut out, ARRAY, &self.input_sources, |out, path| {
            push_string(out, &path.to_string());
            Ok(())
        })?;
        out.push_str("},\"name\":");
        push_string(&mut out, &self.name);
        out.push_str(",\"outputs\":");
        push_list(&mut out, OBJECT, &self.outputs, |out, (name, output)| {
            push_string(out, name);
            out.push(':');
            push_output(out, output);
            Ok(())
        })?;
        if let Some(json) = self.structured_attrs() {
            out.push_str(",\"structuredAttrs\":");
            out.push_str(&canonical_json(&serde_json::from_slice(json)?));
        }
        out.push_str(",\"system\":");
        push_string(&mut out, text(&self.platform)?);
        let _ = write!(out, ",\"version\":{JSON_VERSION}}}");
        Ok(out)
    }

    /// Reads the JSON form. Output paths that are absent stay [`Output::Deferred`].
    pub fn from_json(json: &Value) -> Result<Self, JsonError> {
        let version = field(json, "version")?;
        match version.as_u64() {
            Some(JSON_VERSION) => {}
            Some(other) => return Err(JsonError::Version(other)),
            None => return Err(wrong_type("number", version)),
        }
        let mut drv = Derivation::default();
        drv.name = string(field(json, "name")?)?.to_owned();
        for (name, output) in object(field(json, "outputs")?)? {
            check_output_name(name.as_bytes())?;
            drv.outputs.insert(name.clone(), output_from_json(output)?);
        }
        let inputs = field(json, "inputs")?;
        for path in array(field(inputs, "srcs")?)? {
            drv.input_sources.insert(StorePath::parse(string(path)?)?);
        }
        for (path, node) in object(field(inputs, "drvs")?)? {
            let path = StorePath::parse(path)?;
            path.derivation_name()?;
            drv.input_derivations.insert(path, node_from_json(node, 0)?);
        }
        drv.platform = string(field(json, "system")?)?.into();
        drv.builder = string(field(json, "builder")?)?.into();
        for arg in array(field(json, "args")?)? {
            drv.args.push(string(arg)?.into());
        }
        for (name, value) in object(field(json, "env")?)? {
            drv.env.insert(name.clone().into(), string(value)?.into());
        }
        if let Some(attrs) = json.get("structuredAttrs") {
            drv.env
                .insert(STRUCTURED_ATTRS.to_vec(), canonical_json(attrs).into());
        }
        Ok(drv)
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn abbreviated(value: &Value) -> String {
    let mut text = value.to_string();
    if text.len() > 200 {
        let end = (0..=200)
            .rev()
            .find(|i| text.is_char_boundary(*i))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

fn wrong_type(expected: &'static str, value: &Value) -> JsonError {
    JsonError::Type {
        expected,
        found: type_name(value),
        value: abbreviated(value),
    }
}

fn object(value: &Value) -> Result<&serde_json::Map<String, Value>, JsonError> {
    value.as_object().ok_or_else(|| wrong_type("object", value))
}

fn array(value: &Value) -> Result<&Vec<Value>, JsonError> {
    value.as_array().ok_or_else(|| wrong_type("array", value))
}

fn string(value: &Value) -> Result<&str, JsonError> {
    value.as_str().ok_or_else(|| wrong_type("string", value))
}

fn field<'a>(value: &'a Value, key: &'static str) -> Result<&'a Value, JsonError> {
    object(value)?
        .get(key)
        .ok_or_else(|| JsonError::MissingKey {
            key,
            value: abbreviated(value),
        })
}

fn node_from_json(json: &Value, depth: usize) -> Result<InputOutputs, JsonError> {
    if depth >= MAX_NESTING {
        return Err(JsonError::TooDeep);
    }
    let mut node = InputOutputs::default();
    for name in array(field(json, "outputs")?)? {
        node.outputs
            .insert(check_output_name(string(name)?.as_bytes())?.to_owned());
    }
    for (name, child) in object(field(json, "dynamicOutputs")?)? {
        node.dynamic.insert(
            check_output_name(name.as_bytes())?.to_owned(),
            node_from_json(child, depth + 1)?,
        );
    }
    Ok(node)
}

fn output_from_json(json: &Value) -> Result<Output, JsonError> {
    let mut keys: Vec<&str> = object(json)?.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let method =
        || -> Result<Method, JsonError> { Ok(Method::parse(string(field(json, "method")?)?)?) };
    let algorithm = || -> Result<Algorithm, JsonError> {
        Ok(Algorithm::parse(string(field(json, "hashAlgo")?)?)?)
    };
    match keys.as_slice() {
        [] => Ok(Output::Deferred),
        ["path"] => Ok(Output::InputAddressed(StorePath::parse(string(field(
            json, "path",
        )?)?)?)),
        ["hash", "method"] => Ok(Output::Fixed(ContentAddress {
            method: method()?,
            hash: Hash::parse_sri(string(field(json, "hash")?)?)?,
        })),
        ["hashAlgo", "method"] => Ok(Output::Floating {
            method: method()?,
            algorithm: algorithm()?,
        }),
        ["hashAlgo", "impure", "method"] => Ok(Output::Impure {
            method: method()?,
            algorithm: algorithm()?,
        }),
        _ => Err(JsonError::Output),
    }
}

/// Prints JSON compactly with sorted keys and numbers as the reference prints them.
pub fn canonical_json(value: &Value) -> String {
    // serde_json reads at most 128 levels, so this recursion is bounded.
    let mut out = String::new();
    push_canonical(&mut out, value);
    out
}

fn push_canonical(out: &mut String, value: &Value) {
    let done: Result<(), JsonError> = match value {
        Value::Null => {
            out.push_str("null");
            Ok(())
        }
        Value::Bool(b) => {
            out.push_str(if *b { "true" } else { "false" });
            Ok(())
        }
        Value::Number(n) => {
            match (n.as_i64(), n.as_u64(), n.as_f64()) {
                (Some(i), ..) => out.push_str(&i.to_string()),
                (_, Some(u), _) => out.push_str(&u.to_string()),
                (_, _, Some(f)) => push_float(out, f),
                _ => out.push_str("null"),
            }
            Ok(())
        }
        Value::String(s) => {
            push_string(out, s);
            Ok(())
        }
        Value::Array(items) => push_list(out, ARRAY, items, |out, item| {
            push_canonical(out, item);
            Ok(())
        }),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            push_list(out, OBJECT, entries, |out, (key, item)| {
                push_string(out, key);
                out.push(':');
                push_canonical(out, item);
                Ok(())
            })
        }
    };
    debug_assert!(done.is_ok());
}

/// The shortest digits that read back, in plain notation for exponents -4 <= e < 15, else like `1.5e+20`.
fn push_float(out: &mut String, value: f64) {
    if !value.is_finite() {
        out.push_str("null");
        return;
    }
    if value == 0.0 {
        out.push_str(if value.is_sign_negative() {
            "-0.0"
        } else {
            "0.0"
        });
        return;
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..15).contains(&exponent) {
        let plain = format!("{value}");
        out.push_str(&plain);
        if !plain.contains('.') {
            out.push_str(".0");
        }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.abs());
    }
}

/// Indents compact JSON by two spaces a level, as the reference does on terminals.
pub fn pretty_json(compact: &str) -> String {
    let mut out = String::with_capacity(compact.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    let mut chars = compact.chars().peekable();
    let newline = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = chars.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                if let Some(close) = chars.next_if(|n| matches!(n, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    newline(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                newline(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                newline(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::StoreDir;

    #[test]
    fn a_derivation_survives_its_json_form() {
        let text = r#"Derive([("dev","/nix/store/lm04fzi9pbz95c1l04mh5i3zcg0s4fz1-a-dev","",""),("out","/nix/store/ydbk1akaq0f3gwymrprv8z1s11bfpaav-a","","")],[("/nix/store/bmf27niw5nk0zz6mnq9hwhdjd0psl3r4-c.drv",["out"])],["/nix/store/vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo"],"x86_64-linux","/bin/sh",["-c","echo \n\t\"\\"],[("__json","{\"x\":1,\"y\":{\"a\":[1,2],\"b\":1.5}}"),("dev","d")])"#;
        let dir = StoreDir::default();
        let drv = Derivation::parse(&dir, text.as_bytes(), "a").unwrap();
        let json = drv.to_json().unwrap();
        assert_eq!(
            json,
            r#"{"args":["-c","echo \n\t\"\\"],"builder":"/bin/sh","env":{"dev":"d"},"inputs":{"drvs":{"bmf27niw5nk0zz6mnq9hwhdjd0psl3r4-c.drv":{"dynamicOutputs":{},"outputs":["out"]}},"srcs":["vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo"]},"name":"a","outputs":{"dev":{"path":"lm04fzi9pbz95c1l04mh5i3zcg0s4fz1-a-dev"},"out":{"path":"ydbk1akaq0f3gwymrprv8z1s11bfpaav-a"}},"structuredAttrs":{"x":1,"y":{"a":[1,2],"b":1.5}},"system":"x86_64-linux","version":4}"#
        );
        let value = serde_json::from_str(&json).unwrap();
        assert_eq!(Derivation::from_json(&value).unwrap(), drv);
    }

    #[test]
    fn floats_print_as_the_reference_prints_them() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e14, "100000000000000.0"),
            (1e15, "1e+15"),
            (1.5e20, "1.5e+20"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (-2.5, "-2.5"),
        ] {
            let mut out = String::new();
            push_float(&mut out, value);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn pretty_printing_leaves_strings_alone() {
        assert_eq!(
            pretty_json(r#"{"a":[],"b":[1,"x,{:\"y"]}"#),
            "{\n  \"a\": [],\n  \"b\": [\n    1,\n    \"x,{:\\\"y\"\n  ]\n}"
        );
    }
}
