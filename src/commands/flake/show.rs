//! `rx flake show`: what a flake offers, as a tree.

use rx_eval::Value;
use rx_lang::symbol;
use rx_store::progress::warn;
use serde_json::{Map, Value as Json};

use super::FlakeOptions;
use crate::cli::{Category, Invocation, JsonOptions, Subcommand};
use crate::eval_session::EvalSession;
use crate::installables::{attribute, flake_outputs};
use crate::ui::{self, Failure};

/// Arguments of `rx flake show`.
#[derive(clap::Args)]
pub struct FlakeShow {
    /// Show also `legacyPackages`.
    #[arg(long)]
    legacy: bool,
    /// Show what is for other systems, too.
    #[arg(long)]
    all_systems: bool,
    #[command(flatten)]
    json: JsonOptions,
    #[command(flatten)]
    flakes: FlakeOptions,
    /// The flake; that of the working directory unless given.
    #[arg(value_name = "FLAKE")]
    flake: Option<String>,
}

impl Subcommand for FlakeShow {
    const PATH: &'static str = "flake show";
    const ABOUT: &'static str = "Show what a flake offers";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let mut invocation = invocation.clone();
        std::sync::Arc::make_mut(&mut invocation.settings).allow_import_from_derivation = false;
        let system = invocation.settings.current_system().to_owned();
        self.flakes.session(&invocation, false, |session| {
            let locked = self.flakes.locked(session, self.flake.as_deref(), |_| {})?;
            let outputs = flake_outputs(session, &locked)?;
            let mut show = Show {
                session,
                legacy: self.legacy,
                all_systems: self.all_systems,
                json: self.json.json,
                system: &system,
            };
            let header = show.bold(&locked.flake.locked.to_string());
            let json = show.visit(outputs, &[], &header, "")?;
            match self.json.json {
                true => self.json.print(&Json::Object(json)),
                false => Ok(()),
            }
        })
    }
}

/// What an error says when a value needs something to be built first.
const IMPORT: &str =
    "during evaluation because the option 'allow-import-from-derivation' is disabled";

struct Show<'a> {
    session: &'a mut EvalSession,
    legacy: bool,
    all_systems: bool,
    json: bool,
    system: &'a str,
}

/// What stands at an attribute path, by the rules for outputs of flakes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A set whose attributes are shown.
    Set,
    /// A package, or something like it, for one system.
    Package,
    /// Anything below `hydraJobs`.
    Job,
    /// Anything below `legacyPackages`.
    Legacy,
    App,
    Template,
    /// Something else, with its type for programs and its name for people.
    Other(&'static str, &'static str),
}

fn kind_of(path: &[String]) -> Kind {
    let depth = path.len();
    let Some(first) = path.first().map(String::as_str) else {
        return Kind::Set;
    };
    match (first, depth) {
        (
            "defaultPackage"
            | "devShell"
            | "formatter"
            | "nixosConfigurations"
            | "nixosModules"
            | "defaultApp"
            | "templates"
            | "overlays",
            1,
        )
        | ("checks" | "packages" | "devShells" | "apps", 1 | 2) => Kind::Set,
        ("defaultPackage" | "devShell" | "formatter", 2)
        | ("checks" | "packages" | "devShells", 3) => Kind::Package,
        ("hydraJobs", _) => Kind::Job,
        ("legacyPackages", _) => Kind::Legacy,
        ("defaultApp", 2) | ("apps", 3) => Kind::App,
        ("defaultTemplate", 1) | ("templates", 2) => Kind::Template,
        ("overlay", 1) | ("overlays", 2) => Kind::Other("nixpkgs-overlay", "Nixpkgs overlay"),
        ("nixosConfigurations", 2) => Kind::Other("nixos-configuration", "NixOS configuration"),
        ("nixosModule", 1) | ("nixosModules", 2) => Kind::Other("nixos-module", "NixOS module"),
        _ => Kind::Other("unknown", "unknown"),
    }
}

