//! S3: addresses of buckets and signatures (AWS Signature Version 4) of requests.
//!
//! ```text
//! s3://BUCKET[/PREFIX]?region=R&endpoint=HOST&scheme=https&profile=P
//! ```
//!
//! Credentials come from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, or
//! from a profile in `~/.aws/credentials`. Without credentials requests are sent unsigned, which
//! public buckets accept.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::time::{compact_date, now};
use super::url::{Authority, BadUrl, Url, percent_encode};

/// Signs requests with an access key.
#[derive(Clone)]
pub struct Signer {
    access_key: String,
    secret_key: String,
    session_token: Option<String>,
    region: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("access_key", &self.access_key)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// An `s3://` URL made into what HTTP needs.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// URL of the bucket (and prefix) over HTTP(S).
    pub url: Url,
    /// Region, for signatures.
    pub region: String,
    /// Profile in `~/.aws/credentials`.
    pub profile: String,
}

impl Bucket {
    /// Reads an `s3://` URL.
    pub fn parse(url: &Url) -> Result<Self, BadUrl> {
        let name = url
            .authority
            .as_ref()
            .map_or("", |authority| authority.host.as_str());
        if url.scheme != "s3" || name.is_empty() {
            return Err(BadUrl(format!(
                "URI: {url} is not a valid S3 address: it has no bucket"
            )));
        }
        let parameter = |key: &str| {
            url.query
                .get(key)
                .cloned()
                .filter(|value| !value.is_empty())
        };
        let region = parameter("region").unwrap_or_else(|| "us-east-1".into());
        let scheme = parameter("scheme").unwrap_or_else(|| "https".into());
        let prefix: Vec<String> = url.path.iter().skip(1).cloned().collect();
        let (host, mut path) = match parameter("endpoint") {
            // Another service: the bucket is the first part of the path.
            Some(endpoint) => (endpoint, vec![String::new(), name.to_owned()]),
            None if name.contains('.') => (
                format!("s3.{region}.amazonaws.com"),
                vec![String::new(), name.to_owned()],
            ),
            None => (
                format!("{name}.s3.{region}.amazonaws.com"),
                vec![String::new()],
            ),
        };
        path.extend(prefix);
        let base = if host.contains("://") {
            host
        } else {
            format!("{scheme}://{host}")
        };
        let mut http = Url::parse(&base)?;
        if http
            .authority
            .as_ref()
            .is_none_or(|authority: &Authority| authority.host.is_empty())
        {
            return Err(BadUrl(format!("S3 endpoint '{base}' has no host")));
        }
        http.path = path;
        Ok(Bucket {
            url: http,
            region,
            profile: parameter("profile").unwrap_or_else(|| "default".into()),
        })
    }

    /// The signer for this bucket, if there are credentials.
    pub fn signer(&self) -> Option<Signer> {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let (Some(access_key), Some(secret_key)) =
            (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"))
        {
            return Some(Signer {
                access_key,
                secret_key,
                session_token: env("AWS_SESSION_TOKEN"),
                region: self.region.clone(),
            });
        }
        let file = env("AWS_SHARED_CREDENTIALS_FILE")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(env("HOME")?).join(".aws/credentials")))?;
        let text = std::fs::read_to_string(file).ok()?;
        let section = profile_section(&text, &self.profile);
        let value = |key: &str| {
            section
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value.clone())
        };
        Some(Signer {
            access_key: value("aws_access_key_id")?,
            secret_key: value("aws_secret_access_key")?,
            session_token: value("aws_session_token"),
            region: self.region.clone(),
        })
    }
}

fn profile_section(text: &str, profile: &str) -> Vec<(String, String)> {
    let mut inside = false;
    let mut out = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            inside = name.trim() == profile;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
            out.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    out
}

impl Signer {
    /// The headers that sign a request made now. The body is left out of the signature, because it
    /// is streamed; HTTPS protects it.
    pub fn sign(&self, method: &str, url: &Url) -> Vec<(String, String)> {
        self.sign_at(method, url, now())
    }

