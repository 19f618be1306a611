//! What brings variables into the session: files, flakes, and what the command line names.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rx_eval::{Origin, Value};
use rx_lang::symbol;
use rx_store::fetch::flake_ref::{FlakeRef, ParseOptions};
use rx_store::settings::Feature;

use super::memory::Step;
use super::session::Repl;
use crate::eval_session;
use crate::installables::{Lookup, find_all};
use crate::ui::{Failure, FeatureDisabled};

/// What is loaded at the beginning.
#[derive(Debug, Default)]
pub struct Start {
    /// `--file`
    pub file: Option<OsString>,
    /// `--expr`
    pub expr: Option<OsString>,
    /// Attribute paths in one of these, or files and flakes.
    pub what: Vec<OsString>,
    /// Somebody is there who can mend what does not load, and say ':r'. A script is told by the status.
    pub attended: bool,
}

impl Start {
    fn has_root(&self) -> bool {
        self.file.is_some() || self.expr.is_some()
    }
}

impl Repl<'_> {
    /// Loads what the command line names.
    pub fn load_start(&mut self) -> Result<(), Failure> {
        let start = &self.host.start;
        if start.has_root() {
            return self.load_values();
        }
        for what in &start.what {
            if self.opens(what) {
                self.say(&format!("Loading {what:?}..."));
                if let Err(failure) = self.load_file(what) {
                    self.files.push(what.clone());
                    self.unloaded(failure)?;
                }
            } else {
                let reference = what.to_string_lossy();
                self.load_installable(&reference)?;
            }
        }
        Ok(())
    }

    /// Loads everything again.
    pub fn reload(&mut self) {
        self.vm.ev.forget_files();
        self.scope.clear();
        if self.is_stopped {
            self.enter_frame(self.frame);
        }
        self.steps.clear();
        for file in std::mem::take(&mut self.files) {
            self.say(&format!("Loading {file:?}..."));
            if let Err(failure) = self.load_file(&file) {
                self.files.push(file);
                self.report(&failure);
            }
        }
        if self.host.start.has_root() {
            if let Err(failure) = self.load_values() {
                self.report(&failure);
            }
        } else {
            let host = self.host;
            for what in &host.start.what {
                if self.opens(what) {
                    continue;
                }
                let reference = what.to_string_lossy();
                if let Err(failure) = self.load_installable(&reference) {
                    self.report(&failure);
                }
            }
        }
        for flake in std::mem::take(&mut self.flakes) {
            self.say(&format!("Loading flake '{flake}'..."));
            if let Err(failure) = self.load_flake(&flake) {
                self.flakes.push(flake);
                self.report(&failure);
            }
        }
    }

    /// Whether an argument is a file to load. Called as Nix, it is a flake whatever it names.
    fn opens(&self, what: &OsStr) -> bool {
        self.host.invocation.base_program() != "nix" && is_file(what)
    }

    /// What becomes of something on the command line that does not load.
    fn unloaded(&self, failure: Failure) -> Result<(), Failure> {
        if !self.host.start.attended {
            return Err(failure);
        }
        self.report(&failure);
        Ok(())
    }

    /// The values of `--file` and `--expr`.
    fn load_values(&mut self) -> Result<(), Failure> {
        let whole = [OsString::from(".")];
        let what = match &self.host.start.what[..] {
            [] => &whole[..],
            what => what,
        };
        for attribute in what {
            let name = attribute.to_string_lossy();
            let name = if name == "." { "" } else { &name };
            self.say(&format!("Loading installable '{name}'..."));
            let loaded = self
                .start_value(name.as_bytes())
                .and_then(|value| self.add_attributes(value));
            match loaded {
                Ok(()) => self.steps.push(Step::Value(name.to_owned())),
                Err(failure) => self.unloaded(failure)?,
            }
        }
        Ok(())
    }

    /// The value at an attribute path of `--file` or `--expr`. Functions of files are called.
    pub fn start_value(&mut self, path: &[u8]) -> Result<Value, Failure> {
        let host = self.host;
        let root = match (&host.start.file, &host.start.expr) {
            (Some(file), _) => {
                let value = self.file_value(file)?;
                let called = self.vm.auto_call(&host.auto_args, value);
                self.check(called)?
            }
            (None, expr) => {
                let text = expr.as_deref().unwrap_or_default().as_bytes();
                let base = self.base_dir();
                let value = self.vm.eval_text(Origin::String, text, &base);
                self.check(value)?
            }
        };
        let found = self.vm.find_along(path, &host.auto_args, root);
        Ok(self.check(found)?.0)
    }

    fn file_value(&mut self, file: &OsStr) -> Result<Value, Failure> {
        if file == "-" {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut text)?;
            let base = self.base_dir();
            let value = self.vm.eval_text(Origin::Stdin, &text, &base);
            return self.check(value);
        }
        let path = eval_session::file_of(self.vm, file)?;
        let value = self.vm.eval_file(&path);
        self.check(value)
    }

    /// Loads a file. `:reload` loads it again from then on.
    pub fn load_file(&mut self, file: &OsStr) -> Result<(), Failure> {
        let file = match file.as_bytes().strip_prefix(b"~/") {
            Some(rest) => self
                .host
                .invocation
                .settings
                .places
                .home
                .join(OsStr::from_bytes(rest))
                .into_os_string(),
            None => file.to_owned(),
        };
        let value = self.file_value(&file)?;
        let value = self.vm.auto_call(&self.host.auto_args, value);
        let value = self.check(value)?;
        self.add_attributes(value)?;
        self.files.retain(|other| *other != file);
        self.files.push(file.clone());
        self.steps.push(Step::File(file));
        Ok(())
    }

    /// Loads a flake's outputs. `:reload` loads it again from then on.
    pub fn load_flake(&mut self, reference: &str) -> Result<(), Failure> {
        if reference.is_empty() {
            return Err(Failure::message(
                "cannot use ':load-flake' without a path specified. (Use '.' for the current working directory.)",
            ));
        }
        let options = ParseOptions {
            allow_missing: true,
            ..ParseOptions::default()
        };
        let (parsed, _) = self.parse_flake_ref(reference, options)?;
        let flake = self.flake(&parsed)?;
        self.add_attributes(flake)?;
        self.flakes.retain(|other| other != reference);
        self.flakes.push(reference.to_owned());
        self.steps.push(Step::Flake(reference.to_owned()));
        Ok(())
    }

    /// Loads the flake, or the output of it, that an argument names.
    pub fn load_installable(&mut self, what: &str) -> Result<(), Failure> {
        let (reference, fragment) = self.parse_flake_ref(what, ParseOptions::default())?;
        self.say(&format!("Loading installable '{reference}#{fragment}'..."));
        let flake = self.flake(&reference)?;
        let outputs = flake
            .as_attrs()
            .and_then(|flake| flake.get(symbol::intern(b"outputs")))
            .ok_or_else(|| Failure::message("flake has no outputs"))?;
        let lookup = Lookup {
            defaults: vec![String::new()],
            ..Lookup::packages(&self.host.invocation)
        };
        let paths = lookup.attr_paths(&fragment);
        let found = find_all(self.vm, outputs, &paths, &reference);
        let value = self.check(found)?.swap_remove(0).value;
        self.add_attributes(value)?;
        self.steps.push(Step::Installable(what.to_owned()));
        Ok(())
    }

    /// A reference to a flake that does not depend on the working directory, and what follows `#`.
    fn parse_flake_ref(
        &self,
        text: &str,
        options: ParseOptions<'_>,
    ) -> Result<(FlakeRef, String), Failure> {
        let base = self.base_dir();
        let options = ParseOptions {
            base: Some(Path::new(OsStr::from_bytes(&base))),
            ..options
        };
        Ok(FlakeRef::parse_with_fragment(text, options)?)
    }

    /// The value of a flake: its outputs with what is known of it.
    fn flake(&mut self, reference: &FlakeRef) -> Result<Value, Failure> {
        let flakes = Feature::Flakes;
        if !self.host.invocation.settings.enabled(flakes) {
            return Err(FeatureDisabled(flakes).into());
        }
        let text = "reference: builtins.getFlake reference";
        let origin = Origin::Internal("load-flake.nix");
        let function = self.vm.eval_text(origin, text.as_bytes(), b"/");
        let function = self.check(function)?;
        let reference = self.vm.str(reference.to_string().as_bytes());
        let value = self.vm.call(function, &[reference]);
        let value = self.check(value)?;
        let value = self.vm.force(value);
        self.check(value)
    }
}

/// Whether an argument is a file with an expression, not a flake.
fn is_file(what: &OsStr) -> bool {
    let bytes = what.as_bytes();
    if bytes.starts_with(b"<") && bytes.ends_with(b">") {
        return true;
    }
    let path = Path::new(what);
    path.is_file() || (path.join("default.nix").is_file() && !path.join("flake.nix").is_file())
}
