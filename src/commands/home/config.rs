//! Which configuration of a home is meant, and what it evaluates to.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rx_eval::Value;
use rx_eval::packages::Assertions;
use rx_store::path::StorePath;
use rx_store::progress;
use rx_store::store::Store;

use crate::cli::{AutoArg, EvalOptions, Invocation};
use crate::commands::configuration::{ConfigurationFlake, flake_directory, host_name};
use crate::commands::repl::Start;
use crate::eval_session::{EvalSession, with_session};
use crate::installables::LockOptions;
use crate::ui::{Failure, UsageError};

/// The file of Home Manager that evaluates a configuration.
const ENTRY: &str = "<home-manager/home-manager/home-manager.nix>";

/// Which configuration is meant.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct HomeSource {
    /// The configuration; otherwise $HOME_MANAGER_CONFIG, or home-manager/home.nix in the configuration directory.
    #[arg(long, short, value_name = "FILE", conflicts_with = "flake")]
    file: Option<PathBuf>,
    /// An attribute of the file that is the configuration.
    #[arg(long, short = 'A', value_name = "NAME", conflicts_with = "flake")]
    attr: Option<OsString>,
    /// A flake with homeConfigurations; `#NAME` after it selects one.
    #[arg(long, value_name = "FLAKE")]
    flake: Option<OsString>,
    #[command(flatten)]
    lock: LockOptions,
    #[command(flatten)]
    options: EvalOptions,
}

/// The user's directory of configurations.
pub fn configuration_directory(invocation: &Invocation) -> PathBuf {
    match std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()) {
        Some(path) => path.into(),
        None => invocation.settings.places.home.join(".config"),
    }
}

/// The directory of a user's data.
pub fn data_directory(invocation: &Invocation) -> PathBuf {
    let base = match std::env::var_os("XDG_DATA_HOME").filter(|path| !path.is_empty()) {
        Some(path) => path.into(),
        None => invocation.settings.places.home.join(".local/share"),
    };
    base.join("home-manager")
}

/// The name of the user whose home it is.
pub fn user_name() -> String {
    std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| rustix::process::getuid().as_raw().to_string())
}

impl HomeSource {
    /// A file.
    pub fn of_file(file: PathBuf) -> HomeSource {
        HomeSource {
            file: Some(file),
            ..HomeSource::default()
        }
    }

    /// The same evaluated with other options.
    pub fn with_options(self, options: EvalOptions) -> HomeSource {
        HomeSource { options, ..self }
    }

    /// A flake.
    pub fn of_flake(flake: OsString) -> HomeSource {
        HomeSource {
            flake: Some(flake),
            ..HomeSource::default()
        }
    }

    /// The file that is the configuration.
    pub fn file(&self, invocation: &Invocation) -> Result<PathBuf, Failure> {
        let named = self
            .file
            .clone()
            .or_else(|| std::env::var_os("HOME_MANAGER_CONFIG").map(PathBuf::from));
        if let Some(file) = named {
            return std::fs::canonicalize(&file).map_err(|_| {
                Failure::message(format!("No configuration file found at {}", file.display()))
            });
        }
        let base = configuration_directory(invocation);
        let usual = base.join("home-manager/home.nix");
        let old = [
            base.join("nixpkgs/home.nix"),
            invocation.settings.places.home.join(".nixpkgs/home.nix"),
        ];
        if let Ok(file) = std::fs::canonicalize(&usual) {
            return Ok(file);
        }
        for file in old {
            if let Ok(found) = std::fs::canonicalize(&file) {
                progress::warn(format_args!(
                    "'{}' is an old place for the configuration of a home; please move it to '{}'",
                    file.display(),
                    usual.display()
                ));
                return Ok(found);
            }
        }
        Err(UsageError::new(format!(
            "No configuration file found. Please create one at {}",
            usual.display()
        ))
        .hint("'rx home init' writes one")
        .into())
    }