    fn sign_at(&self, method: &str, url: &Url, time: u64) -> Vec<(String, String)> {
        let compact = compact_date(time);
        let (date, clock) = compact.split_at(8);
        let stamp = format!("{date}T{clock}Z");
        let host = url
            .authority
            .as_ref()
            .map(Authority::host_and_port)
            .unwrap_or_default();
        let mut headers = vec![
            ("host".to_owned(), host),
            (
                "x-amz-content-sha256".to_owned(),
                "UNSIGNED-PAYLOAD".to_owned(),
            ),
            ("x-amz-date".to_owned(), stamp.clone()),
        ];
        if let Some(token) = &self.session_token {
            headers.push(("x-amz-security-token".to_owned(), token.clone()));
        }
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let path: Vec<String> = url
            .path
            .iter()
            .map(|part| percent_encode(part, b""))
            .collect();
        let path = if path.join("/").is_empty() {
            "/".to_owned()
        } else {
            path.join("/")
        };
        let query: Vec<String> = url
            .query
            .iter()
            .map(|(name, value)| {
                format!(
                    "{}={}",
                    percent_encode(name, b""),
                    percent_encode(value, b"")
                )
            })
            .collect();
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{}\n", value.trim()))
            .collect();
        let canonical = format!(
            "{method}\n{path}\n{}\n{lines}\n{names}\nUNSIGNED-PAYLOAD",
            query.join("&")
        );
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}",
            HEXLOWER.encode(&Sha256::digest(canonical.as_bytes()))
        );
        let mut key = hmac(
            format!("AWS4{}", self.secret_key).as_bytes(),
            date.as_bytes(),
        );
        for part in [self.region.as_str(), "s3", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        let signature = HEXLOWER.encode(&hmac(&key, to_sign.as_bytes()));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        );
        headers.remove(0);
        headers.push(("authorization".to_owned(), authorization));
        headers
    }
}

/// HMAC-SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 64;
    let mut block = [0u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new()
        .chain_update(block.map(|b| b ^ 0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(block.map(|b| b ^ 0x5c))
        .chain_update(inner)
        .finalize()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_gives_the_values_of_rfc_4231() {
        assert_eq!(
            HEXLOWER.encode(&hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            HEXLOWER.encode(&hmac(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn buckets_have_addresses() {
        for (text, want) in [
            ("s3://cache", "https://cache.s3.us-east-1.amazonaws.com"),
            (
                "s3://cache/p?region=eu-west-1",
                "https://cache.s3.eu-west-1.amazonaws.com/p",
            ),
            ("s3://a.b/x", "https://s3.us-east-1.amazonaws.com/a.b/x"),
            (
                "s3://cache/x?endpoint=localhost:9000&scheme=http",
                "http://localhost:9000/cache/x",
            ),
        ] {
            assert_eq!(
                Bucket::parse(&Url::parse(text).unwrap())
                    .unwrap()
                    .url
                    .to_string(),
                want
            );
        }
        assert!(Bucket::parse(&Url::parse("s3:///x").unwrap()).is_err());
    }

    #[test]
    fn a_profile_is_found_in_the_credentials_file() {
        let text = "[default]\naws_access_key_id = A\n[other]\naws_access_key_id=B\n";
        assert_eq!(
            profile_section(text, "other"),
            [("aws_access_key_id".to_owned(), "B".to_owned())]
        );
    }

    #[test]
    fn a_signature_covers_method_path_and_time() {
        let signer = Signer {
            access_key: "AK".into(),
            secret_key: "SK".into(),
            session_token: None,
            region: "us-east-1".into(),
        };
        let url = Url::parse("https://b.s3.us-east-1.amazonaws.com/x").unwrap();
        let first = signer.sign_at("GET", &url, 1_700_000_000);
        assert_eq!(first, signer.sign_at("GET", &url, 1_700_000_000));
        assert_ne!(first, signer.sign_at("PUT", &url, 1_700_000_000));
        assert!(
            first
                .iter()
                .any(|(name, value)| name == "x-amz-date" && value == "20231114T221320Z")
        );
    }
}
