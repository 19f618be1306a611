//! Collects settings from all their sources, in the reference's order: the system's file, the
//! user's files, `NIX_CONFIG`, the command line. The result does not change any more.

use std::collections::BTreeMap;
use std::path::Path;

use super::features::Feature;
use super::files::{self, Assignment, FileError};
use super::kinds::{Diagnose, SandboxMode, ValueError};
use super::places::{Places, split_nix_path};
use super::table::{INFOS, SettingInfo, Settings};

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be understood.
    #[error(transparent)]
    File(#[from] FileError),
    /// A value does not fit.
    #[error("{error}\n       at {place}")]
    Value {
        /// What is wrong with it.
        error: ValueError,
        /// The file, or `NIX_CONFIG`, and the line.
        place: String,
    },
}

/// The setting of this name or alias.
pub fn info(name: &str) -> Option<&'static SettingInfo> {
    INFOS
        .binary_search_by(|info| info.name.cmp(name))
        .ok()
        .map(|at| &INFOS[at])
        .or_else(|| INFOS.iter().find(|info| info.aliases.contains(&name)))
}

/// The setting that `name` means, and whether the value is to be appended (`extra-NAME`).
pub fn resolve(name: &str) -> Option<(&'static SettingInfo, bool)> {
    if let Some(found) = info(name) {
        return Some((found, false));
    }
    let found = info(name.strip_prefix("extra-")?)?;
    found.appendable.then_some((found, true))
}

/// Settings that are still being collected.
#[derive(Debug)]
pub struct SettingsBuilder {
    settings: Settings,
    /// Names that no setting has, with the place in a file where they stand.
    unknown: BTreeMap<String, Option<String>>,
    notices: Vec<String>,
}

impl SettingsBuilder {
    /// Starts with the defaults.
    pub fn new(places: Places) -> SettingsBuilder {
        SettingsBuilder {
            settings: Settings::with_defaults(places),
            unknown: BTreeMap::new(),
            notices: Vec::new(),
        }
    }

    /// Starts with settings that were finished, to change some.
    pub fn amend(settings: Settings) -> SettingsBuilder {
        SettingsBuilder {
            settings,
            unknown: BTreeMap::new(),
            notices: Vec::new(),
        }
    }

    /// Reads the environment and all files.
    pub fn load(places: Places) -> Result<SettingsBuilder, ConfigError> {
        let mut builder = SettingsBuilder::new(places);
        let system = builder.settings.places.conf_dir.join("nix.conf");
        builder.apply_file(&system)?;
        // Only what the user chose is passed on to a daemon.
        builder.settings.overridden.clear();
        for file in builder.settings.places.user_conf_files.clone().iter().rev() {
            builder.apply_file(file)?;
        }
        if let Some(text) = builder.settings.places.nix_config.clone() {
            builder.apply_text(text.as_encoded_bytes(), Path::new("NIX_CONFIG"))?;
        }
        if let Some(path) = &builder.settings.places.nix_path {
            builder.settings.nix_path = split_nix_path(path);
        }
        Ok(builder)
    }

    /// Reads one file; one that is missing or unreadable is passed over.
    pub fn apply_file(&mut self, file: &Path) -> Result<(), ConfigError> {
        match std::fs::read(file) {
            Ok(contents) => self.apply_text(&contents, file),
            Err(_) => Ok(()),
        }
    }

    /// Reads settings from `contents`, which stand in `file`.
    pub fn apply_text(&mut self, contents: &[u8], file: &Path) -> Result<(), ConfigError> {
        let assignments = files::parse(contents, file)?;
        let is_feature =
            |name: &str| name == "experimental-features" || name == "extra-experimental-features";
        // Features first: they decide which other settings count.
        for one in assignments.iter().filter(|one| is_feature(&one.name)) {
            self.assign(one)?;
        }
        for one in assignments.iter().filter(|one| !is_feature(&one.name)) {
            let search_path = one.name == "nix-path" || one.name == "extra-nix-path";
            if search_path && self.settings.places.nix_path.is_some() {
                continue;
            }
            self.assign(one)?;
        }
        Ok(())
    }

