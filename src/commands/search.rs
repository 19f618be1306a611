//! `rx search`: finding packages.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rx_store::progress;
use serde_json::{Map, Value, json};

use crate::cli::{Category, EvalOptions, Invocation, Subcommand};
use crate::search::{
    self, Answer, Behind, Hit, PackageRef, Query, Root, RootKind, Searcher, Spans, default_roots,
    flake_root, named_root,
};
use crate::ui::{self, Failure, UsageError};

/// How long a search for people may take when something has changed: a third of a second is felt.
const PATIENCE: Duration = Duration::from_millis(230);
/// Names another number of milliseconds.
const PATIENCE_VARIABLE: &str = "RX_SEARCH_PATIENCE";
/// So many packages are named that are shown as they were.
const NAMED: usize = 5;

const MATCH: &[u8] = b"\x1b[32;1m";
const BOLD: &[u8] = b"\x1b[0;1m";
const NORMAL: &[u8] = b"\x1b[0m";

/// Arguments of `rx search`.
#[derive(clap::Args)]
pub struct Search {
    /// Search this file; the first argument is an attribute path in it. `-` is standard input.
    #[arg(long, short, value_name = "FILE", conflicts_with = "expr")]
    file: Option<OsString>,
    /// Search the value of this expression; the first argument is an attribute path in it.
    #[arg(long, value_name = "EXPRESSION")]
    expr: Option<OsString>,
    /// Hide packages whose attribute path, name or description match.
    #[arg(long, short, value_name = "REGEX")]
    exclude: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Wait until what has changed is looked at again, however long that takes; with --json that is so anyway.
    #[arg(long)]
    wait: bool,
    /// Answer from what is known when something has changed, with --json too.
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
    #[command(flatten)]
    options: EvalOptions,
    /// What to search (a channel, `nixpkgs`, a file, a flake, with #ATTRIBUTE or not), if there are several arguments; the
    /// others are regular expressions, which all have to match.
    #[arg(value_name = "[INSTALLABLE] REGEX")]
    arguments: Vec<OsString>,
}

impl Subcommand for Search {
    const PATH: &'static str = "search";
    const ABOUT: &'static str = "Search for packages";
    const CATEGORY: Category = Category::Main;
    const IMPURE: bool = true;
    const DETAILS: &'static str = "
Searches attribute paths, names and descriptions for all of the regular expressions; upper and lower case
are the same. `^` finds everything.

Without an installable, all channels and <nixpkgs> are searched:

  rx search virtualenv              in all channels
  rx search nixpkgs git 'gui|tui'   in one
  rx search nixpkgs#python3Packages http
  rx search github:owner/project '^'  in a flake
  rx search -f ./default.nix '' hello

The first search in a large set evaluates all of it and keeps an index; later ones evaluate what has
changed since. If that is much, the search answers from what it knows, says what may be old, and brings the
index up to date in the background; --json and --wait wait for that.
NO_COLOR=1 switches the marks off.";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let deadline = Instant::now() + patience();
        let invocation = &as_search(invocation);
        if search::serve(invocation, &self.options)? {
            return Ok(());
        }
        let (roots, patterns) = self.split(invocation)?;
        let searcher = Searcher {
            invocation,
            options: &self.options,
            roots: &roots,
        };
        if patterns.is_empty() {
            return Err(UsageError::new(
                "Must provide at least one regex! To match all packages, use 'nix search <installable> ^'.",
            )
            .into());
        }
        let query = Query::new(&patterns, &self.exclude)?;
        let deadline = (!self.wait && (!self.json || self.no_wait)).then_some(deadline);
        let mut answers = searcher.answers(&query, deadline)?;
        // That there is nothing is only said of what is up to date.
        if find(&query, &answers).is_empty() && answers.iter().any(|answer| answer.why().is_some())
        {
            answers = searcher.answers(&query, None)?;
        }
        let mut hits = find(&query, &answers);
        if self.json {
            print_json(&roots, &hits)?;
            tell_what_is_old(&roots, &answers, &hits);
            return Ok(());
        }
        // Broken packages cannot be installed; who asks for all of them in detail asks for JSON.
        let before = hits.len();
        hits.retain(|shown| !shown.hit.package.broken);
        let broken = before - hits.len();
        hits.sort_by(|a, b| {
            let key = |shown: &Shown<'_>| (shown.hit.rank, shown.root);
            (key(a), a.hit.package.path).cmp(&(key(b), b.hit.package.path))
        });
        print_text(&roots, &hits, &query)?;
        if broken > 0 {
            let (noun, verb) = if broken == 1 {
                ("package", "is")
            } else {
                ("packages", "are")
            };
            progress::info(format_args!(
                "{broken} more {noun} {verb} marked as broken; --json shows all"
            ));
        }
        tell_what_is_old(&roots, &answers, &hits);
        if hits.is_empty() {
            return Err(Failure::message("no results for the given search term(s)!"));
        }
        Ok(())
    }
}

