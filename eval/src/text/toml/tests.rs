use super::{Document, Id, Node, parse};

/// The value on one line.
fn show(document: &Document, id: Id) -> String {
    match document.node(id) {
        Node::Bool(b) => b.to_string(),
        Node::Int(n) => n.to_string(),
        Node::Float(f) => format!("{f:?}"),
        Node::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        Node::Timestamp(text) => text.clone(),
        Node::Array(elements) => {
            let elements: Vec<_> = elements
                .iter()
                .map(|element| show(document, *element))
                .collect();
            format!("[{}]", elements.join(","))
        }
        Node::Table(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| {
                    format!(
                        "{}={}",
                        String::from_utf8_lossy(key),
                        show(document, *value)
                    )
                })
                .collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

fn read(text: &str) -> String {
    match parse(text.as_bytes()) {
        Ok(document) => show(&document, document.root()),
        Err(error) => error.to_string(),
    }
}

fn title(text: &str) -> String {
    read(text)
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("[error] ")
        .to_owned()
}

#[test]
fn values_of_all_kinds_are_read() {
    let cases = [
        (
            "a = 0xDEAD_beef\nb = 0o17\nc = 0b101\nd = -1_000",
            "{a=3735928559,b=15,c=5,d=-1000}",
        ),
        (
            "a = 1.5e3\nb = -inf\nc = 1_1.0_1",
            "{a=1500.0,b=-inf,c=11.01}",
        ),
        (
            "a = [1, [], {b.c = 'x'}, # c\n true,\n]",
            "{a=[1,[],{b={c=\"x\"}},true]}",
        ),
        ("a = \"\"\"\nx\\\n   y\"\"\"\"\"", "{a=\"xy\\\"\\\"\"}"),
        ("a.\"b.c\".d = 1", "{a={b.c={d=1}}}"),
        ("[[a]]\nb=1\n[[a]]\n[a.c]\nd=1", "{a=[{b=1},{c={d=1}}]}"),
        ("a = \"\\u00e9\\U0001F600\\t\"", "{a=\"é😀\\t\"}"),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn dates_are_read_and_written_in_one_form() {
    let cases = [
        ("1979-05-27", "1979-05-27"),
        ("1979-05-27 07:32:00", "1979-05-27T07:32:00"),
        ("1979-05-27t07:32:00.5z", "1979-05-27T07:32:00.500Z"),
        ("1979-05-27T07:32:00-00:00", "1979-05-27T07:32:00Z"),
        ("07:32:00.1234", "07:32:00.123400"),
        ("07:32:00.000", "07:32:00"),
    ];
    for (text, expected) in cases {
        assert_eq!(read(&format!("a = {text}")), format!("{{a={expected}}}"));
    }
}

#[test]
fn a_table_is_defined_once() {
    let cases = [
        (
            "[a]\n[a]",
            "toml::insert_value: failed to insert a table, table already defined",
        ),
        (
            "a = 1\na = 2",
            "toml::insert_value: failed to insert a value, value already exists",
        ),
        (
            "a = {}\na.b = 1",
            "toml::insert_value: failed to insert a value: inline table is immutable",
        ),
        (
            "[a.b]\n[a]\nb.c = 1",
            "toml::insert_value: reopening a table using dotted keys",
        ),
        (
            "a = [{}]\n[[a]]",
            "toml::insert_value: failed to insert a table, inline array of tables is immutable",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(title(text), expected, "{text}");
    }
}

#[test]
fn an_error_shows_its_place() {
    let expected = "[error] toml::insert_value: failed to insert a value, value already exists\n --> fromTOML\n   |\n 2 | a = 2\n   \
        | ^-- inserting this\n   | ...\n   |\n 1 | a = 1\n   |     ^-- but value already exists\n";
    assert_eq!(read("a = 1\na = 2"), expected);
}

#[test]
fn a_million_open_brackets_are_no_danger() {
    let text = format!("a = {}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert!(parse(text.as_bytes()).is_ok());
    assert!(parse("a = {a=".repeat(100_000).as_bytes()).is_err());
}
