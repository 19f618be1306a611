//! `rx-prefetch-url` and `rx store prefetch-file`: download something into the store and tell its hash.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use rx_eval::Origin;
use rx_store::content_address::{ContentAddress, Method, References};
use rx_store::fetch::download::{Downloader, Request};
use rx_store::fetch::unpack::{Limits, unpack};
use rx_store::fetch::url::percent_decode;
use rx_store::hash::{Algorithm, Format, Hash, Hasher};
use rx_store::path::{StorePath, check_name};
use rx_store::progress;
use rx_store::scratch::Scratch;
use rx_store::store::{Addition, Contents, Store};

use crate::cli::{
    Category, ClassicCommand, EvalOptions, Flag, Group, Invocation, JsonOptions, Options,
    Subcommand,
};
use crate::eval_session::with_session;
use crate::installables::attribute;
use crate::store_session::{open_store, shown};
use crate::ui::{self, Failure, UsageError};

/// What came has another hash than was expected.
#[derive(Debug, thiserror::Error)]
#[error("hash mismatch for '{url}':\n  specified: {specified}\n  got:       {found}")]
struct Mismatch {
    url: String,
    specified: String,
    found: String,
}

/// What is to be downloaded, and what becomes of it.
struct Prefetch<'a> {
    url: &'a str,
    name: Option<&'a str>,
    algorithm: Algorithm,
    expected: Option<Hash>,
    unpack: bool,
    executable: bool,
}

impl Prefetch<'_> {
    /// The name in the store: what is asked for, or the end of the URL's path, decoded.
    fn name(&self) -> Result<String, Failure> {
        let name = match self.name {
            Some(name) => name.to_owned(),
            None => {
                let path = self.url.split('#').next().unwrap_or_default();
                let path = path.split('?').next().unwrap_or_default();
                let last = path.trim_end_matches('/').rsplit('/').next();
                percent_decode(last.unwrap_or_default())?
            }
        };
        if name.is_empty() {
            return Err(
                UsageError::new(format!("cannot figure out file name for '{}'", self.url)).into(),
            );
        }
        check_name(name.as_bytes())?;
        Ok(name)
    }

    fn run(
        &self,
        invocation: &Invocation,
        store: &dyn Store,
    ) -> Result<(StorePath, Hash), Failure> {
        let name = &*self.name()?;
        let method = if self.unpack || self.executable {
            Method::NixArchive
        } else {
            Method::Flat
        };
        if let Some(hash) = self.expected {
            let address = ContentAddress { method, hash };
            let path = store
                .dir()
                .make_content_path(name, &address, &References::default())?;
            if store.is_valid(&path)? {
                return Ok((path, hash));
            }
        }
        let directory = Scratch::new("rx-prefetch-")?;
        let mut path = directory.path().join("file");
        let mut download =
            Downloader::from_settings(&invocation.settings).open(&Request::get(self.url))?;
        if self.unpack {
            progress::talkative("unpacking...");
            path = directory.path().join("unpacked");
            std::fs::create_dir(&path)?;
            unpack(&mut download, &path, &Limits::default())?;
            path = only_entry(path)?;
        } else {
            let mut file = std::fs::File::create(&path)?;
            download.stream(&mut file)?;
            if self.executable {
                use std::os::unix::fs::PermissionsExt;
                file.set_permissions(PermissionsExt::from_mode(0o700))?;
            }
        }
        let hash = match method {
            Method::NixArchive => rx_store::nar::dump(&path, Hasher::new(self.algorithm))?.finish(),
            _ => Hash::of_reader(self.algorithm, std::fs::File::open(&path)?)?.0,
        };
        if let Some(expected) = self.expected.filter(|expected| *expected != hash) {
            let mismatch = Mismatch {
                url: self.url.to_owned(),
                specified: expected.format(Format::Nix32, true),
                found: hash.format(Format::Nix32, true),
            };
            return Err(mismatch.into());
        }
        let contents = Contents::Path(&path);
        let added = store.add_to_store(Addition::new(name, method, self.algorithm), contents)?;
        Ok((added, hash))
    }
}

