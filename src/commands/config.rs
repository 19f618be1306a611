//! `rx config show`: the settings in effect.

use serde_json::{Map, Value, json};

use rx_store::settings::{Feature, INFOS, Settings, info};

use crate::cli::{Category, Invocation, JsonOptions, Subcommand, suggest};
use crate::ui::report::Report;
use crate::ui::{self, Failure, UsageError};

/// Arguments of `rx config show`.
#[derive(clap::Args)]
pub struct ConfigShow {
    #[command(flatten)]
    json: JsonOptions,
    /// Print the value of this setting only.
    name: Option<String>,
}

/// There is no setting of this name: no usage error in the reference, hence none here.
fn no_setting(name: &str) -> Failure {
    let mut report = Report::new(format!("could not find setting '{name}'"));
    let near = suggest::nearest(name, INFOS.iter().map(|info| info.name));
    report
        .help
        .extend(near.map(|near| format!("did you mean '{near}'?")));
    Failure::Report {
        report: Box::new(report),
        status: 1,
    }
}

impl Subcommand for ConfigShow {
    const PATH: &'static str = "config show";
    const ABOUT: &'static str = "Show the settings in effect, or one of them";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let settings = &*invocation.settings;
        match self.name {
            Some(_) if self.json.json => {
                let message = "'--json' is not supported when specifying a setting name";
                Err(UsageError::new(message).into())
            }
            Some(name) => {
                let shown =
                    info(&name).filter(|info| info.name == name && visible(info.feature, settings));
                let value = shown.and_then(|info| settings.value_text(info.name));
                match value {
                    Some(value) => ui::print(&format!("{value}\n")),
                    None => Err(no_setting(&name)),
                }
            }
            None if self.json.json => self.json.print(&all_json(settings)),
            None => ui::print(&all_text(settings)),
        }
    }
}

fn visible(feature: Option<Feature>, settings: &Settings) -> bool {
    feature.is_none_or(|feature| settings.enabled(feature))
}

fn all_text(settings: &Settings) -> String {
    INFOS
        .iter()
        .map(|info| {
            format!(
                "{} = {}\n",
                info.name,
                settings.value_text(info.name).unwrap_or_default()
            )
        })
        .collect()
}

fn all_json(settings: &Settings) -> Value {
    let defaults = Settings::with_defaults(settings.places.clone());
    INFOS
        .iter()
        .map(|info| {
            let value = json!({
                "aliases": info.aliases,
                "defaultValue": defaults.value_json(info.name),
                "description": info.description,
                "documentDefault": info.fixed_default,
                "experimentalFeature": info.feature.map(Feature::name),
                "value": settings.value_json(info.name),
            });
            (info.name.to_owned(), value)
        })
        .collect::<Map<_, _>>()
        .into()
}
