//! `rx key …`: keys that sign store paths.

use std::io::Read;

use rx_store::store::signature::SecretKey;

use crate::cli::{Category, Invocation, Subcommand};
use crate::ui::{self, Failure};

/// Arguments of `rx key generate-secret`.
#[derive(clap::Args)]
pub struct GenerateSecret {
    /// The key's name, such as cache.example.org-1.
    #[arg(long, value_name = "NAME")]
    key_name: String,
}

impl Subcommand for GenerateSecret {
    const PATH: &'static str = "key generate-secret";
    const ABOUT: &'static str = "Make a secret key and print it";
    const CATEGORY: Category = Category::Utility;

    fn run(self, _: &Invocation) -> Result<(), Failure> {
        // Without a newline, as files with keys are.
        ui::print(&SecretKey::generate(&self.key_name)?.to_string())
    }
}

/// Arguments of `rx key convert-secret-to-public`.
#[derive(clap::Args)]
pub struct ConvertSecretToPublic {}

impl Subcommand for ConvertSecretToPublic {
    const PATH: &'static str = "key convert-secret-to-public";
    const ABOUT: &'static str = "Read a secret key from standard input and print the public one";
    const CATEGORY: Category = Category::Utility;

    fn run(self, _: &Invocation) -> Result<(), Failure> {
        let mut text = String::new();
        // A key is a hundred characters.
        std::io::stdin()
            .lock()
            .take(1 << 16)
            .read_to_string(&mut text)?;
        ui::print(&SecretKey::parse(text.trim())?.public().to_string())
    }
}
