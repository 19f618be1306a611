//! The attributes of an input: a small map of strings, integers and booleans.
//!
//! It is what a lock file stores, what `fetchTree` takes and returns, and the key of the cache.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// One attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attr {
    /// A text.
    Str(String),
    /// A non-negative number.
    Int(u64),
    /// A flag.
    Bool(bool),
}

/// A missing attribute, one of another type, or JSON that holds something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttrError {
    /// The attribute does not exist.
    #[error("input attribute '{0}' is missing")]
    Missing(String),
    /// The attribute has another type.
    #[error("input attribute '{0}' is not {1}")]
    WrongType(String, &'static str),
    /// JSON that cannot be an attribute.
    #[error("unsupported input attribute type in lock file")]
    UnsupportedJson,
}

impl From<&str> for Attr {
    fn from(text: &str) -> Self {
        Attr::Str(text.to_owned())
    }
}

impl From<String> for Attr {
    fn from(text: String) -> Self {
        Attr::Str(text)
    }
}

impl From<u64> for Attr {
    fn from(number: u64) -> Self {
        Attr::Int(number)
    }
}

impl From<bool> for Attr {
    fn from(flag: bool) -> Self {
        Attr::Bool(flag)
    }
}

/// Attributes sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attrs(pub BTreeMap<String, Attr>);

impl Attrs {
    /// No attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets or replaces one.
    pub fn set(&mut self, name: &str, value: impl Into<Attr>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// The same attributes and one more; for building literals.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Attr>) -> Self {
        self.set(name, value);
        self
    }

    /// Removes one.
    pub fn remove(&mut self, name: &str) -> Option<Attr> {
        self.0.remove(name)
    }

    /// Whether the attribute exists.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A text, if the attribute exists.
    pub fn str_opt(&self, name: &str) -> Result<Option<&str>, AttrError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Attr::Str(text)) => Ok(Some(text)),
            Some(_) => Err(AttrError::WrongType(name.into(), "a string")),
        }
    }

    /// A text that must exist.
    pub fn str(&self, name: &str) -> Result<&str, AttrError> {
        self.str_opt(name)?
            .ok_or_else(|| AttrError::Missing(name.into()))
    }

    /// A number, if the attribute exists.
    pub fn int_opt(&self, name: &str) -> Result<Option<u64>, AttrError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Attr::Int(number)) => Ok(Some(*number)),
            Some(_) => Err(AttrError::WrongType(name.into(), "an integer")),
        }
    }

    /// A number that must exist.
    pub fn int(&self, name: &str) -> Result<u64, AttrError> {
        self.int_opt(name)?
            .ok_or_else(|| AttrError::Missing(name.into()))
    }

    /// A flag, if the attribute exists.
    pub fn bool_opt(&self, name: &str) -> Result<Option<bool>, AttrError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Attr::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(AttrError::WrongType(name.into(), "a Boolean")),
        }
    }

    /// A flag that is false unless set.
    pub fn flag(&self, name: &str) -> Result<bool, AttrError> {
        Ok(self.bool_opt(name)?.unwrap_or(false))
    }

    /// As a JSON object.
    pub fn to_json(&self) -> Json {
        Json::Object(
            self.0
                .iter()
                .map(|(name, value)| {
                    let value = match value {
                        Attr::Str(text) => Json::from(text.as_str()),
                        Attr::Int(number) => Json::from(*number),
                        Attr::Bool(flag) => Json::from(*flag),
                    };
                    (name.clone(), value)
                })
                .collect(),
        )
    }

    /// From a JSON object.
    pub fn from_json(json: &Json) -> Result<Self, AttrError> {
        let object = json.as_object().ok_or(AttrError::UnsupportedJson)?;
        let mut attrs = Attrs::new();
        for (name, value) in object {
            let value = match value {
                Json::String(text) => Attr::Str(text.clone()),
                Json::Bool(flag) => Attr::Bool(*flag),
                Json::Number(number) => {
                    Attr::Int(number.as_u64().ok_or(AttrError::UnsupportedJson)?)
                }
                _ => return Err(AttrError::UnsupportedJson),
            };
            attrs.0.insert(name.clone(), value);
        }
        Ok(attrs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_json() {
        let attrs = Attrs::new().with("a", "x").with("b", 3).with("c", true);
        assert_eq!(attrs.to_json().to_string(), r#"{"a":"x","b":3,"c":true}"#);
        assert_eq!(Attrs::from_json(&attrs.to_json()).unwrap(), attrs);
    }

    #[test]
    fn json_of_other_types_is_refused() {
        for text in [
            r#"{"a":null}"#,
            r#"{"a":[]}"#,
            r#"{"a":-1}"#,
            r#"{"a":1.5}"#,
            "[]",
        ] {
            assert!(Attrs::from_json(&serde_json::from_str(text).unwrap()).is_err());
        }
    }

    #[test]
    fn a_wrong_type_is_named() {
        let attrs = Attrs::new().with("shallow", "1");
        assert_eq!(
            attrs.flag("shallow").unwrap_err().to_string(),
            "input attribute 'shallow' is not a Boolean"
        );
    }
}
