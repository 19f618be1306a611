//! `rx flake init` and `rx flake new`: flakes made from templates.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rx_eval::value::View;
use rx_lang::symbol;
use rx_store::fetch::flake_ref::FlakeRef;
use rx_store::progress::{self, Level};

use super::{FlakeOptions, reference_with_fragment};
use crate::cli::{Category, Invocation, Subcommand};
use crate::eval_session::EvalSession;
use crate::installables::{FlakeInstallable, Lookup};
use crate::ui::{self, Failure};

/// Which template is meant.
#[derive(clap::Args)]
pub struct TemplateOptions {
    /// The template, as in `templates#python`.
    #[arg(long, short, value_name = "FLAKE#NAME", default_value = "templates")]
    template: String,
    #[command(flatten)]
    flakes: FlakeOptions,
}

/// Arguments of `rx flake init`.
#[derive(clap::Args)]
pub struct FlakeInit {
    #[command(flatten)]
    template: TemplateOptions,
}

impl Subcommand for FlakeInit {
    const PATH: &'static str = "flake init";
    const ABOUT: &'static str = "Copy a template into the working directory";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        self.template.copy_to(invocation, Path::new("."))
    }
}

/// Arguments of `rx flake new`.
#[derive(clap::Args)]
pub struct FlakeNew {
    #[command(flatten)]
    template: TemplateOptions,
    /// The directory to make.
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

impl Subcommand for FlakeNew {
    const PATH: &'static str = "flake new";
    const ABOUT: &'static str = "Make a directory from a template";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        self.template.copy_to(invocation, &self.directory)
    }
}

/// What became of the files of a template.
#[derive(Default)]
struct Copied {
    written: Vec<PathBuf>,
    conflicts: usize,
}

impl TemplateOptions {
    fn copy_to(&self, invocation: &Invocation, directory: &Path) -> Result<(), Failure> {
        let directory = rx_store::settings::clean(&std::path::absolute(directory)?);
        self.flakes.session(invocation, false, |session| {
            let (reference, fragment) = reference_with_fragment(&self.template)?;
            let (source, welcome) = self.find(session, reference, &fragment)?;
            let mut copied = Copied::default();
            copied.tree(&source, &directory)?;
            if !copied.written.is_empty() && directory.join(".git").exists() {
                for file in &copied.written {
                    rx_store::fetch::git::record(&directory, file, None)?;
                }
            }
            if let Some(text) = welcome {
                let text = ui::render_markdown(&text);
                progress::log(Level::Notice, format_args!("\n\n{text}"));
            }
            match copied.conflicts {
                0 => Ok(()),
                count => Err(Failure::message(format!(
                    "encountered {count} conflicts - see above"
                ))),
            }
        })
    }

    /// The directory of the template, and what it says to who uses it.
    fn find(
        &self,
        session: &mut EvalSession,
        reference: FlakeRef,
        fragment: &str,
    ) -> Result<(PathBuf, Option<String>), Failure> {
        let lookup = Lookup {
            defaults: vec!["templates.default".to_owned(), "defaultTemplate".to_owned()],
            prefixes: vec!["templates.".to_owned()],
        };
        let wish = self.flakes.lock.wish(session)?;
        let installable = FlakeInstallable::new(
            self.template.clone(),
            reference,
            fragment,
            None,
            &lookup,
            wish,
        );
        let value = installable.find(session)?.value;
        let forced = session.vm.force(value);
        let value = session.check(forced)?;
        let attribute = |name: &[u8]| {
            value
                .as_attrs()
                .and_then(|attrs| attrs.get(symbol::intern(name)))
        };
        let Some(path) = attribute(b"path") else {
            return Err(Failure::message("the template has no attribute 'path'"));
        };
        let path = session.vm.force(path);
        let path = session.check(path)?;
        let path = match path.view() {
            View::Path(path) => path.as_bytes().to_vec(),
            View::Str(text) => text.as_bytes().to_vec(),
            _ => {
                return Err(Failure::message(
                    "the template's attribute 'path' is no path",
                ));
            }
        };
        let real = session.vm.ev.io.store().real_path(&path).unwrap_or(path);
        let welcome = match attribute(b"welcomeText") {
            Some(text) => {
                let text = session.vm.expect_str(text, rx_eval::Pos::NONE, "");
                Some(String::from_utf8_lossy(session.check(text)?.as_bytes()).into_owned())
            }
            None => None,
        };
        Ok((PathBuf::from(OsString::from_vec(real)), welcome))
    }
}

impl Copied {
    fn tree(&mut self, from: &Path, to: &Path) -> Result<(), Failure> {
        for entry in walkdir::WalkDir::new(from).sort_by_file_name() {
            rx_store::interrupt::check()?;
            let entry = entry?;
            let inside = entry.path().strip_prefix(from).unwrap_or(Path::new(""));
            let target = match inside.as_os_str().is_empty() {
                true => to.to_owned(),
                false => to.join(inside),
            };
            if entry.file_type().is_dir() {
                fs::create_dir_all(&target)?;
                continue;
            }
            self.file(entry.path(), &target)?;
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: &Path) -> Result<(), Failure> {
        let is_link = from.is_symlink();
        if to.symlink_metadata().is_ok() {
            let same = match is_link {
                true => fs::read_link(from)? == fs::read_link(to).unwrap_or_default(),
                false => to.is_file() && fs::read(from)? == fs::read(to)?,
            };
            if same {
                progress::log(
                    Level::Notice,
                    format_args!("skipping identical file: {}", from.display()),
                );
            } else {
                self.conflicts += 1;
                progress::log(
                    Level::Error,
                    format_args!(
                        "refusing to overwrite existing file {:?}\n please merge it manually with '{}'",
                        to.display().to_string(),
                        from.display()
                    ),
                );
            }
            return Ok(());
        }
        if is_link {
            std::os::unix::fs::symlink(fs::read_link(from)?, to)?;
        } else {
            // Files of the store cannot be written to; those of the user should.
            fs::write(to, fs::read(from)?)?;
        }
        progress::log(
            Level::Notice,
            format_args!("wrote: {:?}", to.display().to_string()),
        );
        self.written.push(to.to_owned());
        Ok(())
    }
}
