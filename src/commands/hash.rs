//! `rx-hash` and `rx hash …`: hashes of files and trees, and conversions between notations.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use rx_store::git_hash;
use rx_store::hash::{Algorithm, Format, Hash, HashError};
use rx_store::nar;
use rx_store::parallel_hash::{HashedBlocks, ParallelHasher};
use rx_store::settings::Feature;

use crate::cli::{Category, ClassicCommand, Flag, Invocation, Options, Subcommand};
use crate::store_session::canonical_name;
use crate::ui::{self, Failure, FeatureDisabled, UsageError};

/// What of a path is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Method {
    /// The archive of the tree.
    #[default]
    Nar,
    /// The bytes of the file.
    Flat,
    /// The file or tree as git knows it.
    Git,
}

/// The path to be hashed does not exist.
#[derive(Debug, thiserror::Error)]
#[error("path '{}' does not exist", .0.display())]
struct NoPath(PathBuf);

/// A file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read '{}': {error}", .path.display())]
struct CannotRead {
    path: PathBuf,
    #[source]
    error: std::io::Error,
}

/// A hash is not written as was promised.
#[derive(Debug, thiserror::Error)]
#[error("input hash '{text}' has format '{}', but '--from {}' was specified", .is.name(), .promised.name())]
struct OtherFormat {
    text: String,
    is: Format,
    promised: Format,
}

fn hash_path(
    path: &Path,
    method: Method,
    algorithm: Algorithm,
    invocation: &Invocation,
) -> Result<Hash, Failure> {
    match method {
        Method::Flat => {
            let error = |error| CannotRead {
                path: path.to_owned(),
                error,
            };
            let file = File::open(path).map_err(error)?;
            Ok(Hash::of_reader(algorithm, file).map_err(error)?.0)
        }
        Method::Git => Ok(git_hash::hash_path(algorithm, &canonical_name(path)?)?),
        Method::Nar => {
            let path = &canonical_name(path)?;
            if path.symlink_metadata().is_err() {
                return Err(NoPath(path.clone()).into());
            }
            let hasher = HashedBlocks(ParallelHasher::new(algorithm));
            let hasher = if invocation.settings.use_case_hack {
                nar::dump_case_hacked(path, hasher)?
            } else {
                nar::dump(path, hasher)?
            };
            Ok(hasher.0.finish()?.finish())
        }
    }
}

/// Refuses an algorithm whose feature is off.
pub fn check_algorithm(algorithm: Algorithm, invocation: &Invocation) -> Result<(), Failure> {
    if algorithm == Algorithm::Blake3 && !invocation.settings.enabled(Feature::Blake3Hashes) {
        return Err(FeatureDisabled(Feature::Blake3Hashes).into());
    }
    Ok(())
}

fn show(hash: &Hash, format: Format) -> String {
    format!("{}\n", hash.format(format, format == Format::Sri))
}

fn algorithm(name: &str) -> Result<Algorithm, UsageError> {
    Algorithm::parse(name).map_err(|error| UsageError::new(error.to_string()))
}

/// Options of `rx-hash`.
#[derive(Default)]
pub struct ClassicHash {
    method: Method,
    format: Option<Format>,
    convert: bool,
    truncate: bool,
    algorithm: Option<Algorithm>,
    arguments: Vec<OsString>,
}

impl ClassicHash {
    fn convert_to(&mut self, format: Format) {
        self.convert = true;
        self.format = Some(format);
    }
}

impl Options for ClassicHash {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::switch(
            "flat",
            "Hash the contents of files, not their archives.",
            |o| {
                o.method = Method::Flat;
            },
        ),
        Flag::value(
            "type",
            &["algorithm"],
            "md5 (the default), sha1, sha256, sha512 or blake3.",
            |o, values| {
                o.algorithm = Some(algorithm(&values.text()?)?);
                Ok(())
            },
        ),
        Flag::switch("base16", "Print in hexadecimal (the default).", |o| {
            o.format = Some(Format::Base16)
        }),
        Flag::switch("base32", "Print in Nix's base-32.", |o| {
            o.format = Some(Format::Nix32)
        }),
        Flag::switch("base64", "Print in base-64.", |o| {
            o.format = Some(Format::Base64)
        }),
        Flag::switch(
            "sri",
            "Print with the algorithm, as ALGORITHM-BASE64.",
            |o| o.format = Some(Format::Sri),
        ),
        Flag::switch("truncate", "Fold longer hashes to 160 bits.", |o| {
            o.truncate = true
        }),
        Flag::switch("to-base16", "Convert hashes to hexadecimal.", |o| {
            o.convert_to(Format::Base16)
        }),
        Flag::switch("to-base32", "Convert hashes to Nix's base-32.", |o| {
            o.convert_to(Format::Nix32)
        }),
        Flag::switch("to-base64", "Convert hashes to base-64.", |o| {
            o.convert_to(Format::Base64)
        }),
        Flag::switch("to-sri", "Convert hashes to ALGORITHM-BASE64.", |o| {
            o.convert_to(Format::Sri)
        }),
    ];

    fn argument(&mut self, argument: OsString) -> Result<(), UsageError> {
        self.arguments.push(argument);
        Ok(())
    }
}

