//! `rx build`: derivations and store paths, realised and linked.

use std::path::PathBuf;

use rx_store::path::StorePath;
use rx_store::store::{DerivedPath, SingleDerivedPath, Store};
use serde_json::{Map, Value, json};

use crate::cli::{BuildOptions, Category, Invocation, JsonOptions, LinkOptions, Subcommand};
use crate::operands::{Operands, Outputs};
use crate::realise::{Run, link_outputs, plain_failure, realise, switch_profile};
use crate::ui::{self, Failure};

/// Arguments of `rx build`.
#[derive(clap::Args)]
pub struct BuildNew {
    /// Print the paths of the outputs.
    #[arg(long)]
    print_out_paths: bool,
    /// Make a generation of this profile from the one output.
    #[arg(long, value_name = "PATH")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    json: JsonOptions,
    #[command(flatten)]
    build: BuildOptions,
    #[command(flatten)]
    link: LinkOptions,
    #[command(flatten)]
    operands: Operands,
}

impl Subcommand for BuildNew {
    const PATH: &'static str = "build";
    const ABOUT: &'static str = "Build derivations or fetch store paths";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let named = self.operands.find(invocation, None)?;
        named.prepare();
        let wanted = named.derived();
        let store = &*named.store;
        let run = self.build.run();
        let made = realise(
            store,
            &invocation.settings,
            &wanted,
            self.build.mode,
            run,
            plain_failure,
        )?;
        let built = named.outputs_after(&made)?;
        // Links need a file system.
        if run == Run::Real && store.as_local().is_some() {
            self.make_links(store, &built)?;
        }
        self.print(store, &built)
    }
}

/// A derivation by its path, or by what builds it with the path that it has become.
fn show_derivation(store: &dyn Store, drv: &SingleDerivedPath) -> Value {
    match drv {
        SingleDerivedPath::Opaque(path) => json!(store.dir().display(path).to_string()),
        SingleDerivedPath::Built { drv: inner, output } => {
            let path = store.known_path(drv).ok().flatten();
            json!({
                "drvPath": show_derivation(store, inner),
                "output": output,
                "outputPath": path.map(|path| store.dir().display(&path).to_string()),
            })
        }
    }
}

impl BuildNew {
    fn make_links(
        &self,
        store: &dyn Store,
        built: &[(DerivedPath, Outputs)],
    ) -> Result<(), Failure> {
        if let Some(profile) = &self.profile {
            switch_profile(store, profile, built)?;
        }
        match self.link.base()? {
            Some(base) => link_outputs(store, &base, built),
            None => Ok(()),
        }
    }

    fn print(&self, store: &dyn Store, built: &[(DerivedPath, Outputs)]) -> Result<(), Failure> {
        let show = |path: &StorePath| store.dir().display(path).to_string();
        if self.json.json {
            let list: Vec<_> = built
                .iter()
                .map(|(path, outputs)| match path {
                    DerivedPath::Opaque(path) => json!(show(path)),
                    DerivedPath::Built { drv, .. } => {
                        let outputs: Map<_, _> = outputs
                            .iter()
                            .map(|(name, path)| (name.clone(), json!(path.as_ref().map(show))))
                            .collect();
                        json!({ "drvPath": show_derivation(store, drv), "outputs": outputs })
                    }
                })
                .collect();
            self.json.print(&json!(list))?;
        }
        if self.print_out_paths && !self.build.dry_run {
            let lines: String = built
                .iter()
                .flat_map(|(_, outputs)| outputs.values().flatten())
                .map(|path| show(path) + "\n")
                .collect();
            ui::print(&lines)?;
        }
        Ok(())
    }
}
