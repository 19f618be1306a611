//! `rx links`: the names under which scripts call the classic commands.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::cli::{CLASSIC_NAMES, Category, Invocation, Subcommand};
use crate::ui::{self, Failure};

/// Arguments of `rx links`.
#[derive(clap::Args)]
pub struct Links {
    /// Make `nix`, `nix-build` … instead of `rx-build` ….
    #[arg(long)]
    nix: bool,
    /// Replace files that have these names.
    #[arg(long)]
    force: bool,
    /// Where to make the links.
    directory: PathBuf,
}

/// A link cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the link '{}': {error}", .link.display())]
struct CannotLink {
    link: PathBuf,
    #[source]
    error: io::Error,
}

impl Subcommand for Links {
    const PATH: &'static str = "links";
    const ABOUT: &'static str = "Make links under which rx is each of the classic commands";
    const CATEGORY: Category = Category::Own;

    fn run(self, _: &Invocation) -> Result<(), Failure> {
        let program = std::env::current_exe()?;
        std::fs::create_dir_all(&self.directory)?;
        let mut text = String::new();
        let (main, prefix) = if self.nix {
            ("nix", "nix-")
        } else {
            ("rx", "rx-")
        };
        let names = CLASSIC_NAMES.iter().filter(|name| **name != "build-remote");
        let names = names.chain(["repl"].iter());
        for name in
            std::iter::once(main.to_owned()).chain(names.map(|name| format!("{prefix}{name}")))
        {
            let link = self.directory.join(&name);
            if link == program {
                continue;
            }
            self.make(&program, &link)?;
            text += &format!("{}\n", link.display());
        }
        ui::print(&text)
    }
}

impl Links {
    fn make(&self, program: &Path, link: &Path) -> Result<(), CannotLink> {
        let error = |error| CannotLink {
            link: link.to_owned(),
            error,
        };
        if self.force || std::fs::read_link(link).is_ok_and(|target| target == program) {
            match std::fs::remove_file(link) {
                Err(problem) if problem.kind() != io::ErrorKind::NotFound => {
                    return Err(error(problem));
                }
                _ => {}
            }
        }
        symlink(program, link).map_err(error)
    }
}
