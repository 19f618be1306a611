//! `rx edit`: the file that a package is defined in, in the user's editor.

use std::ffi::OsString;

use crate::cli::{Category, EvalOptions, Invocation, Subcommand};
use crate::eval_session::definition::Definition;
use crate::eval_session::with_session;
use crate::installables::{Lookup, SourceOptions};
use crate::ui::Failure;

/// Arguments of `rx edit`.
#[derive(clap::Args)]
pub struct Edit {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    options: EvalOptions,
    /// A package.
    #[arg(value_name = "WHAT")]
    what: Option<OsString>,
}

impl Subcommand for Edit {
    const PATH: &'static str = "edit";
    const ABOUT: &'static str = "Open the file that defines a package in $EDITOR";
    const CATEGORY: Category = Category::Secondary;
    const DETAILS: &'static str = "\
Examples:\n  rx edit nixpkgs#hello\n  rx edit -f . tool\n  rx edit -f '<rx>' calc\n\n\
The place is what 'meta.position' of the package says, or else that of its value.\n";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let invocation = self.source.adapt(invocation)?;
        with_session(&invocation, &self.options, true, |session| {
            let lookup = Lookup::packages(&invocation);
            let named = self.source.name_one(session, self.what.as_ref(), &lookup)?;
            let (value, _) = named.value(session)?;
            let args = &session.auto_args;
            let place = Definition::of_package(&mut session.vm, args, value, named.what())?;
            place.edit(&session.vm, || session.store()).map(drop)
        })
    }
}
