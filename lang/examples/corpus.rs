//! Reads all programs below some directories and measures it: `corpus DIR…`
//!
//! For every `.nix` file: it parses; the tree's text is the file; the compact syntax made from the tree prints as the one made
//! from the source; what is printed reads back as what it says. Then the speeds, on one thread, of the passes alone.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use rx_lang::scope::{GLOBALS, Resolver};
use rx_lang::tree::{TokenCache, Tree};
use rx_lang::{ParseOptions, lexer, print, symbol};

fn main() -> ExitCode {
    let mut files = Vec::new();
    for root in std::env::args().skip(1) {
        collect(Path::new(&root), &mut files);
    }
    files.sort();
    let sources: Vec<(PathBuf, Vec<u8>)> = files
        .into_iter()
        .filter_map(|path| std::fs::read(&path).ok().map(|source| (path, source)))
        .collect();
    let bytes: usize = sources.iter().map(|(_, source)| source.len()).sum();
    println!("{} files, {bytes} bytes", sources.len());

    let options = ParseOptions::default();
    let failures = check(&sources, &options);
    measure(&sources, bytes, &options);
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn check(sources: &[(PathBuf, Vec<u8>)], options: &ParseOptions<'_>) -> usize {
    let mut cache = TokenCache::new();
    let mut resolver = Resolver::new(GLOBALS.iter().map(|name| symbol::intern(name.as_bytes())));
    let (mut refused, mut unbound, mut lossy, mut disagreeing, mut unstable, mut unreadable) =
        (0, 0, 0, 0, 0, 0);
    for (path, source) in sources {
        let Ok(tree) = Tree::parse_with(source, options, &mut cache) else {
            refused += 1;
            continue;
        };
        if tree.to_bytes() != *source {
            println!("not the text of the file: {}", path.display());
            lossy += 1;
        }
        let ast = match rx_lang::parse(source, options) {
            Ok(ast) => ast,
            Err(failure) => {
                println!("refused: {}: {failure}", path.display());
                refused += 1;
                continue;
            }
        };
        if let Some(first) = resolver.undefined(&ast).first() {
            println!("{}: {}", first.message, path.display());
            unbound += 1;
        }
        let printed = print::parse_form(&ast, &print::Paths::AsWritten);
        match tree.lower(options) {
            Ok(lowered) if print::parse_form(&lowered, &print::Paths::AsWritten) == printed => {}
            _ => {
                println!("the sinks disagree: {}", path.display());
                disagreeing += 1;
            }
        }
        // The printed form is not always a program: `./a/${b}` prints as `(./a/ + b)`. And a string of three parts prints as one
        // sum, which reads as two. From then on it must stay as it is.
        let print_again = |text: &[u8]| {
            Some(print::parse_form(
                &rx_lang::parse(text, options).ok()?,
                &print::Paths::AsWritten,
            ))
        };
        match print_again(&printed) {
            None => unreadable += 1,
            Some(second) => {
                if print_again(&second).as_ref() != Some(&second) {
                    println!("printing does not settle: {}", path.display());
                    unstable += 1;
                }
            }
        }
    }
    println!(
        "{refused} refused, {unbound} with undefined variables, {lossy} lossy, {disagreeing} where the sinks disagree"
    );
    println!(
        "{unstable} whose printed form does not settle, {unreadable} whose printed form is no program"
    );
    refused + lossy + disagreeing + unstable
}

fn measure(sources: &[(PathBuf, Vec<u8>)], bytes: usize, options: &ParseOptions<'_>) {
    let mut resolver = Resolver::new(GLOBALS.iter().map(|name| symbol::intern(name.as_bytes())));
    let mut cache = TokenCache::new();
    let mut work: [(&str, Box<dyn FnMut(&[u8])>); 5] = [
        (
            "lexing",
            Box::new(|source| drop(std::hint::black_box(lexer::lex(source, options)))),
        ),
        (
            "compact syntax",
            Box::new(|source| drop(std::hint::black_box(rx_lang::parse(source, options)))),
        ),
        (
            "compact syntax and names resolved",
            Box::new(|source| {
                if let Ok(ast) = rx_lang::parse(source, options) {
                    std::hint::black_box(resolver.undefined(&ast));
                }
            }),
        ),
        (
            "compact syntax, printed",
            Box::new(|source| {
                if let Ok(ast) = rx_lang::parse(source, options) {
                    let paths = print::Paths::AsWritten;
                    print::write_form(&ast, &paths, &mut std::io::sink()).ok();
                }
            }),
        ),
        (
            "lossless tree",
            Box::new(|source| {
                drop(std::hint::black_box(Tree::parse_with(
                    source, options, &mut cache,
                )))
            }),
        ),
    ];
    for (name, pass) in &mut work {
        let best = (0..3)
            .map(|_| {
                let start = cpu_time();
                for (_, source) in sources {
                    pass(source);
                }
                cpu_time().saturating_sub(start)
            })
            .min()
            .unwrap_or(Duration::MAX);
        println!(
            "{name}: {:.1} MB/s",
            bytes as f64 / 1e6 / best.as_secs_f64()
        );
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            collect(&entry.path(), files);
        }
    } else if path.extension().is_some_and(|extension| extension == "nix") && path.is_file() {
        files.push(path.to_owned());
    }
}

/// What this thread has computed, so that other programs do not count.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}
