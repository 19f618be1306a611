//! One attempt: the request, its redirects, and the header of the answer.

use std::future::Future;
use std::time::{Duration, Instant};

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::OwnedSemaphorePermit;

use super::retry::parse_retry_after;
use super::{DownloadError, Downloader, Meta, Method, Request, Upload};
use crate::fetch::url::Url;

const MAX_REDIRECTS: usize = 10;
const MAX_ERROR_BODY: usize = 64 * 1024;
/// How often a wait looks whether the user has interrupted.
const TICK: Duration = Duration::from_millis(100);

/// A slot of `http-connections`, held while a transfer runs.
pub(super) type Permit = Option<OwnedSemaphorePermit>;

/// A successful header with the body still to come.
pub(super) struct Answer {
    pub(super) response: reqwest::Response,
    pub(super) meta: Meta,
    /// Content encodings as the server lists them.
    pub(super) encodings: Vec<String>,
    /// The server can send parts.
    pub(super) ranges: bool,
    /// Position of the first byte in the whole body.
    pub(super) start: u64,
    /// Length of the whole body.
    pub(super) total: Option<u64>,
}

/// An attempt about to be made.
pub(super) struct Exchange<'a> {
    pub(super) downloader: &'a Downloader,
    pub(super) request: &'a Request,
    /// First byte wanted.
    pub(super) offset: u64,
    /// The entity tag that the earlier part had.
    pub(super) if_range: Option<&'a str>,
}

type Failure = Box<DownloadError>;

impl Downloader {
    /// Runs a future to its end, the user's interrupt, or silence for too long.
    pub(super) fn wait<T>(
        &self,
        request: &Request,
        patience: Option<Duration>,
        future: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let runtime = self.inner.runtime.get_or_init(|| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("download")
                .enable_all()
                .build()
                .map_err(|e| e.to_string())
        });
        let runtime = runtime
            .as_ref()
            .map_err(|e| DownloadError::Setup(e.clone()))?;
        let begin = Instant::now();
        runtime.block_on(async {
            let mut future = std::pin::pin!(future);
            loop {
                match tokio::time::timeout(TICK, future.as_mut()).await {
                    Ok(value) => return Ok(value),
                    Err(_) if self.inner.monitor.interrupted() => {
                        return Err(DownloadError::Interrupted(request.display_url()).into());
                    }
                    Err(_) => match patience {
                        Some(patience) if begin.elapsed() >= patience => {
                            return Err(transport(
                                request,
                                "Timeout was reached",
                                28,
                                format!(
                                    "Operation too slow. Less than 1 bytes/sec transferred the last {} seconds",
                                    patience.as_secs()
                                ),
                            ));
                        }
                        _ => {}
                    },
                }
            }
        })
    }

    pub(super) fn patience(&self) -> Option<Duration> {
        Some(self.inner.settings.stalled_timeout).filter(|timeout| !timeout.is_zero())
    }

    fn client(&self) -> Result<&reqwest::Client, Failure> {
        let client = self.inner.client.get_or_init(|| {
            let settings = &self.inner.settings;
            let mut agent = format!("rx/{} Nix/2.34.8", env!("CARGO_PKG_VERSION"));
            if !settings.user_agent_suffix.is_empty() {
                agent = format!("{agent} {}", settings.user_agent_suffix);
            }
            let mut builder = reqwest::Client::builder()
                .user_agent(agent)
                .redirect(reqwest::redirect::Policy::none())
                .tcp_keepalive(Duration::from_secs(30))
                .pool_idle_timeout(Duration::from_secs(90));
            if !settings.connect_timeout.is_zero() {
                builder = builder.connect_timeout(settings.connect_timeout);
            }
            if !settings.http2 {
                builder = builder.http1_only();
            }
            if let Some(path) = &settings.ca_file {
                let pem = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
                let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                    .map_err(|e| format!("certificates in {}: {e}", path.display()))?;
                builder = builder.tls_built_in_root_certs(false);
                for certificate in certificates {
                    builder = builder.add_root_certificate(certificate);
                }
            }
            builder.build().map_err(|e| describe(&e))
        });
        client
            .as_ref()
            .map_err(|e| DownloadError::Setup(e.clone()).into())
    }
}

/// An error and its causes in one line.
pub(super) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

pub(super) fn transport(
    request: &Request,
    what: &'static str,
    code: u16,
    detail: String,
) -> Failure {
    DownloadError::Transport {
        verb: request.verb(),
        url: request.display_url(),
        what,
        code,
        detail,
    }
    .into()
}

