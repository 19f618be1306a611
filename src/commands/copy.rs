//! `rx copy` and `rx-copy-closure`: paths with all they need, from one store to another.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufRead, IsTerminal};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rx_store::cache::{CopyOptions, copy_paths};
use rx_store::path::StorePath;
use rx_store::store::DerivedPath;
use rx_store::store::closure::ClosureOptions;

use crate::cli::{Category, ClassicCommand, Flag, Invocation, Options, Subcommand};
use crate::operands::{Operands, Outputs};
use crate::realise::{link_outputs, switch_profile};
use crate::store_session::{open_named, open_store, store_path};
use crate::ui::{Failure, UsageError};

/// Arguments of `rx copy`.
#[derive(clap::Args)]
pub struct Copy {
    /// The store to copy to.
    #[arg(long, value_name = "STORE")]
    to: Option<String>,
    /// The store to copy from.
    #[arg(long, value_name = "STORE")]
    from: Option<String>,
    /// Copy paths that nobody trusted has signed, too.
    #[arg(long)]
    no_check_sigs: bool,
    /// Let the receiving store fetch from its own caches what they have.
    #[arg(long, short = 's')]
    substitute_on_destination: bool,
    /// Copy everything that the store has.
    #[arg(long)]
    all: bool,
    /// Copy what the paths need, too (the default).
    #[arg(long, short = 'r', overrides_with = "no_recursive")]
    recursive: bool,
    /// Copy nothing but the paths themselves.
    #[arg(long)]
    no_recursive: bool,
    /// Copy the derivations, not their outputs.
    #[arg(long)]
    derivation: bool,
    /// Replace what is there already.
    #[arg(long, hide = true)]
    repair: bool,
    /// Make a generation of this profile from the one output that was copied.
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
    /// Make links with this name to what was copied.
    #[arg(long, short = 'o', value_name = "PATH")]
    out_link: Option<PathBuf>,
    #[command(flatten)]
    operands: Operands,
}

/// Nothing says where to copy.
#[derive(Debug, thiserror::Error)]
#[error("you must pass '--from' and/or '--to'")]
struct NoStores;

impl Subcommand for Copy {
    const PATH: &'static str = "copy";
    const ABOUT: &'static str = "Copy paths between stores";
    const CATEGORY: Category = Category::Main;
    const DETAILS: &'static str = "
Without --from or --to, the store of this machine takes that part.

    rx copy --to file:///mnt/cache ./result
    rx copy --from https://cache.example.org /nix/store/…-hello-2.12
    rx copy --to /mnt/other-root --no-check-sigs ./result
";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        if self.from.is_none() && self.to.is_none() {
            return Err(NoStores.into());
        }
        let source = match &self.from {
            Some(address) => Some(open_named(invocation, address)?),
            None => None,
        };
        let mut roots = Vec::new();
        let mut realisations = Vec::new();
        let (from, paths) = if self.all {
            let from = match source {
                Some(store) => store,
                None => open_store(invocation)?,
            };
            let paths = from.all_valid_paths()?;
            (from, paths)
        } else {
            let named = self.operands.find(invocation, source)?;
            let paths = if self.derivation {
                let paths = named.derivations()?;
                roots = paths.iter().map(root).collect();
                paths
            } else {
                let paths = named.paths(true)?;
                roots = named.outputs()?;
                if !self.no_recursive {
                    realisations = named.realisations()?;
                }
                paths
            };
            let from = if self.derivation {
                named.eval_store
            } else {
                named.store
            };
            (from, paths)
        };
        let to = match &self.to {
            Some(address) => open_named(invocation, address)?,
            None => open_store(invocation)?,
        };
        let paths = if self.no_recursive || self.all {
            paths
        } else {
            from.closure(&paths, ClosureOptions::default())?
        };
        let options = CopyOptions {
            check_signatures: !self.no_check_sigs,
            repair: self.repair,
            substitute: self.substitute_on_destination,
        };
        copy_paths(&*from, &*to, &paths, options)?;
        for realisation in &realisations {
            to.register_realisation(realisation, options.check_signatures)?;
        }
        if let Some(profile) = &self.profile {
            switch_profile(&*to, profile, &roots)?;
        }
        if let Some(link) = &self.out_link {
            link_outputs(&*to, link, &roots)?;
        }
        Ok(())
    }
}

/// A path that is kept as it is.
fn root(path: &StorePath) -> (DerivedPath, Outputs) {
    let outputs = Outputs::from([(String::new(), Some(path.clone()))]);
    (DerivedPath::Opaque(path.clone()), outputs)
}

/// Options of `rx-copy-closure`.
#[derive(Default)]
pub struct CopyClosure {
    from: bool,
    include_outputs: bool,
    substitute: bool,
    arguments: Vec<OsString>,
}

impl Options for CopyClosure {
    const FLAGS: &'static [Flag<Self>] = &[
        Flag::switch("to", "Copy to the other store (the default).", |o| {
            o.from = false
        }),
        Flag::switch("from", "Copy from the other store.", |o| o.from = true),
        Flag::switch(
            "include-outputs",
            "Copy outputs of derivations, too.",
            |o| o.include_outputs = true,
        ),
        Flag::switch(
            "use-substitutes",
            "Let the receiving store fetch from its own caches.",
            |o: &mut Self| o.substitute = true,
        )
        .short('s'),
        Flag::switch(
            "gzip",
            "Accepted; what compresses is decided by the store.",
            |_| {},
        ),
        Flag::switch(
            "bzip2",
            "Accepted; what compresses is decided by the store.",
            |_| {},
        ),
        Flag::switch(
            "xz",
            "Accepted; what compresses is decided by the store.",
            |_| {},
        ),
    ];

    fn argument(&mut self, argument: OsString) -> Result<(), UsageError> {
        self.arguments.push(argument);
        Ok(())
    }
}

impl ClassicCommand for CopyClosure {
    const NAME: &'static str = "copy-closure";
    const ABOUT: &'static str = "copy paths with all they need to or from another store";
    const USAGE: &'static [&'static str] =
        &["[--to | --from] [--include-outputs] [--use-substitutes] STORE PATH..."];
    const DETAILS: &'static str = "
STORE is a store's address (file:///cache, /mnt/root, local?root=/mnt) or a host that is reached through SSH.
";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let Some((host, paths)) = self.arguments.split_first() else {
            return Err(UsageError::new("you must specify a host name").into());
        };
        let host = host.to_string_lossy();
        let is_address = host.contains("://") || host.starts_with(['/', '.']);
        // A host of this name would have no settings.
        let address = if is_address || host.starts_with("local?") {
            host.into_owned()
        } else {
            format!("ssh://{host}")
        };
        let (here, there) = (open_store(invocation)?, open_named(invocation, &address)?);
        let (from, to) = if self.from {
            (there, here)
        } else {
            (here, there)
        };
        let mut wanted = BTreeSet::new();
        for path in paths {
            wanted.insert(store_path(&*from, path)?);
        }
        if paths.is_empty() && !std::io::stdin().is_terminal() {
            for line in std::io::stdin().lock().split(b'\n') {
                let line = line?;
                if !line.is_empty() {
                    wanted.insert(store_path(&*from, &OsString::from_vec(line))?);
                }
            }
        }
        let closure = ClosureOptions {
            include_outputs: self.include_outputs,
            ..ClosureOptions::default()
        };
        let paths = from.closure(&wanted, closure)?;
        // Whoever may log in there is trusted with signing as well.
        let options = CopyOptions {
            substitute: self.substitute,
            ..CopyOptions::default()
        };
        copy_paths(&*from, &*to, &paths, options)?;
        Ok(())
    }
}