impl ClassicCommand for ClassicHash {
    const NAME: &'static str = "hash";
    const ABOUT: &'static str = "print the hashes of files and trees, or convert hashes";
    const USAGE: &'static [&'static str] = &[
        "[--flat] [--type ALGORITHM] [--base32 | --base64 | --sri] [--truncate] PATH...",
        "--to-base16 | --to-base32 | --to-base64 | --to-sri [--type ALGORITHM] HASH...",
    ];

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let format = self.format.unwrap_or(Format::Base16);
        let mut text = String::new();
        if self.convert {
            for argument in &self.arguments {
                let hash = Hash::parse_any(argument.as_encoded_bytes(), self.algorithm)?;
                text += &show(&hash, format);
            }
            return ui::print(&text);
        }
        let algorithm = self.algorithm.unwrap_or(Algorithm::Md5);
        check_algorithm(algorithm, invocation)?;
        for path in &self.arguments {
            let hash = hash_path(Path::new(path), self.method, algorithm, invocation)?;
            text += &show_truncated(&hash, format, self.truncate);
        }
        ui::print(&text)
    }
}

/// The folded digest keeps its algorithm's name although it is too short for it.
fn show_truncated(hash: &Hash, format: Format, truncate: bool) -> String {
    if !truncate || hash.as_bytes().len() <= 20 {
        return show(hash, format);
    }
    // Twenty bytes are as long as SHA-1, which prints them in any notation.
    let folded = hash.compress20();
    match Hash::from_bytes(Algorithm::Sha1, &folded) {
        Some(folded) if format == Format::Sri => {
            format!(
                "{}-{}\n",
                hash.algorithm(),
                folded.format(Format::Base64, false)
            )
        }
        Some(folded) => show(&folded, format),
        None => show(hash, format),
    }
}

/// Arguments of `rx hash path`.
#[derive(clap::Args)]
pub struct HashPath {
    /// md5, sha1, sha256, sha512 or blake3.
    #[arg(
        long = "algo",
        visible_alias = "type",
        value_name = "ALGORITHM",
        default_value = "sha256"
    )]
    algorithm: String,
    /// What is hashed: the archive of the tree (nar) or the contents of the file (flat).
    #[arg(long, value_name = "METHOD", default_value = "nar")]
    mode: String,
    #[command(flatten)]
    format: FormatArgs,
    /// The paths to hash.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

/// The notation in which a hash is printed.
#[derive(clap::Args)]
struct FormatArgs {
    /// base16, nix32, base64 or sri.
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print in hexadecimal.
    #[arg(long)]
    base16: bool,
    /// Print in Nix's base-32.
    #[arg(long)]
    base32: bool,
    /// Print in base-64.
    #[arg(long)]
    base64: bool,
    /// Print with the algorithm, as ALGORITHM-BASE64 (the default).
    #[arg(long)]
    sri: bool,
}

impl FormatArgs {
    fn format(&self) -> Result<Format, UsageError> {
        Ok(match &self.format {
            Some(name) => parse_format(name)?,
            None if self.base16 => Format::Base16,
            None if self.base32 => Format::Nix32,
            None if self.base64 => Format::Base64,
            None => Format::Sri,
        })
    }
}

fn parse_format(name: &str) -> Result<Format, UsageError> {
    Format::parse(name).map_err(|error| UsageError::new(error.to_string()))
}

fn print_hashes(
    paths: &[PathBuf],
    method: Method,
    name: &str,
    format: &FormatArgs,
    invocation: &Invocation,
) -> Result<(), Failure> {
    let (algorithm, format) = (algorithm(name)?, format.format()?);
    check_algorithm(algorithm, invocation)?;
    let mut text = String::new();
    for path in paths {
        text += &show(&hash_path(path, method, algorithm, invocation)?, format);
    }
    ui::print(&text)
}

