//! From the process's arguments to a running command.
//!
//! ```text
//! argv[0] ─► Role ─┬─ Classic: flag tables ──┐
//!                  └─ Modern: clap ──────────┤
//! files, NIX_* ─► SettingsBuilder ─ options ─┴─► Invocation ─► command ─► exit code
//! ```

mod attributes;
mod classic;
mod common;
mod complete;
pub mod docs;
mod entry;
mod environment;
mod examples;
mod flag;
mod invocation;
mod modern;
mod options;
mod shebang;
pub mod suggest;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use rx_store::progress::{self, Level};
use rx_store::settings::{Feature, Places, Settings, SettingsBuilder};

pub use common::{ClassicCommon, CommonOptions};
pub use entry::{ClassicCommand, ClassicEntry};
pub use environment::EnvironmentOptions;
pub use flag::{AnyOptions, Flag, FlagDoc, Group, Options, Values};
pub use invocation::{CLASSIC_NAMES, COMPATIBLE_VERSION, FlakeKnowledge, Invocation, Role};
pub use modern::{Category, Entry, Subcommand};
pub use options::{AutoArg, BuildOptions, EvalOptions, JsonOptions, LinkOptions, Selection};

use crate::commands;
use crate::ui::{self, Failure, LogFormat, UsageError};

/// What new files of the user may not have.
static UMASK: OnceLock<rustix::fs::Mode> = OnceLock::new();

/// Gives programs that this process becomes or starts for the user the user's own umask again. The one of this
/// process is what comes back.
pub fn restore_umask() -> rustix::fs::Mode {
    let own = rustix::fs::Mode::from_raw_mode(0o022);
    rustix::process::umask(UMASK.get().copied().unwrap_or(own))
}

/// Undoes [`restore_umask`].
pub fn set_umask(umask: rustix::fs::Mode) {
    rustix::process::umask(umask);
}

/// `rx __called-as NAME ARGUMENT…` is rx under another name, where no link can have that name.
pub const CALLED_AS: &str = "__called-as";

/// Runs the program and gives its exit code.
pub fn main() -> ExitCode {
    ui::catch_panics();
    // Before anything starts a thread.
    let mut early = std::env::args_os().skip(1);
    if early
        .next()
        .is_some_and(|word| word == crate::execute::HELPER)
    {
        let failure = crate::execute::run_helper(&early.collect::<Vec<_>>());
        return ExitCode::from(ui::report_failure("rx", &failure));
    }
    // Store objects are for everybody to read, whatever the user's files are.
    let umask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let _ = UMASK.set(umask);
    if let Err(error) = rx_store::interrupt::install() {
        progress::warn(format_args!("cannot catch signals: {error}"));
    }
    let mut args = std::env::args_os();
    let mut program = args.next().unwrap_or_else(|| "rx".into());
    let mut args: Vec<OsString> = args.collect();
    if args.len() > 1 && args[0] == CALLED_AS {
        program = args.drain(..2).next_back().unwrap_or(program);
    }
    let program = program_name(&program);
    let asked = args.clone();
    let outcome = run(&program, args);
    progress::logger().finish();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let helpful = helpful_name(&program, &asked);
            ExitCode::from(ui::report_failure(&helpful, &failure))
        }
    }
}

/// What explains itself with `--help`: the subcommand. Under the reference's name it is the program, as its scripts expect.
fn helpful_name(program: &str, args: &[OsString]) -> String {
    if program != "rx" {
        return program.to_owned();
    }
    let words: Vec<String> = args
        .iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let mut path = complete::command_path(&words);
    let knows = |path: &str| {
        let group = format!("{path} ");
        commands::modern()
            .iter()
            .any(|entry| entry.path == path || entry.path.starts_with(&group))
            || commands::MODERN_ALIASES.iter().any(|(old, _)| *old == path)
            || CLASSIC_NAMES.contains(&path)
    };
    while !path.is_empty() && !knows(&path) {
        path.truncate(path.rfind(' ').unwrap_or(0));
    }
    format!("{program} {path}").trim_end().to_owned()
}

/// The file name of the program, without an extension.
fn program_name(path: &OsString) -> String {
    let name = std::path::Path::new(path)
        .file_name()
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned();
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ => name,
    }
}