/// Sorts an error of the HTTP library into curl's kinds, whose numbers users know.
pub(super) fn classify(request: &Request, url: &str, error: &reqwest::Error) -> Failure {
    let detail = describe(error);
    let place = Url::parse(url).ok().and_then(|url| url.authority);
    let host = place
        .as_ref()
        .map(|authority| authority.host.clone())
        .unwrap_or_default();
    let low = detail.to_lowercase();
    if low.contains("dns error") || low.contains("failed to lookup address") {
        transport(
            request,
            "Could not resolve hostname",
            6,
            format!("Could not resolve host: {host}"),
        )
    } else if low.contains("certificate") || low.contains("tls") {
        transport(
            request,
            "SSL peer certificate or SSH remote key was not OK",
            60,
            detail,
        )
    } else if error.is_timeout() {
        transport(request, "Timeout was reached", 28, detail)
    } else if error.is_connect() {
        let to = place
            .map(|authority| authority.host_and_port())
            .unwrap_or_default();
        let why = innermost(error);
        transport(
            request,
            "Could not connect to server",
            7,
            format!("Failed to connect to {to}: {why}"),
        )
    } else if error.is_builder() {
        transport(
            request,
            "URL using bad/illegal format or missing URL",
            3,
            detail,
        )
    } else if low.contains("before message completed") || low.contains("connection closed") {
        transport(
            request,
            "Server returned nothing (no headers, no data)",
            52,
            "Empty reply from server".into(),
        )
    } else if error.is_body() || error.is_decode() {
        transport(request, "Transferred a partial file", 18, detail)
    } else {
        transport(
            request,
            "Failure when receiving data from the peer",
            56,
            detail,
        )
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

impl Exchange<'_> {
    pub(super) fn run(&self) -> Result<(Answer, Permit), Failure> {
        let downloader = self.downloader;
        let client = downloader.client()?;
        let permit = match &downloader.inner.slots {
            None => None,
            Some(slots) => downloader
                .wait(self.request, None, slots.clone().acquire_owned())?
                .ok(),
        };
        let answer =
            downloader.wait(self.request, downloader.patience(), self.exchange(client))??;
        Ok((answer, permit))
    }

    async fn exchange(&self, client: &reqwest::Client) -> Result<Answer, Failure> {
        let request = self.request;
        let mut url = request.url.split('#').next().unwrap_or_default().to_owned();
        let first_host = host_of(&url);
        let mut urls = vec![request.url.clone()];
        let mut immutable_url = None;
        loop {
            let same_host = host_of(&url) == first_host;
            let response = self.send(client, &url, same_host).await?;
            let status = response.status().as_u16();
            if let Some(link) = immutable_link(response.headers()) {
                immutable_url = Some(link);
            }
            let redirect = matches!(status, 301 | 302 | 303 | 307 | 308);
            if let Some(location) = text(response.headers(), header::LOCATION).filter(|_| redirect)
            {
                let wrong = |why: &str| -> Failure {
                    DownloadError::Redirect {
                        verb: request.verb(),
                        url: request.display_url(),
                        status,
                        why: why.into(),
                    }
                    .into()
                };
                if urls.len() > MAX_REDIRECTS {
                    return Err(wrong("Number of redirects hit maximum amount"));
                }
                url = response
                    .url()
                    .join(location.split('#').next().unwrap_or_default())
                    .map_err(|_| wrong("URL using bad/illegal format or missing URL"))?
                    .to_string();
                if !url.starts_with("http://") && !url.starts_with("https://") {
                    return Err(wrong("Unsupported protocol"));
                }
                urls.push(url.clone());
                continue;
            }
            return self.accept(response, urls, immutable_url).await;
        }
    }

    async fn send(
        &self,
        client: &reqwest::Client,
        url: &str,
        same_host: bool,
    ) -> Result<reqwest::Response, Failure> {
        let request = self.request;
        let parsed =
            Url::parse(url).map_err(|e| transport(request, "URL rejected", 3, e.to_string()))?;
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Put => reqwest::Method::PUT,
            Method::Post => reqwest::Method::POST,
        };
        let mut builder = client
            .request(method.clone(), parsed.without_credentials().to_string())
            .headers(self.headers(same_host)?);
        let own = parsed
            .authority
            .as_ref()
            .filter(|authority| authority.user.is_some());
        let user = own.and_then(|authority| authority.user.as_deref());
        let has_header = same_host
            && request
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if let Some(signer) = request.sign.as_ref().filter(|_| same_host) {
            for (name, value) in signer.sign(method.as_str(), &parsed) {
                builder = builder.header(name, value);
            }
        } else if let Some(password) = own.and_then(|authority| authority.password.as_deref()) {
            builder = builder.basic_auth(user.unwrap_or_default(), Some(password));
        } else if !has_header {
            let host = parsed
                .authority
                .as_ref()
                .map_or("", |authority| authority.host.as_str());
            if let Some(login) = self.downloader.netrc().login(host, user) {
                builder = builder.basic_auth(login.user, Some(login.password));
            } else if let Some(user) = user {
                builder = builder.basic_auth(user, Some(""));
            }
        }
        builder = match &request.upload {
            None => builder,
            Some(Upload::Bytes(bytes)) => builder.body(bytes.clone()),
            Some(Upload::File(path)) => {
                let unreadable = |source| DownloadError::Sink {
                    url: request.display_url(),
                    source,
                };
                let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
                let length = file.metadata().await.map_err(unreadable)?.len();
                builder.header(header::CONTENT_LENGTH, length).body(file)
            }
        };
        builder.send().await.map_err(|e| classify(request, url, &e))
    }

    fn headers(&self, same_host: bool) -> Result<HeaderMap, Failure> {
        let request = self.request;
        let mut headers = HeaderMap::new();
        let mut add = |name: &str, value: &str| -> Result<(), Failure> {
            let bad = |_| {
                transport(
                    request,
                    "A libcurl function was given a bad argument",
                    43,
                    format!("bad header '{name}'"),
                )
            };
            let name: HeaderName = name.parse().map_err(|_| bad(()))?;
            headers.append(name, HeaderValue::from_str(value).map_err(|_| bad(()))?);
            Ok(())
        };
        add("accept", "*/*")?;
        if self.offset > 0 {
            // A range counts bytes of what is transferred, so nothing may be encoded on the way.
            add("range", &format!("bytes={}-", self.offset))?;
            if let Some(etag) = self.if_range {
                add("if-range", etag)?;
            }
        } else if request.upload.is_none() && request.method == Method::Get {
            add("accept-encoding", "deflate, gzip, br, zstd")?;
        }
        if let Some(etag) = request
            .etag
            .as_deref()
            .filter(|etag| !etag.is_empty() && self.offset == 0)
        {
            add("if-none-match", etag)?;
        }
        for (name, value) in &request.headers {
            if same_host
                || !(name.eq_ignore_ascii_case("authorization")
                    || name.eq_ignore_ascii_case("private-token"))
            {
                add(name, value)?;
            }
        }
        Ok(headers)
    }

    async fn accept(
        &self,
        response: reqwest::Response,
        urls: Vec<String>,
        immutable_url: Option<String>,
    ) -> Result<Answer, Failure> {
        let request = self.request;
        let status = response.status().as_u16();
        let headers = response.headers();
        let unchanged = status == 304 && request.etag.is_some();
        if !matches!(status, 200 | 201 | 204 | 206) && !unchanged {
            let retry_after =
                text(headers, header::RETRY_AFTER).and_then(|value| parse_retry_after(&value));
            let body = if request.method == Method::Head {
                String::new()
            } else {
                error_body(response).await
            };
            return Err(DownloadError::Http {
                verb: request.verb(),
                url: request.display_url(),
                status,
                body,
                retry_after,
            }
            .into());
        }
        let encodings: Vec<String> = headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|value| value.trim().to_lowercase())
            .filter(|value| !value.is_empty() && value != "identity")
            .collect();
        let ranges = text(headers, header::ACCEPT_RANGES)
            .is_some_and(|value| value.eq_ignore_ascii_case("bytes"));
        let length =
            text(headers, header::CONTENT_LENGTH).and_then(|value| value.parse::<u64>().ok());
        let (start, total) = match text(headers, header::CONTENT_RANGE).filter(|_| status == 206) {
            Some(range) => parse_content_range(&range).ok_or_else(|| {
                transport(
                    request,
                    "Requested range was not delivered by the server",
                    33,
                    range,
                )
            })?,
            None if status == 206 => {
                return Err(transport(
                    request,
                    "Requested range was not delivered by the server",
                    33,
                    String::new(),
                ));
            }
            None => (0, length),
        };
        let etag = text(headers, header::ETAG).unwrap_or_default();
        let content_type = text(headers, header::CONTENT_TYPE);
        let meta = Meta {
            status,
            etag,
            urls,
            unchanged,
            immutable_url,
            length,
            content_type,
        };
        Ok(Answer {
            response,
            meta,
            encodings,
            ranges: ranges || status == 206,
            start,
            total,
        })
    }
}

