//! `rx registry …`: what short names of flakes stand for.

use std::path::PathBuf;

use rx_eval::flakes;
use rx_store::fetch::attrs::Attrs;
use rx_store::fetch::flake_ref::{FlakeRef, ParseOptions};
use rx_store::fetch::registry::{Kind, Registry, Use, registries, user_registry_path};
use rx_store::progress::warn;

use crate::cli::{Category, EvalOptions, Invocation, Subcommand};
use crate::eval_session::with_session;
use crate::ui::{self, Failure};

fn reference(text: &str) -> Result<FlakeRef, Failure> {
    Ok(FlakeRef::parse(text, ParseOptions::default())?)
}

/// Which registry is changed.
#[derive(clap::Args)]
pub struct RegistryFile {
    /// The registry to change, instead of the user's.
    #[arg(long, value_name = "FILE")]
    registry: Option<PathBuf>,
}

impl RegistryFile {
    fn read(&self, invocation: &Invocation) -> (PathBuf, Registry) {
        match &self.registry {
            Some(path) => (path.clone(), Registry::read(path, Kind::Custom)),
            None => {
                let path = user_registry_path(&invocation.settings);
                let registry = Registry::read(&path, Kind::User);
                (path, registry)
            }
        }
    }
}

fn extra_attributes(reference: &FlakeRef) -> Attrs {
    match reference.subdir.as_str() {
        "" => Attrs::new(),
        dir => Attrs::new().with("dir", dir),
    }
}

/// Arguments of `rx registry list`.
#[derive(clap::Args)]
pub struct RegistryList {
    #[command(flatten)]
    options: EvalOptions,
}

impl Subcommand for RegistryList {
    const PATH: &'static str = "registry list";
    const ABOUT: &'static str = "List the names of all registries";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        with_session(invocation, &self.options, true, |session| {
            let fetcher = session.vm.fetcher();
            let mut out = String::new();
            for registry in registries(session.check(fetcher)?)? {
                let kind = match registry.kind {
                    Kind::Flag => "flags ",
                    Kind::User => "user  ",
                    Kind::System => "system",
                    _ => "global",
                };
                for entry in &registry.entries {
                    let to = FlakeRef {
                        input: entry.to.clone(),
                        subdir: entry.extra.str_opt("dir")?.unwrap_or_default().to_owned(),
                    };
                    out += &format!("{kind} {} {to}\n", entry.from.to_url()?);
                }
            }
            ui::print(&out)
        })
    }
}

/// Arguments of `rx registry add`.
#[derive(clap::Args)]
pub struct RegistryAdd {
    #[command(flatten)]
    file: RegistryFile,
    /// The name.
    #[arg(value_name = "FROM")]
    from: String,
    /// What it stands for.
    #[arg(value_name = "TO")]
    to: String,
}

impl Subcommand for RegistryAdd {
    const PATH: &'static str = "registry add";
    const ABOUT: &'static str = "Let a name stand for a flake";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (from, to) = (reference(&self.from)?, reference(&self.to)?);
        let (path, mut registry) = self.file.read(invocation);
        registry.remove(&from.input);
        let extra = extra_attributes(&to);
        registry.add(from.input, to.input, extra);
        Ok(registry.write(&path)?)
    }
}

/// Arguments of `rx registry remove`.
#[derive(clap::Args)]
pub struct RegistryRemove {
    #[command(flatten)]
    file: RegistryFile,
    /// The name.
    #[arg(value_name = "NAME")]
    name: String,
}

impl Subcommand for RegistryRemove {
    const PATH: &'static str = "registry remove";
    const ABOUT: &'static str = "Remove a name from a registry";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (path, mut registry) = self.file.read(invocation);
        registry.remove(&reference(&self.name)?.input);
        Ok(registry.write(&path)?)
    }
}

/// Arguments of `rx registry pin`.
#[derive(clap::Args)]
pub struct RegistryPin {
    #[command(flatten)]
    file: RegistryFile,
    #[command(flatten)]
    options: EvalOptions,
    /// The name.
    #[arg(value_name = "NAME")]
    name: String,
    /// The flake whose present state the name shall stand for; what it stands for now unless given.
    #[arg(value_name = "FLAKE")]
    flake: Option<String>,
}

impl Subcommand for RegistryPin {
    const PATH: &'static str = "registry pin";
    const ABOUT: &'static str = "Let a name stand for the present state of a flake";
    const CATEGORY: Category = Category::Secondary;
    const IMPURE: bool = true;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        with_session(invocation, &self.options, false, |session| {
            let name = reference(&self.name)?;
            let target = reference(self.flake.as_ref().unwrap_or(&self.name))?;
            let resolved = flakes::resolve(&mut session.vm, &target, Use::All);
            let resolved = session.check(resolved)?;
            let fetched = session.vm.fetch_input(&resolved.input);
            let mut locked = session.check(fetched)?.input;
            locked.attrs.remove("__final");
            if !locked.is_locked(invocation.settings.trust_tarballs_from_git_forges) {
                warn(format_args!("flake '{}' is not locked", locked.show()));
            }
            let (path, mut registry) = self.file.read(invocation);
            registry.remove(&name.input);
            let extra = extra_attributes(&name);
            registry.add(name.input, locked, extra);
            Ok(registry.write(&path)?)
        })
    }
}

/// Arguments of `rx registry resolve`.
#[derive(clap::Args)]
pub struct RegistryResolve {
    #[command(flatten)]
    options: EvalOptions,
    /// Names, or other flake references.
    #[arg(value_name = "FLAKE")]
    flakes: Vec<String>,
}

impl Subcommand for RegistryResolve {
    const PATH: &'static str = "registry resolve";
    const ABOUT: &'static str = "Say what names stand for";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        with_session(invocation, &self.options, true, |session| {
            for text in &self.flakes {
                let resolved = flakes::resolve(&mut session.vm, &reference(text)?, Use::All);
                ui::print(&format!("{}\n", session.check(resolved)?))?;
            }
            Ok(())
        })
    }
}
