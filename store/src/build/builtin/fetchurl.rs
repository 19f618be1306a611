//! `builtin:fetchurl`: one file from a URL, or an archive (NAR) unpacked.
//!
//! The file comes from the first address that has it: the mirrors of the setting `hashed-mirrors`, `url`, then the rest
//! of `urls`. Where others are left to try, a file with another hash counts as not being there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::Builtin;
use crate::content_address::{ContentAddress, Method};
use crate::derivation::Output;
use crate::fetch::download::Request;
use crate::fetch::url::Url;
use crate::hash::Hash;
use crate::nar::{self, RestoreOptions};
use crate::remove::remove_tree;
use crate::rewriting::hash_modulo;

pub(super) fn run(builtin: &Builtin<'_>) -> Result<(), String> {
    let kind = builtin.request.kind;
    if !kind.is_fixed() && !kind.is_impure() {
        return Err("'builtin:fetchurl' must be a fixed-output or impure derivation".to_owned());
    }
    let out = builtin
        .output()
        .map_err(|_| "'builtin:fetchurl' requires an 'out' output".to_owned())?;
    let wanted = match builtin.request.derivation.outputs.get("out") {
        Some(Output::Fixed(address)) => Some(address),
        _ => None,
    };
    let main = text(builtin.variable("url")?);
    // A mirror that knows files by their hash is as good as the origin.
    if let Some(address) = wanted
        && address.method == Method::Flat
    {
        for mirror in &builtin.context.settings.hashed_mirrors {
            let slash = if mirror.ends_with('/') { "" } else { "/" };
            let url = format!(
                "{mirror}{slash}{}/{}",
                address.hash.algorithm().name(),
                address.hash.base16()
            );
            match fetch(builtin, &url, &main, out) {
                Ok(()) => return Ok(()),
                Err(error) => crate::progress::debug(&error),
            }
            remove_tree(out).map_err(|error| error.to_string())?;
        }
    }
    let urls = urls(builtin, &main);
    let mut failures = Vec::new();
    for (number, url) in urls.iter().enumerate() {
        let next = urls.get(number + 1);
        let fetched = fetch(builtin, url, &main, out).and_then(|()| match wanted {
            // With no other left to try, the check of all outputs says what is wrong.
            Some(address) if next.is_some() => check(out, url, address),
            _ => Ok(()),
        });
        let Err(failure) = fetched else {
            return Ok(());
        };
        let cancelled = builtin.context.cancel.is_set();
        if let Some(next) = next.filter(|_| !cancelled) {
            crate::progress::warn(format_args!("{failure}; trying '{next}'"));
            remove_tree(out).map_err(|error| error.to_string())?;
        }
        failures.push(failure);
        if cancelled {
            break;
        }
    }
    match failures.as_slice() {
        [failure] => Err(failure.clone()),
        _ => Err(format!(
            "none of {} addresses gives the file:\n{}",
            urls.len(),
            failures.join("\n")
        )),
    }
}

/// The addresses of the file: `url`, and what `urls` has beside it.
fn urls(builtin: &Builtin<'_>, main: &str) -> Vec<String> {
    let mut all = vec![main.to_owned()];
    for url in text(builtin.optional("urls").unwrap_or_default()).split_whitespace() {
        if !all.iter().any(|known| known == url) {
            all.push(url.to_owned());
        }
    }
    all
}

/// Whether the file is the one that is wanted.
fn check(out: &Path, url: &str, wanted: &ContentAddress) -> Result<(), String> {
    let algorithm = wanted.hash.algorithm();
    let found =
        hash_modulo(out, wanted.method, algorithm, None).map_err(|error| error.to_string())?;
    // Without a hash the first file that there is tells the right one.
    if found == wanted.hash || wanted.hash == Hash::zero(algorithm) {
        return Ok(());
    }
    Err(format!(
        "'{url}' gives a file with the hash '{}' instead of '{}'",
        found.sri(),
        wanted.hash.sri()
    ))
}

fn fetch(builtin: &Builtin<'_>, url: &str, main: &str, out: &Path) -> Result<(), String> {
    let source: Box<dyn Read> = match local_file(builtin, url)? {
        Some(file) => Box::new(file),
        None => {
            let mut request = Request::get(url);
            request.decode = false;
            let download = builtin.context.downloader.open(&request);
            Box::new(download.map_err(|error| error.to_string())?)
        }
    };
    if builtin.flag("unpack") {
        let packed = main.ends_with(".xz");
        let reader: Box<dyn Read> = if packed {
            Box::new(liblzma::read::XzDecoder::new_multi_decoder(source))
        } else {
            source
        };
        let options = RestoreOptions::default();
        nar::restore(BufReader::new(reader), out, options).map_err(|error| error.to_string())?;
    } else {
        write(source, out)?;
    }
    if builtin.flag("executable") {
        fs::set_permissions(out, PermissionsExt::from_mode(0o755))
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A file of the host, which an isolated build only sees among its inputs.
fn local_file(builtin: &Builtin<'_>, url: &str) -> Result<Option<File>, String> {
    let Some(parsed) = Url::parse(url).ok().filter(|url| url.scheme == "file") else {
        return Ok(None);
    };
    if !builtin.isolated {
        return Ok(None);
    }
    let missing = || format!("unable to download '{url}': Could not open file");
    let path = parsed.to_path().map_err(|_| missing())?;
    let path = builtin
        .view()
        .resolve(Path::new(&path))
        .ok_or_else(missing)?;
    File::open(path).map(Some).map_err(|_| missing())
}

fn write(mut source: Box<dyn Read>, out: &Path) -> Result<(), String> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(out)
        .map_err(|error| format!("creating '{}': {error}", out.display()))?;
    io::copy(&mut source, &mut file)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