async fn error_body(mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    let patience = tokio::time::timeout(Duration::from_secs(5), async {
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(MAX_ERROR_BODY - body.len())]);
            if body.len() >= MAX_ERROR_BODY {
                break;
            }
        }
    });
    // A server that sends its excuse too slowly is not listened to.
    let _ = patience.await;
    String::from_utf8_lossy(&body).into_owned()
}

fn host_of(url: &str) -> Option<String> {
    Url::parse(url).ok().and_then(|url| {
        url.authority
            .map(|authority| format!("{}://{}", url.scheme, authority.host_and_port()))
    })
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.trim().to_owned())
}

/// `bytes 5-9/10` gives the first position and the whole length.
fn parse_content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.parse().ok()?;
    Some((start, total.parse().ok()))
}

/// The URL in `Link: <…>; rel="immutable"`.
fn immutable_link(headers: &HeaderMap) -> Option<String> {
    ["link", "x-amz-meta-link"]
        .iter()
        .flat_map(|name| headers.get_all(*name))
        .find_map(|value| {
            let (url, rest) = value
                .to_str()
                .ok()?
                .trim()
                .strip_prefix('<')?
                .split_once('>')?;
            rest.eq_ignore_ascii_case("; rel=\"immutable\"")
                .then(|| url.to_owned())
        })
}
