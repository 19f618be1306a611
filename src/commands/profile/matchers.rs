//! Naming packages of a profile: by name, store path, regular expression, or all.

use std::collections::BTreeSet;
use std::sync::Arc;

use rx_eval::text::regex::Regex;
use rx_store::path::{StoreDir, StorePath};
use rx_store::profile::{Entry, Manifest, default_profile};
use rx_store::progress;
use rx_store::settings::{Places, SettingsBuilder};

use crate::cli::{EvalOptions, Invocation};
use crate::store_session::open_store;
use crate::ui::{Failure, UsageError};

/// Which packages are meant.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct MatchArgs {
    /// All packages.
    #[arg(long)]
    all: bool,
    /// Packages whose source or name matches a regular expression.
    #[arg(long, value_name = "PATTERN", action = clap::ArgAction::Append)]
    regex: Vec<String>,
    /// Names of packages, as 'rx profile list' shows them, or store paths.
    #[arg(value_name = "PACKAGE")]
    packages: Vec<String>,
}

enum Matcher {
    All,
    Regex(String, Regex),
    Path(StorePath),
    Name(String),
}

impl Matcher {
    fn title(&self) -> String {
        match self {
            Matcher::All => "--all".to_owned(),
            Matcher::Regex(text, _) => format!("Regex '{text}'"),
            Matcher::Path(path) => format!("Store path '{path}'"),
            Matcher::Name(name) => format!("Package name '{name}'"),
        }
    }

    fn matches(&self, name: &str, entry: &Entry) -> Result<bool, Failure> {
        Ok(match self {
            Matcher::All => true,
            // Case does not matter.
            Matcher::Regex(_, regex) => {
                let identifier = entry.identifier().to_lowercase();
                let found =
                    regex.full_match(identifier.as_bytes(), &rx_store::interrupt::is_set)?;
                found.is_some()
            }
            Matcher::Path(path) => entry.store_paths.contains(path),
            Matcher::Name(wanted) => name == wanted,
        })
    }
}

impl MatchArgs {
    fn matchers(&self, dir: &StoreDir) -> Result<Vec<Matcher>, Failure> {
        let mut matchers = Vec::new();
        if self.all {
            matchers.push(Matcher::All);
        }
        for text in &self.regex {
            let regex = Regex::new(text.to_lowercase().as_bytes())
                .map_err(|error| Failure::message(format!("'{text}' is not usable: {error}")))?;
            matchers.push(Matcher::Regex(text.clone(), regex));
        }
        for word in &self.packages {
            if word.parse::<u64>().is_ok() {
                return Err(Failure::message(format!(
                    "'nix profile' no longer supports indices ('{word}')"
                )));
            }
            matchers.push(match dir.parse(word.as_bytes()) {
                Ok(path) => Matcher::Path(path),
                Err(_) => Matcher::Name(word.clone()),
            });
        }
        if matchers.is_empty() {
            return Err(UsageError::new("No packages specified.").into());
        }
        if self.all && matchers.len() > 1 {
            return Err(UsageError::new(
                "--all cannot be used with package names or regular expressions.",
            )
            .into());
        }
        Ok(matchers)
    }

    /// Fails if the arguments make no sense, whatever is installed.
    pub fn check(&self, dir: &StoreDir) -> Result<(), Failure> {
        self.matchers(dir).map(drop)
    }

    /// The names of the packages that are meant.
    pub fn names(&self, dir: &StoreDir, manifest: &Manifest) -> Result<BTreeSet<String>, Failure> {
        let matchers = self.matchers(dir)?;
        let mut names = BTreeSet::new();
        if manifest.elements.is_empty() {
            progress::warn("There are no packages in the profile.");
            return Ok(names);
        }
        for matcher in matchers {
            let mut found = false;
            for (name, entry) in &manifest.elements {
                if matcher.matches(name, entry)? {
                    names.insert(name.clone());
                    found = true;
                }
            }
            if !found {
                progress::warn(format_args!(
                    "{} does not match any packages in the profile.",
                    matcher.title()
                ));
            }
        }
        Ok(names)
    }
}

/// Names of the user's packages with their sources, for completion.
pub fn complete() -> Vec<(String, String)> {
    let read = || {
        let (settings, _) = SettingsBuilder::load(Places::from_env())
            .map_err(|error| UsageError::new(error.to_string()))?
            .finish();
        let invocation = Invocation {
            program: "rx profile".to_owned(),
            settings: Arc::new(settings),
            offline: true,
            refresh: false,
            print_build_logs: false,
            gc_warning: false,
            flakes: Arc::default(),
            base_dir: None,
        };
        let profile = default_profile(&invocation.settings);
        let store = open_store(&invocation)?;
        super::read(&invocation, &EvalOptions::default(), &*store, &profile)
    };
    let manifest: Result<Manifest, Failure> = read();
    let elements = manifest.unwrap_or_default().elements.into_iter();
    elements
        .map(|(name, entry)| (name, entry.identifier()))
        .collect()
}
