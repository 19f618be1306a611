//! `.narinfo`: what a cache knows of a path, and where its archive is.
//!
//! ```text
//! StorePath: /nix/store/<hash>-<name>
//! URL: nar/<file hash>.nar.xz
//! Compression: xz                      bzip2 if it is missing
//! FileHash: sha256:<nix32>
//! FileSize: <bytes>
//! NarHash: sha256:<nix32>
//! NarSize: <bytes>
//! References: <base name> …
//! Deriver: <base name>                 may be missing or unknown-deriver
//! Sig: <key name>:<base64>             any number
//! CA: <content address>                may be missing
//! ```

use std::collections::BTreeSet;

use super::compression::Compression;
use crate::content_address::ContentAddress;
use crate::hash::{Algorithm, Format, Hash};
use crate::path::{StoreDir, StorePath};
use crate::store::PathInfo;
use crate::store::signature::Signature;

/// Largest `.narinfo` that is read.
pub const MAX_SIZE: u64 = 16 << 20;

/// What a cache knows of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfo {
    /// What any store knows.
    pub info: PathInfo,
    /// Where the archive is, usually relative to the cache.
    pub url: String,
    /// How the archive is compressed.
    pub compression: Compression,
    /// Hash of the compressed archive.
    pub file_hash: Option<Hash>,
    /// Size of the compressed archive; 0 when not known.
    pub file_size: u64,
}

/// A `.narinfo` that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("NAR info file '{file}' is corrupt: {why}{}", at_line(*line))]
pub struct NarInfoError {
    /// Which file.
    pub file: String,
    /// What is wrong.
    pub why: String,
    /// In which line; 0 if something is missing.
    pub line: usize,
}

fn at_line(line: usize) -> String {
    if line == 0 {
        String::new()
    } else {
        format!(" at line {line}")
    }
}

impl NarInfo {
    /// Reads the text of the file called `file`.
    pub fn parse(dir: &StoreDir, text: &[u8], file: &str) -> Result<Self, NarInfoError> {
        let error = |why: &str, line: usize| NarInfoError {
            file: file.to_owned(),
            why: why.to_owned(),
            line,
        };
        let text = std::str::from_utf8(text).map_err(|_| error("not UTF-8", 0))?;
        let mut path = None;
        let mut nar_hash = None;
        let mut nar_size: u64 = 0;
        let mut url = "";
        let mut compression = None;
        let (mut file_hash, mut file_size) = (None, 0);
        let mut references: Option<BTreeSet<StorePath>> = None;
        let (mut deriver, mut content_address) = (None, None);
        let mut signatures = BTreeSet::new();
        let mut rest = text;
        let mut line = 0;
        while !rest.is_empty() {
            line += 1;
            let bad = |why: &str| error(why, line);
            let (name, after) = rest.split_once(':').ok_or_else(|| bad("expecting ':'"))?;
            let (value, after) = after
                .split_once('\n')
                .ok_or_else(|| bad("expecting '\\n'"))?;
            if name.contains('\n') {
                return Err(bad("expecting ':'"));
            }
            rest = after;
            let value = value.strip_prefix(' ').unwrap_or(value);
            let hash = || Hash::parse_any_prefixed(value).map_err(|_| bad("bad hash"));
            let base_name = |value: &str| StorePath::parse(value).map_err(|e| bad(&e.to_string()));
            match name {
                "StorePath" if path.is_some() => return Err(bad("extra StorePath")),
                "StorePath" => {
                    let parsed = dir
                        .parse_canonical(value.as_bytes())
                        .map_err(|e| bad(&e.to_string()))?;
                    path = Some(parsed);
                }
                "URL" => url = value,
                "Compression" => {
                    compression = match value {
                        "" => Some(Compression::Bzip2),
                        other => Some(
                            Compression::from_name(other)
                                .ok_or_else(|| bad("invalid Compression"))?,
                        ),
                    };
                }
                "FileHash" => file_hash = Some(hash()?),
                "FileSize" => file_size = value.parse().map_err(|_| bad("invalid FileSize"))?,
                "NarHash" if nar_hash.is_some() => return Err(bad("extra NarHash")),
                "NarHash" => {
                    let hash = hash()?;
                    if hash.algorithm() != Algorithm::Sha256 {
                        return Err(bad("NarHash is not SHA-256"));
                    }
                    nar_hash = Some(hash);
                }
                "NarSize" => nar_size = value.parse().map_err(|_| bad("invalid NarSize"))?,
                "References"
                    if references
                        .as_ref()
                        .is_some_and(|references| !references.is_empty()) =>
                {
                    return Err(bad("extra References"));
                }
                "References" => {
                    let names = value.split(' ').filter(|name| !name.is_empty());
                    references = Some(names.map(base_name).collect::<Result<_, _>>()?);
                }
                "Deriver" if value == "unknown-deriver" => {}
                "Deriver" => deriver = Some(base_name(value)?),
                "Sig" => {
                    signatures.insert(Signature::parse(value).map_err(|e| bad(&e.to_string()))?);
                }
                "CA" if content_address.is_some() => return Err(bad("extra CA")),
                "CA" => {
                    content_address = ContentAddress::parse_optional(value.as_bytes())
                        .map_err(|e| bad(&e.to_string()))?;
                }
                _ => {}
            }
        }
        let missing = |why: &str| error(why, 0);
        let path = path.ok_or_else(|| missing("StorePath missing"))?;
        let nar_hash = nar_hash.ok_or_else(|| missing("NarHash missing"))?;
        if url.is_empty() {
            return Err(missing("URL missing"));
        }
        if nar_size == 0 {
            return Err(missing("NarSize missing or zero"));
        }
        let mut info = PathInfo::new(path, nar_hash, nar_size);
        info.references = references.unwrap_or_default();
        info.deriver = deriver;
        info.signatures = signatures;
        info.content_address = content_address;
        Ok(NarInfo {
            info,
            url: url.to_owned(),
            compression: compression.unwrap_or(Compression::Bzip2),
            file_hash,
            file_size,
        })
    }

