//! Archives of all kinds, among them those that want to break out.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

/// A header with a right checksum.
fn header(name: &[u8], kind: u8, size: u64, link: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    block[100..107].copy_from_slice(b"0000755");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(format!("{:011o}", 1_000_000).as_bytes());
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..263].copy_from_slice(b"ustar\0");
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&b| u64::from(b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn data(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.resize(bytes.len().next_multiple_of(512), 0);
    out
}

fn file(name: &[u8], contents: &[u8]) -> Vec<u8> {
    [
        header(name, b'0', contents.len() as u64, b""),
        data(contents),
    ]
    .concat()
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (key, value) in records {
        let body = format!(" {key}={value}\n");
        let mut length = body.len() + 1;
        while length != body.len() + length.to_string().len() {
            length = body.len() + length.to_string().len();
        }
        text.push_str(&format!("{length}{body}"));
    }
    [
        header(b"pax", b'x', text.len() as u64, b""),
        data(text.as_bytes()),
    ]
    .concat()
}

fn end(mut archive: Vec<u8>) -> Vec<u8> {
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn unpacked(archive: &[u8]) -> (tempfile::TempDir, Result<Unpacked, UnpackError>) {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let result = unpack(archive, &tree, &Limits::default());
    (dir, result)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_tarball_becomes_its_top_directory() {
    let archive = end([
        header(b"top/", b'5', 0, b""),
        file(b"top/x", b"hello"),
        header(b"top/l", b'2', 0, b"x"),
        header(b"top/h", b'1', 0, b"top/x"),
    ]
    .concat());
    let (_dir, result) = unpacked(&archive);
    let result = result.unwrap();
    assert_eq!(result.last_modified, 1_000_000);
    assert!(result.tree().ends_with("top"));
    assert_eq!(read(&result.tree().join("h")), "hello");
    assert_eq!(
        std::fs::read_link(result.tree().join("l")).unwrap(),
        Path::new("x")
    );
    assert_eq!(
        std::fs::metadata(result.tree().join("x"))
            .unwrap()
            .permissions()
            .mode()
            & 0o700,
        0o700
    );
}

#[test]
fn two_top_level_entries_are_kept() {
    let (_dir, result) = unpacked(&end([file(b"a/x", b"1"), file(b"/b", b"2")].concat()));
    let result = result.unwrap();
    assert_eq!(result.single, None);
    assert_eq!(read(&result.tree().join("b")), "2");
    let (_dir, result) = unpacked(&end(file(b"only", b"1")));
    assert_eq!(result.unwrap().single, None);
}

#[test]
fn every_usual_compression_is_recognised() {
    let plain = end(file(b"d/x", b"hello"));
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&plain).unwrap();
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz.write_all(&plain).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&plain).unwrap();
    let options = liblzma::stream::LzmaOptions::new_preset(1).unwrap();
    let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
    let mut lzma = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    lzma.write_all(&plain).unwrap();
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    for archive in [
        plain.clone(),
        gz.finish().unwrap(),
        bz.finish().unwrap(),
        xz.finish().unwrap(),
        lzma.finish().unwrap(),
        zstd,
    ] {
        let (_dir, result) = unpacked(&archive);
        assert_eq!(read(&result.unwrap().tree().join("x")), "hello");
    }
}

#[test]
fn long_names_come_from_gnu_and_pax_headers() {
    let long = format!("d/{}/f", "n".repeat(200));
    let gnu = [
        header(b"././@LongLink", b'L', long.len() as u64, b""),
        data(long.as_bytes()),
        file(b"short", b"1"),
    ]
    .concat();
    let with_pax = [
        pax(&[("path", &long), ("mtime", "2000000.5")]),
        file(b"short", b"1"),
    ]
    .concat();
    for (archive, time) in [(gnu, 1_000_000), (with_pax, 2_000_000)] {
        let (_dir, result) = unpacked(&end(archive));
        let result = result.unwrap();
        assert_eq!(read(&result.directory.join(&long)), "1");
        assert_eq!(result.last_modified, time);
    }
}

#[test]
fn names_that_lead_outside_are_refused() {
    for name in [&b"../x"[..], b"a/../../x", b"a/..", b".."] {
        let (dir, result) = unpacked(&end(file(name, b"evil")));
        assert!(
            matches!(result, Err(UnpackError::BadName { .. })),
            "{result:?}"
        );
        assert!(!dir.path().join("x").exists());
    }
    let (_dir, result) = unpacked(&end([
        pax(&[("path", "../../x")]),
        file(b"harmless", b"evil"),
    ]
    .concat()));
    assert!(result.is_err());
}

#[test]
fn nothing_is_written_through_a_symbolic_link() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap().as_bytes().to_vec();
    let archive = end([header(b"l", b'2', 0, &target), file(b"l/x", b"evil")].concat());
    let (_dir, result) = unpacked(&archive);
    assert!(
        matches!(result, Err(UnpackError::Conflict { .. })),
        "{result:?}"
    );
    assert!(!outside.path().join("x").exists());
    // A link in the place of a file is replaced, not followed.
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "safe").unwrap();
    let link = header(b"f", b'2', 0, victim.to_str().unwrap().as_bytes());
    let (_dir, result) = unpacked(&end([link, file(b"f", b"new")].concat()));
    assert_eq!(read(&result.unwrap().directory.join("f")), "new");
    assert_eq!(read(&victim), "safe");
}

