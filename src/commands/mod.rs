//! One module for each command, and the two tables that name them all.

mod build;
mod build_new;
mod bundle;
mod channel;
mod collect_garbage;
mod completions;
mod config;
mod configuration;
mod copy;
mod derivation;
mod develop;
pub mod diff_closures;
pub mod doc;
mod doctor;
mod edit;
pub mod env;
mod eval;
mod flake;
mod formatter;
mod hash;
mod help;
mod home;
mod instantiate;
mod key;
mod links;
mod log;
mod module_options;
mod nar;
mod os;
pub mod parse;
mod path_info;
mod prefetch;
pub mod profile;
mod realisation;
mod registry;
pub(crate) mod repl;
mod run;
mod search;
mod shell;
mod shell_new;
pub mod store;
mod store_add;
mod store_check;
mod store_gc;
mod store_info;
mod store_read;
mod store_signatures;
mod store_transfer;
mod store_usage;
mod upgrade_check;
mod why_depends;

use crate::cli::{ClassicEntry, Entry};

/// The classic commands: `rx-NAME`, `nix-NAME`.
pub fn classic() -> &'static [ClassicEntry] {
    const CLASSIC: &[ClassicEntry] = &[
        ClassicEntry::of::<channel::Channel>(),
        ClassicEntry::of::<copy::CopyClosure>(),
        ClassicEntry::of::<build::Build>(),
        ClassicEntry::of::<collect_garbage::CollectGarbage>(),
        ClassicEntry::of::<env::Env>(),
        ClassicEntry::of::<hash::ClassicHash>(),
        ClassicEntry::of::<instantiate::Instantiate>(),
        ClassicEntry::of::<prefetch::PrefetchUrl>(),
        ClassicEntry::of::<shell::Shell>(),
        ClassicEntry::of::<store::StoreCommand>(),
    ];
    CLASSIC
}