impl Subcommand for HashPath {
    const PATH: &'static str = "hash path";
    const ABOUT: &'static str = "Print the hash of a file or tree";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let method = match self.mode.as_str() {
            "nar" => Method::Nar,
            "flat" => Method::Flat,
            "git" if !invocation.settings.enabled(Feature::GitHashing) => {
                return Err(FeatureDisabled(Feature::GitHashing).into());
            }
            "git" => Method::Git,
            other => {
                let message = format!(
                    "Unknown file ingestion method '{other}', expect `flat`, `nar`, or `git`"
                );
                return Err(UsageError::new(message).into());
            }
        };
        print_hashes(
            &self.paths,
            method,
            &self.algorithm,
            &self.format,
            invocation,
        )
    }
}

/// Arguments of `rx hash file`.
#[derive(clap::Args)]
pub struct HashFile {
    /// md5, sha1, sha256, sha512 or blake3.
    #[arg(
        long = "type",
        visible_alias = "algo",
        value_name = "ALGORITHM",
        default_value = "sha256"
    )]
    algorithm: String,
    #[command(flatten)]
    format: FormatArgs,
    /// The files to hash.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

impl Subcommand for HashFile {
    const PATH: &'static str = "hash file";
    const ABOUT: &'static str = "Print the hash of a file's contents";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        print_hashes(
            &self.paths,
            Method::Flat,
            &self.algorithm,
            &self.format,
            invocation,
        )
    }
}

/// Arguments of `rx hash convert`.
#[derive(clap::Args)]
pub struct HashConvert {
    /// The algorithm, where the hash does not name it.
    #[arg(long, value_name = "ALGORITHM")]
    hash_algo: Option<String>,
    /// The notation that the hashes must have.
    #[arg(long, value_name = "FORMAT")]
    from: Option<String>,
    /// The notation to print: base16, nix32, base64 or sri.
    #[arg(long, value_name = "FORMAT", default_value = "sri")]
    to: String,
    /// The hashes to convert.
    #[arg(required = true)]
    hashes: Vec<String>,
}

impl Subcommand for HashConvert {
    const PATH: &'static str = "hash convert";
    const ABOUT: &'static str = "Write hashes in another notation";
    const CATEGORY: Category = Category::Utility;

    fn run(self, _: &Invocation) -> Result<(), Failure> {
        let name = self.hash_algo.as_deref().map(algorithm).transpose()?;
        let promised = self.from.as_deref().map(parse_format).transpose()?;
        let to = parse_format(&self.to)?;
        let mut text = String::new();
        for hash in self.hashes {
            let (parsed, is) = Hash::parse_any_with_format(&hash, name)?;
            if let Some(promised) = promised.filter(|promised| *promised != is) {
                return Err(OtherFormat {
                    text: hash,
                    is,
                    promised,
                }
                .into());
            }
            text += &show(&parsed, to);
        }
        ui::print(&text)
    }
}

/// Arguments of `rx hash to-…`.
#[derive(clap::Args)]
struct Convert {
    /// The algorithm, where the hash does not name it.
    #[arg(long = "type", value_name = "ALGORITHM")]
    algorithm: Option<String>,
    /// The hashes to convert.
    #[arg(required = true)]
    hashes: Vec<String>,
}

impl Convert {
    fn run(self, format: Format) -> Result<(), Failure> {
        rx_store::progress::warn(
            "The old format conversion subcommands of `nix hash` were deprecated in favor of `nix hash convert`.",
        );
        let name = self.algorithm.as_deref().map(algorithm).transpose()?;
        let lines: Result<String, HashError> = self
            .hashes
            .iter()
            .map(|hash| Ok(show(&Hash::parse_any(hash, name)?, format)))
            .collect();
        ui::print(&lines?)
    }
}

macro_rules! conversions {
    ($($type:ident $path:literal $about:literal $format:ident;)*) => { $(
        #[doc = $about]
        #[derive(clap::Args)]
        pub struct $type {
            #[command(flatten)]
            convert: Convert,
        }

        impl Subcommand for $type {
            const PATH: &'static str = $path;
            const ABOUT: &'static str = $about;
            const CATEGORY: Category = Category::Utility;

            fn run(self, _: &Invocation) -> Result<(), Failure> {
                self.convert.run(Format::$format)
            }
        }
    )* };
}

conversions! {
    ToBase16 "hash to-base16" "Write hashes in hexadecimal" Base16;
    ToBase32 "hash to-base32" "Write hashes in Nix's base-32" Nix32;
    ToBase64 "hash to-base64" "Write hashes in base-64" Base64;
    ToSri "hash to-sri" "Write hashes as ALGORITHM-BASE64" Sri;
}
