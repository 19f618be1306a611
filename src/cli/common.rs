//! Options that every command understands: verbosity, log format, any setting.

use rx_store::progress::Level;
use rx_store::settings::{self, SandboxMode, SettingsBuilder};

use super::flag::{Flag, Options};
use crate::ui::{LogFormat, UsageError};

/// What the common options say.
#[derive(Debug, Default)]
pub struct CommonOptions {
    /// Steps above or below the default verbosity; `--debug` is an absolute level.
    pub verbosity: i32,
    /// `--debug`
    pub debug: bool,
    /// `--log-format`
    pub log_format: Option<LogFormat>,
    /// `--print-build-logs`
    pub print_build_logs: bool,
    /// `--no-gc-warning`
    pub no_gc_warning: bool,
    /// `--readonly-mode`
    pub read_only: bool,
    /// `--offline`
    pub offline: bool,
    /// `--refresh`
    pub refresh: bool,
    /// `--help`
    pub help: bool,
    /// `--version`
    pub version: bool,
}

impl CommonOptions {
    /// The level that results from `default`.
    pub fn level(&self, default: Level) -> Level {
        let start = if self.debug { Level::Debug } else { default };
        Level::from_number((start as i32 + self.verbosity).max(0) as u64)
    }
}

/// Flags that both the classic and the new commands have.
macro_rules! shared_flags {
    ($($own:expr,)*) => { &[
        Flag::switch("verbose", "Say more; can be repeated.", |o: &mut Self| o.verbosity += 1).short('v').repeats(),
        Flag::switch("quiet", "Say less; can be repeated.", |o: &mut Self| o.verbosity -= 1).repeats(),
        Flag::switch("debug", "Say what a developer wants to know.", |o: &mut Self| {
            o.debug = true;
            o.verbosity = 0;
        }),
        Flag::value(
            "log-format",
            &["format"],
            "How to report progress: raw, raw-with-logs, internal-json, bar, bar-with-logs, multiline or multiline-with-logs.",
            |o: &mut Self, values| {
                o.log_format = Some(LogFormat::from_name(&values.text()?)?);
                Ok(())
            },
        ),
        Flag::setting("max-jobs", "max-jobs", None, "How many builds run at the same time.")
            .short('j')
            .named(&["jobs"]),
        Flag::switch("help", "Show this help.", |o: &mut Self| o.help = true),
        Flag::switch("version", "Show the version.", |o: &mut Self| o.version = true),
        $($own),*
    ] };
}

impl Options for CommonOptions {
    const FLAGS: &'static [Flag<Self>] = shared_flags![
        Flag::switch(
            "print-build-logs",
            "Show the whole output of builds.",
            |o: &mut Self| {
                o.print_build_logs = true;
            }
        )
        .short('L'),
        Flag::switch(
            "offline",
            "Use no network; what was fetched before counts as fresh.",
            |o: &mut Self| {
                o.offline = true;
            }
        )
        .alias(&["no-net"]),
        Flag::switch(
            "refresh",
            "Consider everything that was fetched before as stale.",
            |o: &mut Self| {
                o.refresh = true;
            }
        ),
    ];
}

/// The common options of classic commands.
#[derive(Debug, Default)]
pub struct ClassicCommon(pub CommonOptions);

impl std::ops::Deref for ClassicCommon {
    type Target = CommonOptions;

    fn deref(&self) -> &CommonOptions {
        &self.0
    }
}

impl std::ops::DerefMut for ClassicCommon {
    fn deref_mut(&mut self) -> &mut CommonOptions {
        &mut self.0
    }
}

impl Options for ClassicCommon {
    const FLAGS: &'static [Flag<Self>] = shared_flags![
        Flag::switch(
            "no-build-output",
            "Do not show the output of builds.",
            |o: &mut Self| {
                o.log_format = Some(LogFormat::Raw);
            }
        )
        .short('Q'),
        Flag::setting(
            "keep-failed",
            "keep-failed",
            Some("true"),
            "Keep the directories of failed builds."
        )
        .short('K'),
        Flag::setting(
            "keep-going",
            "keep-going",
            Some("true"),
            "Go on with other builds after a failure."
        )
        .short('k'),
        Flag::setting(
            "fallback",
            "fallback",
            Some("true"),
            "Build from source if a substitute is broken."
        ),
        Flag::setting(
            "cores",
            "cores",
            None,
            "Cores that one build may use; 0 means all."
        )
        .named(&["n"]),
        Flag::setting(
            "max-silent-time",
            "max-silent-time",
            None,
            "Seconds without output after which a build is stopped."
        )
        .named(&["seconds"]),
        Flag::setting(
            "timeout",
            "timeout",
            None,
            "Seconds after which a build is stopped."
        )
        .named(&["seconds"]),
        Flag::switch(
            "readonly-mode",
            "Do not write to the store.",
            |o: &mut Self| o.read_only = true
        ),
        Flag::switch(
            "no-gc-warning",
            "Do not warn about results without a root.",
            |o: &mut Self| {
                o.no_gc_warning = true;
            }
        ),
        Flag::setting("store", "store", None, "The URL of the store to use.").named(&["url"]),
    ];
}

