//! What a shell for a derivation is started with: its variables, its files, and the text it reads first.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rx_store::build::{Options, structured_attributes, structured_attrs};
use rx_store::derivation::{BasicDerivation, STRUCTURED_ATTRS, canonical_json};
use rx_store::path::StorePath;
use rx_store::settings::Settings;
use rx_store::store::Store;
use serde_json::Value;

use crate::execute::quote;
use crate::ui::Failure;

/// Variables of the user that a pure shell keeps.
const KEPT: [&str; 24] = [
    "HOME",
    "XDG_RUNTIME_DIR",
    "USER",
    "LOGNAME",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "WAYLAND_SOCKET",
    "PATH",
    "TERM",
    "IN_NIX_SHELL",
    "NIX_SHELL_PRESERVE_PROMPT",
    "TZ",
    "PAGER",
    "NIX_BUILD_SHELL",
    "SHLVL",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
];

/// How much of the user's environment a shell has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purity {
    /// All of it.
    Impure,
    /// Only what is needed to work with a terminal.
    Pure,
}

impl Purity {
    /// The value of `IN_NIX_SHELL`.
    pub fn name(self) -> &'static str {
        match self {
            Purity::Impure => "impure",
            Purity::Pure => "pure",
        }
    }
}

/// The bash that becomes the shell.
#[derive(Clone, Debug)]
pub struct Bash {
    /// Where it is.
    pub file: PathBuf,
    /// Its directory belongs into `PATH`: it is a package's or was named by the user, not just found.
    pub in_path: bool,
}

/// A shell that is being prepared.
pub struct Setup<'a> {
    /// The variables.
    pub environment: BTreeMap<OsString, OsString>,
    /// Declarations of structured attributes.
    declarations: String,
    /// Where its files are; gone when the shell ends.
    directory: &'a Path,
    purity: Purity,
}

impl<'a> Setup<'a> {
    /// The user's environment, or the part of it that a pure shell keeps.
    pub fn new(directory: &'a Path, purity: Purity, keep: &[OsString]) -> Setup<'a> {
        let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        environment.insert("IN_NIX_SHELL".into(), purity.name().into());
        if purity == Purity::Pure {
            environment
                .retain(|name, _| KEPT.iter().any(|kept| name == kept) || keep.contains(name));
            // A system's bashrc would otherwise source its profile, which sets PATH.
            environment.insert("__ETC_PROFILE_SOURCED".into(), "1".into());
        }
        Setup {
            environment,
            declarations: String::new(),
            directory,
            purity,
        }
    }

    fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.environment.insert(name.into(), value.into());
    }

    fn file(&self, name: &str, content: &[u8]) -> io::Result<PathBuf> {
        let file = self.directory.join(name);
        std::fs::write(&file, content)?;
        Ok(file)
    }

    /// Adds what the builder of a derivation would find.
    pub fn add_derivation(
        &mut self,
        store: &dyn Store,
        settings: &Settings,
        derivation: &BasicDerivation,
        inputs: &dyn Fn() -> Result<BTreeSet<StorePath>, Failure>,
    ) -> Result<(), Failure> {
        for name in ["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP"] {
            self.set(name, self.directory);
        }
        self.set("NIX_STORE", OsStr::from_bytes(store.dir().as_bytes()));
        self.set("NIX_BUILD_CORES", settings.build_cores().to_string());
        let options = Options::of(derivation, store.dir())?;
        let mut number = 0;
        for (name, value) in &derivation.env {
            // The system could not tell where such a name ends.
            if name.contains(&b'=') || name.contains(&0) || value.contains(&0) {
                continue;
            }
            if options.structured.is_some() && name == STRUCTURED_ATTRS {
                continue;
            }
            if options.pass_as_file.contains(name) {
                let file = self.file(&format!(".attr-{number}"), value)?;
                number += 1;
                self.set(OsString::from_vec([name, &b"Path"[..]].concat()), file);
            } else {
                self.set(OsStr::from_bytes(name), OsStr::from_bytes(value));
            }
        }
        if options.structured.is_some() {
            let mut attributes = structured_attributes(store, derivation, &options, &inputs()?)?;
            name_outputs(store, derivation, &mut attributes);
            self.declarations = structured_attrs::to_shell(&attributes);
            let json = canonical_json(&Value::Object(attributes));
            let shell = self.file(".attrs.sh", self.declarations.as_bytes())?;
            let json = self.file(".attrs.json", json.as_bytes())?;
            self.set("NIX_ATTRS_SH_FILE", shell);
            self.set("NIX_ATTRS_JSON_FILE", json);
        }
        Ok(())
    }

