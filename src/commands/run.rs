//! `rx run`: the program that a package or application is about.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rx_eval::interp::Coercion;
use rx_eval::packages::Assertions;
use rx_eval::value::{Context, ContextElement};
use rx_eval::{Pos, Value};
use rx_lang::symbol;
use rx_store::path::StorePath;
use rx_store::settings::Settings;
use rx_store::store::{BuildMode, DerivedPath, OutputsSpec, SingleDerivedPath, Store};
use serde_json::Value as Json;

use crate::cli::{Category, EnvironmentOptions, EvalOptions, Invocation, Subcommand};
use crate::eval_session::{EvalSession, with_session};
use crate::execute::Program;
use crate::installables::{Lookup, Named, SourceOptions, attribute};
use crate::operands::Outputs;
use crate::realise::{Run as How, plain_failure, realise};
use crate::ui::Failure;

/// Arguments of `rx run`.
#[derive(clap::Args)]
pub struct Run {
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    options: EvalOptions,
    #[command(flatten)]
    environment: EnvironmentOptions,
    /// A package or application.
    #[arg(value_name = "WHAT")]
    what: Option<OsString>,
    /// Arguments of the program; those that begin with a dash stand after `--`.
    #[arg(value_name = "ARGUMENT")]
    arguments: Vec<OsString>,
}

/// A program and what has to be realised for it.
pub struct App {
    /// The path, or what follows the output's path.
    program: Vec<u8>,
    /// The derivation and its output that the program lies in, if the path must be found out by building.
    output: Option<(StorePath, String)>,
    needs: Vec<DerivedPath>,
}

impl Subcommand for Run {
    const PATH: &'static str = "run";
    const ABOUT: &'static str = "Run the program of a package";
    const CATEGORY: Category = Category::Main;
    const DETAILS: &'static str = "\
Examples:\n  rx run nixpkgs#hello -- --greeting hi\n  rx run -f . tool\n\n\
The program is named by 'meta.mainProgram' of the package, or else by its 'pname' or name.\n";

    fn run(self, invocation: &Invocation) -> Result<(), Failure> {
        let environment = self.environment.apply()?;
        let invocation = self.source.adapt(invocation)?;
        let (app, store) = with_session(&invocation, &self.options, false, |session| {
            let lookup = Lookup::apps(&invocation);
            let named = self.source.name_one(session, self.what.as_ref(), &lookup)?;
            Ok((application_of(session, &named)?, session.store()?))
        })?;
        store.flush()?;
        let (file, _) = app.realise(&*store, &invocation.settings)?;
        let mut program = Program::new(OsStr::from_bytes(&file), self.arguments);
        program.environment = Some(environment.into_iter().collect());
        Err(program.execute(&*store))
    }
}

impl App {
    /// Builds what the program needs; gives its file, and what was realised.
    pub fn realise(
        &self,
        store: &dyn Store,
        settings: &Settings,
    ) -> Result<(Vec<u8>, Vec<(DerivedPath, Outputs)>), Failure> {
        let made = realise(
            store,
            settings,
            &self.needs,
            BuildMode::Normal,
            How::Real,
            plain_failure,
        )?;
        let mut file = self.program.clone();
        if let Some((derivation, output)) = &self.output {
            let outputs = store.query_derivation_outputs(derivation)?;
            let path = outputs.get(output).cloned().flatten().ok_or_else(|| {
                Failure::message(format!(
                    "derivation '{}' has no output '{output}'",
                    store.dir().display(derivation)
                ))
            })?;
            file = [store.dir().print(&path), file].concat();
        }
        if !store.dir().contains(&file) {
            return Err(Failure::message(format!(
                "app program '{}' is not in the Nix store",
                String::from_utf8_lossy(&file)
            )));
        }
        let known = |made: BTreeMap<String, StorePath>| {
            made.into_iter()
                .map(|(name, path)| (name, Some(path)))
                .collect()
        };
        let built = self.needs.iter().cloned();
        Ok((file, built.zip(made.into_iter().map(known)).collect()))
    }
}