/// The new commands: `rx PATH`.
pub fn modern() -> &'static [Entry] {
    const MODERN: &[Entry] = &[
        Entry::of::<build_new::BuildNew>(),
        Entry::of::<bundle::Bundle>(),
        Entry::of::<config::ConfigShow>(),
        Entry::of::<doctor::ConfigCheck>(),
        Entry::of::<copy::Copy>(),
        Entry::of::<doc::Doc>(),
        Entry::of::<doctor::Doctor>(),
        Entry::of::<edit::Edit>(),
        Entry::of::<eval::Eval>(),
        Entry::of::<flake::FlakeArchive>(),
        Entry::of::<flake::FlakeCheck>(),
        Entry::of::<flake::FlakeClone>(),
        Entry::of::<flake::FlakeInit>(),
        Entry::of::<flake::FlakeLock>(),
        Entry::of::<flake::FlakeMetadata>(),
        Entry::of::<flake::FlakeNew>(),
        Entry::of::<flake::FlakePrefetch>(),
        Entry::of::<flake::FlakePrefetchInputs>(),
        Entry::of::<flake::FlakeShow>(),
        Entry::of::<flake::FlakeUpdate>(),
        Entry::of::<formatter::Fmt>(),
        Entry::of::<formatter::FormatterBuild>(),
        Entry::of::<formatter::FormatterRun>(),
        Entry::of::<hash::HashConvert>(),
        Entry::of::<hash::HashFile>(),
        Entry::of::<hash::HashPath>(),
        Entry::of::<hash::ToBase16>(),
        Entry::of::<hash::ToBase32>(),
        Entry::of::<hash::ToBase64>(),
        Entry::of::<hash::ToSri>(),
        Entry::of::<completions::Completions>(),
        Entry::of::<completions::Man>(),
        Entry::of::<help::Help>(),
        Entry::of::<home::HomeBuild>(),
        Entry::of::<home::HomeEdit>(),
        Entry::of::<home::HomeExpireGenerations>(),
        Entry::of::<home::HomeGenerations>(),
        Entry::of::<home::HomeInit>(),
        Entry::of::<home::HomeInstantiate>(),
        Entry::of::<home::HomeNews>(),
        Entry::of::<home::HomeOption>(),
        Entry::of::<home::HomePackages>(),
        Entry::of::<home::HomeRemoveGenerations>(),
        Entry::of::<home::HomeRepl>(),
        Entry::of::<home::HomeRollback>(),
        Entry::of::<home::HomeSwitch>(),
        Entry::of::<home::HomeUninstall>(),
        Entry::of::<key::ConvertSecretToPublic>(),
        Entry::of::<key::GenerateSecret>(),
        Entry::of::<links::Links>(),
        Entry::of::<nar::NarCat>(),
        Entry::of::<nar::NarDumpPath>(),
        Entry::of::<nar::NarLs>(),
        Entry::of::<nar::NarPack>(),
        Entry::of::<os::OsBoot>(),
        Entry::of::<os::OsBuild>(),
        Entry::of::<os::OsDryActivate>(),
        Entry::of::<os::OsDryBuild>(),
        Entry::of::<os::OsListGenerations>(),
        Entry::of::<os::OsOption>(),
        Entry::of::<os::OsRepl>(),
        Entry::of::<os::OsRollback>(),
        Entry::of::<os::OsSwitch>(),
        Entry::of::<os::OsTest>(),
        Entry::of::<parse::Parse>(),
        Entry::of::<profile::ProfileAdd>(),
        Entry::of::<profile::ProfileDiffClosures>(),
        Entry::of::<profile::ProfileHistory>(),
        Entry::of::<profile::ProfileList>(),
        Entry::of::<profile::ProfileRemove>(),
        Entry::of::<profile::ProfileRollback>(),
        Entry::of::<profile::ProfileUpgrade>(),
        Entry::of::<profile::ProfileWipeHistory>(),
        Entry::of::<store_info::StoreInfo>(),
        Entry::of::<prefetch::PrefetchFile>(),
        Entry::of::<repl::ReplCommand>(),
        Entry::of::<registry::RegistryAdd>(),
        Entry::of::<registry::RegistryList>(),
        Entry::of::<registry::RegistryPin>(),
        Entry::of::<registry::RegistryRemove>(),
        Entry::of::<registry::RegistryResolve>(),
        Entry::of::<derivation::DerivationAdd>(),
        Entry::of::<derivation::DerivationShow>(),
        Entry::of::<develop::Develop>(),
        Entry::of::<develop::PrintDevEnv>(),
        Entry::of::<diff_closures::DiffClosures>(),
        Entry::of::<run::Run>(),
        Entry::of::<shell_new::ShellNew>(),
        Entry::of::<log::Log>(),
        Entry::of::<path_info::PathInfoCommand>(),
        Entry::of::<search::Search>(),
        Entry::of::<store_add::StoreAdd>(),
        Entry::of::<store_add::StoreAddFile>(),
        Entry::of::<store_add::StoreAddPath>(),
        Entry::of::<store_check::StoreFsck>(),
        Entry::of::<store_check::StoreOptimise>(),
        Entry::of::<store_check::StoreRepair>(),
        Entry::of::<store_check::StoreVerify>(),
        Entry::of::<store_gc::StoreDelete>(),
        Entry::of::<store_gc::StoreGc>(),
        Entry::of::<store_read::PathFromHashPart>(),
        Entry::of::<store_read::StoreCat>(),
        Entry::of::<store_read::StoreDumpPath>(),
        Entry::of::<store_read::StoreLs>(),
        Entry::of::<realisation::RealisationInfo>(),
        Entry::of::<store_signatures::StoreCopySigs>(),
        Entry::of::<store_signatures::StoreSign>(),
        Entry::of::<store_usage::StoreDu>(),
        Entry::of::<store_usage::StoreRoots>(),
        Entry::of::<store_transfer::StoreCopyLog>(),
        Entry::of::<store_transfer::StoreMakeContentAddressed>(),
        Entry::of::<upgrade_check::UpgradeCheck>(),
        Entry::of::<why_depends::WhyDepends>(),
    ];
    MODERN
}

/// Old names of new commands.
pub const MODERN_ALIASES: &[(&str, &str)] = &[
    ("add-to-store", "store add-path"),
    ("cat-nar", "nar cat"),
    ("cat-store", "store cat"),
    ("copy-sigs", "store copy-sigs"),
    ("dev-shell", "develop"),
    ("diff-closures", "store diff-closures"),
    ("dump-path", "store dump-path"),
    ("flake info", "flake metadata"),
    ("hash-file", "hash file"),
    ("hash-path", "hash path"),
    ("ls-nar", "nar ls"),
    ("ls-store", "store ls"),
    ("make-content-addressable", "store make-content-addressed"),
    ("optimise-store", "store optimise"),
    ("ping-store", "store info"),
    ("profile install", "profile add"),
    ("shell", "env shell"),
    ("show-config", "config show"),
    ("show-derivation", "derivation show"),
    ("sign-paths", "store sign"),
    ("store optimize", "store optimise"),
    ("store ping", "store info"),
    ("to-base16", "hash to-base16"),
    ("to-base32", "hash to-base32"),
    ("to-base64", "hash to-base64"),
    ("verify", "store verify"),
];
