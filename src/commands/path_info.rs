//! `rx path-info`: what a store knows of paths.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rx_store::path::StorePath;
use rx_store::progress;
use rx_store::store::closure::ClosureOptions;
use rx_store::store::{ArchiveInfo, PathInfo, Store};
use serde_json::{Map, Value, json};

use crate::cli::{Category, Invocation, JsonOptions, Subcommand};
use crate::operands::PathArgs;
use crate::ui::{self, Failure, UsageError};

/// Arguments of `rx path-info`.
#[derive(clap::Args)]
pub struct PathInfoCommand {
    #[command(flatten)]
    json: JsonOptions,
    /// The form of the JSON: 1 or 2.
    #[arg(long, value_name = "VERSION")]
    json_format: Option<u64>,
    /// Print the size of each path.
    #[arg(short, long)]
    size: bool,
    /// Print the size of each path with everything it needs.
    #[arg(short = 'S', long)]
    closure_size: bool,
    /// Print sizes with units.
    #[arg(short = 'h', long)]
    human_readable: bool,
    /// Print signatures.
    #[arg(long)]
    sigs: bool,
    #[command(flatten)]
    paths: PathArgs,
}

impl Subcommand for PathInfoCommand {
    const PATH: &'static str = "path-info";
    const ABOUT: &'static str = "Print what is known of store paths";
    const CATEGORY: Category = Category::Secondary;

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let (store, paths) = self.paths.find(invocation, false)?;
        if self.json.json {
            return self.print_json(&*store, &paths);
        }
        self.print_table(&*store, &paths)
    }
}

/// Sum of sizes of a path with everything it needs.
fn closure_size(store: &dyn Store, path: &StorePath) -> Result<u64, Failure> {
    let mut size = 0;
    for path in store.closure(&BTreeSet::from([path.clone()]), ClosureOptions::default())? {
        size += store.path_info(&path)?.nar_size;
    }
    Ok(size)
}

/// The same of what would be downloaded.
fn closure_download_size(store: &dyn Store, path: &StorePath) -> Result<u64, Failure> {
    let mut size = 0;
    for path in store.closure(&BTreeSet::from([path.clone()]), ClosureOptions::default())? {
        size += store.archive_info(&path)?.map_or(0, |archive| archive.size);
    }
    Ok(size)
}

/// What a cache says of an archive.
fn insert_archive(map: &mut Map<String, Value>, archive: &ArchiveInfo) {
    map.insert("url".into(), archive.url.as_str().into());
    map.insert("compression".into(), archive.compression.into());
    if let Some(hash) = &archive.hash {
        map.insert("downloadHash".into(), hash.sri().into());
    }
    if archive.size != 0 {
        map.insert("downloadSize".into(), archive.size.into());
    }
}

impl PathInfoCommand {
    fn print_table(&self, store: &dyn Store, paths: &[StorePath]) -> Result<(), Failure> {
        let columns = self.size || self.closure_size || self.sigs;
        let width = paths
            .iter()
            .map(|p| store.dir().display(p).to_string().len())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for path in paths {
            let shown = store.dir().display(path).to_string();
            let info = store.path_info(path)?;
            if !columns {
                text += &shown;
                text.push('\n');
                continue;
            }
            let _ = write!(text, "{shown:<width$}");
            if self.size {
                self.push_size(&mut text, info.nar_size);
            }
            if self.closure_size {
                self.push_size(&mut text, closure_size(store, path)?);
            }
            if self.sigs {
                text.push('\t');
                let mut words = Vec::new();
                if info.ultimate {
                    words.push("ultimate".to_owned());
                }
                words.extend(info.content_address.map(|ca| format!("ca:{ca}")));
                words.extend(info.signatures.iter().map(ToString::to_string));
                text += &words.join(" ");
            }
            text.push('\n');
        }
        ui::print(&text)
    }

    fn push_size(&self, text: &mut String, size: u64) {
        let _ = if self.human_readable {
            write!(text, "\t{:>10}", ui::render_size(size))
        } else {
            write!(text, "\t{size:>11}")
        };
    }

    fn print_json(&self, store: &dyn Store, paths: &[StorePath]) -> Result<(), Failure> {
        let version = match self.json_format {
            None => {
                progress::warn(
                    "'--json' without '--json-format' is deprecated; please specify \
                     '--json-format 1' or '--json-format 2'. This will become an error in a future release.",
                );
                1
            }
            Some(version @ (1 | 2)) => version,
            Some(other) => {
                return Err(UsageError::new(format!(
                    "unsupported path info JSON format version {other}; supported versions are 1 and 2"
                ))
                .into());
            }
        };
        let mut all = BTreeMap::new();
        for path in paths {
            let key = print_path(store, path, version);
            let value = match store.query_path_info(path)? {
                None => Value::Null,
                Some(info) => {
                    let mut value = info_json(store, &info, version);
                    let archive = store.archive_info(path)?;
                    if self.closure_size {
                        value.insert("closureSize".into(), closure_size(store, path)?.into());
                        if archive.is_some() {
                            let size = closure_download_size(store, path)?;
                            value.insert("closureDownloadSize".into(), size.into());
                        }
                    }
                    if let Some(archive) = archive {
                        insert_archive(&mut value, &archive);
                    }
                    sorted(value)
                }
            };
            all.insert(key, value);
        }
        let all: Map<String, Value> = all.into_iter().collect();
        self.json.print(&match version {
            1 => Value::Object(all),
            _ => json!({
                "info": all,
                "storeDir": store.dir().to_string(),
                "version": version,
            }),
        })
    }
}

/// Store paths are whole in the first version and base names in the second.
fn print_path(store: &dyn Store, path: &StorePath, version: u64) -> String {
    if version == 1 {
        store.dir().display(path).to_string()
    } else {
        path.to_string()
    }
}

fn info_json(store: &dyn Store, info: &PathInfo, version: u64) -> Map<String, Value> {
    let mut map = Map::new();
    let path = |path: &StorePath| Value::from(print_path(store, path, version));
    let address = match info.content_address {
        None => Value::Null,
        Some(address) if version == 1 => address.to_string().into(),
        Some(address) => json!({"hash": address.hash.sri(), "method": address.method.name()}),
    };
    map.insert("ca".into(), address);
    map.insert(
        "deriver".into(),
        info.deriver.as_ref().map_or(Value::Null, path),
    );
    map.insert("narHash".into(), info.nar_hash.sri().into());
    map.insert("narSize".into(), info.nar_size.into());
    map.insert(
        "references".into(),
        info.references.iter().map(path).collect(),
    );
    let registered = Some(info.registration_time).filter(|&time| time != 0);
    map.insert("registrationTime".into(), registered.into());
    let signatures = info.signatures.iter().map(|s| Value::from(s.to_string()));
    map.insert("signatures".into(), signatures.collect());
    map.insert("storeDir".into(), store.dir().to_string().into());
    map.insert("ultimate".into(), info.ultimate.into());
    map.insert("version".into(), version.into());
    map
}

fn sorted(map: Map<String, Value>) -> Value {
    let sorted: BTreeMap<String, Value> = map.into_iter().collect();
    Value::Object(sorted.into_iter().collect())
}