    /// The flake that is the configuration, if it is one: the one named, or the one beside the usual file.
    fn flake(&self, invocation: &Invocation) -> Option<ConfigurationFlake<'_>> {
        let user = user_name();
        Some(ConfigurationFlake {
            flake: self.flake_reference(invocation)?,
            lock: &self.lock,
            output: "homeConfigurations",
            names: vec![format!("{user}@{}", host_name()), user],
        })
    }

    fn flake_reference(&self, invocation: &Invocation) -> Option<OsString> {
        if self.flake.is_some() {
            return self.flake.clone();
        }
        if self.file.is_some()
            || self.attr.is_some()
            || std::env::var_os("HOME_MANAGER_CONFIG").is_some()
        {
            return None;
        }
        let directory = configuration_directory(invocation).join("home-manager");
        Some(flake_directory(&directory.join("flake.nix"))?.into_os_string())
    }

    /// Evaluates the configuration and hands it on: a set with `activationPackage`, `config`, `options`.
    pub fn with<T>(
        &self,
        invocation: &Invocation,
        read_only: bool,
        run: impl FnOnce(&mut EvalSession, Value) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(flake) = self.flake(invocation) {
            return flake.with(invocation, &self.options, read_only, run);
        }
        let mut invocation = invocation.clone();
        Arc::make_mut(&mut invocation.settings).pure_eval = false;
        let options = self.options_of_file(&invocation)?;
        with_session(&invocation, &options, read_only, |session| {
            session.lookup(b"home-manager").map_err(|_| {
                Failure::from(
                    UsageError::new("Home Manager was not found in the search path").hint(
                        "add its channel with 'rx-channel --add URL home-manager', or give its place with '-I home-manager=DIRECTORY'",
                    ),
                )
            })?;
            let value = session.eval_file(ENTRY.as_ref())?;
            let called = session.vm.auto_call(&session.auto_args, value);
            let value = session.check(called)?;
            run(session, value)
        })
    }

    /// The arguments that Home Manager is called with for a configuration in a file.
    fn options_of_file(&self, invocation: &Invocation) -> Result<EvalOptions, Failure> {
        let file = self.file(invocation)?;
        let mut options = self.options.clone();
        let attr = self.attr.clone().unwrap_or_default();
        for (name, value) in [("confPath", file.into_os_string()), ("confAttr", attr)] {
            options
                .auto_args
                .push((name.to_owned(), AutoArg::Text(value)));
        }
        Ok(options)
    }

    /// What a session about the configuration begins with.
    pub fn start(&self, invocation: &Invocation) -> Result<(Start, EvalOptions), Failure> {
        if let Some(flake) = self.flake(invocation) {
            return Ok((flake.start()?, self.options.clone()));
        }
        let start = Start {
            file: Some(ENTRY.into()),
            ..Start::default()
        };
        Ok((start, self.options_of_file(invocation)?))
    }

    /// The derivation of the activation package, and the store that it is in.
    pub fn activation(
        &self,
        invocation: &Invocation,
    ) -> Result<(StorePath, Arc<dyn Store>), Failure> {
        let (derivation, store, ()) = self.activation_with(invocation, |_, _| ())?;
        Ok((derivation, store))
    }

    /// The same with something else of the configuration, which is evaluated already.
    pub fn activation_with<T>(
        &self,
        invocation: &Invocation,
        more: impl FnOnce(&mut EvalSession, Value) -> T,
    ) -> Result<(StorePath, Arc<dyn Store>, T), Failure> {
        let found = self.with(invocation, false, |session, value| {
            let derivation = derivation_at(session, value, b"activationPackage")?;
            let more = more(session, value);
            Ok((derivation, session.store()?, more))
        })?;
        found.1.flush()?;
        Ok(found)
    }
}

/// The derivation at an attribute path.
pub fn derivation_at(
    session: &mut EvalSession,
    root: Value,
    path: &[u8],
) -> Result<StorePath, Failure> {
    let found = session.vm.find_along(path, &[], root);
    let (value, _) = session.check(found)?;
    let package = session.vm.as_package(value, Assertions::Fail);
    let package = session.check(package)?.ok_or_else(|| {
        Failure::message(format!(
            "'{}' is no derivation",
            String::from_utf8_lossy(path)
        ))
    })?;
    let derivation = package.drv_path(&mut session.vm);
    session.check(derivation)
}

/// The profile whose generations are those of the home.
pub fn home_profile(invocation: &Invocation) -> PathBuf {
    let places = &invocation.settings.places;
    let own = places.user_state_dir.join("profiles");
    let shared = places.state_dir.join("profiles/per-user").join(user_name());
    let directory = if !own.is_dir() && shared.is_dir() {
        shared
    } else {
        own
    };
    directory.join("home-manager")
}

/// A file below a store object that a link of a profile points to, on this machine's disk.
pub fn in_generation(store: &dyn Store, link: &Path, inside: &str) -> Option<PathBuf> {
    let target = std::fs::read_link(link).ok()?;
    let (object, _) = store.dir().split(target.as_os_str().as_bytes()).ok()?;
    Some(store.real_path(&object)?.join(inside))
}
