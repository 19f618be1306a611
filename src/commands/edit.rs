//! `rx edit`: the file that a package is defined in, in the user's editor.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::cli::{Category, EvalOptions, Invocation, Subcommand};
use crate::eval_session::with_session;
use crate::installables::{Lookup, SourceOptions};
use crate::ui::{self, Failure};

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
Examples:\n  rx edit nixpkgs#hello\n  rx edit -f . tool\n\n\
The place is what 'meta.position' of the package says, or else that of its value.\n";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let invocation = self.source.adapt(invocation)?;
        let arguments: Vec<OsString> = self.what.into_iter().collect();
        let (file, line) = with_session(&invocation, &self.options, true, |session| {
            let lookup = Lookup::packages(&invocation);
            let named = self.source.name(session, &arguments, &lookup)?.remove(0);
            let (value, _) = named.value(session)?;
            let unknown = || {
                Failure::message(format!(
                    "package '{}' has no source location information",
                    named.what()
                ))
            };
            let (position, _) = session
                .vm
                .find_along(b"meta.position", &session.auto_args, value)
                .map_err(|_| unknown())?;
            let forced = session.vm.force(position);
            let position = session.check(forced)?.as_str().ok_or_else(unknown)?;
            let text = position.as_bytes();
            let split = text
                .iter()
                .rposition(|&byte| byte == b':')
                .and_then(|colon| {
                    let line = std::str::from_utf8(&text[colon + 1..]).ok()?.parse().ok()?;
                    Some((&text[..colon], line))
                });
            let Some((file, line)) = split else {
                return Err(Failure::message(format!(
                    "cannot parse 'meta.position' attribute '{}'",
                    String::from_utf8_lossy(text)
                )));
            };
            // The store may lie elsewhere than where programs see it.
            let mut place = PathBuf::from(OsStr::from_bytes(file));
            if let Ok((object, rest)) = session.vm.ev.store_dir.split(file)
                && let Some(real) = session.store()?.real_path(&object)
            {
                let rest = rest.strip_prefix(b"/").unwrap_or(&rest);
                place = real.join(OsStr::from_bytes(rest));
            }
            Ok((place, line))
        })?;
        ui::open_editor(&file, line)
    }
}
