//! `rx store add` and its older names: files and trees into the store.

use std::path::PathBuf;

use rx_store::content_address::Method;
use rx_store::hash::Algorithm;
use rx_store::path::StoreDir;
use rx_store::settings::Feature;
use rx_store::store::Addition;
use rx_store::store::Contents;
use rx_store::store::memory::compute_path;

use super::hash::check_algorithm;
use super::store::{add_path, base_name};
use crate::cli::{Category, Invocation, Subcommand};
use crate::store_session::{canonical_name, lines, open_store};
use crate::ui::{self, Failure, FeatureDisabled};

/// What all ways of adding have.
#[derive(clap::Args)]
struct Common {
    /// The name in the store; by default the file's.
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,
    /// Print the path that it would get, and add nothing.
    #[arg(long)]
    dry_run: bool,
    /// The file or directory.
    path: PathBuf,
}

impl Common {
    fn run(
        self,
        invocation: &Invocation,
        method: Method,
        algorithm: Algorithm,
    ) -> Result<(), Failure> {
        let name = self
            .name
            .unwrap_or_else(|| base_name(self.path.as_os_str()));
        if self.dry_run {
            let dir = invocation
                .settings
                .places
                .store_dir
                .as_os_str()
                .as_encoded_bytes();
            let dir = StoreDir::new(dir)?;
            let absolute = canonical_name(&self.path)?;
            let contents = Contents::Path(&absolute);
            let (path, _) = compute_path(&dir, Addition::new(&name, method, algorithm), contents)?;
            return ui::print(&format!("{}\n", dir.display(&path)));
        }
        let store = open_store(invocation)?;
        let added = add_path(&*store, &name, &self.path, method, algorithm)?;
        ui::print_bytes(&lines(&*store, [&added]))
    }
}

macro_rules! adders {
    ($($type:ident $path:literal $method:literal $about:literal;)*) => { $(
        #[doc = $about]
        #[derive(clap::Args)]
        pub struct $type {
            /// How contents become a hash: nar, flat, text or git.
            #[arg(long, value_name = "METHOD", default_value = $method)]
            mode: String,
            /// The hash: sha256, sha1, sha512, md5 or blake3.
            #[arg(long, value_name = "ALGORITHM", default_value = "sha256")]
            hash_algo: String,
            #[command(flatten)]
            common: Common,
        }

        impl Subcommand for $type {
            const PATH: &'static str = $path;
            const ABOUT: &'static str = $about;
            const CATEGORY: Category = Category::Utility;

            fn run(self, invocation: &Invocation) -> Result<(), Failure> {
                let method = Method::parse(&self.mode)?;
                if method == Method::Git && !invocation.settings.enabled(Feature::GitHashing) {
                    return Err(FeatureDisabled(Feature::GitHashing).into());
                }
                let algorithm = Algorithm::parse(&self.hash_algo)?;
                check_algorithm(algorithm, invocation)?;
                self.common.run(invocation, method, algorithm)
            }
        }
    )* };
}

adders! {
    StoreAdd "store add" "nar" "Add a file or directory to the store";
    StoreAddFile "store add-file" "flat" "Old name of 'rx store add --mode flat'";
    StoreAddPath "store add-path" "nar" "Old name of 'rx store add'";
}