/// What a flag such as `--cores`, `--no-sandbox` or `--extra-substituters` does to a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingFlag {
    /// It sets the setting to a fixed value.
    Fixed(&'static str, &'static str),
    /// It takes a value.
    Value(&'static str, Append),
    /// It takes a name and a value.
    Option,
}

/// Does a value replace the setting's or is it added to it?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Append {
    /// It is added.
    Yes,
    /// It replaces.
    No,
}

impl SettingFlag {
    /// The meaning of a long flag (without dashes), if it is one of a setting's.
    pub fn from_name(name: &str) -> Option<SettingFlag> {
        if name == "option" {
            return Some(SettingFlag::Option);
        }
        if let Some((info, append)) = settings::resolve(name) {
            let append = if append { Append::Yes } else { Append::No };
            return Some(match info.flag {
                true => SettingFlag::Fixed(info.name, "true"),
                false => SettingFlag::Value(info.name, append),
            });
        }
        let flag = |prefix: &str| {
            name.strip_prefix(prefix)
                .and_then(settings::info)
                .filter(|info| info.flag)
        };
        if let Some(info) = flag("no-") {
            return Some(SettingFlag::Fixed(info.name, "false"));
        }
        let info = flag("relaxed-")?;
        (info.name == "sandbox").then_some(SettingFlag::Fixed(info.name, "relaxed"))
    }

    /// How many values the flag takes.
    pub fn arity(self) -> usize {
        match self {
            SettingFlag::Fixed(..) => 0,
            SettingFlag::Value(..) => 1,
            SettingFlag::Option => 2,
        }
    }

    /// Does it. A bad value of `--option` is a warning only, as the reference has it.
    pub fn apply(
        self,
        builder: &mut SettingsBuilder,
        values: &mut dyn Iterator<Item = std::ffi::OsString>,
    ) -> Result<(), UsageError> {
        let mut next = || values.next().unwrap_or_default();
        let usage = |error: settings::ValueError| UsageError::new(error.to_string());
        match self {
            SettingFlag::Fixed("sandbox", value) => builder.set_sandbox(match value {
                "true" => SandboxMode::Enabled,
                "relaxed" => SandboxMode::Relaxed,
                _ => SandboxMode::Disabled,
            }),
            SettingFlag::Fixed(name, value) => {
                builder.set(name, value.as_bytes()).map_err(usage)?;
            }
            SettingFlag::Value(name, append) => {
                let name = match append {
                    Append::Yes => format!("extra-{name}"),
                    Append::No => name.to_owned(),
                };
                builder
                    .set(&name, next().as_encoded_bytes())
                    .map_err(usage)?;
            }
            SettingFlag::Option => {
                let (name, value) = (next(), next());
                if let Err(error) = builder.set(&name.to_string_lossy(), value.as_encoded_bytes()) {
                    builder.notice(error.to_string());
                }
            }
        }
        Ok(())
    }

    /// The feature without which the flag is an error.
    pub fn feature(self) -> Option<settings::Feature> {
        match self {
            SettingFlag::Fixed(name, _) | SettingFlag::Value(name, _) => {
                settings::info(name).and_then(|info| info.feature)
            }
            SettingFlag::Option => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_flags() {
        use SettingFlag::{Fixed, Value};
        let flag = |name| SettingFlag::from_name(name);
        assert_eq!(flag("keep-going"), Some(Fixed("keep-going", "true")));
        assert_eq!(flag("no-keep-going"), Some(Fixed("keep-going", "false")));
        assert_eq!(flag("build-use-sandbox"), Some(Fixed("sandbox", "true")));
        assert_eq!(flag("relaxed-sandbox"), Some(Fixed("sandbox", "relaxed")));
        assert_eq!(flag("relaxed-keep-going"), None);
        assert_eq!(flag("cores"), Some(Value("cores", Append::No)));
        assert_eq!(flag("extra-cores"), None);
        assert_eq!(
            flag("extra-substituters"),
            Some(Value("substituters", Append::Yes))
        );
        assert_eq!(flag("option"), Some(SettingFlag::Option));
        assert_eq!(flag("no-cores"), None);
    }
}
