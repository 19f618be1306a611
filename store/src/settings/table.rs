//! The table of all settings: name, field, type, default, and what it is for.
//!
//! One entry makes a typed field of [`Settings`], the parser of `nix.conf` and of the command
//! line, the output of `config show`, the help texts and the manual's page.
//!
//! Markers after the default: `alias` other names that are accepted, `gate` the experimental
//! feature that must be enabled, `varies` a default that depends on the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::features::Feature;
use super::kinds::*;
use super::machine;
use super::places::Places;

/// What is known of a setting besides its value.
#[derive(Debug)]
pub struct SettingInfo {
    /// The name in `nix.conf`.
    pub name: &'static str,
    /// One or two sentences for people.
    pub description: &'static str,
    /// Other names that are accepted.
    pub aliases: &'static [&'static str],
    /// The feature without which it is ignored.
    pub feature: Option<Feature>,
    /// Is the default the same on every machine?
    pub fixed_default: bool,
    /// The name of the value's type.
    pub kind: &'static str,
    /// Does `extra-NAME` exist?
    pub appendable: bool,
    /// Is it set by `--NAME` and `--no-NAME`, without a value?
    pub flag: bool,
}

macro_rules! settings {
    (|$places:ident| $(
        $(#[doc = $doc:literal])+
        $name:literal $field:ident: $kind:ty = $default:expr
            $(, alias $($alias:literal)+)? $(, gate $gate:ident)? $(=> $varies:ident)?;
    )*) => {
        /// The values of all settings. Fields are read directly; nothing changes after start.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $( $(#[doc = $doc])+ pub $field: $kind, )*
            /// Directories and other facts that the environment gives.
            pub places: Places,
            /// Never write to the store (`--readonly-mode`); not a setting of `nix.conf`.
            pub read_only_mode: bool,
            pub(super) overridden: BTreeSet<&'static str>,
        }

        impl Settings {
            /// The defaults where the environment is `places`.
            pub fn with_defaults($places: Places) -> Settings {
                $( let $field: $kind = { let $places = &$places; let _ = $places; $default }; )*
                Settings {
                    $( $field, )*
                    places: $places,
                    read_only_mode: false,
                    overridden: BTreeSet::new(),
                }
            }

            /// Parses and stores a value; `name` is a canonical name. The caller has checked gates.
            pub(super) fn store_value(
                &mut self,
                name: &str,
                text: &[u8],
                append: bool,
                notices: &mut Vec<String>,
            ) -> Result<(), ValueError> {
                match name {
                    $( $name => {
                        let value = <$kind as Kind>::parse($name, text, notices)?;
                        if append { Kind::append(&mut self.$field, value); } else { self.$field = value; }
                    } )*
                    _ => {}
                }
                Ok(())
            }

            /// The value as `config show` prints it; `None` if there is no such setting.
            pub fn value_text(&self, name: &str) -> Option<String> {
                match name { $( $name => Some(Kind::text(&self.$field)), )* _ => None }
            }

            /// The value as JSON; `None` if there is no such setting.
            pub fn value_json(&self, name: &str) -> Option<serde_json::Value> {
                match name { $( $name => Some(Kind::json(&self.$field)), )* _ => None }
            }
        }

        /// What is known of every setting, ordered by name.
        pub static INFOS: &[SettingInfo] = &[ $( SettingInfo {
            name: $name,
            description: concat!($($doc, "\n"),+).trim_ascii(),
            aliases: &[$($($alias),+)?],
            feature: settings!(@gate $($gate)?),
            fixed_default: settings!(@varies $($varies)?),
            kind: <$kind as Kind>::NAME,
            appendable: <$kind as Kind>::APPENDABLE,
            flag: <$kind as Kind>::FLAG,
        } ),* ];
    };
    (@gate) => { None };
    (@gate $gate:ident) => { Some(Feature::$gate) };
    (@varies) => { true };
    (@varies varies) => { false };
}

