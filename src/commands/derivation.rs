//! `rx derivation …`: derivations as JSON.

use std::io::Read;

use rx_store::derivation::{Derivation, pretty_json};
use rx_store::store::closure::ClosureOptions;
use rx_store::store::{AddFlags, StoreError};

use crate::cli::{Category, Invocation, Subcommand};
use crate::operands::Operands;
use crate::store_session::{lines, open_store};
use crate::ui::{self, Failure, FeatureDisabled};

/// Arguments of `rx derivation show`.
#[derive(clap::Args)]
pub struct DerivationShow {
    /// Also show everything that the derivations need.
    #[arg(short, long)]
    recursive: bool,
    /// Indent the JSON (the default on a terminal).
    #[arg(long, overrides_with = "no_pretty")]
    pretty: bool,
    /// Print the JSON on one line (the default elsewhere).
    #[arg(long, overrides_with = "pretty")]
    no_pretty: bool,
    #[command(flatten)]
    operands: Operands,
}

impl Subcommand for DerivationShow {
    const PATH: &'static str = "derivation show";
    const ABOUT: &'static str = "Print derivations as JSON";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let named = self.operands.find(invocation, None)?;
        let mut wanted = named.derivations()?;
        let store = &named.eval_store;
        if self.recursive {
            wanted = store.closure(&wanted, ClosureOptions::default())?;
        }
        let mut text = String::from("{\"derivations\":{");
        let mut first = true;
        for path in wanted.iter().filter(|path| path.is_derivation()) {
            if !first {
                text.push(',');
            }
            first = false;
            text += &format!("\"{path}\":");
            text += &store.read_derivation(path)?.to_json()?;
        }
        text += "},\"version\":4}";
        if self.pretty || (!self.no_pretty && ui::stdout_is_terminal()) {
            text = pretty_json(&text);
        }
        text.push('\n');
        ui::print(&text)
    }
}

/// Arguments of `rx derivation add`.
#[derive(clap::Args)]
pub struct DerivationAdd {
    /// Print the path that it would get, and add nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Subcommand for DerivationAdd {
    const PATH: &'static str = "derivation add";
    const ABOUT: &'static str = "Read a derivation as JSON and add it to the store";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let store = open_store(invocation)?;
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        let mut derivation = Derivation::from_json(&serde_json::from_str(&text)?)?;
        let modulo = derivation.fill_in_output_paths::<Inner>(store.dir(), &mut |input| {
            store.derivation_modulo(input).map_err(Inner::Store)
        })?;
        if let Some(feature) = derivation.kind()?.feature()
            && !invocation.settings.enabled(feature)
        {
            return Err(FeatureDisabled(feature).into());
        }
        if self.dry_run {
            let path = derivation.path_of(store.dir(), &derivation.to_aterm(store.dir()))?;
            return ui::print_bytes(&lines(&*store, [&path]));
        }
        let path = store.write_derivation(&derivation, AddFlags::default())?;
        store.remember_modulo(&path, modulo);
        store.flush()?;
        ui::print_bytes(&lines(&*store, [&path]))
    }
}

/// A failure of the derivation, or of the store while its inputs are read.
#[derive(Debug, thiserror::Error)]
enum Inner {
    #[error(transparent)]
    Derivation(#[from] rx_store::derivation::DerivationError),
    #[error(transparent)]
    Store(StoreError),
}
