//! Building a home and activating it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rx_store::path::StorePath;
use rx_store::profile::{Change, Generations};
use rx_store::progress;
use rx_store::scratch::Scratch;
use rx_store::store::{BuildMode, DerivedPath, OutputsSpec, Store};

use super::config::{HomeSource, home_profile};
use super::news;
use crate::cli::{CLASSIC_NAMES, Category, Invocation, LinkOptions, Subcommand};
use crate::execute::{Program, quote};
use crate::realise::{Run, plain_failure, realise};
use crate::store_session::{open_store, shown};
use crate::ui::{self, Failure};

/// Builds a derivation and gives its output.
pub fn build_output(
    store: &dyn Store,
    invocation: &Invocation,
    derivation: &StorePath,
    run: Run,
) -> Result<Option<StorePath>, Failure> {
    store.add_temp_root(derivation)?;
    let wanted = [DerivedPath::built(
        derivation.clone(),
        OutputsSpec::Names(BTreeSet::from(["out".to_owned()])),
    )];
    realise(
        store,
        &invocation.settings,
        &wanted,
        BuildMode::Normal,
        run,
        plain_failure,
    )?;
    if run == Run::Dry {
        return Ok(None);
    }
    let outputs = store.query_derivation_outputs(derivation)?;
    let output = outputs.get("out").cloned().flatten();
    output
        .map(Some)
        .ok_or_else(|| Failure::message("the configuration was built to nothing"))
}

/// Arguments of `rx home build`.
#[derive(clap::Args)]
pub struct HomeBuild {
    #[command(flatten)]
    source: HomeSource,
    /// Only say what would be built and fetched.
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    link: LinkOptions,
}

impl Subcommand for HomeBuild {
    const PATH: &'static str = "home build";
    const ABOUT: &'static str = "Build the configuration of a home without activating it";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (derivation, store, news) = self
            .source
            .activation_with(invocation, news::announcement)?;
        let run = Run::unless(self.dry_run);
        let Some(output) = build_output(&*store, invocation, &derivation, run)? else {
            return Ok(());
        };
        if let Some(link) = self.link.base()? {
            store.add_permanent_root(&output, &link)?;
        }
        ui::show_changes(
            &*store,
            &home_profile(invocation),
            &BTreeSet::from([output.clone()]),
        );
        ui::print(&format!("{}\n", shown(&*store, &output).display()))?;
        news::announce(news);
        Ok(())
    }
}

/// Arguments of `rx home instantiate`.
#[derive(clap::Args)]
pub struct HomeInstantiate {
    #[command(flatten)]
    source: HomeSource,
}

impl Subcommand for HomeInstantiate {
    const PATH: &'static str = "home instantiate";
    const ABOUT: &'static str = "Evaluate the configuration of a home and print its derivation";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (derivation, store) = self.source.activation(invocation)?;
        ui::print(&format!("{}\n", store.dir().display(&derivation)))
    }
}

/// How a generation is activated.
#[derive(clap::Args, Default)]
pub struct Activation {
    /// Say what would be done and change nothing.
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Activate this specialisation of the configuration.
    #[arg(long, short = 'c', alias = "specialization", value_name = "NAME")]
    specialisation: Option<String>,
    /// Keep files that are in the way under their name with this ending.
    #[arg(long, short = 'b', value_name = "ENDING")]
    backup_ext: Option<OsString>,
}

/// Arguments of `rx home switch`.
#[derive(clap::Args)]
pub struct HomeSwitch {
    #[command(flatten)]
    source: HomeSource,
    #[command(flatten)]
    activation: Activation,
    /// Go back to the generation before the current one.
    #[arg(long)]
    rollback: bool,
}

impl Subcommand for HomeSwitch {
    const PATH: &'static str = "home switch";
    const ABOUT: &'static str = "Build the configuration of a home and activate it";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        if self.rollback {
            return roll_back(invocation, &self.activation, None);
        }
        switch(invocation, &self.source, &self.activation)
    }
}