/// What most archives hold: one directory.
fn only_entry(directory: PathBuf) -> Result<PathBuf, Failure> {
    let mut entries = std::fs::read_dir(&directory)?;
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry?.path()),
        _ => Ok(directory),
    }
}

/// Options of `rx-prefetch-url`.
#[derive(Default)]
pub struct PrefetchUrl {
    algorithm: Option<Algorithm>,
    name: Option<String>,
    print_path: bool,
    unpack: bool,
    executable: bool,
    /// An attribute that describes what is fetched, and that the first argument is a file then.
    attr_path: Option<OsString>,
    eval: EvalOptions,
    arguments: Vec<OsString>,
}

impl Options for PrefetchUrl {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::value(
            "type",
            &["algorithm"],
            "md5, sha1, sha256 (the default), sha512 or blake3.",
            |o, values| {
                let name = values.text()?;
                o.algorithm = Some(
                    Algorithm::parse(&name).map_err(|error| UsageError::new(error.to_string()))?,
                );
                Ok(())
            },
        ),
        Flag::value(
            "name",
            &["name"],
            "The name in the store, if not the end of the URL.",
            |o, values| {
                o.name = Some(values.text()?);
                Ok(())
            },
        ),
        Flag::switch("print-path", "Print the store path, too.", |o| {
            o.print_path = true
        }),
        Flag::switch(
            "unpack",
            "Unpack the archive and hash what is in it.",
            |o| o.unpack = true,
        ),
        Flag::switch(
            "executable",
            "Make the file executable and hash its archive.",
            |o: &mut Self| o.executable = true,
        ),
        Flag::value(
            "attr",
            &["path"],
            "Take URL, name and kind from a call of fetchurl in a file.",
            |o: &mut Self, values| {
                o.attr_path = Some(values.os());
                Ok(())
            },
        )
        .short('A'),
    ];

    const GROUPS: &'static [Group<Self>] = &[Group {
        title: "Evaluation",
        part: |options| &mut options.eval,
    }];

    fn argument(&mut self, argument: OsString) -> Result<(), UsageError> {
        self.arguments.push(argument);
        Ok(())
    }
}

impl ClassicCommand for PrefetchUrl {
    const NAME: &'static str = "prefetch-url";
    const ABOUT: &'static str = "download a file into the store and print its hash";
    const USAGE: &'static [&'static str] = &[
        "[--type ALGORITHM] [--name NAME] [--print-path] [--unpack] [--executable] URL [HASH]",
        "[--print-path] -A PATH [FILE [HASH]]",
    ];

    fn run(mut self, invocation: &Invocation) -> Result<(), Failure> {
        let (first, hash) = match &self.arguments[..] {
            [] if self.attr_path.is_some() => (".".into(), None),
            [url] => (url.clone(), None),
            [url, hash] => (url.clone(), Some(hash.clone())),
            [] => return Err(UsageError::new("you must specify a URL").into()),
            _ => return Err(UsageError::new("too many arguments").into()),
        };
        let mut url = first.to_string_lossy().into_owned();
        if let Some(path) = self.attr_path.clone() {
            url = self.described(invocation, &first, &path)?;
        }
        if let Some(rest) = url.strip_prefix("mirror://") {
            url = resolve_mirror(invocation, &self.eval, rest)?;
        }
        let algorithm = self.algorithm.unwrap_or(Algorithm::Sha256);
        let expected = match hash {
            Some(text) => Some(Hash::parse_any(text.as_encoded_bytes(), Some(algorithm))?),
            None => None,
        };
        let print_path =
            self.print_path || std::env::var_os("PRINT_PATH").is_some_and(|value| value == "1");
        let prefetch = Prefetch {
            url: &url,
            name: self.name.as_deref(),
            algorithm,
            expected,
            unpack: self.unpack,
            executable: self.executable,
        };
        let store = open_store(invocation)?;
        let (path, hash) = prefetch.run(invocation, &*store)?;
        let path = shown(&*store, &path).display().to_string();
        if !print_path {
            progress::info(format_args!("path is '{path}'"));
        }
        let format = if hash.algorithm() == Algorithm::Md5 {
            Format::Base16
        } else {
            Format::Nix32
        };
        let mut text = format!("{}\n", hash.format(format, false));
        if print_path {
            text += &format!("{path}\n");
        }
        ui::print(&text)
    }
}

