//! How fast programs are read: `cargo bench -p rx-lang -- [DIR…]`
//!
//! Without a directory, one large made-up program is read. For a check of what is read, and for whole trees of files, see the
//! example `corpus`.
//!
//! `--command 'PROGRAM ARGUMENTS'`, given twice or more, compares whole processes: each reads a file with the program, and the
//! times of the others are shown as multiples of the first one's, as in
//! `cargo bench -p rx-lang -- --command 'rx-instantiate --parse' --command 'nix-instantiate --parse'`.

use std::fmt::Write;
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rx_lang::scope::Resolver;
use rx_lang::tree::{TokenCache, Tree};
use rx_lang::{ParseOptions, lexer, parse};

fn main() {
    let mut sources = Vec::new();
    let mut commands = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--command" {
            commands.extend(arguments.next());
        } else if !argument.starts_with('-') {
            collect(std::path::Path::new(&argument), &mut sources);
        }
    }
    if !commands.is_empty() {
        return compare(&commands);
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

/// Times whole processes on a file of 20 MB.
fn compare(commands: &[String]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("program.nix");
    std::fs::write(&file, made_up(20_000_000)).expect("a file can be written");
    let mut first = None;
    for line in commands {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((program, arguments)) = words.split_first() else {
            continue;
        };
        let (mut wall, mut cpu) = (Duration::MAX, Duration::MAX);
        for _ in 0..5 {
            let (start, before) = (Instant::now(), children_time());
            let status = Command::new(program)
                .args(arguments)
                .arg(&file)
                .stdout(Stdio::null())
                .status();
            if !status.is_ok_and(|status| status.success()) {
                println!("{line}: failed");
                break;
            }
            wall = wall.min(start.elapsed());
            cpu = cpu.min(children_time().saturating_sub(before));
        }
        if wall == Duration::MAX {
            continue;
        }
        let (first_wall, first_cpu) = *first.get_or_insert((wall, cpu));
        println!(
            "{line}: {:.3} s ({:.2} x), {:.3} s of processor time ({:.2} x)",
            wall.as_secs_f64(),
            wall.as_secs_f64() / first_wall.as_secs_f64(),
            cpu.as_secs_f64(),
            cpu.as_secs_f64() / first_cpu.as_secs_f64()
        );
    }
}

/// What children that have ended have computed.
fn children_time() -> Duration {
    // The fields behind the name: user and system time of children are the 14th and 15th, in hundredths of a second.
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(13).take(2);
    Duration::from_millis(ticks.filter_map(|t| t.parse::<u64>().ok()).sum::<u64>() * 10)
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
