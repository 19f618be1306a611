//! `rx bundle`: a package as something that works without a store, made by a function of a flake.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use rx_eval::packages::Assertions;
use rx_store::store::{BuildMode, DerivedPath, OutputsSpec, SingleDerivedPath};

use crate::cli::{Category, EvalOptions, Invocation, Subcommand};
use crate::eval_session::with_session;
use crate::installables::{
    FlakeInstallable, LockOptions, Lookup, SourceOptions, flake_with_fragment,
};
use crate::realise::{Run, plain_failure, realise};
use crate::ui::Failure;

/// Arguments of `rx bundle`.
#[derive(clap::Args)]
pub struct Bundle {
    /// The flake whose function makes the bundle.
    #[arg(
        long,
        short = 'B',
        value_name = "FLAKE",
        default_value = "github:NixOS/bundlers"
    )]
    bundler: String,
    /// Where to link the result, instead of under its own name.
    #[arg(long, short, value_name = "PATH")]
    out_link: Option<PathBuf>,
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    options: EvalOptions,
    /// A package or application.
    #[arg(value_name = "WHAT")]
    what: Option<OsString>,
}

impl Subcommand for Bundle {
    const PATH: &'static str = "bundle";
    const ABOUT: &'static str = "Make a package work outside of the store";
    const CATEGORY: Category = Category::Secondary;
    const DETAILS: &'static str = "\
Example:\n  rx bundle --bundler github:NixOS/bundlers#toArx nixpkgs#hello\n";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let invocation = self.source.adapt(invocation)?;
        let (drv, out, name, store) = with_session(&invocation, &self.options, false, |session| {
            let lookup = Lookup::apps(&invocation);
            let named = self.source.name_one(session, self.what.as_ref(), &lookup)?;
            let (value, _) = named.value(session)?;
            let value = session.vm.auto_call(&session.auto_args, value);
            let value = session.check(value)?;
            let (reference, fragment) = flake_with_fragment(session, &self.bundler)?;
            let wish = LockOptions {
                no_write_lock_file: true,
                ..LockOptions::default()
            }
            .wish(session)?;
            let system = invocation.settings.current_system();
            let lookup = Lookup {
                defaults: vec![
                    format!("bundlers.{system}.default"),
                    format!("defaultBundler.{system}"),
                ],
                prefixes: vec![format!("bundlers.{system}.")],
            };
            let what = self.bundler.clone();
            let bundler = FlakeInstallable::new(what, reference, &fragment, None, &lookup, wish);
            let function = bundler.find(session)?.value;
            let bundle = session.vm.call(function, &[value]);
            let bundle = session.check(bundle)?;
            let package = session.vm.as_package(bundle, Assertions::Fail);
            let package = session.check(package)?.ok_or_else(|| {
                Failure::message(format!(
                    "the bundler '{}' does not produce a derivation",
                    self.bundler
                ))
            })?;
            let drv = package.drv_path(&mut session.vm);
            let drv = session.check(drv)?;
            let out = package.out_path(&mut session.vm);
            let out = session.check(out)?;
            Ok((drv, out, package.name, session.store()?))
        })?;
        store.flush()?;
        let wanted = DerivedPath::Built {
            drv: Arc::new(SingleDerivedPath::Opaque(drv)),
            outputs: OutputsSpec::All,
        };
        realise(
            &*store,
            &invocation.settings,
            &[wanted],
            BuildMode::Normal,
            Run::Real,
            plain_failure,
        )?;
        let link = match self.out_link {
            Some(link) => link,
            None => String::from_utf8_lossy(&name).into_owned().into(),
        };
        store.add_permanent_root(&out, &std::path::absolute(link)?)?;
        Ok(())
    }
}
