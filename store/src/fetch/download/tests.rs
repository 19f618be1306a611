//! Downloads from servers that behave well and badly.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::fetch::test_server::{TestServer, answer};

fn quick() -> DownloadSettings {
    DownloadSettings {
        retry_delay: Duration::from_millis(1),
        stalled_timeout: Duration::from_millis(600),
        attempts: 3,
        ..DownloadSettings::default()
    }
}

fn downloader() -> Downloader {
    Downloader::new(quick(), Arc::new(ProcessMonitor))
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 % 251) as u8).collect()
}

#[test]
fn a_file_url_is_read_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x y"), "hello").unwrap();
    let url = Url::from_file_path(dir.path().join("x y").to_str().unwrap()).to_string();
    let (meta, data) = downloader().fetch(&Request::get(&url)).unwrap();
    assert_eq!((data.as_slice(), meta.etag.as_str()), (&b"hello"[..], ""));
    let error = downloader()
        .fetch(&Request::get("file:///nonexistent"))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "unable to download 'file:///nonexistent': Could not read a file:// file (37) Could not open file /nonexistent"
    );
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn errors_of_the_server_are_reported_with_its_words() {
    let server =
        TestServer::start(|_, _, stream| answer(stream, "404 Not Found", &[], b"no such thing\n"));
    let url = format!("{}/x", server.url);
    let error = downloader().fetch(&Request::get(&url)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("unable to download '{url}': HTTP error 404\n\nresponse body:\n\nno such thing")
    );
    assert_eq!(server.paths(), ["GET /x"]);
}

#[test]
fn unknown_schemes_and_dead_servers_are_named_as_curl_does() {
    let error = downloader()
        .fetch(&Request::get("foo://x"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "unable to download 'foo://x': Unsupported protocol (1) Protocol \"foo\" not supported"
    );
    let settings = DownloadSettings {
        attempts: 1,
        ..quick()
    };
    let error = Downloader::new(settings, Arc::new(ProcessMonitor))
        .fetch(&Request::get("http://127.0.0.1:1/x"))
        .unwrap_err();
    assert!(
        error.to_string().starts_with(
            "unable to download 'http://127.0.0.1:1/x': Could not connect to server (7)"
        ),
        "{error}"
    );
}

#[test]
fn redirects_are_followed_and_remembered() {
    let server = TestServer::start(|seen, _, stream| match seen.path.as_str() {
        "/a" => answer(stream, "302 Found", &[("Location", "/b")], b""),
        "/b" => answer(
            stream,
            "301 Moved",
            &[
                ("Location", "c?x=1"),
                ("Link", "<http://h/i.tar.gz>; rel=\"immutable\""),
            ],
            b"",
        ),
        _ => answer(stream, "200 OK", &[("ETag", "\"e\"")], b"end"),
    });
    let (meta, data) = downloader()
        .fetch(&Request::get(format!("{}/a", server.url)))
        .unwrap();
    assert_eq!(data, b"end");
    assert_eq!(meta.urls.len(), 3);
    assert_eq!(meta.effective_url(), format!("{}/c?x=1", server.url));
    assert_eq!(
        (meta.etag.as_str(), meta.immutable_url.as_deref()),
        ("\"e\"", Some("http://h/i.tar.gz"))
    );
}

#[test]
fn a_redirect_loop_ends() {
    let server = TestServer::start(|_, _, stream| {
        answer(stream, "302 Found", &[("Location", "/loop")], b"")
    });
    let error = downloader()
        .fetch(&Request::get(format!("{}/loop", server.url)))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("HTTP error 302 (curl error: Number of redirects hit maximum amount)"),
        "{error}"
    );
    let file = TestServer::start(|_, _, stream| {
        answer(
            stream,
            "302 Found",
            &[("Location", "file:///etc/passwd")],
            b"",
        )
    });
    assert!(
        downloader()
            .fetch(&Request::get(format!("{}/x", file.url)))
            .is_err()
    );
}