/// The program that something on the command line describes: `{ type = "app"; program = …; }`, or a package. What
/// stands among a flake's applications has to be one, and nothing else there.
pub fn application_of(session: &mut EvalSession, named: &Named) -> Result<App, Failure> {
    let (value, wanted) = match named {
        Named::Flake(flake) => {
            let found = flake.find(session)?;
            let is_app = ["apps.", "defaultApp."]
                .iter()
                .any(|prefix| found.attr_path.starts_with(prefix));
            let wanted = if is_app { "app" } else { "derivation" };
            (found.value, Some((found.attr_path, wanted)))
        }
        named => (named.value(session)?.0, None),
    };
    let called = session.vm.auto_call(&session.auto_args, value);
    let value = session.check(called)?;
    let kind = match attribute(session, value, b"type") {
        Some(Json::String(kind)) => kind,
        _ => String::new(),
    };
    match (kind.as_str(), wanted) {
        (kind, Some((path, wanted))) if kind != wanted => Err(Failure::message(format!(
            "attribute '{path}' should have type '{wanted}'"
        ))),
        ("app", _) => application(session, value),
        ("derivation", _) => package(session, value),
        _ => Err(Failure::message(format!(
            "attribute '{}' should have type 'derivation' or 'app'",
            named.what()
        ))),
    }
}

fn application(session: &mut EvalSession, value: Value) -> Result<App, Failure> {
    let program = value
        .as_attrs()
        .and_then(|attrs| attrs.get(symbol::intern(b"program")))
        .ok_or_else(|| Failure::message("attribute 'program' missing"))?;
    let (mut text, mut context) = (Vec::new(), Context::EMPTY);
    let coerced = session.vm.coerce_to_string(
        program,
        &mut text,
        &mut context,
        Coercion::segment(false),
        Pos::NONE,
        "while evaluating the program of an app",
    );
    session.check(coerced)?;
    let dir = session.vm.ev.store_dir.clone();
    let mut needs = Vec::new();
    for element in context.elements() {
        needs.push(match element {
            ContextElement::Opaque(path) | ContextElement::DrvDeep(path) => {
                DerivedPath::Opaque(dir.parse(path)?)
            }
            ContextElement::Built { drv, output } => built(
                dir.parse(drv.store_path())?,
                &String::from_utf8_lossy(output),
            ),
        });
    }
    Ok(App {
        program: text,
        output: None,
        needs,
    })
}

fn package(session: &mut EvalSession, value: Value) -> Result<App, Failure> {
    let found = session.vm.as_package(value, Assertions::Fail);
    let found = session
        .check(found)?
        .ok_or_else(|| Failure::message("this is no package"))?;
    let derivation = found.drv_path(&mut session.vm);
    let derivation = session.check(derivation)?;
    let output = found.output_name(&mut session.vm);
    let output = String::from_utf8_lossy(&session.check(output)?).into_owned();
    let output = if output.is_empty() {
        "out".to_owned()
    } else {
        output
    };
    let text = |value: Option<Json>| match value {
        Some(Json::String(text)) => Some(text.into_bytes()),
        _ => None,
    };
    let main = text(attribute(session, value, b"meta.mainProgram"));
    let pname = main.or_else(|| text(attribute(session, value, b"pname")));
    let name = pname.unwrap_or_else(|| {
        let (name, _) = rx_eval::text::version::split_name(&found.name);
        name.to_vec()
    });
    Ok(App {
        program: [&b"/bin/"[..], &name].concat(),
        needs: vec![built(derivation.clone(), &output)],
        output: Some((derivation, output)),
    })
}

fn built(derivation: StorePath, output: &str) -> DerivedPath {
    DerivedPath::Built {
        drv: Arc::new(SingleDerivedPath::Opaque(derivation)),
        outputs: OutputsSpec::Names(BTreeSet::from([output.to_owned()])),
    }
}