    fn assign(&mut self, one: &Assignment) -> Result<(), ConfigError> {
        if resolve(&one.name).is_none() {
            let place = Some(one.place.clone());
            self.unknown.insert(one.name.clone(), place);
            return Ok(());
        }
        let noticed = self.notices.len();
        let set = self.set(&one.name, &one.value);
        for notice in &mut self.notices[noticed..] {
            *notice += &format!(", at {}", one.place);
        }
        set.map_err(|error| ConfigError::Value {
            error,
            place: one.place.clone(),
        })
    }

    /// Sets one setting. An unknown name is remembered and warned about at the end.
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<(), ValueError> {
        let Some((info, append)) = resolve(name) else {
            self.unknown.entry(name.to_owned()).or_default();
            return Ok(());
        };
        if let Some(feature) = info.feature
            && !self.settings.enabled(feature)
        {
            self.notices.push(format!(
                "Ignoring setting '{}' because experimental feature '{}' is not enabled",
                info.name,
                feature.name()
            ));
            return Ok(());
        }
        self.settings
            .store_value(info.name, value, append, &mut self.notices)?;
        self.settings.overridden.insert(info.name);
        if info.name == "warn-short-path-literals" {
            let lint = &mut self.settings.lint_short_path_literals;
            if self.settings.warn_short_path_literals {
                *lint = Diagnose::Warn;
            } else if *lint == Diagnose::Warn {
                *lint = Diagnose::Ignore;
            }
        }
        Ok(())
    }

    /// Chooses how builds are isolated (`--sandbox`, `--no-sandbox`, `--relaxed-sandbox`).
    pub fn set_sandbox(&mut self, mode: SandboxMode) {
        self.settings.sandbox = mode;
        self.settings.overridden.insert("sandbox");
    }

    /// Adds a warning for later.
    pub fn notice(&mut self, message: String) {
        self.notices.push(message);
    }

    /// What is set so far.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is set so far, to be changed by options that are no settings.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// The settings and the warnings that collecting them gave.
    pub fn finish(mut self) -> (Settings, Vec<String>) {
        self.notices
            .extend(self.unknown.iter().map(|(name, place)| {
                let near = nearest_setting(name)
                    .map(|near| format!(" (did you mean '{near}'?)"))
                    .unwrap_or_default();
                let place = place.as_ref().map(|place| format!(", at {place}"));
                format!(
                    "unknown setting '{name}'{near}{}",
                    place.unwrap_or_default()
                )
            }));
        (self.settings, self.notices)
    }
}

/// The setting that was probably meant.
fn nearest_setting(name: &str) -> Option<&'static str> {
    nearest(name, super::INFOS.iter().map(|info| info.name))
}

/// The name that was probably meant: one or two letters differ, at the same place from the beginning or the end.
pub(super) fn nearest<'a>(name: &str, mut known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let alike = |known: &&str| {
        let (a, b) = (known.as_bytes(), name.as_bytes());
        let before = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let after = a
            .iter()
            .rev()
            .zip(b.iter().rev())
            .take_while(|(a, b)| a == b)
            .count();
        let longer = a.len().max(b.len());
        longer > 4 && longer - (before + after).min(longer) <= 2
    };
    known.find(alike)
}

impl Settings {
    /// Reads the environment and all files; warnings are logged. For programs without a command line.
    pub fn load() -> Result<Settings, ConfigError> {
        let (settings, notices) = SettingsBuilder::load(Places::from_env())?.finish();
        notices.into_iter().for_each(crate::progress::warn);
        Ok(settings)
    }

    /// Is an experimental feature enabled?
    pub fn enabled(&self, feature: Feature) -> bool {
        self.experimental_features.contains(&feature)
    }

    /// Was a setting given by the user (as opposed to the system's file or the default)?
    pub fn is_overridden(&self, name: &str) -> bool {
        self.overridden.contains(name)
    }

    /// Names and values of what the user gave, as a daemon wants them.
    pub fn overrides(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.overridden
            .iter()
            .map(|name| (*name, self.value_text(name).unwrap_or_default()))
    }

