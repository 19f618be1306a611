//! Text formats and algorithms of the language, as pure functions over bytes: nothing here knows of values.

pub mod json;
pub mod regex;
pub mod sort;
pub mod toml;
pub mod version;
pub mod xml;