#[test]
fn authorization_is_not_sent_to_another_host() {
    let other = TestServer::start(|seen, _, stream| {
        answer(
            stream,
            "200 OK",
            &[],
            if seen.headers.contains_key("authorization") {
                b"leak"
            } else {
                b"safe"
            },
        );
    });
    let target = format!("{}/x", other.url.replace("127.0.0.1", "localhost"));
    let server = TestServer::start(move |_, _, stream| {
        answer(stream, "302 Found", &[("Location", &target)], b"")
    });
    let mut request = Request::get(format!("{}/x", server.url));
    request
        .headers
        .push(("Authorization".into(), "token secret".into()));
    assert_eq!(downloader().fetch(&request).unwrap().1, b"safe");
    assert_eq!(
        server.seen.lock().unwrap()[0].headers["authorization"],
        "token secret"
    );
}

#[test]
fn logins_come_from_the_url_or_the_netrc_file() {
    let dir = tempfile::tempdir().unwrap();
    let netrc = dir.path().join("netrc");
    std::fs::write(&netrc, "machine 127.0.0.1 login me password pw").unwrap();
    let server = TestServer::start(|seen, _, stream| {
        answer(
            stream,
            "200 OK",
            &[],
            seen.headers
                .get("authorization")
                .map_or(&b""[..], |value| value.as_bytes()),
        );
    });
    let settings = DownloadSettings {
        netrc_file: Some(netrc),
        ..quick()
    };
    let downloader = Downloader::new(settings, Arc::new(ProcessMonitor));
    let get =
        |url: String| String::from_utf8(downloader.fetch(&Request::get(url)).unwrap().1).unwrap();
    assert_eq!(get(format!("{}/x", server.url)), "Basic bWU6cHc=");
    assert_eq!(
        get(server.url.replace("http://", "http://a:b@")),
        "Basic YTpi"
    );
}

#[test]
fn an_unchanged_file_is_not_sent_again() {
    let server = TestServer::start(|seen, _, stream| {
        match seen.headers.get("if-none-match").map(String::as_str) {
            Some("\"1\"") => answer(stream, "304 Not Modified", &[("ETag", "\"1\"")], b""),
            _ => answer(stream, "200 OK", &[("ETag", "\"1\"")], b"data"),
        }
    });
    let mut request = Request::get(format!("{}/x", server.url));
    assert!(!downloader().fetch(&request).unwrap().0.unchanged);
    request.etag = Some("\"1\"".into());
    let (meta, data) = downloader().fetch(&request).unwrap();
    assert!(meta.unchanged && data.is_empty());
}

#[test]
fn transient_errors_are_tried_again_and_the_user_is_told() {
    struct Collect(Mutex<Vec<String>>);
    impl Monitor for Collect {
        fn warn(&self, message: &str) {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }
    let server = TestServer::start(|_, count, stream| match count {
        0 => answer(stream, "503 Busy", &[("Retry-After", "0")], b""),
        1 => {} // hangs up without a word
        _ => answer(stream, "200 OK", &[], b"at last"),
    });
    let monitor = Arc::new(Collect(Mutex::default()));
    let downloader = Downloader::new(quick(), monitor.clone());
    assert_eq!(
        downloader
            .fetch(&Request::get(format!("{}/x", server.url)))
            .unwrap()
            .1,
        b"at last"
    );
    let warnings = monitor.0.lock().unwrap();
    assert_eq!(warnings.len(), 2);
    assert!(
        warnings[0].contains("HTTP error 503; retrying in")
            && warnings[0].ends_with("(attempt 1/3)"),
        "{}",
        warnings[0]
    );
}

#[test]
fn a_server_that_wants_a_long_pause_is_given_up() {
    let server = TestServer::start(|_, _, stream| {
        answer(stream, "429 Slow", &[("Retry-After", "999999")], b"")
    });
    assert!(
        downloader()
            .fetch(&Request::get(format!("{}/x", server.url)))
            .is_err()
    );
    assert_eq!(server.paths().len(), 1);
}

#[test]
fn a_broken_transfer_continues_where_it_broke() {
    let data = pattern(300_000);
    let whole = data.clone();
    let server = TestServer::start(move |seen, count, stream| {
        let start: usize = seen.headers.get("range").map_or(0, |r| {
            r.trim_start_matches("bytes=")
                .trim_end_matches('-')
                .parse()
                .unwrap()
        });
        let part = &whole[start..];
        let status = if start > 0 {
            "206 Partial Content"
        } else {
            "200 OK"
        };
        let mut head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nAccept-Ranges: bytes\r\nETag: \"v\"\r\n",
            part.len()
        );
        if start > 0 {
            head.push_str(&format!(
                "Content-Range: bytes {start}-{}/{}\r\n",
                whole.len() - 1,
                whole.len()
            ));
        }
        let _ = stream.write_all(format!("{head}\r\n").as_bytes());
        let _ = stream.write_all(if count < 2 { &part[..100_000] } else { part });
    });
    let mut sink = Vec::new();
    let mut download = downloader()
        .open(&Request::get(format!("{}/x", server.url)))
        .unwrap();
    download.stream(&mut sink).unwrap();
    assert_eq!(sink, data);
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen[1].headers.contains_key("range"));
    assert_eq!(seen[1].headers["if-range"], "\"v\"");
}