    /// The text of the file.
    pub fn to_text(&self, dir: &StoreDir) -> String {
        let info = &self.info;
        let mut out = format!("StorePath: {}\n", dir.display(&info.path));
        out.push_str(&format!(
            "URL: {}\nCompression: {}\n",
            self.url,
            self.compression.name()
        ));
        if let Some(hash) = &self.file_hash {
            out.push_str(&format!("FileHash: {}\n", hash.format(Format::Nix32, true)));
        }
        if self.file_size > 0 {
            out.push_str(&format!("FileSize: {}\n", self.file_size));
        }
        out.push_str(&format!(
            "NarHash: {}\n",
            info.nar_hash.format(Format::Nix32, true)
        ));
        out.push_str(&format!("NarSize: {}\n", info.nar_size));
        let references: Vec<String> = info.references.iter().map(StorePath::base_name).collect();
        out.push_str(&format!("References: {}\n", references.join(" ")));
        if let Some(deriver) = &info.deriver {
            out.push_str(&format!("Deriver: {}\n", deriver.base_name()));
        }
        for signature in &info.signatures {
            out.push_str(&format!("Sig: {signature}\n"));
        }
        if let Some(address) = &info.content_address {
            out.push_str(&format!("CA: {address}\n"));
        }
        out
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    const GOOD: &str = "StorePath: /nix/store/00000000000000000000000000000000-x\n\
        URL: nar/1.nar.xz\n\
        Compression: xz\n\
        FileHash: sha256:0000000000000000000000000000000000000000000000000000\n\
        FileSize: 10\n\
        NarHash: sha256:0000000000000000000000000000000000000000000000000000\n\
        NarSize: 20\n\
        References: 00000000000000000000000000000000-x 11111111111111111111111111111111-y\n\
        Deriver: 22222222222222222222222222222222-x.drv\n\
        Sig: a:AAAA\n\
        Sig: b:AAAA\n";

    fn parse(text: &str) -> Result<NarInfo, NarInfoError> {
        NarInfo::parse(
            &StoreDir::new("/nix/store").unwrap(),
            text.as_bytes(),
            "f.narinfo",
        )
    }

    #[test]
    fn a_file_is_printed_as_it_was_read() {
        let info = parse(GOOD).unwrap();
        assert_eq!(info.to_text(&StoreDir::new("/nix/store").unwrap()), GOOD);
        assert_eq!(info.info.signatures.len(), 2);
    }

    #[test]
    fn old_files_mean_bzip2_and_may_lack_much() {
        let short: String = GOOD
            .lines()
            .filter(|line| !["Comp", "File", "Refe", "Deri", "Sig:"].contains(&&line[..4]))
            .map(|l| format!("{l}\n"))
            .collect();
        let info = parse(&short).unwrap();
        assert_eq!(info.compression, Compression::Bzip2);
        assert!(info.info.references.is_empty() && info.file_hash.is_none());
        let unknown = GOOD.replace("22222222222222222222222222222222-x.drv", "unknown-deriver");
        assert_eq!(parse(&unknown).unwrap().info.deriver, None);
    }

    #[test]
    fn hostile_files_are_refused_with_the_line() {
        for (from, to, why) in [
            ("/nix/store/0000", "/other/store/0000", ""),
            (
                "/nix/store/00000000000000000000000000000000-x\n",
                "/nix/store/00000000000000000000000000000000-x/sub\n",
                "",
            ),
            (
                "Compression: xz",
                "Compression: rot13",
                "invalid Compression at line 3",
            ),
            ("FileSize: 10", "FileSize: -1", "invalid FileSize at line 5"),
            (
                "NarSize: 20",
                "NarSize: 99999999999999999999999",
                "invalid NarSize at line 7",
            ),
            ("NarSize: 20", "NarSize: 0", "NarSize missing or zero"),
            ("NarHash: sha256:", "NarHash: md5:", "bad hash at line 6"),
            ("URL: nar/1.nar.xz", "URL: ", "URL missing"),
            ("References: ", "References: ../x ", ""),
            ("Sig: a:AAAA", "Sig: nonsense", ""),
            (
                "xz\nFileHash",
                "xz\r\nFileHash",
                "invalid Compression at line 3",
            ),
            ("StorePath", "X", "StorePath missing"),
            ("NarHash", "X", "NarHash missing"),
            (
                "Compression: xz",
                "Compression xz",
                "expecting ':' at line 3",
            ),
        ] {
            let error = parse(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(
                error.starts_with("NAR info file 'f.narinfo' is corrupt: "),
                "{error}"
            );
            assert!(error.ends_with(why), "{error} / {why}");
        }
        assert!(parse("<html>not found</html>").is_err());
        assert!(parse(GOOD.trim_end()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(at in 0usize..400, byte: u8) {
            let mut text = GOOD.as_bytes().to_vec();
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            }
            let _ = NarInfo::parse(&StoreDir::new("/nix/store").unwrap(), &text, "f");
        }
    }
}
