//! What one output of a kind must be like: a derivation, an application, an overlay …

use rx_eval::packages::Assertions;
use rx_eval::value::function::FunctionView;
use rx_eval::value::{Context, Function};
use rx_eval::{Pos, Result, Value};
use rx_lang::symbol;
use rx_store::path::StorePath;
use rx_store::progress::{self, warn};

use super::{Run, broken};

/// Why attributes are looked at, for errors; the frames around it say all.
const HERE: &str = "";

impl Run<'_> {
    /// A derivation; gives its path.
    pub(super) fn derivation(
        &mut self,
        path: &str,
        value: Value,
        pos: Pos,
    ) -> Result<Option<StorePath>> {
        let checked = self.rule(&format!("derivation '{path}'"), pos, |run| {
            let vm = &mut run.session.vm;
            let Some(package) = vm.as_package(value, Assertions::Fail)? else {
                return broken(format!("flake attribute '{path}' is not a derivation"));
            };
            // What only calls itself a derivation cannot be built, but is no mistake.
            if package.attrs.get(symbol::known::DRV_PATH).is_none() {
                return Ok(None);
            }
            let drv = package.drv_path(vm)?;
            progress::info(format_args!(
                "derivation evaluated to {}",
                vm.ev.store_dir.display(&drv)
            ));
            Ok(Some(drv))
        })?;
        Ok(checked.flatten())
    }

    /// `{ type = "app"; program = …; meta.description = …; }`
    pub(super) fn app(&mut self, path: &str, value: Value, pos: Pos) -> Result<()> {
        self.rule(&format!("app definition '{path}'"), pos, |run| {
            let vm = &mut run.session.vm;
            let app = vm.expect_attrs(value, pos, HERE)?;
            let find = |name: &[u8]| {
                let name = symbol::intern(name);
                app.get(name).map(|value| (value, app.pos(name)))
            };
            let Some((kind, at)) = find(b"type") else {
                return broken(format!("app '{path}' lacks attribute 'type'"));
            };
            vm.expect_plain_str(kind, at, HERE)?;
            let Some((program, at)) = find(b"program") else {
                return broken(format!("app '{path}' lacks attribute 'program'"));
            };
            vm.expect_str(program, at, HERE)?;
            match find(b"meta") {
                None => warn(format_args!("app '{path}' lacks attribute 'meta'")),
                Some((meta, at)) => {
                    let meta = vm.expect_attrs(meta, at, HERE)?;
                    let name = symbol::intern(b"description");
                    match meta.get(name) {
                        Some(text) => drop(vm.expect_plain_str(text, meta.pos(name), HERE)?),
                        None => warn(format_args!(
                            "app '{path}' lacks attribute 'meta.description'"
                        )),
                    }
                }
            }
            for (name, ..) in run.attributes(value, pos)? {
                if !matches!(name.as_str(), "type" | "program" | "meta") {
                    return broken(format!("app '{path}' has unsupported attribute '{name}'"));
                }
            }
            Ok(())
        })
        .map(drop)
    }

    /// `final: prev: …`
    pub(super) fn overlay(&mut self, path: &str, value: Value, pos: Pos) -> Result<()> {
        self.rule(&format!("overlay '{path}'"), pos, |run| {
            let value = run.session.vm.force(value)?;
            let lambda = value.as_function().and_then(next_argument);
            let Some((argument, plain)) = lambda else {
                return broken(format!(
                    "overlay is not a function, but {} instead",
                    value.type_phrase()
                ));
            };
            let named = |name: &[u8]| matches!(name, b"final" | b"_" | b"_final");
            if plain && argument.is_some_and(|name| named(symbol::name(name))) {
                return Ok(());
            }
            broken("overlay does not take an argument named 'final'".to_owned())
        })
        .map(drop)
    }

    /// A NixOS module: anything that has a value.
    pub(super) fn module(&mut self, path: &str, value: Value, pos: Pos) -> Result<()> {
        self.rule(&format!("NixOS module '{path}'"), pos, |run| {
            run.session.vm.force(value)
        })
        .map(drop)
    }

    /// A set of derivations and of such sets.
    pub(super) fn hydra_jobs(&mut self, path: &str, value: Value, pos: Pos) -> Result<()> {
        self.rule(&format!("Hydra jobset '{path}'"), pos, |run| {
            let value = run.session.vm.force(value)?;
            let jobs = run.attributes(value, pos)?;
            if run.session.vm.is_package(value)? {
                return broken("jobset should not be a derivation at top-level".to_owned());
            }
            for (name, value, pos) in jobs {
                let path = format!("{path}.{name}");
                let job = run.session.vm.expect_attrs(value, pos, HERE)?;
                if run.session.vm.is_package(job.value())? {
                    run.derivation(&path, value, pos)?;
                } else {
                    stacker::maybe_grow(1 << 17, 1 << 22, || run.hydra_jobs(&path, value, pos))?;
                }
            }
            Ok(())
        })
        .map(drop)
    }

    /// A NixOS configuration, evaluated to its system's derivation.
    pub(super) fn nixos_configuration(&mut self, path: &str, value: Value, pos: Pos) -> Result<()> {
        self.rule(&format!("NixOS configuration '{path}'"), pos, |run| {
            let vm = &mut run.session.vm;
            let system = b"config.system.build.toplevel";
            let (system, _) = vm.find_along(system, &[], value)?;
            let system = vm.force(system)?;
            match vm.is_package(system)? {
                true => Ok(()),
                false => broken(
                    "attribute 'config.system.build.toplevel' is not a derivation".to_owned(),
                ),
            }
        })
        .map(drop)
    }

    /// `{ path = …; description = …; welcomeText = …; }`
    pub(super) fn template(&mut self, path: &str, value: Value, pos: Pos) -> Result<()> {
        self.rule(&format!("template '{path}'"), pos, |run| {
            let vm = &mut run.session.vm;
            let template = vm.expect_attrs(value, pos, HERE)?;
            let find = |name: &[u8]| {
                let name = symbol::intern(name);
                template.get(name).map(|value| (value, template.pos(name)))
            };
            let Some((tree, at)) = find(b"path") else {
                return broken(format!("template '{path}' lacks attribute 'path'"));
            };
            let tree = vm.coerce_to_path(tree, &mut Context::EMPTY.clone(), at, HERE)?;
            if vm.ev.io.kind(&tree)?.is_none() {
                return broken(format!(
                    "template '{path}' refers to a non-existent path '{}'",
                    String::from_utf8_lossy(&tree)
                ));
            }
            let Some((description, at)) = find(b"description") else {
                return broken(format!("template '{path}' lacks attribute 'description'"));
            };
            vm.expect_plain_str(description, at, HERE)?;
            for (name, ..) in run.attributes(value, pos)? {
                if !matches!(name.as_str(), "path" | "description" | "welcomeText") {
                    return broken(format!(
                        "template '{path}' has unsupported attribute '{name}'"
                    ));
                }
            }
            Ok(())
        })
        .map(drop)
    }

    /// A function from a derivation to one.
    pub(super) fn bundler(&mut self, path: &str, value: Value, pos: Pos) -> Result<()> {
        self.rule(&format!("bundler '{path}'"), pos, |run| {
            let value = run.session.vm.force(value)?;
            match value.as_function().and_then(next_argument) {
                Some(_) => Ok(()),
                None => broken("bundler must be a function".to_owned()),
            }
        })
        .map(drop)
    }

    /// The attributes of a set in the order in which their names were met.
    pub(super) fn attributes(
        &mut self,
        value: Value,
        pos: Pos,
    ) -> Result<Vec<(String, Value, Pos)>> {
        let vm = &mut self.session.vm;
        let attrs = vm.expect_attrs(value, pos, HERE)?;
        let entries = attrs.entries(&mut vm.heap);
        let all = entries.as_met().map(|(name, pos, value)| {
            let name = String::from_utf8_lossy(symbol::name(name)).into_owned();
            (name, value, pos)
        });
        Ok(all.collect())
    }
}

/// The name of the next argument of a function that is written in the language, and whether it is a plain name
/// without a set pattern.
fn next_argument(function: Function) -> Option<(Option<symbol::Symbol>, bool)> {
    let (code, given) = match function.view() {
        FunctionView::Lambda(code, _) => (code, 0),
        FunctionView::Builtin(_) => return None,
        FunctionView::Partial(partial) => match partial.function().view() {
            FunctionView::Lambda(code, _) => (code, partial.len()),
            _ => return None,
        },
    };
    let is_last = code.arity as usize == given + 1;
    let name = code.arguments.get(given).copied().flatten();
    Some((name, !(is_last && code.formals.is_some())))
}