fn run(program: &str, mut args: Vec<OsString>) -> Result<(), Failure> {
    let mut builder = SettingsBuilder::load(Places::from_env())
        .map_err(|error| Failure::message(error.to_string()))?;
    let hook = &mut builder.settings_mut().build_hook;
    if hook.first().is_some_and(|program| program == "nix")
        && let Ok(own) = std::env::current_exe()
    {
        hook[0] = own.to_string_lossy().into_owned();
    }
    log_early(&args);
    let mut role = Role::from_program(program);
    if args.first().is_some_and(|arg| arg == "__build-remote") {
        args.remove(0);
        role = Role::Classic("build-remote".to_owned());
    }
    if role == Role::Modern {
        if let Some(word) = program
            .strip_prefix("rx-")
            .or_else(|| program.strip_prefix("nix-"))
        {
            args.insert(0, word.into());
        }
        if let Some(name) = classic_word(&args) {
            args.remove(0);
            role = Role::Classic(name);
        }
    }
    match role {
        Role::Classic(name) => match commands::classic().iter().find(|entry| entry.name == name) {
            Some(entry) => run_classic(program, entry, args, builder),
            None => Err(UsageError::new(format!("'{program}' is not a recognised command")).into()),
        },
        Role::Modern => {
            builder.settings_mut().pure_eval = true;
            run_modern(program, args, builder)
        }
    }
}

/// Mistakes on the command line are reported in the format that it asks for, too.
fn log_early(args: &[OsString]) {
    let given = args.iter().skip_while(|arg| *arg != "--log-format").nth(1);
    if let Some(Ok(format)) = given
        .and_then(|name| name.to_str())
        .map(LogFormat::from_name)
    {
        ui::start_logging(format, None, false);
    }
}

/// `rx instantiate …`: classic commands whose name no new command has.
fn classic_word(args: &[OsString]) -> Option<String> {
    let word = args.first()?.to_str()?;
    let known = CLASSIC_NAMES.contains(&word);
    // `rx env shell` is new, `rx env -iA …` is classic.
    let new_env = word == "env"
        && args
            .get(1)
            .is_none_or(|next| next == "shell" || next == "--help");
    let new = commands::modern()
        .iter()
        .any(|entry| entry.path.split(' ').next() == Some(word))
        || commands::MODERN_ALIASES.iter().any(|(old, _)| *old == word);
    (known && !new_env && (!new || word == "env")).then(|| word.to_owned())
}

fn run_classic(
    program: &str,
    entry: &ClassicEntry,
    args: Vec<OsString>,
    mut builder: SettingsBuilder,
) -> Result<(), Failure> {
    let call = entry.parse(args, &mut builder)?;
    let common = &call.common;
    let settings = start(common, Mode::Classic, &call.features, builder)?;
    if common.help {
        return ui::print(&docs::classic_help(program, entry));
    }
    if common.version {
        return ui::print(&version(program, &settings));
    }
    let invocation = Invocation {
        program: program.to_owned(),
        settings: Arc::new(settings),
        offline: false,
        refresh: false,
        print_build_logs: common.log_format != Some(LogFormat::Raw),
        gc_warning: !common.no_gc_warning,
        flakes: Arc::default(),
        base_dir: None,
    };
    (call.run)(&invocation)
}

fn run_modern(
    program: &str,
    args: Vec<OsString>,
    mut builder: SettingsBuilder,
) -> Result<(), Failure> {
    if let [word] = args.as_slice()
        && let Some(text) = word.to_str().and_then(docs::dump)
    {
        return ui::print(&text);
    }
    if let Some(number) = std::env::var_os("NIX_GET_COMPLETIONS") {
        let number = number
            .to_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or(1);
        return ui::print(&complete::complete(&args, number, builder));
    }
    let (args, base_dir) = match shebang::expand(&args)? {
        Some((args, directory)) => (args, Some(directory)),
        None => (args, None),
    };
    let parsed = modern::parse(
        args,
        commands::modern(),
        commands::MODERN_ALIASES,
        &mut builder,
    )?;
    if let Some(entry) = parsed.entry
        && entry.impure
        && !builder.settings().is_overridden("pure-eval")
    {
        builder.settings_mut().pure_eval = false;
    }
    let common = parsed.common;
    let mut settings = start(&common, Mode::Modern, &parsed.features, builder)?;
    if common.help {
        let path = parsed
            .entry
            .map_or(parsed.group.as_str(), |entry| entry.path);
        let help = docs::modern_help(path);
        // A link can be a command: rx-repl.
        let own = format!("rx {path}");
        return ui::print(&match program == own.replace(' ', "-") {
            true => help.replace(&format!("Usage: {own}"), &format!("Usage: {program}")),
            false => help,
        });
    }
    if common.version {
        return ui::print(&version(program, &settings));
    }
    let (Some(entry), Some(matches)) = (parsed.entry, parsed.matches) else {
        let error = UsageError::new("no subcommand specified");
        return Err(match parsed.group.as_str() {
            "" => error.into(),
            group => error.hint(format!("'rx help {group}' lists them")).into(),
        });
    };
    if common.offline {
        go_offline(&mut settings);
    }
    if common.refresh {
        settings.tarball_ttl = 0;
        settings.narinfo_cache_negative_ttl = 0;
        settings.narinfo_cache_positive_ttl = 0;
        settings.narinfo_cache_meta_ttl = 0;
    }
    let mut invocation = Invocation {
        program: format!("{program} {}", entry.path),
        settings: Arc::new(settings),
        offline: common.offline,
        refresh: common.refresh,
        print_build_logs: common.print_build_logs,
        gc_warning: false,
        flakes: Arc::default(),
        base_dir,
    };
    loop {
        match entry.run(&matches, &invocation) {
            // Each time more is decided, so there is an end.
            Err(Failure::Again(settings, flakes)) => {
                invocation.settings = settings;
                invocation.flakes = flakes;
            }
            result => return result,
        }
    }
}