    /// The cores that a build may use, as a number that is not 0.
    pub fn build_cores(&self) -> u32 {
        if self.cores == 0 {
            super::machine::cpus()
        } else {
            self.cores
        }
    }

    /// The value of `builtins.currentSystem`.
    pub fn current_system(&self) -> &str {
        if self.eval_system.is_empty() {
            &self.system
        } else {
            &self.eval_system
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> SettingsBuilder {
        SettingsBuilder::new(Places::from_lookup(|_| None))
    }

    fn with(text: &str) -> Settings {
        let mut builder = builder();
        builder
            .apply_text(text.as_bytes(), Path::new("test"))
            .unwrap();
        builder.finish().0
    }

    #[test]
    fn names_are_ordered_and_differ() {
        assert!(INFOS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn every_default_can_be_printed_and_read_again() {
        let defaults = builder().settings;
        for info in INFOS {
            let text = defaults.value_text(info.name).unwrap();
            let mut copy = defaults.clone();
            copy.store_value(info.name, text.trim().as_bytes(), false, &mut Vec::new())
                .unwrap();
            assert_eq!(
                copy.value_json(info.name),
                defaults.value_json(info.name),
                "{}",
                info.name
            );
        }
    }

    #[test]
    fn extra_appends_and_aliases_count() {
        let settings =
            with("build-max-jobs = 7\nsubstituters = a\nextra-substituters = b\nextra-cores = 3");
        assert_eq!(settings.max_jobs.0, 7);
        assert_eq!(settings.substituters, ["a", "b"]);
        assert_eq!(settings.cores, 0);
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(with("min-free = 2G").min_free, 2 << 30);
        let error = builder().set("min-free", b"1Z").unwrap_err();
        assert_eq!(
            error.to_string(),
            "setting 'min-free' has invalid value '1Z'"
        );
        assert!(builder().set("cores", b"99999999999999").is_err());
    }

    #[test]
    fn features_count_wherever_they_stand_in_a_file() {
        let text = "flake-registry = https://example.org\nexperimental-features = flakes";
        let settings = with(text);
        assert_eq!(settings.flake_registry, "https://example.org");
        assert!(settings.enabled(Feature::FetchTree));
    }

    #[test]
    fn unknown_and_gated_settings_give_warnings_only() {
        let mut builder = builder();
        builder
            .apply_text(b"foo = bar\nimpure-env = A=b\n", Path::new("test"))
            .unwrap();
        let (settings, notices) = builder.finish();
        assert!(settings.impure_env.is_empty());
        assert_eq!(
            notices,
            [
                "Ignoring setting 'impure-env' because experimental feature \
                 'configurable-impure-env' is not enabled, at test:2",
                "unknown setting 'foo', at test:1"
            ]
        );
    }

    #[test]
    fn the_users_settings_override_the_systems() {
        let dir = tempfile::tempdir().unwrap();
        let (conf, user) = (dir.path().join("conf"), dir.path().join("user.conf"));
        std::fs::create_dir(&conf).unwrap();
        std::fs::write(conf.join("nix.conf"), "cores = 1\nlog-lines = 10\n").unwrap();
        std::fs::write(&user, "cores = 2\n").unwrap();
        let places = Places::from_lookup(|name| match name {
            "NIX_CONF_DIR" => Some(conf.clone().into()),
            "NIX_USER_CONF_FILES" => Some(user.clone().into()),
            "NIX_CONFIG" => Some("timeout = 9".into()),
            _ => None,
        });
        let (settings, _) = SettingsBuilder::load(places).unwrap().finish();
        assert_eq!(
            (settings.cores, settings.log_lines, settings.timeout),
            (2, 10, 9)
        );
        let overrides: Vec<_> = settings.overrides().collect();
        assert_eq!(
            overrides,
            [("cores", "2".to_owned()), ("timeout", "9".to_owned())]
        );
    }

    #[test]
    fn sandbox_paths_are_printed_as_they_are_written() {
        let text = "sandbox-paths = /bin/sh=/usr/bin/bash /dev/kvm? /etc";
        let printed = with(text).value_text("sandbox-paths").unwrap();
        assert_eq!(printed, "/bin/sh=/usr/bin/bash /dev/kvm? /etc");
    }
}
