//! Making a machine run another configuration: the profile of the system moves on, and the system's own program
//! (`bin/switch-to-configuration`) starts, stops and reloads what differs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rx_store::path::StorePath;
use rx_store::profile::{Change, Generations};
use rx_store::progress;
use rx_store::store::Store;

use super::{OsSource, system_profile};
use crate::cli::{Category, Invocation, Subcommand};
use crate::commands::home::build_output;
use crate::execute::Program;
use crate::realise::Run;
use crate::store_session::{open_store, shown};
use crate::ui::{self, Failure, UsageError};

/// What happens to the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    /// Now, and at every start.
    Switch,
    /// At the next start.
    Boot,
    /// Now, until the next start.
    Test,
    /// Nothing; it is said what would happen.
    DryActivate,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Action::Switch => "switch",
            Action::Boot => "boot",
            Action::Test => "test",
            Action::DryActivate => "dry-activate",
        }
    }

    /// Whether the system's profile gets a generation.
    fn lasts(self) -> bool {
        matches!(self, Action::Switch | Action::Boot)
    }
}

/// How a system is activated.
#[derive(clap::Args)]
struct Activation {
    /// Activate this specialisation of the configuration.
    #[arg(long, alias = "specialization", short = 'c', value_name = "NAME")]
    specialisation: Option<String>,
    /// Make a generation of another profile of the system, which the boot menu shows apart.
    #[arg(long, short, value_name = "NAME")]
    profile_name: Option<String>,
    /// Install the boot loader anew.
    #[arg(long)]
    install_bootloader: bool,
}

/// What makes a system the one that the machine runs.
#[derive(clap::Args)]
struct Transition {
    #[command(flatten)]
    source: OsSource,
    /// Go back to the generation before the current one.
    #[arg(long)]
    rollback: bool,
    #[command(flatten)]
    activation: Activation,
}

impl Transition {
    fn run(&self, invocation: &Invocation, action: Action) -> Result<(), Failure> {
        let activation = &self.activation;
        if self.rollback {
            return activation.roll_back(invocation, None, action);
        }
        let profile = activation.profile(invocation)?;
        let (derivation, store) = self.source.system(invocation)?;
        let Some(output) = build_output(&*store, invocation, &derivation, Run::Real)? else {
            return Ok(());
        };
        store.add_temp_root(&output)?;
        ui::show_changes(&*store, &profile, &BTreeSet::from([output.clone()]));
        activation.check(&*store, &output)?;
        if action.lasts() {
            Generations::add(&*store, &profile, &output)?;
        }
        activation.activate(&*store, &shown(&*store, &output), action)
    }
}

impl Activation {
    fn profile(&self, invocation: &Invocation) -> Result<PathBuf, Failure> {
        let usual = system_profile(invocation);
        let Some(name) = self.profile_name.as_ref().filter(|name| *name != "system") else {
            return Ok(usual);
        };
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(UsageError::new(format!("'{name}' is no name of a profile")).into());
        }
        let profile = usual.with_file_name("system-profiles").join(name);
        if let Some(directory) = profile.parent() {
            std::fs::create_dir_all(directory)?;
        }
        Ok(profile)
    }

    fn inside(&self, system: &Path) -> PathBuf {
        match &self.specialisation {
            Some(name) => system.join("specialisation").join(name),
            None => system.to_owned(),
        }
    }

    /// What cannot be activated must not become a generation.
    fn check(&self, store: &dyn Store, system: &StorePath) -> Result<(), Failure> {
        let Some(real) = store.real_path(system) else {
            return Ok(());
        };
        if self.inside(&real).symlink_metadata().is_ok() {
            return Ok(());
        }
        let name = self.specialisation.as_deref().unwrap_or_default();
        Err(UsageError::new(format!("the system has no specialisation '{name}'")).into())
    }

    /// Activates an earlier generation: the one before the current if none is named. The profile goes back to it if
    /// that is to last.
    fn roll_back(
        &self,
        invocation: &Invocation,
        number: Option<u64>,
        action: Action,
    ) -> Result<(), Failure> {
        let store = open_store(invocation)?;
        let profile = self.profile(invocation)?;
        let generations = Generations::of(&profile)?;
        let generation = match number {
            Some(number) => generations.get(number)?,
            None => generations.before_current()?,
        };
        let system = std::fs::read_link(&generation.link)?;
        if let Ok(path) = store.dir().parse(system.as_os_str().as_encoded_bytes()) {
            self.check(&*store, &path)?;
            if !action.lasts() {
                ui::show_changes(&*store, &profile, &BTreeSet::from([path]));
            }
        }
        if action.lasts() {
            let number = Some(generation.number);
            crate::commands::env::switch_generation(invocation, &profile, number, Change::Made)?;
        }
        self.activate(&*store, &system, action)
    }

    /// Runs the system's program.
    fn activate(&self, store: &dyn Store, system: &Path, action: Action) -> Result<(), Failure> {
        let script = self.inside(system).join("bin/switch-to-configuration");
        let mut program = Program::new(script, vec![action.name().into()]);
        let mut environment: Vec<_> = std::env::vars_os().collect();
        let install = if self.install_bootloader { "1" } else { "0" };
        environment.retain(|(name, _)| name != "NIXOS_INSTALL_BOOTLOADER");
        environment.push(("NIXOS_INSTALL_BOOTLOADER".into(), install.into()));
        program.environment = Some(environment);
        let status = program.run(store)?;
        if status.success() {
            return Ok(());
        }
        progress::log(
            progress::Level::Error,
            format_args!("activating the system failed: {status}"),
        );
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Err(Failure::Status(code.unwrap_or(1)))
    }
}

macro_rules! commands {
    ($($type:ident $path:literal $action:ident $doc:literal $about:literal;)*) => { $(
        #[doc = $doc]
        #[derive(clap::Args)]
        pub struct $type {
            #[command(flatten)]
            transition: Transition,
        }

        impl Subcommand for $type {
            const PATH: &'static str = $path;
            const ABOUT: &'static str = $about;
            const CATEGORY: Category = Category::Main;

            fn run(self, invocation: &Invocation) -> Result<(), Failure> {
                self.transition.run(invocation, Action::$action)
            }
        }
    )* };
}

commands! {
    OsSwitch "os switch" Switch "Arguments of `rx os switch`."
        "Build the configuration of this system, activate it, and start with it from now on";
    OsBoot "os boot" Boot "Arguments of `rx os boot`."
        "Build the configuration of this system and start with it next time";
    OsTest "os test" Test "Arguments of `rx os test`."
        "Build the configuration of this system and activate it until the next start";
    OsDryActivate "os dry-activate" DryActivate "Arguments of `rx os dry-activate`."
        "Build the configuration of this system and say what activating it would change";
}

/// Arguments of `rx os rollback`.
#[derive(clap::Args)]
pub struct OsRollback {
    #[command(flatten)]
    activation: Activation,
    /// The generation to go back to, instead of the one before the current.
    #[arg(long, value_name = "NUMBER")]
    to: Option<u64>,
}

impl Subcommand for OsRollback {
    const PATH: &'static str = "os rollback";
    const ABOUT: &'static str = "Activate an earlier generation of the system";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        self.activation
            .roll_back(invocation, self.to, Action::Switch)
    }
}