#[test]
fn the_tail_of_another_file_is_never_appended() {
    for (status, range) in [
        ("206 Partial Content", "bytes 0-9/300"),
        ("206 Partial Content", "bytes 100-199/900"),
        ("416 Range Not Satisfiable", "bytes */300"),
        ("200 OK", ""),
    ] {
        let server = TestServer::start(move |_, count, stream| {
            if count == 0 {
                let head = "HTTP/1.1 200 OK\r\nContent-Length: 300\r\nAccept-Ranges: bytes\r\n\r\n";
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(&pattern(100));
            } else {
                answer(stream, status, &[("Content-Range", range)], &pattern(200));
            }
        });
        let mut download = downloader()
            .open(&Request::get(format!("{}/x", server.url)))
            .unwrap();
        assert!(
            download.stream(&mut std::io::sink()).is_err(),
            "{status} {range}"
        );
    }
}

#[test]
fn compressed_transfers_are_decoded() {
    let data = pattern(100_000);
    let compress = |encoding: &str| -> Vec<u8> {
        let mut out = Vec::new();
        match encoding {
            "gzip" => flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast())
                .write_all(&data)
                .unwrap(),
            "deflate" => flate2::write::ZlibEncoder::new(&mut out, flate2::Compression::fast())
                .write_all(&data)
                .unwrap(),
            "zstd" => out = zstd::encode_all(&data[..], 1).unwrap(),
            "xz" => liblzma::write::XzEncoder::new(&mut out, 1)
                .write_all(&data)
                .unwrap(),
            "br" => brotli::CompressorWriter::new(&mut out, 4096, 3, 20)
                .write_all(&data)
                .unwrap(),
            _ => bzip2::write::BzEncoder::new(&mut out, bzip2::Compression::fast())
                .write_all(&data)
                .unwrap(),
        }
        out
    };
    for encoding in ["gzip", "deflate", "zstd", "xz", "br", "bzip2"] {
        let body = compress(encoding);
        let server = TestServer::start(move |_, _, stream| {
            answer(stream, "200 OK", &[("Content-Encoding", encoding)], &body)
        });
        assert!(
            downloader()
                .fetch(&Request::get(format!("{}/x", server.url)))
                .unwrap()
                .1
                == data,
            "{encoding}"
        );
    }
    let server = TestServer::start(|_, _, stream| {
        answer(stream, "200 OK", &[("Content-Encoding", "rot13")], b"x")
    });
    assert!(
        downloader()
            .fetch(&Request::get(format!("{}/x", server.url)))
            .unwrap_err()
            .to_string()
            .contains("rot13")
    );
    let server = TestServer::start(|_, _, stream| {
        answer(
            stream,
            "200 OK",
            &[("Content-Encoding", "gzip")],
            b"not gzip",
        )
    });
    assert!(
        downloader()
            .fetch(&Request::get(format!("{}/x", server.url)))
            .is_err()
    );
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let bomb = zstd::encode_all(&vec![0; 10_000_000][..], 3).unwrap();
    let server = TestServer::start(move |_, _, stream| {
        answer(stream, "200 OK", &[("Content-Encoding", "zstd")], &bomb)
    });
    let mut request = Request::get(format!("{}/x", server.url));
    request.size_limit = Some(1_000_000);
    assert!(
        downloader()
            .fetch(&request)
            .unwrap_err()
            .to_string()
            .contains("larger than 1000000 bytes")
    );
}