#[test]
fn hard_links_reach_only_what_was_unpacked() {
    for target in [&b"/etc/passwd"[..], b"../../etc/passwd", b"missing", b"d"] {
        let (_dir, result) = unpacked(&end(
            [file(b"d/x", b"1"), header(b"h", b'1', 0, target)].concat()
        ));
        assert!(result.is_err(), "{}", String::from_utf8_lossy(target));
    }
    let link = header(b"l", b'2', 0, b"/etc/passwd");
    let (_dir, result) = unpacked(&end([link, header(b"h", b'1', 0, b"l")].concat()));
    assert!(result.is_err());
}

#[test]
fn devices_and_pipes_are_refused() {
    for (kind, bits) in [(b'3', 8192), (b'4', 24576), (b'6', 4096)] {
        let (_dir, result) = unpacked(&end(header(b"a/p", kind, 0, b"")));
        let text = result.unwrap_err().to_string();
        assert_eq!(
            text,
            format!("file 'a/p' in tarball has unsupported file type {bits}")
        );
    }
}

#[test]
fn of_two_members_with_one_name_the_later_counts() {
    let (_dir, result) = unpacked(&end([file(b"x", b"1"), file(b"x", b"22")].concat()));
    assert_eq!(read(&result.unwrap().directory.join("x")), "22");
    let (_dir, result) = unpacked(&end([file(b"d/x", b"1"), file(b"d", b"2")].concat()));
    assert!(result.is_err());
}

#[test]
fn bombs_are_stopped() {
    let bomb = zstd::encode_all(
        &end([header(b"zeros", b'0', 3 << 20, b""), vec![0; 3 << 20]].concat())[..],
        1,
    )
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        bytes: 1 << 20,
        ..Limits::default()
    };
    assert!(matches!(
        unpack(&bomb[..], dir.path(), &limits),
        Err(UnpackError::TooLarge(_))
    ));
    let limits = Limits {
        depth: 10,
        ..Limits::default()
    };
    let deep = "d/".repeat(20);
    assert!(
        unpack(
            &end(header(deep.as_bytes(), b'5', 0, b""))[..],
            dir.path(),
            &limits
        )
        .is_err()
    );
    let (_dir, result) = unpacked(&end(header(b"././@LongLink", b'L', (1 << 33) - 1, b"")));
    assert!(result.unwrap_err().to_string().contains("too long"));
}

#[test]
fn what_is_no_archive_is_said_to_be_none() {
    let empty = unpacked(b"").1.unwrap_err().to_string();
    assert_eq!(empty, "Failed to open archive (the archive is empty)");
    for junk in [&b"<html>not found</html>"[..], &[b'x'; 2000]] {
        let (_dir, result) = unpacked(junk);
        assert_eq!(
            result.unwrap_err().to_string(),
            "Failed to open archive (Unrecognized archive format)"
        );
    }
    let whole = end(file(b"x", &[7; 2000]));
    for length in [600, 1500, 2100] {
        assert!(unpacked(&whole[..length]).1.is_err(), "{length}");
    }
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&whole).unwrap();
    let gz = gz.finish().unwrap();
    assert!(unpacked(&gz[..gz.len() / 2]).1.is_err());
}

#[test]
fn sparse_files_have_their_holes() {
    let map = "2\n512\n512\n2048\n4\n";
    let body = [data(map.as_bytes()), vec![b'a'; 512], b"tail".to_vec()].concat();
    let records = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "s"),
        ("GNU.sparse.realsize", "2100"),
    ];
    let archive = end([
        pax(&records),
        file(b"GNUSparseFile.0/s", &body),
        file(b"next", b"n"),
    ]
    .concat());
    let (_dir, result) = unpacked(&archive);
    let directory = result.unwrap().directory;
    let contents = std::fs::read(directory.join("s")).unwrap();
    assert_eq!(contents.len(), 2100);
    assert_eq!(
        (
            contents[511],
            contents[512],
            contents[1024],
            &contents[2048..2052]
        ),
        (0, b'a', 0, &b"tail"[..])
    );
    assert_eq!(read(&directory.join("next")), "n");
}

#[test]
fn zip_files_keep_links_and_executables() {
    use ::zip::write::SimpleFileOptions;
    let mut zip = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    zip.add_directory("top/", options).unwrap();
    zip.start_file("top/run", options.unix_permissions(0o755))
        .unwrap();
    zip.write_all(b"#!/bin/sh").unwrap();
    zip.add_symlink("top/l", "run", options).unwrap();
    let (_dir, result) = unpacked(&zip.finish().unwrap().into_inner());
    let result = result.unwrap();
    assert_eq!(
        std::fs::read_link(result.tree().join("l")).unwrap(),
        Path::new("run")
    );
    assert_eq!(
        std::fs::metadata(result.tree().join("run"))
            .unwrap()
            .permissions()
            .mode()
            & 0o100,
        0o100
    );
    assert!(result.last_modified > 0);
}

#[test]
fn zip_members_cannot_leave_either() {
    use ::zip::write::SimpleFileOptions;
    let mut zip = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("../x", SimpleFileOptions::default())
        .unwrap();
    zip.write_all(b"evil").unwrap();
    let (dir, result) = unpacked(&zip.finish().unwrap().into_inner());
    assert!(result.is_err());
    assert!(!dir.path().join("x").exists());
}

proptest::proptest! {
    #[test]
    fn no_bytes_at_all_make_it_panic(
        mut bytes in proptest::collection::vec(0u8..8, 0..3000),
        flips in proptest::collection::vec((0usize..1536, proptest::prelude::any::<u8>()), 0..8),
    ) {
        let _ = unpacked(&bytes);
        let mut archive = end([file(b"a/x", b"hello"), header(b"l", b'2', 0, b"a")].concat());
        for (at, value) in flips {
            archive[at] = value;
        }
        bytes.extend(archive.clone());
        let _ = unpacked(&archive);
        let _ = unpacked(&bytes);
    }
}
