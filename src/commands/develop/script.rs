//! The text that makes a bash have a builder's environment.

use std::collections::BTreeMap;
use std::path::Path;

use rx_store::derivation::rewrite;

use super::environment::{Environment, Variable};
use crate::ui::Failure;

/// Variables that belong to the user's own session, or to the build that found the others out.
const IGNORED: [&str; 16] = [
    "BASHOPTS",
    "HOME",
    "NIX_BUILD_TOP",
    "NIX_ENFORCE_PURITY",
    "NIX_LOG_FD",
    "NIX_REMOTE",
    "PPID",
    "SHELLOPTS",
    "SSL_CERT_FILE",
    "TEMP",
    "TEMPDIR",
    "TERM",
    "TMP",
    "TMPDIR",
    "TZ",
    "UID",
];

/// What the user has of these comes after what the environment has.
const JOINED: [&str; 2] = ["PATH", "XDG_DATA_DIRS"];

/// The script. Outputs are replaced by directories in `outputs`, and other texts as `redirects` says;
/// files for structured attributes go into `files`.
pub fn start_script(
    environment: &Environment,
    redirects: &BTreeMap<Vec<u8>, Vec<u8>>,
    outputs: &Path,
    files: &Path,
) -> Result<Vec<u8>, Failure> {
    let mut script = b"unset shellHook\n".to_vec();
    for name in JOINED {
        script.extend(format!("{name}=${{{name}:-}}\nrx_saved_{name}=\"${name}\"\n").bytes());
    }
    script.extend(environment.to_bash(&IGNORED));
    for name in JOINED {
        let line = format!(
            "{name}=\"${name}${{rx_saved_{name}:+:$rx_saved_{name}}}\"\nunset rx_saved_{name}\n"
        );
        script.extend(line.bytes());
    }
    script.extend_from_slice(b"export NIX_BUILD_TOP=\"$(mktemp -d -t nix-shell.XXXXXX)\"\n");
    for name in ["TMP", "TMPDIR", "TEMP", "TEMPDIR"] {
        script.extend(format!("export {name}=\"$NIX_BUILD_TOP\"\n").bytes());
    }
    script.extend_from_slice(b"eval \"${shellHook:-}\"\n");

    let mut rewrites = redirects.clone();
    for (name, path) in environment.outputs()? {
        if !path.is_empty() {
            rewrites.insert(path.into_bytes(), bytes(&outputs.join(name)));
        }
    }
    if let Some((json, shell)) = &environment.structured {
        for (variable, file, text) in [
            ("NIX_ATTRS_JSON_FILE", ".attrs.json", json),
            ("NIX_ATTRS_SH_FILE", ".attrs.sh", shell),
        ] {
            let file = files.join(file);
            std::fs::write(&file, text)?;
            if let Some(Variable::Text { value, .. }) = environment.variables.get(variable) {
                rewrites.insert(value.clone().into_bytes(), bytes(&file));
            }
        }
    }
    Ok(rewrite(&script, &rewrites))
}

fn bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().to_vec()
}