#[test]
fn a_silent_server_is_left_after_the_stall_timeout() {
    let server = TestServer::start(|_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        std::thread::sleep(Duration::from_secs(30));
    });
    let settings = DownloadSettings {
        attempts: 1,
        ..quick()
    };
    let error = Downloader::new(settings, Arc::new(ProcessMonitor))
        .fetch(&Request::get(format!("{}/x", server.url)))
        .unwrap_err();
    assert!(
        error.to_string().contains("Timeout was reached (28)"),
        "{error}"
    );
}

#[test]
fn an_interrupt_ends_a_waiting_download() {
    struct Flag(AtomicBool);
    impl Monitor for Flag {
        fn interrupted(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }
    let server = TestServer::start(|_, _, _| std::thread::sleep(Duration::from_secs(30)));
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let settings = DownloadSettings {
        stalled_timeout: Duration::ZERO,
        ..quick()
    };
    let downloader = Downloader::new(settings, flag.clone());
    let setter = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(150));
        flag.0.store(true, Ordering::Relaxed);
    });
    let error = downloader
        .fetch(&Request::get(format!("{}/x", server.url)))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    setter.join().unwrap();
}

#[test]
fn uploads_send_files_and_bytes_with_their_length() {
    let server = TestServer::start(|_, count, stream| {
        answer(
            stream,
            if count == 0 {
                "500 Oops"
            } else {
                "201 Created"
            },
            &[],
            b"",
        );
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, pattern(200_000)).unwrap();
    let mut request = Request::new(Method::Put, format!("{}/nar/x", server.url));
    request.upload = Some(Upload::File(file));
    downloader().send(&request).unwrap();
    request.upload = Some(Upload::Bytes(b"abc".to_vec()));
    downloader().send(&request).unwrap();
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[1].headers["content-length"], "200000");
    assert!(seen[1].body == pattern(200_000));
    assert_eq!(seen[2].body, b"abc");
}

#[test]
fn existence_is_asked_without_fetching() {
    let server = TestServer::start(|seen, _, stream| {
        answer(
            stream,
            if seen.path == "/yes" {
                "200 OK"
            } else {
                "403 Forbidden"
            },
            &[],
            b"",
        );
    });
    assert!(
        downloader()
            .exists(&Request::get(format!("{}/yes", server.url)))
            .unwrap()
    );
    assert!(
        !downloader()
            .exists(&Request::get(format!("{}/no", server.url)))
            .unwrap()
    );
    assert_eq!(server.paths(), ["HEAD /yes", "HEAD /no"]);
}

#[test]
fn many_downloads_share_few_connections() {
    let server = TestServer::start(|_, _, stream| answer(stream, "200 OK", &[], b"ok"));
    let settings = DownloadSettings {
        connections: 2,
        ..quick()
    };
    let downloader = Downloader::new(settings, Arc::new(ProcessMonitor));
    std::thread::scope(|scope| {
        for i in 0..16 {
            let (downloader, url) = (&downloader, format!("{}/{i}", server.url));
            scope.spawn(move || assert_eq!(downloader.fetch(&Request::get(url)).unwrap().1, b"ok"));
        }
    });
}
