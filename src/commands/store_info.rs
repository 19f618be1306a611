//! `rx store info`: whether a store can be reached, and what it says of itself.

use rx_store::store::address::{StoreAddress, Target};

use crate::cli::{COMPATIBLE_VERSION, Category, Invocation, JsonOptions, Subcommand};
use crate::store_session::open_store;
use crate::ui::Failure;

/// Arguments of `rx store info`.
#[derive(clap::Args)]
pub struct StoreInfo {
    #[command(flatten)]
    json: JsonOptions,
}

impl Subcommand for StoreInfo {
    const PATH: &'static str = "store info";
    const ABOUT: &'static str = "Test whether a store can be reached";
    const CATEGORY: Category = Category::Utility;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let text = &invocation.settings.store;
        let address = StoreAddress::parse(text)?;
        let store = open_store(invocation)?;
        let is_local = matches!(address.target, Target::Auto | Target::Local(_));
        let scheme = match &address.target {
            Target::Scheme { scheme, .. } => scheme.as_str(),
            _ => "",
        };
        if matches!(scheme, "http" | "https" | "s3" | "file") {
            // A cache is reached by asking it something.
            let nobody = rx_store::path::StorePath::new([0; 20], b"x")?;
            let downloader =
                rx_store::fetch::download::Downloader::from_settings(&invocation.settings);
            let cache = rx_store::cache::BinaryCacheStore::open(
                text,
                store.dir().clone(),
                &downloader,
                None,
            )?;
            cache.info()?;
            store.is_valid(&nobody)?;
        }
        // What is on this machine's disk belongs to whoever runs this; servers do not tell.
        let trusted = (is_local || scheme == "file").then_some(true);
        let version = is_local.then_some(COMPATIBLE_VERSION);
        if self.json.json {
            let mut json = serde_json::Map::new();
            if let Some(trusted) = trusted {
                json.insert("trusted".into(), trusted.into());
            }
            json.insert("url".into(), store.url().into());
            if let Some(version) = version {
                json.insert("version".into(), version.into());
            }
            return self.json.print(&json.into());
        }
        let notice =
            |line: String| rx_store::progress::log(rx_store::progress::Level::Notice, line);
        notice(format!("Store URL: {}", store.url()));
        if let Some(version) = version {
            notice(format!("Version: {version}"));
        }
        if let Some(trusted) = trusted {
            notice(format!("Trusted: {}", u8::from(trusted)));
        }
        Ok(())
    }
}
