//! `--log-format internal-json`: one JSON object a line, as tools read it from the reference.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;

use rx_store::progress::{ActivityId, ActivityKind, Field, Level, Logger, Place, ResultKind};
use serde_json::{Map, Value, json};

/// Writes events as JSON lines.
pub(super) struct JsonLogger {
    /// `None` after a line could not be written.
    out: Mutex<Option<Box<dyn Write + Send>>>,
    prefix: &'static str,
}

impl JsonLogger {
    /// To standard error, with the prefix `@nix `.
    pub(super) fn to_stderr() -> JsonLogger {
        JsonLogger {
            out: Mutex::new(Some(Box::new(io::stderr()))),
            prefix: "@nix ",
        }
    }

    /// To a file or socket, without a prefix.
    pub(super) fn to_path(path: &Path) -> io::Result<JsonLogger> {
        let socket = path
            .metadata()
            .is_ok_and(|meta| meta.file_type().is_socket());
        let out: Box<dyn Write + Send> = if socket {
            Box::new(UnixStream::connect(path)?)
        } else {
            Box::new(File::options().create(true).append(true).open(path)?)
        };
        Ok(JsonLogger {
            out: Mutex::new(Some(out)),
            prefix: "",
        })
    }

    fn write(&self, value: &Value) {
        let line = format!("{}{value}\n", self.prefix);
        let mut out = self
            .out
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(writer) = out.as_mut()
            && writer.write_all(line.as_bytes()).is_err()
        {
            *out = None;
        }
    }
}

/// Adds the fields, if there are any.
fn with_fields(mut object: Map<String, Value>, fields: &[Field]) -> Value {
    if !fields.is_empty() {
        let fields = fields.iter().map(|field| match field {
            Field::Int(number) => json!(number),
            Field::Text(text) => json!(text),
        });
        object.insert("fields".into(), fields.collect());
    }
    // Programs look for the members in the reference's order, that of their names.
    object.sort_keys();
    object.into()
}

/// An object from `"key": value` pairs.
macro_rules! object {
    ($($key:literal: $value:expr),*) => {{
        let mut object = Map::new();
        $( object.insert($key.into(), json!($value)); )*
        object
    }};
}

impl Logger for JsonLogger {
    fn log(&self, level: Level, message: &str) {
        self.write(&object!("action": "msg", "level": level as u8, "msg": message).into());
    }

    fn warn(&self, message: &str) {
        // Tools expect the colours, since the reference has them here.
        self.log(Level::Warn, &format!("\x1b[35;1mwarning:\x1b[0m {message}"));
    }

    fn error(&self, rendered: &str, message: &str, place: Option<&Place>) {
        let object = object!(
            "action": "msg",
            "column": place.map(|place| place.column),
            "file": place.map(|place| format!("{}:{}:{}", place.file, place.line, place.column)),
            "level": Level::Error as u8,
            "line": place.map(|place| place.line),
            "msg": rendered,
            "raw_msg": message
        );
        self.write(&object.into());
    }

    fn start(
        &self,
        id: ActivityId,
        level: Level,
        kind: ActivityKind,
        text: &str,
        fields: &[Field],
        parent: ActivityId,
    ) {
        let object = object!(
            "action": "start",
            "id": id,
            "level": level as u8,
            "parent": parent,
            "text": text,
            "type": kind as u64
        );
        self.write(&with_fields(object, fields));
    }

    fn stop(&self, id: ActivityId) {
        self.write(&object!("action": "stop", "id": id).into());
    }

    fn result(&self, id: ActivityId, kind: ResultKind, fields: &[Field]) {
        let object = object!("action": "result", "id": id, "type": kind as u64);
        self.write(&with_fields(object, fields));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_lines_that_other_programs_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log");
        let logger = JsonLogger::to_path(&file).unwrap();
        logger.start(
            7,
            Level::Info,
            ActivityKind::Build,
            "building x",
            &["/nix/store/x".into()],
            0,
        );
        logger.result(7, ResultKind::Progress, &[1.into(), 2.into()]);
        logger.stop(7);
        logger.log(Level::Info, "done");
        insta::assert_snapshot!(std::fs::read_to_string(file).unwrap(), @r#"
        {"action":"start","fields":["/nix/store/x"],"id":7,"level":3,"parent":0,"text":"building x","type":105}
        {"action":"result","fields":[1,2],"id":7,"type":105}
        {"action":"stop","id":7}
        {"action":"msg","level":3,"msg":"done"}
        "#);
    }
}
