//! `rx realisation info`: what outputs of content-addressed derivations were built to.

use std::collections::BTreeMap;

use rx_store::store::DerivedPath;
use rx_store::store::drv_hash::drv_output;
use serde_json::{Map, Value, json};

use crate::cli::{Category, Invocation, JsonOptions, Subcommand};
use crate::operands::Operands;
use crate::ui::{self, Failure};

/// Arguments of `rx realisation info`.
#[derive(clap::Args)]
pub struct RealisationInfo {
    #[command(flatten)]
    json: JsonOptions,
    #[command(flatten)]
    operands: Operands,
}

impl Subcommand for RealisationInfo {
    const PATH: &'static str = "realisation info";
    const ABOUT: &'static str = "Print what outputs were built to";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let named = self.operands.find(invocation, None)?;
        // Outputs are built first: only then it is known what they are.
        named.paths(true)?;
        let (mut list, mut text) = (Vec::new(), String::new());
        for (derived, outputs) in named.outputs()? {
            for (name, path) in outputs {
                let Some(path) = path else { continue };
                let shown = named.store.dir().display(&path).to_string();
                let DerivedPath::Built { drv, .. } = &derived else {
                    list.push(json!({ "opaquePath": path.to_string() }));
                    text += &format!("{shown}\n");
                    continue;
                };
                let Some(drv) = named.eval_store.known_path(drv)? else {
                    continue;
                };
                let id = drv_output(&*named.eval_store, &drv, &name)?;
                text += &format!("{id} {shown}\n");
                list.push(match named.store.query_realisation(&id)? {
                    Some(realisation) => sorted(&realisation.to_json()),
                    None => json!({ "id": id.to_string(), "outPath": path.to_string() }),
                });
            }
        }
        if self.json.json {
            return self.json.print(&list.into());
        }
        ui::print(&text)
    }
}

fn sorted(value: &Value) -> Value {
    let map: BTreeMap<String, Value> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Value::Object(map.into_iter().collect::<Map<_, _>>())
}
