//! The body of an HTTP answer as a reader that repairs broken transfers.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::exchange::{Answer, Exchange, Permit, classify, transport};
use super::{DownloadError, Downloader, ErrorKind, Request};
use crate::progress::Activity;

/// After this much progress a transfer has earned its attempts anew.
const PROGRESS_THAT_COUNTS: u64 = 1 << 20;

pub(super) struct HttpBody {
    downloader: Downloader,
    request: Request,
    response: Option<reqwest::Response>,
    /// Chunk that is being handed out, and how much of it is gone.
    chunk: Vec<u8>,
    used: usize,
    /// Bytes handed out or thrown away so far.
    position: u64,
    total: Option<u64>,
    /// The tail can be asked for alone.
    resumable: bool,
    etag: String,
    attempt: u32,
    last_resume: u64,
    begin: Instant,
    activity: Activity,
    _permit: Permit,
}

impl HttpBody {
    pub(super) fn new(
        downloader: Downloader,
        request: Request,
        answer: Answer,
        permit: Permit,
        attempt: u32,
        activity: Activity,
    ) -> Self {
        HttpBody {
            downloader,
            request,
            resumable: answer.ranges && answer.encodings.is_empty(),
            etag: answer.meta.etag,
            total: answer.total,
            response: Some(answer.response),
            chunk: Vec::new(),
            used: 0,
            position: 0,
            attempt,
            last_resume: 0,
            begin: Instant::now(),
            activity,
            _permit: permit,
        }
    }

    fn next_chunk(&mut self) -> Result<bool, Box<DownloadError>> {
        let Some(response) = &mut self.response else {
            return Ok(false);
        };
        let patience = self.downloader.patience();
        let url = response.url().to_string();
        let chunk = self
            .downloader
            .wait(&self.request, patience, response.chunk())?
            .map_err(|e| classify(&self.request, &url, &e))?;
        match chunk {
            Some(bytes) => {
                self.chunk.clear();
                self.chunk.extend_from_slice(&bytes);
                self.used = 0;
                Ok(true)
            }
            None => {
                self.response = None;
                match self.total {
                    Some(total) if self.position < total && self.resumable => Err(transport(
                        &self.request,
                        "Transferred a partial file",
                        18,
                        format!(
                            "end of response with {} bytes missing",
                            total - self.position
                        ),
                    )),
                    _ => Ok(false),
                }
            }
        }
    }

    /// Asks for the missing tail, as often as the settings allow.
    fn resume(&mut self, mut failure: Box<DownloadError>) -> Result<(), DownloadError> {
        self.response = None;
        loop {
            if failure.kind() != ErrorKind::Transient || (self.position > 0 && !self.resumable) {
                return Err(*failure);
            }
            if self.position - self.last_resume >= PROGRESS_THAT_COUNTS {
                self.attempt = 1;
            }
            self.last_resume = self.position;
            self.downloader.pause_before_retry(
                &self.request,
                failure,
                self.attempt,
                self.position,
            )?;
            self.attempt += 1;
            let strong = (!self.etag.is_empty() && !self.etag.starts_with("W/"))
                .then_some(self.etag.as_str());
            let exchange = Exchange {
                downloader: &self.downloader,
                request: &self.request,
                offset: self.position,
                if_range: strong,
            };
            match exchange.run() {
                Ok((answer, permit)) => {
                    self._permit = permit;
                    return self.continue_with(answer);
                }
                Err(error) => failure = error,
            }
        }
    }

    fn continue_with(&mut self, answer: Answer) -> Result<(), DownloadError> {
        let changed = |body: &Self, detail: &str| {
            *transport(
                &body.request,
                "Requested range was not delivered by the server",
                33,
                detail.to_owned(),
            )
        };
        let same_tag = answer.meta.etag == self.etag;
        if !same_tag
            || (self.total.is_some() && answer.total.is_some() && answer.total != self.total)
        {
            return Err(changed(self, "the file changed while it was downloaded"));
        }
        if self.position > 0 && !answer.encodings.is_empty() {
            return Err(changed(self, "the tail came in another encoding"));
        }
        if answer.start == self.position {
            self.response = Some(answer.response);
            return Ok(());
        }
        // The whole file again, certainly the same one: skip what is already here.
        if answer.start != 0 || self.etag.is_empty() {
            return Err(changed(self, "the server sent another part"));
        }
        let wanted = self.position;
        self.response = Some(answer.response);
        self.position = 0;
        while self.position < wanted {
            if !self.next_chunk().map_err(|e| *e)? {
                return Err(changed(self, "the server sent less than before"));
            }
            let skip = (wanted - self.position).min(self.chunk.len() as u64);
            self.used = skip as usize;
            self.position += skip;
        }
        Ok(())
    }

    /// Sleeps as long as `download-speed` demands.
    fn throttle(&self) {
        let limit = self.downloader.settings().speed_limit.saturating_mul(1024);
        if limit > 0 {
            let due = Duration::from_secs_f64(self.position as f64 / limit as f64);
            if let Some(early) = due.checked_sub(self.begin.elapsed()) {
                std::thread::sleep(early.min(Duration::from_secs(1)));
            }
        }
    }
}

impl Read for HttpBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.used == self.chunk.len() {
            match self.next_chunk() {
                Ok(true) => {
                    let done = self.position + self.chunk.len() as u64;
                    self.activity.progress(done, self.total.unwrap_or(0), 0, 0);
                }
                Ok(false) => return Ok(0),
                Err(failure) => self.resume(failure).map_err(io::Error::other)?,
            }
        }
        if self.downloader.monitor().interrupted() {
            return Err(io::Error::other(DownloadError::Interrupted(
                self.request.display_url(),
            )));
        }
        let n = buffer.len().min(self.chunk.len() - self.used);
        buffer[..n].copy_from_slice(&self.chunk[self.used..self.used + n]);
        self.used += n;
        self.position += n as u64;
        self.throttle();
        Ok(n)
    }
}
