//! `rx fmt` (`rx formatter run`) and `rx formatter build`: the formatter that a flake brings.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::run::{App, application_of};
use crate::cli::{Category, EvalOptions, Invocation, LinkOptions, Subcommand};
use crate::eval_session::with_session;
use crate::execute::Program;
use crate::installables::{Lookup, Named, SourceOptions};
use crate::realise::link_outputs;
use crate::store_session::open_store;
use crate::ui::{self, Failure};

/// How the formatter is found.
#[derive(clap::Args)]
struct Common {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    options: EvalOptions,
}

impl Common {
    /// The formatter of the flake here, and the flake's directory if it has one.
    fn find(&self, invocation: &Invocation) -> Result<(App, Option<OsString>), Failure> {
        let invocation = self.source.adapt(invocation)?;
        with_session(&invocation, &self.options, false, |session| {
            let system = invocation.settings.current_system();
            let lookup = Lookup {
                defaults: vec![format!("formatter.{system}")],
                prefixes: Vec::new(),
            };
            let named = self.source.name_one(session, None, &lookup)?;
            let app = application_of(session, &named)?;
            let directory = match &named {
                Named::Flake(flake) => flake.locked(session)?.flake.resolved.input.source_path(),
                _ => None,
            };
            session.store()?.flush()?;
            Ok((app, directory.map(Into::into)))
        })
    }

    fn run(&self, invocation: &Invocation, arguments: Vec<OsString>) -> Result<(), Failure> {
        let (app, directory) = self.find(invocation)?;
        let store = open_store(invocation)?;
        let (file, _) = app.realise(&*store, &invocation.settings)?;
        let mut program = Program::new(OsStr::from_bytes(&file), arguments);
        let mut environment: Vec<_> = std::env::vars_os().collect();
        // Formatters can format the whole flake from a directory below it.
        if let Some(directory) = directory {
            environment.retain(|(name, _)| name != "PRJ_ROOT");
            environment.push(("PRJ_ROOT".into(), directory));
        }
        program.environment = Some(environment);
        Err(program.execute(&*store))
    }
}

/// Arguments of `rx fmt` and `rx formatter run`.
#[derive(clap::Args)]
pub struct FormatterRun {
    #[command(flatten)]
    common: Common,
    /// Arguments of the formatter, as a rule the files; those that begin with a dash stand after `--`.
    #[arg(value_name = "ARGUMENT")]
    arguments: Vec<OsString>,
}

impl Subcommand for FormatterRun {
    const PATH: &'static str = "formatter run";
    const ABOUT: &'static str =
        "Run the formatter of the flake here: reformat your code in the standard style";
    const CATEGORY: Category = Category::Secondary;
    const DETAILS: &'static str = "\
Runs the output 'formatter.SYSTEM' of the flake here with the arguments; PRJ_ROOT is the flake's directory.\n\
'rx formatter build' only builds it.\n";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        self.common.run(invocation, self.arguments)
    }
}

/// Arguments of `rx fmt`.
#[derive(clap::Args)]
pub struct Fmt {
    #[command(flatten)]
    formatter: FormatterRun,
}

impl Subcommand for Fmt {
    const PATH: &'static str = "fmt";
    const ABOUT: &'static str = FormatterRun::ABOUT;
    const CATEGORY: Category = Category::Secondary;
    const DETAILS: &'static str = FormatterRun::DETAILS;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        self.formatter.run(invocation)
    }
}

/// Arguments of `rx formatter build`.
#[derive(clap::Args)]
pub struct FormatterBuild {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    link: LinkOptions,
}

impl Subcommand for FormatterBuild {
    const PATH: &'static str = "formatter build";
    const ABOUT: &'static str = "Build the formatter of the flake here";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (app, _) = self.common.find(invocation)?;
        let store = open_store(invocation)?;
        let (file, built) = app.realise(&*store, &invocation.settings)?;
        if let Some(base) = self.link.base()? {
            link_outputs(&*store, &base, &built)?;
        }
        ui::print_bytes(&[&file, &b"\n"[..]].concat())
    }
}
