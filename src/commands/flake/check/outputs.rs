//! Which rule counts for which output of a flake.

use rx_eval::error::Context as _;
use rx_eval::{Pos, Result, Value};
use rx_store::path::StorePath;
use rx_store::progress::{Activity, ActivityKind, Level, warn};

use super::{Run, broken};

/// A rule for one thing.
type Rule = fn(&mut Run<'_>, &str, Value, Pos) -> Result<()>;

/// How the things of an output are arranged, and what each has to be.
enum Kind {
    /// The output itself.
    One(Rule),
    /// `OUTPUT.NAME`
    Named(Rule),
    /// `OUTPUT.SYSTEM`
    System(Rule),
    /// `OUTPUT.SYSTEM.NAME`
    SystemNamed(Rule),
    /// `legacyPackages`: only the names of systems are looked at.
    Systems,
    /// Other programs know what it has to be.
    Foreign,
    Unknown,
}

fn derivation(run: &mut Run<'_>, path: &str, value: Value, pos: Pos) -> Result<()> {
    run.derivation(path, value, pos).map(drop)
}

/// A derivation that is to be built if it is for this system.
fn check(run: &mut Run<'_>, path: &str, value: Value, pos: Pos) -> Result<()> {
    let drv: Option<StorePath> = run.derivation(path, value, pos)?;
    if let Some(drv) = drv
        && path.split('.').nth(1) == Some(&run.system)
    {
        let paths = run.checks.derivations.entry(drv).or_default();
        paths.push(path.to_owned());
    }
    Ok(())
}

fn kind_of(output: &str) -> Kind {
    match output {
        "checks" => Kind::SystemNamed(check),
        "packages" | "devShells" => Kind::SystemNamed(derivation),
        "formatter" | "defaultPackage" | "devShell" => Kind::System(derivation),
        "apps" => Kind::SystemNamed(|run, path, value, pos| run.app(path, value, pos)),
        "defaultApp" => Kind::System(|run, path, value, pos| run.app(path, value, pos)),
        "legacyPackages" => Kind::Systems,
        "overlay" => Kind::One(|run, path, value, pos| run.overlay(path, value, pos)),
        "overlays" => Kind::Named(|run, path, value, pos| run.overlay(path, value, pos)),
        "nixosModule" => Kind::One(|run, path, value, pos| run.module(path, value, pos)),
        "nixosModules" => Kind::Named(|run, path, value, pos| run.module(path, value, pos)),
        "nixosConfigurations" => {
            Kind::Named(|run, path, value, pos| run.nixos_configuration(path, value, pos))
        }
        "hydraJobs" => Kind::One(|run, path, value, pos| run.hydra_jobs(path, value, pos)),
        "defaultTemplate" => Kind::One(|run, path, value, pos| run.template(path, value, pos)),
        "templates" => Kind::Named(|run, path, value, pos| run.template(path, value, pos)),
        "defaultBundler" => Kind::System(|run, path, value, pos| run.bundler(path, value, pos)),
        "bundlers" => Kind::SystemNamed(|run, path, value, pos| run.bundler(path, value, pos)),
        "lib"
        | "darwinConfigurations"
        | "darwinModules"
        | "flakeModule"
        | "flakeModules"
        | "herculesCI"
        | "homeConfigurations"
        | "homeModule"
        | "homeModules"
        | "nixopsConfigurations" => Kind::Foreign,
        _ => Kind::Unknown,
    }
}

/// What took the place of an output.
fn replacement(output: &str) -> Option<&'static str> {
    Some(match output {
        "defaultPackage" => "packages.<system>.default",
        "defaultApp" => "apps.<system>.default",
        "defaultTemplate" => "templates.default",
        "defaultBundler" => "bundlers.<system>.default",
        "overlay" => "overlays.default",
        "devShell" => "devShells.<system>.default",
        "nixosModule" => "nixosModules.default",
        _ => return None,
    })
}

impl Run<'_> {
    /// All outputs of a flake. Hydra's jobs come first: they may be all that somebody is waiting for.
    pub(super) fn outputs(&mut self, outputs: Value) -> Result<()> {
        let mut outputs = self.attributes(outputs, Pos::NONE)?;
        outputs.sort_by_key(|(name, ..)| name != "hydraJobs");
        for (name, value, pos) in outputs {
            let activity = Activity::start(
                Level::Info,
                ActivityKind::Unknown,
                format!("checking flake output '{name}'"),
                &[],
            );
            let entered = activity.enter();
            if !self.import_is_chosen {
                self.session.vm.import_from_derivation = name != "hydraJobs";
            }
            let result = self
                .output(&name, value, pos)
                .context(pos, || format!("while checking flake output '{name}'"));
            drop(entered);
            self.told(result)?;
        }
        Ok(())
    }

    fn output(&mut self, name: &str, value: Value, pos: Pos) -> Result<()> {
        self.session.vm.force(value)?;
        if let Some(replacement) = replacement(name) {
            warn(format_args!(
                "flake output attribute '{name}' is deprecated; use '{replacement}' instead"
            ));
        }
        match kind_of(name) {
            Kind::One(rule) => rule(self, name, value, pos),
            Kind::Named(rule) => self.named(rule, name, value, pos),
            Kind::System(rule) => {
                for (system, value, pos) in self.systems(value, pos)? {
                    rule(self, &format!("{name}.{system}"), value, pos)?;
                }
                Ok(())
            }
            Kind::SystemNamed(rule) => {
                for (system, value, pos) in self.systems(value, pos)? {
                    self.named(rule, &format!("{name}.{system}"), value, pos)?;
                }
                Ok(())
            }
            Kind::Systems => self.systems(value, pos).map(drop),
            Kind::Foreign => Ok(()),
            Kind::Unknown => {
                warn(format_args!("unknown flake output '{name}'"));
                Ok(())
            }
        }
    }

    fn named(&mut self, rule: Rule, path: &str, value: Value, pos: Pos) -> Result<()> {
        for (name, value, pos) in self.attributes(value, pos)? {
            rule(self, &format!("{path}.{name}"), value, pos)?;
        }
        Ok(())
    }

    /// The systems of an output that are to be looked at.
    fn systems(&mut self, value: Value, pos: Pos) -> Result<Vec<(String, Value, Pos)>> {
        let mut systems = Vec::new();
        for (system, value, pos) in self.attributes(value, pos)? {
            if !system.contains('-') {
                let place = self.session.vm.ev.describe_pos(pos);
                let error = broken(format!(
                    "'{system}' is not a valid system type, at {}",
                    String::from_utf8_lossy(&place)
                ));
                self.told::<()>(error)?;
            }
            if self.all_systems || system == self.system {
                systems.push((system, value, pos));
            } else {
                self.checks.omitted.insert(system);
            }
        }
        Ok(systems)
    }
}
