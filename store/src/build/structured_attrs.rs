//! Structured attributes: the files `.attrs.json` and `.attrs.sh` that a builder finds.

use serde_json::{Map, Number, Value};

/// The attributes as declarations for bash; what bash cannot hold is left out.
pub fn to_shell(attributes: &Map<String, Value>) -> String {
    let mut names: Vec<&String> = attributes.keys().filter(|name| is_variable(name)).collect();
    names.sort();
    let mut shell = String::new();
    for name in names {
        match &attributes[name.as_str()] {
            Value::Array(items) => {
                let items: Option<Vec<String>> = items.iter().map(simple).collect();
                if let Some(items) = items {
                    let list: String = items.iter().map(|item| format!("{item} ")).collect();
                    shell += &format!("declare -a {name}=({list})\n");
                }
            }
            Value::Object(map) => {
                let mut keys: Vec<&String> = map.keys().collect();
                keys.sort();
                let pairs: Option<String> = keys
                    .into_iter()
                    .map(|key| Some(format!("[{}]={} ", quote(key), simple(&map[key.as_str()])?)))
                    .collect();
                if let Some(pairs) = pairs {
                    shell += &format!("declare -A {name}=({pairs})\n");
                }
            }
            value => {
                if let Some(text) = simple(value) {
                    shell += &format!("declare {name}={text}\n");
                }
            }
        }
    }
    shell
}

fn is_variable(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes
        .first()
        .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// A value that one shell word can hold.
fn simple(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(quote(text)),
        Value::Number(number) => integer(number),
        Value::Null => Some("''".to_owned()),
        Value::Bool(true) => Some("1".to_owned()),
        Value::Bool(false) => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whole numbers, cut to 32 bits: builders have relied on exactly what the reference prints.
fn integer(number: &Number) -> Option<String> {
    if let Some(number) = number.as_i64() {
        return Some((number as i32).to_string());
    }
    if let Some(number) = number.as_u64() {
        return Some((number as i32).to_string());
    }
    let float = number.as_f64()?;
    let single = float as f32;
    if single.ceil() != single {
        return None;
    }
    let whole = float.trunc();
    let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&whole);
    Some(if fits { whole as i32 } else { i32::MIN }.to_string())
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shell(value: Value) -> String {
        match value {
            Value::Object(map) => to_shell(&map),
            _ => String::new(),
        }
    }

    #[test]
    fn simple_values_lists_and_sets_are_declared_in_order() {
        let value = json!({
            "b": "it's", "a": 1, "t": true, "f": false, "n": null,
            "list": ["x", 2, 1.0], "set": {"y": "z", "k": 1},
            "bad-name": "no", "nested": [[1]], "half": 1.5,
        });
        assert_eq!(
            shell(value),
            "declare a=1\ndeclare b='it'\\''s'\ndeclare f=\ndeclare -a list=('x' 2 1 )\n\
             declare n=''\ndeclare -A set=(['k']=1 ['y']='z' )\ndeclare t=1\n"
        );
    }

    #[test]
    fn numbers_beyond_32_bits_are_cut_as_the_reference_does() {
        assert_eq!(shell(json!({"a": 4_294_967_297_i64})), "declare a=1\n");
        assert_eq!(shell(json!({"a": 1e20})), "declare a=-2147483648\n");
    }
}
