//! Prints programs in the form of `nix-instantiate --parse`.
//!
//! `parse FILE…`, `parse -E PROGRAM…`, `parse -` for standard input. `--batch` prints the name of each file and goes on
//! after a mistake.

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use rx_lang::scope::{GLOBALS, Resolver};
use rx_lang::{Diagnostic, LineIndex, ParseFailure, ParseOptions, print, symbol};

fn main() -> ExitCode {
    let mut expressions = false;
    let mut batch = false;
    let mut options = ParseOptions::default();
    let mut programs = Vec::new();
    let mut arguments = std::env::args().skip(1).peekable();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-E" | "--expr" => expressions = true,
            "--batch" => batch = true,
            "--parse" | "--eval" | "--strict" => {}
            "--extra-experimental-features" | "--experimental-features" => {
                options.pipe_operators |= arguments
                    .next()
                    .is_some_and(|features| features.contains("pipe-operators"));
            }
            "--files-from" => {
                let list = arguments
                    .next()
                    .and_then(|list| std::fs::read_to_string(list).ok())
                    .unwrap_or_default();
                programs.extend(list.lines().map(str::to_owned));
            }
            _ => programs.push(argument),
        }
    }
    let mut resolver = Resolver::new(GLOBALS.iter().map(|name| symbol::intern(name.as_bytes())));
    let here = std::env::current_dir().unwrap_or_default();
    let mut out = std::io::stdout().lock();
    for program in programs {
        let (source, origin, base) = if expressions {
            (
                program.clone().into_bytes(),
                "«string»".to_owned(),
                here.clone(),
            )
        } else if program == "-" {
            let mut source = Vec::new();
            if std::io::stdin().read_to_end(&mut source).is_err() {
                return ExitCode::FAILURE;
            }
            (source, "«stdin»".to_owned(), here.clone())
        } else {
            let path = std::path::absolute(&program).unwrap_or_default();
            match std::fs::read(&path) {
                Ok(source) => (
                    source,
                    path.display().to_string(),
                    path.parent().unwrap_or(Path::new("/")).to_owned(),
                ),
                Err(error) => {
                    eprintln!("error: {program}: {error}");
                    return ExitCode::FAILURE;
                }
            }
        };
        let result = rx_lang::parse(&source, &options).and_then(|ast| {
            let undefined = resolver.undefined(&ast);
            if undefined.is_empty() {
                Ok(ast)
            } else {
                Err(ParseFailure::Errors(undefined))
            }
        });
        if batch {
            let _ = writeln!(out, "== {program}");
        }
        match result {
            Ok(ast) => {
                for warning in ast.warnings() {
                    report("warning", warning, &source, &origin);
                }
                let base = base.to_string_lossy().into_owned();
                let paths = print::Paths::Resolved {
                    base: base.as_bytes(),
                    home: b"/root",
                };
                let printed = print::write_form(&ast, &paths, &mut out);
                if printed.and_then(|()| out.write_all(b"\n")).is_err() {
                    return ExitCode::FAILURE;
                }
            }
            Err(failure) => {
                for diagnostic in failure.diagnostics() {
                    report("error", diagnostic, &source, &origin);
                }
                if !batch {
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    ExitCode::SUCCESS
}

fn report(kind: &str, diagnostic: &Diagnostic, source: &[u8], origin: &str) {
    let index = LineIndex::new(source);
    let place = |offset| {
        let at = index.line_column(offset);
        format!("{origin}:{}:{}", at.line, at.column)
    };
    let at = diagnostic
        .at
        .map_or(String::new(), |offset| format!(" at {}", place(offset)));
    eprintln!(
        "{kind}: {}{at}\n       at {}:",
        diagnostic.message,
        place(diagnostic.range.start)
    );
    for label in &diagnostic.labels {
        eprintln!("       {}: {}", place(label.range.start), label.text);
    }
    if let Some(help) = &diagnostic.help {
        eprintln!("       help: {help}");
    }
}
