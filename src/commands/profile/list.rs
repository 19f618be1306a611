//! `rx profile list`.

use std::fmt::Write as _;

use super::{ProfileArgs, read};
use crate::cli::{Category, EvalOptions, Invocation, JsonOptions, Subcommand};
use crate::store_session::open_store;
use crate::ui::{self, Failure};

/// Arguments of `rx profile list`.
#[derive(clap::Args)]
pub struct ProfileList {
    #[command(flatten)]
    profile: ProfileArgs,
    #[command(flatten)]
    json: JsonOptions,
    #[command(flatten)]
    options: EvalOptions,
}

impl Subcommand for ProfileList {
    const PATH: &'static str = "profile list";
    const ABOUT: &'static str = "List installed packages";
    const CATEGORY: Category = Category::Main;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let profile = self.profile.path(invocation)?;
        let store = open_store(invocation)?;
        let manifest = read(invocation, &self.options, &*store, &profile)?;
        if self.json.json {
            return self.json.print(&manifest.to_json(store.dir()));
        }
        let mut text = String::new();
        for (number, (name, entry)) in manifest.elements.iter().enumerate() {
            if number > 0 {
                text.push('\n');
            }
            let inactive = if entry.active {
                String::new()
            } else {
                format!(" {}", ui::coloured("31;1", "(inactive)"))
            };
            let name = ui::coloured("1", name);
            let _ = writeln!(text, "Name:               {name}{inactive}");
            if let Some(source) = &entry.source {
                let _ = writeln!(
                    text,
                    "Flake attribute:    {}{}\nOriginal flake URL: {}\nLocked flake URL:   {}",
                    source.attr_path,
                    source.outputs_suffix(),
                    source.original_url,
                    source.url
                );
            }
            let paths: Vec<String> = entry
                .store_paths
                .iter()
                .map(|path| store.dir().display(path).to_string())
                .collect();
            let _ = writeln!(text, "Store paths:        {}", paths.join(" "));
        }
        ui::print(&text)
    }
}