/// What is not set explicitly is set so that nothing waits for a network.
fn go_offline(settings: &mut Settings) {
    let free = |name: &str| !settings.is_overridden(name);
    let (substitute, tarballs) = (free("substitute"), free("tarball-ttl"));
    let (attempts, connect) = (free("download-attempts"), free("connect-timeout"));
    let meta = free("narinfo-cache-meta-ttl");
    if substitute {
        settings.substitute = false;
    }
    if tarballs {
        settings.tarball_ttl = u32::MAX;
    }
    if attempts {
        settings.download_attempts = 0;
    }
    if connect {
        settings.connect_timeout = 1;
    }
    if meta {
        settings.narinfo_cache_meta_ttl = u32::MAX;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Classic,
    Modern,
}

/// Fixes the settings, starts logging, and says what was odd about the configuration.
fn start(
    common: &CommonOptions,
    mode: Mode,
    features: &[Feature],
    builder: SettingsBuilder,
) -> Result<Settings, Failure> {
    let (mut settings, notices) = builder.finish();
    settings.read_only_mode = common.read_only;
    let terminal = ui::stderr_is_terminal();
    let default = match mode {
        Mode::Modern if terminal => Level::Notice,
        _ => Level::Info,
    };
    progress::set_level(common.level(default));
    let format = common.log_format.unwrap_or(match mode {
        Mode::Classic if terminal => LogFormat::MultilineWithLogs,
        Mode::Classic => LogFormat::RawWithLogs,
        Mode::Modern if common.print_build_logs => LogFormat::MultilineWithLogs,
        Mode::Modern => LogFormat::Multiline,
    });
    let format = match format {
        LogFormat::Bar if common.print_build_logs => LogFormat::BarWithLogs,
        LogFormat::Multiline if common.print_build_logs => LogFormat::MultilineWithLogs,
        LogFormat::Raw if common.print_build_logs => LogFormat::RawWithLogs,
        format => format,
    };
    ui::start_logging(
        format,
        settings.json_log_path.as_deref(),
        settings.show_trace,
    );
    notices.into_iter().for_each(progress::warn);
    if let Some(feature) = features.iter().find(|feature| !settings.enabled(**feature)) {
        return Err(ui::FeatureDisabled(*feature).into());
    }
    Ok(settings)
}

/// The first line is what scripts read; `-v` adds where things are.
fn version(program: &str, settings: &Settings) -> String {
    let mut text = if program.starts_with("rx") {
        let own = env!("CARGO_PKG_VERSION");
        format!("{program} {own}, compatible with nix (Nix) {COMPATIBLE_VERSION}\n")
    } else {
        format!("{program} (Nix) {COMPATIBLE_VERSION}\n")
    };
    if progress::wanted(Level::Talkative) {
        let platforms: Vec<&str> = settings
            .extra_platforms
            .iter()
            .map(String::as_str)
            .collect();
        let places = &settings.places;
        let files: Vec<String> = places
            .user_conf_files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        text += &format!(
            "System type: {}\nAdditional system types: {}\nFeatures: gc, signed-caches\n\
             System configuration file: \"{}\"\nUser configuration files: {}\n\
             Store directory: {}\nState directory: \"{}\"\n",
            settings.system,
            platforms.join(", "),
            places.conf_dir.join("nix.conf").display(),
            files.join(":"),
            places.store_dir.display(),
            places.state_dir.display(),
        );
    }
    text
}