    /// Writes what the shell reads first, and gives its path.
    pub fn write_start(&self, bash: &Bash, command: &[u8]) -> io::Result<PathBuf> {
        self.file("rc", &self.start(bash, command))
    }

    fn start(&self, bash: &Bash, command: &[u8]) -> Vec<u8> {
        let impure = self.purity == Purity::Impure;
        let directory = quote(self.directory.as_os_str());
        let shell = quote(bash.file.as_os_str());
        // A pure shell may have no `rm` of its own.
        let remove = match crate::execute::find_program("rm") {
            Some(program) => quote(program.as_os_str()),
            None => b"command rm".to_vec(),
        };
        let mut text = Vec::new();
        let mut line = |parts: &[&[u8]]| {
            for part in parts {
                text.extend_from_slice(part);
            }
            text.push(b'\n');
        };
        line(&[
            b"_rx_shell_clean() { ",
            &remove,
            b" -rf ",
            &directory,
            b"; }",
        ]);
        line(&[b"trap _rx_shell_clean EXIT"]);
        // What stdenv runs at its own end, since it replaces the trap.
        line(&[b"exitHooks+=(_rx_shell_clean)"]);
        line(&[b"failureHooks+=(_rx_shell_clean)"]);
        if impure {
            line(&[b"[ -n \"$PS1\" ] && [ -e ~/.bashrc ] && source ~/.bashrc"]);
            line(&[b"_rx_shell_path=$PATH"]);
        }
        line(&[b"unset PATH"]);
        line(&[b"dontAddDisableDepTrack=1"]);
        line(&[self.declarations.as_bytes()]);
        line(&[b"[ -e \"$stdenv/setup\" ] && source \"$stdenv/setup\""]);
        if impure {
            line(&[b"PATH=$PATH:$_rx_shell_path; unset _rx_shell_path"]);
        }
        if let Some(parent) = bash.file.parent().filter(|_| bash.in_path) {
            line(&[b"PATH=", &quote(parent.as_os_str()), b":\"$PATH\""]);
        }
        line(&[b"SHELL=", &shell]);
        line(&[b"BASH=", &shell]);
        line(&[b"set +e"]);
        let colour = if rustix::process::geteuid().is_root() {
            "31"
        } else {
            "32"
        };
        let prompt = format!(r"'\n\[\033[1;{colour}m\][nix-shell:\w]\$\[\033[0m\] '");
        line(&[
            b"[ -n \"$PS1\" -a -z \"$NIX_SHELL_PRESERVE_PROMPT\" ] && PS1=",
            prompt.as_bytes(),
        ]);
        line(&[b"if [ \"$(type -t runHook)\" = function ]; then runHook shellHook; fi"]);
        line(&[b"unset NIX_ENFORCE_PURITY"]);
        line(&[b"shopt -u nullglob"]);
        line(&[b"unset TZ"]);
        if let Some(zone) = std::env::var_os("TZ") {
            line(&[b"export TZ=", &quote(&zone)]);
        }
        line(&[b"shopt -s execfail"]);
        line(&[command]);
        text
    }
}

/// Puts real paths where a builder would find placeholders.
fn name_outputs(
    store: &dyn Store,
    derivation: &BasicDerivation,
    attributes: &mut serde_json::Map<String, Value>,
) {
    let Ok(paths) = derivation.output_paths(store.dir()) else {
        return;
    };
    if let Some(Value::Object(outputs)) = attributes.get_mut("outputs") {
        for (name, path) in paths {
            if let Some(path) = path {
                outputs.insert(
                    name.to_owned(),
                    Value::String(store.dir().display(&path).to_string()),
                );
            }
        }
    }
}