fn patience() -> Duration {
    std::env::var(PATIENCE_VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok())
        .map_or(PATIENCE, Duration::from_millis)
}

/// A package that was found.
struct Shown<'a> {
    /// The number of its root.
    root: usize,
    hit: Hit<'a>,
    /// Whether it is as it was before something changed.
    old: bool,
}

fn find<'a>(query: &Query, answers: &'a [Answer]) -> Vec<Shown<'a>> {
    let mut all = Vec::new();
    for (root, answer) in answers.iter().enumerate() {
        let found = answer.packages().filter_map(|(package, old)| {
            let hit = query.matches(package)?;
            Some(Shown { root, hit, old })
        });
        all.extend(found);
    }
    all
}

impl Searcher<'_> {
    /// What is known of all roots by a deadline; without one everything is up to date.
    fn answers(&self, query: &Query, deadline: Option<Instant>) -> Result<Vec<Answer>, Failure> {
        let wanted = |package: PackageRef<'_>| query.matches(package).is_some();
        (0..self.roots.len())
            .map(|root| match deadline {
                Some(deadline) => self.answer(root, &wanted, deadline),
                None => self.index(root).map(Answer::current),
            })
            .collect()
    }
}

/// Says what has changed and is not looked at yet, and which of the packages shown may therefore be others now.
fn tell_what_is_old(roots: &[Root], answers: &[Answer], hits: &[Shown<'_>]) {
    for (root, answer) in answers.iter().enumerate() {
        let Some(behind) = answer.why() else {
            continue;
        };
        let old: Vec<String> = hits
            .iter()
            .filter(|shown| shown.root == root && shown.old)
            .map(|shown| text(&[&roots[root].shown, shown.hit.package.path].concat()))
            .collect();
        let named = &old[..old.len().min(NAMED)];
        let shown = match old.len() {
            0 => "those shown are up to date".to_owned(),
            count if count > NAMED => format!(
                "{} and {} more are shown as they were",
                named.join(", "),
                count - NAMED
            ),
            1 => format!("{} is shown as it was", named[0]),
            _ => format!("{} are shown as they were", named.join(", ")),
        };
        progress::info(format_args!(
            "{} changed, {} being looked at again in the background; {shown} (--wait waits)",
            cause(behind),
            if behind.all {
                "all packages are".to_owned()
            } else {
                match answer.old_packages() {
                    1 => "1 package is".to_owned(),
                    count => format!("{count} packages are"),
                }
            }
        ));
    }
}

/// What has changed, in short.
fn cause(behind: &Behind) -> String {
    let cause = format!("'{}'", text(&behind.cause));
    match behind.more {
        0 => format!("{cause} has"),
        more => format!("{cause} and {more} more have"),
    }
}

/// The invocation with the settings of a search: nothing is built for it.
pub(super) fn as_search(invocation: &Invocation) -> Invocation {
    let mut invocation = invocation.clone();
    let settings = Arc::make_mut(&mut invocation.settings);
    if !settings.is_overridden("allow-import-from-derivation") {
        settings.allow_import_from_derivation = false;
    }
    invocation
}

impl Search {
    /// What is searched, and for what.
    fn split(&self, invocation: &Invocation) -> Result<(Vec<Root>, Vec<String>), Failure> {
        let settings = &invocation.settings;
        let mut arguments = self.arguments.as_slice();
        let given = match (&self.file, &self.expr) {
            (Some(file), _) => Some(RootKind::File(file.clone())),
            (None, Some(text)) => Some(RootKind::Expression(text.clone())),
            (None, None) => None,
        };
        let roots = if let Some(kind) = given {
            let attribute = match arguments.split_first() {
                Some((first, rest)) => {
                    arguments = rest;
                    first.as_bytes()
                }
                None => b"",
            };
            vec![Root {
                attribute: if attribute == b"." { b"" } else { attribute }.to_vec(),
                ..Root::of(kind)
            }]
        } else {
            let named = match arguments {
                [first, _, ..] => match named_root(settings, &self.options.include, first) {
                    None => flake_root(invocation, &self.options, first)?,
                    named => named,
                },
                _ => None,
            };
            match named {
                Some(root) => {
                    arguments = &arguments[1..];
                    vec![root]
                }
                None => default_roots(settings, &self.options.include),
            }
        };
        if roots.is_empty() {
            return Err(UsageError::new("there is nothing to search")
                .hint("subscribe to a channel with 'rx-channel --add URL' and 'rx-channel --update', set NIX_PATH, or name a file with --file")
                .into());
        }
        let patterns = arguments
            .iter()
            .map(|argument| match argument.to_str() {
                Some(text) => Ok(text.to_owned()),
                None => Err(UsageError::new(format!(
                    "'{}' is not a regular expression",
                    argument.to_string_lossy()
                ))),
            })
            .collect::<Result<Vec<String>, _>>()?;
        Ok((roots, patterns))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn print_json(roots: &[Root], hits: &[Shown<'_>]) -> Result<(), Failure> {
    let mut all: Vec<(String, Value)> = hits
        .iter()
        .map(|shown| {
            let package = shown.hit.package;
            let path = [&roots[shown.root].shown, package.path].concat();
            let value = json!({
                "description": text(package.description),
                "pname": text(package.name),
                "version": text(package.version),
            });
            (text(&path), value)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    ui::print_json(&Value::Object(all.into_iter().collect::<Map<_, _>>()))
}

fn print_text(roots: &[Root], hits: &[Shown<'_>], query: &Query) -> Result<(), Failure> {
    // The marks say what was found, so they are not for terminals alone, as in the reference.
    let marks = !ui::colours_are_unwanted();
    let _pause = progress::pause();
    let mut out = ui::stdout();
    for (at, shown) in hits.iter().enumerate() {
        let package = shown.hit.package;
        if at > 0 {
            out.write_all(b"\n")?;
        }
        out.write_all(b"* ")?;
        if marks {
            out.write_all(BOLD)?;
        }
        out.write_all(&roots[shown.root].shown)?;
        let spans = if marks {
            query.spans(package.path)
        } else {
            Spans::new()
        };
        write_marked(&mut out, package.path, &spans, BOLD)?;
        if marks {
            out.write_all(NORMAL)?;
        }
        if !package.version.is_empty() {
            out.write_all(b" (")?;
            out.write_all(package.version)?;
            out.write_all(b")")?;
        }
        out.write_all(b"\n")?;
        if !package.description.is_empty() {
            out.write_all(b"  ")?;
            let spans = if marks {
                query.spans(package.description)
            } else {
                Spans::new()
            };
            write_marked(&mut out, package.description, &spans, NORMAL)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    Ok(())
}

/// A text with its matches marked; `after` is how it goes on behind a mark.
fn write_marked(
    out: &mut impl Write,
    text: &[u8],
    spans: &Spans,
    after: &[u8],
) -> std::io::Result<()> {
    let mut at = 0;
    for span in spans {
        out.write_all(&text[at..span.start])?;
        out.write_all(MATCH)?;
        out.write_all(&text[span.clone()])?;
        out.write_all(after)?;
        at = span.end;
    }
    out.write_all(&text[at..])
}