impl PrefetchUrl {
    /// Reads name and kind of a call of fetchurl in a file, and gives its first URL.
    fn described(
        &mut self,
        invocation: &Invocation,
        file: &OsStr,
        path: &OsStr,
    ) -> Result<String, Failure> {
        let found = with_session(invocation, &self.eval, true, |session| {
            let root = session.eval_file(file)?;
            let found = session
                .vm
                .find_along(path.as_encoded_bytes(), &session.auto_args, root);
            let (value, _) = session.check(found)?;
            let mut text = |name: &[u8]| match attribute(session, value, name) {
                Some(serde_json::Value::String(text)) => Some(text),
                _ => None,
            };
            Ok((text(b"urls.0"), text(b"outputHashMode"), text(b"name")))
        })?;
        let (url, mode, name) = found;
        match mode {
            None => progress::warn("this does not look like a fetchurl call"),
            Some(mode) => self.unpack = mode == "recursive",
        }
        if self.name.is_none() {
            self.name = name;
        }
        url.ok_or_else(|| Failure::message(format!("'{}' has no attribute 'urls'", path.display())))
    }
}

/// The first URL that nixpkgs knows for `mirror://NAME/REST`.
fn resolve_mirror(
    invocation: &Invocation,
    options: &EvalOptions,
    rest: &str,
) -> Result<String, Failure> {
    let invalid = || Failure::message(format!("invalid mirror URL 'mirror://{rest}'"));
    let (name, path) = rest.split_once('/').ok_or_else(invalid)?;
    let found = with_session(invocation, options, true, |session| {
        let text = b"import <nixpkgs/pkgs/build-support/fetchurl/mirrors.nix>";
        let mirrors = session.eval_text(Origin::String, text)?;
        Ok(attribute(session, mirrors, format!("{name}.0").as_bytes()))
    })?;
    match found {
        Some(serde_json::Value::String(mirror)) => Ok(format!(
            "{}/{path}",
            mirror.strip_suffix('/').unwrap_or(&mirror)
        )),
        _ => Err(Failure::message(format!("unknown mirror name '{name}'"))),
    }
}

/// Arguments of `rx store prefetch-file`.
#[derive(clap::Args)]
pub struct PrefetchFile {
    /// The name in the store, if not the end of the URL.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The hash that the file must have.
    #[arg(long, value_name = "HASH")]
    expected_hash: Option<String>,
    /// md5, sha1, sha256, sha512 or blake3.
    #[arg(long, value_name = "ALGORITHM", default_value = "sha256")]
    hash_type: String,
    /// Make the file executable and hash its archive.
    #[arg(long)]
    executable: bool,
    /// Unpack the archive and hash what is in it.
    #[arg(long)]
    unpack: bool,
    #[command(flatten)]
    json: JsonOptions,
    /// What to download.
    url: String,
}

impl Subcommand for PrefetchFile {
    const PATH: &'static str = "store prefetch-file";
    const ABOUT: &'static str = "Download a file into the store and tell its hash";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let algorithm = Algorithm::parse(&self.hash_type)
            .map_err(|error| UsageError::new(error.to_string()))?;
        let expected = match &self.expected_hash {
            Some(text) => Some(Hash::parse_any(text, Some(algorithm))?),
            None => None,
        };
        let prefetch = Prefetch {
            url: &self.url,
            name: self.name.as_deref(),
            algorithm,
            expected,
            unpack: self.unpack,
            executable: self.executable,
        };
        let store = open_store(invocation)?;
        let (path, hash) = prefetch.run(invocation, &*store)?;
        let path = shown(&*store, &path).display().to_string();
        if self.json.json {
            return self
                .json
                .print(&serde_json::json!({ "hash": hash.sri(), "storePath": path }));
        }
        progress::log(
            progress::Level::Notice,
            format_args!(
                "Downloaded '{}' to '{path}' (hash '{}').",
                self.url,
                hash.sri()
            ),
        );
        Ok(())
    }
}
