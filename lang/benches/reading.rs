//! How fast programs are read: `cargo bench -p rx-lang -- [DIR…]`
//!
//! Without a directory, one large made-up program is read. For a check of what is read, and for whole trees of files, see the
//! example `corpus`.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;

use rx_lang::scope::Resolver;
use rx_lang::tree::{TokenCache, Tree};
use rx_lang::{ParseOptions, lexer, parse};

fn main() {
    let mut sources = Vec::new();
    for argument in std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
    {
        collect(std::path::Path::new(&argument), &mut sources);
    }
    if sources.is_empty() {
        sources.push(made_up(20_000_000));
    }
    let bytes: usize = sources.iter().map(Vec::len).sum();
    println!("{} programs, {bytes} bytes", sources.len());
    let options = ParseOptions::default();
    let mut resolver = Resolver::new([]);
    let mut cache = TokenCache::new();
    time("lexing", &sources, |source| {
        drop(black_box(lexer::lex(source, &options)))
    });
    time("compact syntax", &sources, |source| {
        drop(black_box(parse(source, &options)))
    });
    time("compact syntax, names resolved", &sources, |source| {
        if let Ok(ast) = parse(source, &options) {
            black_box(resolver.undefined(&ast));
        }
    });
    time("lossless tree", &sources, |source| {
        drop(black_box(Tree::parse_with(source, &options, &mut cache)))
    });
}

fn time(name: &str, sources: &[Vec<u8>], mut pass: impl FnMut(&[u8])) {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = cpu_time();
        for source in sources {
            pass(source);
        }
        best = best.min(cpu_time().saturating_sub(start));
    }
    let bytes: usize = sources.iter().map(Vec::len).sum();
    println!(
        "{name}: {:.1} MB/s",
        bytes as f64 / 1e6 / best.as_secs_f64()
    );
}

/// Bindings of the usual kinds, over and over.
fn made_up(size: usize) -> Vec<u8> {
    let mut text = String::from("{ lib, stdenv, fetchurl, ... }@args:\nrec {\n");
    let mut number = 0;
    while text.len() < size {
        number += 1;
        let _ = writeln!(
            text,
            "  package-{number} = stdenv.mkDerivation (finalAttrs: {{\n    pname = \"package-{number}\";\n    version = \"1.{number}\";\n    \
             src = fetchurl {{ url = \"https://example.org/${{finalAttrs.pname}}.tar.gz\"; hash = lib.fakeHash; }};\n    \
             buildInputs = [ lib stdenv ] ++ lib.optionals (args ? extra && {number} > 2) [ args.extra or null ];\n    \
             # What it takes to build it.\n    buildPhase = ''\n      make -j$NIX_BUILD_CORES PREFIX=$out\n      echo ${{toString {number}}}\n    '';\n    \
             meta.description = \"A package\";\n    meta.license = with lib.licenses; [ mit ];\n  }});\n"
        );
    }
    text.push_str("}\n");
    text.into_bytes()
}

fn collect(path: &std::path::Path, sources: &mut Vec<Vec<u8>>) {
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            collect(&entry.path(), sources);
        }
    } else if path.extension().is_some_and(|extension| extension == "nix") {
        sources.extend(std::fs::read(path));
    }
}

/// What this thread has computed, so that other programs do not count.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}