settings! { |places|
    /// Turn each warning of `builtins.warn` into an error, so that its trace can be seen.
    "abort-on-warn" abort_on_warn: bool = false;
    /// Apply the settings that a flake proposes without asking.
    "accept-flake-config" accept_flake_config: bool = false, gate Flakes;
    /// Tokens for hosts that need authentication, as `host=token` pairs.
    "access-tokens" access_tokens: StringMap = StringMap::new();
    /// Accept source trees with uncommitted changes.
    "allow-dirty" allow_dirty: bool = true;
    /// Write inputs with uncommitted changes to lock files, by their content hash.
    "allow-dirty-locks" allow_dirty_locks: bool = false, gate Flakes;
    /// Allow the evaluation to read the outputs of derivations, which builds them on the way.
    "allow-import-from-derivation" allow_import_from_derivation: bool = true;
    /// Let builders gain privileges through setuid programs and file capabilities.
    "allow-new-privileges" allow_new_privileges: bool = false;
    /// Accept a store directory that is reached through a symbolic link.
    "allow-symlinked-store" allow_symlinked_store: bool = places.ignore_symlink_store;
    /// Provide the builtins that run programs during evaluation.
    "allow-unsafe-native-code-during-evaluation" allow_unsafe_native_code_during_evaluation: bool = false;
    /// Path prefixes of the host that derivations may ask for on macOS.
    "allowed-impure-host-deps" allowed_impure_host_deps: StringSet = StringSet::new();
    /// URI prefixes that may be fetched when evaluation is restricted.
    "allowed-uris" allowed_uris: Strings = Strings::new();
    /// Users and `@groups` that may talk to the daemon; `*` means everyone.
    "allowed-users" allowed_users: Strings = list(&["*"]);
    /// Substitute even those derivations that ask not to be substituted.
    "always-allow-substitutes" always_allow_substitutes: bool = false;
    /// Take user ids for builds from a range instead of from a group of build users.
    "auto-allocate-uids" auto_allocate_uids: bool = false, gate AutoAllocateUids;
    /// Link identical files together as soon as a path is added to the store.
    "auto-optimise-store" auto_optimise_store: bool = false;
    /// The prompt (`PS1`) of development shells.
    "bash-prompt" bash_prompt: String = String::new();
    /// Text before the prompt of development shells.
    "bash-prompt-prefix" bash_prompt_prefix: String = String::new();
    /// Text after the prompt of development shells.
    "bash-prompt-suffix" bash_prompt_suffix: String = String::new();
    /// Where the directories of running builds are made.
    "build-dir" build_dir: Option<PathBuf> = None;
    /// The program that offers builds to other machines.
    "build-hook" build_hook: Strings = list(&["nix", "__build-remote"]);
    /// Seconds between two looks at a lock that another process holds.
    "build-poll-interval" build_poll_interval: u32 = 5;
    /// The group whose members run builds when the store belongs to root.
    "build-users-group" build_users_group: String = machine::build_users_group() => varies;
    /// Machines that can build, separated by semicolons or newlines; `@FILE` reads them from a file.
    "builders" builders: String = places.default_builders() => varies;
    /// Let build machines fetch dependencies from their own substituters.
    "builders-use-substitutes" builders_use_substitutes: bool = false;
    /// The message of commits that update a flake's lock file.
    "commit-lock-file-summary" commit_lock_file_summary: String = String::new(), alias "commit-lockfile-summary", gate Flakes;
    /// Compress build logs on disk.
    "compress-build-log" compress_build_log: bool = true, alias "build-compress-log";
    /// Seconds until an attempt to connect to a cache is given up; 0 means never.
    "connect-timeout" connect_timeout: u64 = 15;
    /// Cores that one build may use, told to it as `NIX_BUILD_CORES`; 0 means all.
    "cores" cores: u32 = 0, alias "build-cores";
    /// With `--debugger`: stop at `builtins.trace` and at warnings.
    "debugger-on-trace" debugger_on_trace: bool = false;
    /// With `--debugger`: stop at `builtins.warn`.
    "debugger-on-warn" debugger_on_warn: bool = false;
    /// A program that shows how two results of the same build differ.
    "diff-hook" diff_hook: Option<PathBuf> = None;
    /// How often a download is tried before it counts as failed.
    "download-attempts" download_attempts: u32 = 5;
    /// Bytes of a download that are kept in memory while its consumer is slower.
    "download-buffer-size" download_buffer_size: u64 = 1_048_576;
    /// The highest download rate in kilobytes a second; 0 means no limit.
    "download-speed" download_speed: u32 = 0;
    /// Largest right-hand side for which `//` layers attribute sets instead of copying them.
    "eval-attrset-update-layer-rhs-threshold" eval_attrset_update_layer_rhs_threshold: u32 = 16;
    /// Reuse the results of earlier evaluations of the same inputs.
    "eval-cache" eval_cache: bool = true;
    /// The file that an evaluation profile is written to.
    "eval-profile-file" eval_profile_file: PathBuf = PathBuf::from("nix.profile");
    /// Profile evaluations: `disabled` or `flamegraph`.
    "eval-profiler" eval_profiler: EvalProfiler = EvalProfiler::Disabled;
    /// Samples a second that the evaluation profiler takes; 0 samples after each call.
    "eval-profiler-frequency" eval_profiler_frequency: u32 = 99;
    /// The value of `builtins.currentSystem`, if it is to differ from `system`.
    "eval-system" eval_system: String = String::new();
    /// Experimental features that are enabled.
    "experimental-features" experimental_features: BTreeSet<Feature> = BTreeSet::new();
    /// Programs that build derivations of given systems, as a JSON list.
    "external-builders" external_builders: ExternalBuilders = ExternalBuilders::default();
    /// Other systems whose executables run on this machine.
    "extra-platforms" extra_platforms: StringSet = machine::extra_platforms() => varies;
    /// Build from source when a substitute turns out to be broken.
    "fallback" fallback: bool = false, alias "build-fallback";
    /// Keep builders from making setuid files, ACLs and extended attributes.
    "filter-syscalls" filter_syscalls: bool = true;
    /// Where the global flake registry is; empty for none.
    "flake-registry" flake_registry: String = "https://channels.nixos.org/flake-registry.json".to_owned(), gate Flakes;
    /// Write changes of the store's database through to the disk.
    "fsync-metadata" fsync_metadata: bool = true;
    /// Write store paths through to the disk before they are registered.
    "fsync-store-paths" fsync_store_paths: bool = false;
    /// Bytes kept in reserve, so that garbage can be collected on a full disk.
    "gc-reserved-space" gc_reserved_space: u64 = 8_388_608;
    /// Servers that provide fixed-output files by their hash.
    "hashed-mirrors" hashed_mirrors: Strings = Strings::new();
    /// Let derivations that ask for it (`requiredSystemFeatures = [ "host-tools" ]`) use this machine's compilers and other
    /// programs: they see `/usr`, `/bin`, `/lib` and the like. Their results depend on what is installed here.
    "host-tools" host_tools: bool = false;
    /// Connections that downloads open at the same time; 0 means no limit.
    "http-connections" http_connections: u64 = 25, alias "binary-caches-parallel-connections";
    /// Use HTTP/2 where the server offers it.
    "http2" http2: bool = true;
    /// How many user ids `auto-allocate-uids` may hand out.
    "id-count" id_count: u32 = 8_388_608;
    /// With `--debugger`: do not stop at errors inside `builtins.tryEval`.
    "ignore-try" ignore_try: bool = false;
    /// Extended attributes that are left alone when store paths are normalised.
    "ignored-acls" ignored_acls: StringSet = set(&["security.csm", "security.selinux", "system.nfs4_acl"]);
    /// Pretend to be a 2.6 kernel towards builders.
    "impersonate-linux-26" impersonate_linux_26: bool = false, alias "build-impersonate-linux-26";
    /// Environment variables for impure and fixed-output builds, as `NAME=VALUE` pairs.
    "impure-env" impure_env: StringMap = StringMap::new(), gate ConfigurableImpureEnv;
    /// A file or socket that receives the JSON log as well.
    "json-log-path" json_log_path: Option<PathBuf> = None;
    /// Keep the logs of builds.
    "keep-build-log" keep_build_log: bool = true, alias "build-keep-log";
    /// Do not collect derivations as long as their outputs are alive.
    "keep-derivations" keep_derivations: bool = true, alias "gc-keep-derivations";
    /// Make the derivations of installed packages part of the user environment.
    "keep-env-derivations" keep_env_derivations: bool = false, alias "env-keep-derivations";
    /// Keep the directories of failed builds.
    "keep-failed" keep_failed: bool = false;
    /// Go on with other builds after one has failed.
    "keep-going" keep_going: bool = false;
    /// Do not collect the outputs of derivations that are alive.
    "keep-outputs" keep_outputs: bool = false, alias "gc-keep-outputs";
    /// What to do about absolute path literals: `ignore`, `warn` or `fatal`.
    "lint-absolute-path-literals" lint_absolute_path_literals: Diagnose = Diagnose::Ignore;
    /// What to do about path literals without a leading `./` or `/`: `ignore`, `warn` or `fatal`.
    "lint-short-path-literals" lint_short_path_literals: Diagnose = Diagnose::Ignore;
    /// What to do about unquoted URLs: `ignore`, `warn` or `fatal`.
    "lint-url-literals" lint_url_literals: Diagnose = Diagnose::Ignore;
    /// Lines of a failed build's log that are shown.
    "log-lines" log_lines: u64 = 25;
    /// Bytes of output after which a build is stopped; 0 means no limit.
    "max-build-log-size" max_build_log_size: u64 = 0, alias "build-max-log-size";
    /// How deeply calls may nest.
    "max-call-depth" max_call_depth: u32 = 10_000;
    /// Free bytes at which an automatic collection stops.
    "max-free" max_free: u64 = i64::MAX as u64;
    /// Builds that run at the same time; `auto` means one for each core.
    "max-jobs" max_jobs: MaxJobs = MaxJobs(1), alias "build-max-jobs";
    /// Seconds without output after which a build is stopped; 0 means never.
    "max-silent-time" max_silent_time: u64 = 0, alias "build-max-silent-time";
    /// Substitutions that run at the same time.
    "max-substitution-jobs" max_substitution_jobs: u32 = 16, alias "substitution-max-jobs";
    /// Free bytes below which a build starts a garbage collection; 0 means never.
    "min-free" min_free: u64 = 0;
    /// Seconds between two looks at the free space.
    "min-free-check-interval" min_free_check_interval: u64 = 5;
    /// Archives up to this many bytes are held in memory.
    "nar-buffer-size" nar_buffer_size: u64 = 33_554_432;
    /// Seconds for which what a cache says about itself is believed.
    "narinfo-cache-meta-ttl" narinfo_cache_meta_ttl: u32 = 604_800;
    /// Seconds for which a cache's answer that it lacks a path is believed.
    "narinfo-cache-negative-ttl" narinfo_cache_negative_ttl: u32 = 3600;
    /// Seconds for which a cache's answer that it has a path is believed.
    "narinfo-cache-positive-ttl" narinfo_cache_positive_ttl: u32 = 2_592_000;
    /// A file with names and passwords for HTTP servers.
    "netrc-file" netrc_file: PathBuf = places.conf_dir.join("netrc");
    /// Where `<name>` is looked up, before the channels; the variable `NIX_PATH` takes its place.
    "nix-path" nix_path: Words = Words::default();
    /// `nix-shell DIRECTORY` prefers the directory's `shell.nix` to its `default.nix`.
    "nix-shell-always-looks-for-shell-nix" nix_shell_always_looks_for_shell_nix: bool = true;
    /// Paths in a `nix-shell` script's first lines are relative to the script.
    "nix-shell-shebang-arguments-relative-to-script" nix_shell_shebang_arguments_relative_to_script: bool = true;
    /// Shared libraries that extend the program.
    "plugin-files" plugin_files: Strings = Strings::new();
    /// A program that runs after each successful build.
    "post-build-hook" post_build_hook: String = String::new();
    /// A program that may add paths to a build's sandbox.
    "pre-build-hook" pre_build_hook: String = String::new();
    /// Reserve the space of files before writing them.
    "preallocate-contents" preallocate_contents: bool = false;
    /// Say what will be built and fetched before doing it.
    "print-missing" print_missing: bool = true;
    /// Evaluate without anything that differs between machines or moments.
    "pure-eval" pure_eval: bool = false;
    /// Refuse to build if supplementary groups cannot be dropped.
    "require-drop-supplementary-groups" require_drop_supplementary_groups: bool = machine::can_set_groups();
    /// Accept paths from elsewhere only with a trusted signature.
    "require-sigs" require_sigs: bool = true;
    /// Evaluate without files outside of the search path and without other URIs than those allowed.
    "restrict-eval" restrict_eval: bool = false;
    /// Run `diff-hook` when a repeated build differs.
    "run-diff-hook" run_diff_hook: bool = false;
    /// Isolate builds: `true`, `false`, or `relaxed` where derivations may opt out.
    "sandbox" sandbox: SandboxMode = SandboxMode::Enabled, alias "build-use-chroot" "build-use-sandbox";
    /// Where the build directory is, seen from inside the sandbox.
    "sandbox-build-dir" sandbox_build_dir: PathBuf = PathBuf::from("/build");
    /// The size of `/dev/shm` in the sandbox, in the format of tmpfs.
    "sandbox-dev-shm-size" sandbox_dev_shm_size: String = "50%".to_owned();
    /// Build without isolation where the kernel does not allow it.
    "sandbox-fallback" sandbox_fallback: bool = true;
    /// Host paths that builds see, as `PATH` or `INSIDE=OUTSIDE`; a final `?` makes one optional.
    "sandbox-paths" sandbox_paths: SandboxPaths = SandboxPaths::default(), alias "build-chroot-dirs" "build-sandbox-paths";
    /// Files with the secret keys that sign what is built here.
    "secret-key-files" secret_key_files: Strings = Strings::new();
    /// Show the whole trace of an evaluation error.
    "show-trace" show_trace: bool = false;
    /// A file with the certificates that HTTPS servers are checked against.
    "ssl-cert-file" ssl_cert_file: Option<PathBuf> = places.default_ssl_cert_file() => varies;
    /// Seconds without data after which a download is started again.
    "stalled-download-timeout" stalled_download_timeout: u64 = 300;
    /// The first user id that `auto-allocate-uids` hands out.
    "start-id" start_id: u32 = 872_415_232;
    /// The URL of the store to use.
    "store" store: String = places.default_store();
    /// Fetch built paths instead of building them.
    "substitute" substitute: bool = true, alias "build-use-substitutes";
    /// The caches to fetch from.
    "substituters" substituters: Strings = list(&["https://cache.nixos.org/"]), alias "binary-caches";
    /// Flush all file systems before a path is registered.
    "sync-before-registering" sync_before_registering: bool = false;
    /// The system to build for on this machine.
    "system" system: String = machine::system();
    /// Features that this machine offers to derivations that require them.
    "system-features" system_features: StringSet = machine::system_features() => varies;
    /// Seconds for which a downloaded file counts as fresh.
    "tarball-ttl" tarball_ttl: u32 = 3600;
    /// Seconds after which a build is stopped; 0 means never.
    "timeout" timeout: u64 = 0, alias "build-timeout";
    /// Log every function call of the evaluation.
    "trace-function-calls" trace_function_calls: bool = false;
    /// Warn when the evaluation builds something.
    "trace-import-from-derivation" trace_import_from_derivation: bool = false;
    /// Let `builtins.traceVerbose` speak.
    "trace-verbose" trace_verbose: bool = false;
    /// Trust archives from forges to match their revision, without a content hash.
    "trust-tarballs-from-git-forges" trust_tarballs_from_git_forges: bool = true;
    /// Public keys whose signatures are trusted.
    "trusted-public-keys" trusted_public_keys: Strings = list(&["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="]), alias "binary-cache-public-keys";
    /// Caches that users of the daemon may choose although they are not in use.
    "trusted-substituters" trusted_substituters: StringSet = StringSet::new(), alias "trusted-binary-caches";
    /// Users and `@groups` with the rights of the store's owner.
    "trusted-users" trusted_users: Strings = list(&["root"]);
    /// Where `upgrade-nix` learns the newest version.
    "upgrade-nix-store-path-url" upgrade_nix_store_path_url: String = "https://github.com/NixOS/nixpkgs/raw/master/nixos/modules/installer/tools/nix-fallback-paths.nix".to_owned();
    /// Mangle names that differ in case only, for file systems that ignore case.
    "use-case-hack" use_case_hack: bool = false;
    /// Run each build in a control group of its own.
    "use-cgroups" use_cgroups: bool = false;
    /// Resolve flake names through registries.
    "use-registries" use_registries: bool = true, gate Flakes;
    /// Let the database use a write-ahead log.
    "use-sqlite-wal" use_sqlite_wal: bool = true;
    /// Keep files of the home directory where the XDG specification wants them.
    "use-xdg-base-directories" use_xdg_base_directories: bool = false;
    /// Text after the program's name in HTTP requests.
    "user-agent-suffix" user_agent_suffix: String = String::new();
    /// Warn about source trees with uncommitted changes.
    "warn-dirty" warn_dirty: bool = true;
    /// Warn when a path with more bytes than this is copied to the store; 0 means never.
    "warn-large-path-threshold" warn_large_path_threshold: u64 = 0;
    /// Old spelling of `lint-short-path-literals = warn`.
    "warn-short-path-literals" warn_short_path_literals: bool = false;
}

fn list(words: &[&str]) -> Strings {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn set(words: &[&str]) -> StringSet {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Name to value, ordered by name.
pub type StringMap = BTreeMap<String, String>;
