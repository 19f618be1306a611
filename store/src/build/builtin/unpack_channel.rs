//! `builtin:unpack-channel`: a channel's archive as a directory with one entry, the channel.

use std::fs::{self, File};
use std::path::{Component, Path};

use super::Builtin;
use crate::fetch::unpack::{Limits, unpack};

pub(super) fn run(builtin: &Builtin<'_>) -> Result<(), String> {
    let out = builtin.output()?;
    let name = String::from_utf8_lossy(builtin.variable("channelName")?).into_owned();
    let source = String::from_utf8_lossy(builtin.variable("src")?).into_owned();
    let mut parts = Path::new(&name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name.as_str())
    {
        return Err(format!(
            "channelName is not allowed to contain filesystem separators, got '{name}'"
        ));
    }
    let real = builtin
        .view()
        .resolve(Path::new(&source))
        .ok_or_else(|| format!("file '{source}' does not exist"))?;
    let archive = File::open(real).map_err(|error| format!("opening '{source}': {error}"))?;
    fs::create_dir_all(out).map_err(|error| error.to_string())?;
    unpack(archive, out, &Limits::default()).map_err(|error| error.to_string())?;

    let entries: Vec<_> = fs::read_dir(out)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| error.to_string())?;
    match entries.as_slice() {
        [] => Err(format!("channel tarball '{source}' is empty")),
        [only] => fs::rename(only.path(), out.join(&name)).map_err(|error| {
            format!(
                "failed to rename '{}' to '{}': {error}",
                only.path().display(),
                out.join(&name).display()
            )
        }),
        _ => Err(format!(
            "channel tarball '{source}' contains more than one file"
        )),
    }
}