impl Show<'_> {
    fn coloured(&self, text: &str, code: &str) -> String {
        ui::coloured(code, text)
    }

    fn bold(&self, text: &str) -> String {
        self.coloured(text, "1")
    }

    fn line(&self, text: &str) -> Result<(), Failure> {
        match self.json {
            true => Ok(()),
            false => ui::print(&format!("{text}\n")),
        }
    }

    fn attributes(&mut self, value: Value) -> Result<Vec<(String, Value)>, Failure> {
        let forced = self.session.vm.force(value);
        let value = self.session.check(forced)?;
        let Some(attrs) = value.as_attrs() else {
            let message = format!("expected a set but found {}", value.type_phrase());
            return Err(Failure::message(message));
        };
        let entries = attrs.entries(&mut self.session.vm.heap);
        let named = entries.iter().map(|(name, value)| {
            (
                String::from_utf8_lossy(symbol::name(name)).into_owned(),
                value,
            )
        });
        Ok(named.collect())
    }

    /// Whether there is anything to show; sets that exist only for systems without packages are left out.
    fn has_content(&mut self, path: &[String], value: Value) -> bool {
        let first = path.first().map_or("", String::as_str);
        let may_be_empty = match path.len() {
            1 => matches!(
                first,
                "apps"
                    | "checks"
                    | "devShells"
                    | "legacyPackages"
                    | "packages"
                    | "formatter"
                    | "nixosConfigurations"
                    | "nixosModules"
                    | "overlays"
            ),
            2 => matches!(
                first,
                "apps" | "checks" | "devShells" | "legacyPackages" | "packages"
            ),
            _ => false,
        };
        if !may_be_empty {
            return true;
        }
        // What fails is shown, so that people see it fail.
        let Ok(attributes) = self.attributes(value) else {
            return true;
        };
        attributes
            .into_iter()
            .any(|(name, value)| self.has_content(&below(path, name), value))
    }

    fn visit(
        &mut self,
        value: Value,
        path: &[String],
        header: &str,
        prefix: &str,
    ) -> Result<Map<String, Json>, Failure> {
        match self.visit_here(value, path, header, prefix) {
            // Whole package sets hold things that fail.
            Err(_) if path.first().is_some_and(|first| first == "legacyPackages") => Ok(Map::new()),
            Err(error) if error.is_about(IMPORT) => {
                let omitted = self.coloured("omitted", "35;1");
                self.line(&format!(
                    "{header} {omitted} due to use of import from derivation"
                ))?;
                Ok(Map::new())
            }
            result => result,
        }
    }

    fn visit_here(
        &mut self,
        value: Value,
        path: &[String],
        header: &str,
        prefix: &str,
    ) -> Result<Map<String, Json>, Failure> {
        let mut json = Map::new();
        let other_system =
            !self.all_systems && path.get(1).is_some_and(|system| system != self.system);
        match kind_of(path) {
            Kind::Set => return self.recurse(value, path, header, prefix),
            Kind::Package if other_system => self.omitted(header, path, "--all-systems")?,
            Kind::Legacy if path.len() == 1 => return self.recurse(value, path, header, prefix),
            Kind::Legacy if !self.legacy => self.omitted(header, path, "--legacy")?,
            Kind::Legacy if other_system => self.omitted(header, path, "--all-systems")?,
            kind @ (Kind::Package | Kind::Job | Kind::Legacy) => {
                let forced = self.session.vm.force(value);
                let value = self.session.check(forced)?;
                let is_package = self.session.vm.is_package(value);
                match (self.session.check(is_package)?, kind) {
                    (true, _) => return self.package(value, path, header),
                    (false, Kind::Job) => return self.recurse(value, path, header, prefix),
                    (false, Kind::Legacy) if path.len() <= 2 => {
                        return self.recurse(value, path, header, prefix);
                    }
                    (false, Kind::Package) => {
                        warn(format_args!("{}.name is not a derivation", path.join(".")));
                    }
                    (false, _) => {}
                }
            }
            Kind::App => {
                if self.text(value, b"type")?.as_deref() != Some("app") {
                    return Err(Failure::message("not an app definition"));
                }
                let description = self.text(value, b"meta.description")?;
                let shown = self.bold(description.as_deref().unwrap_or("no description"));
                self.line(&format!("{header}: app: {shown}"))?;
                if let Some(description) = description {
                    json.insert("description".into(), description.into());
                }
                json.insert("type".into(), "app".into());
            }
            Kind::Template => {
                let Some(description) = self.text(value, b"description")? else {
                    return Err(Failure::message(format!(
                        "template '{}' has no description",
                        path.join(".")
                    )));
                };
                self.line(&format!("{header}: template: {}", self.bold(&description)))?;
                json.insert("description".into(), description.into());
                json.insert("type".into(), "template".into());
            }
            Kind::Other(kind, name) => {
                self.line(&format!("{header}: {}", self.coloured(name, "35;1")))?;
                json.insert("type".into(), kind.into());
            }
        }
        Ok(json)
    }

    fn text(&mut self, value: Value, path: &[u8]) -> Result<Option<String>, Failure> {
        let forced = self.session.vm.force(value);
        self.session.check(forced)?;
        Ok(attribute(self.session, value, path).and_then(|text| text.as_str().map(str::to_owned)))
    }

    fn recurse(
        &mut self,
        value: Value,
        path: &[String],
        header: &str,
        prefix: &str,
    ) -> Result<Map<String, Json>, Failure> {
        self.line(header)?;
        let mut attributes = self.attributes(value)?;
        attributes.retain(|(name, value)| self.has_content(&below(path, name.clone()), *value));
        let count = attributes.len();
        let mut json = Map::new();
        for (i, (name, value)) in attributes.into_iter().enumerate() {
            let (branch, more) = match i + 1 == count {
                true => ("└───", "    "),
                false => ("├───", "│   "),
            };
            let header = format!(
                "{}{}",
                self.coloured(&format!("{prefix}{branch}"), "32;1"),
                self.bold(&name)
            );
            let prefix = format!("{prefix}{more}");
            let path = below(path, name.clone());
            let shown = stacker::maybe_grow(1 << 17, 1 << 22, || {
                self.visit(value, &path, &header, &prefix)
            })?;
            json.insert(name, Json::Object(shown));
        }
        Ok(json)
    }

    fn package(
        &mut self,
        value: Value,
        path: &[String],
        header: &str,
    ) -> Result<Map<String, Json>, Failure> {
        let package = self
            .session
            .vm
            .as_package(value, rx_eval::packages::Assertions::Fail);
        let name = self
            .session
            .check(package)?
            .map_or_else(Vec::new, |package| package.name);
        let name = String::from_utf8_lossy(&name).into_owned();
        let kind = match (path.first().map_or("", String::as_str), path.len()) {
            ("devShell", 2) | ("devShells", _) => "development environment",
            ("checks", 3) | ("hydraJobs", _) => "derivation",
            _ => "package",
        };
        self.line(&format!("{header}: {kind} '{name}'"))?;
        let description = self.text(value, b"meta.description")?.unwrap_or_default();
        let entries = [
            ("description", description),
            ("name", name),
            ("type", "derivation".to_owned()),
        ];
        Ok(entries
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.into()))
            .collect())
    }

    fn omitted(&self, header: &str, path: &[String], flag: &str) -> Result<(), Failure> {
        if self.json {
            warn(format_args!(
                "{} omitted (use '{flag}' to show)",
                path.join(".")
            ));
            return Ok(());
        }
        self.line(&format!(
            "{header} {} (use '{flag}' to show)",
            self.coloured("omitted", "35;1")
        ))
    }
}

fn below(path: &[String], name: String) -> Vec<String> {
    let mut path = path.to_vec();
    path.push(name);
    path
}