/// Builds a configuration and makes it the home.
pub fn switch(
    invocation: &Invocation,
    source: &HomeSource,
    activation: &Activation,
) -> Result<(), Failure> {
    let (derivation, store, news) = source.activation_with(invocation, news::announcement)?;
    let Some(output) = build_output(&*store, invocation, &derivation, Run::Real)? else {
        return Ok(());
    };
    store.add_temp_root(&output)?;
    let profile = home_profile(invocation);
    ui::show_changes(&*store, &profile, &BTreeSet::from([output.clone()]));
    // Configurations of old set their profile themselves.
    let sets_own_profile = store
        .real_path(&output)
        .is_some_and(|path| !path.join("gen-version").exists());
    if !activation.dry_run && !sets_own_profile {
        Generations::add(&*store, &profile, &output)?;
    }
    activation.activate(invocation, &*store, &shown(&*store, &output))?;
    news::announce(news);
    Ok(())
}

/// Arguments of `rx home rollback`.
#[derive(clap::Args)]
pub struct HomeRollback {
    #[command(flatten)]
    activation: Activation,
    /// The generation to go back to, instead of the one before the current.
    #[arg(long, value_name = "NUMBER")]
    to: Option<u64>,
}

impl Subcommand for HomeRollback {
    const PATH: &'static str = "home rollback";
    const ABOUT: &'static str = "Activate an earlier generation of the home";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        roll_back(invocation, &self.activation, self.to)
    }
}

fn roll_back(
    invocation: &Invocation,
    activation: &Activation,
    number: Option<u64>,
) -> Result<(), Failure> {
    let profile = home_profile(invocation);
    let change = Change::unless(activation.dry_run);
    crate::commands::env::switch_generation(invocation, &profile, number, change)?;
    let generations = Generations::of(&profile)?;
    let Some(current) = generations.current else {
        return Err(Failure::message("the home has no generations"));
    };
    let chosen = if activation.dry_run {
        match number {
            Some(number) => generations.get(number)?,
            None => generations.before_current()?,
        }
    } else {
        generations.get(current)?
    };
    let generation = std::fs::read_link(&chosen.link)?;
    let store = open_store(invocation)?;
    activation.activate(invocation, &*store, &generation)
}

impl Activation {
    /// One that may only say what it would do.
    pub fn dry(dry_run: bool) -> Activation {
        Activation {
            dry_run,
            ..Activation::default()
        }
    }

    /// Runs the script of a generation that links its files into the home.
    fn activate(
        &self,
        invocation: &Invocation,
        store: &dyn Store,
        generation: &Path,
    ) -> Result<(), Failure> {
        let script = match &self.specialisation {
            None => generation.join("activate"),
            Some(name) => generation
                .join("specialisation")
                .join(name)
                .join("activate"),
        };
        let commands = Scratch::new("rx-home-")?;
        write_commands(commands.path())?;
        let mut environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let mut set = |name: &str, value: OsString| {
            environment.retain(|(own, _)| own != name);
            environment.push((name.into(), value));
        };
        let mut path = vec![commands.path().to_owned()];
        if let Some(own) = std::env::var_os("PATH") {
            path.extend(std::env::split_paths(&own));
        }
        set("PATH", std::env::join_paths(path)?);
        set("USER", super::config::user_name().into());
        if invocation.settings.store != "auto" {
            set("NIX_REMOTE", invocation.settings.store.clone().into());
        }
        if self.dry_run {
            set("DRY_RUN", "1".into());
        }
        if progress::wanted(progress::Level::Talkative) {
            set("VERBOSE", "1".into());
        }
        if let Some(ending) = &self.backup_ext {
            set("HOME_MANAGER_BACKUP_EXT", ending.clone());
        }
        let mut program = Program::new(script, vec!["--driver-version".into(), "1".into()]);
        program.environment = Some(environment);
        let status = program.run(store)?;
        if status.success() {
            return Ok(());
        }
        progress::log(
            progress::Level::Error,
            format_args!("activating the home failed: {status}"),
        );
        Err(Failure::Status(
            status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1),
        ))
    }
}

/// Writes programs `nix-env`, `nix-store` … that are rx. Links would be resolved by scripts that look where
/// a command lies.
fn write_commands(directory: &Path) -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    let names = CLASSIC_NAMES.iter().map(|name| format!("nix-{name}"));
    for name in names.chain(["nix".to_owned()]) {
        let file = directory.join(&name);
        let mut text = b"#!/bin/sh\nexec ".to_vec();
        text.extend(quote(program.as_os_str()));
        text.extend(format!(" {} ", crate::cli::CALLED_AS).bytes());
        text.extend(quote(OsStr::new(&name)));
        text.extend_from_slice(b" \"$@\"\n");
        std::fs::write(&file, text)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
