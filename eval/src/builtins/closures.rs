//! Store objects from elsewhere, and outputs of derivations that are known by their paths alone: `fetchClosure`, `outputOf`.

use rx_lang::symbol;
use rx_store::cache::{CopyOptions, copy_paths};
use rx_store::derivation::{computed_output_placeholder, upstream_placeholder};
use rx_store::fetch::input::Fetcher;
use rx_store::path::StorePath;
use rx_store::store::Store;
use rx_store::store::closure::ClosureOptions;
use rx_store::store::rewrite::make_content_addressed;

use super::paths::store_object;
use crate::builtins::{Builtin, builtin};
use crate::error::{Error, Result};
use crate::io::outside;
use crate::source::Pos;
use crate::value::{Context, ContextElement, Str, Value};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!(
        "fetchClosure",
        ["args"],
        fetch_closure,
        "Copies a store object with all that it needs from the binary cache `fromStore`. `{ fromStore, fromPath, toPath, inputAddressed }`: \
         `toPath` is what its path becomes when it is addressed by its contents; objects that keep a path that does not follow from \
         their contents need `inputAddressed = true`.",
        strict: 1,
        feature: Some("fetch-closure"),
    ),
    builtin!(
        "outputOf",
        ["derivation-reference", "output-name"],
        output_of,
        "The path of an output of a derivation, or what stands for it while it is not known.",
        strict: 1,
        feature: Some("dynamic-derivations"),
    ),
];

/// What `fetchClosure` is asked for.
#[derive(Default)]
struct Wanted {
    from_store: Option<String>,
    from_path: Option<StorePath>,
    /// The inner one is missing where its path is to be told.
    to_path: Option<Option<StorePath>>,
    input_addressed: bool,
}

fn missing(name: &str) -> Box<Error> {
    Error::other(format!(
        "attribute '{name}' is missing in call to 'fetchClosure'"
    ))
}

fn read_arguments(vm: &mut Vm, argument: Value, pos: Pos) -> Result<Wanted> {
    let what = "while evaluating the argument passed to builtins.fetchClosure";
    let attrs = vm.expect_attrs(argument, pos, what)?;
    let mut wanted = Wanted::default();
    let entries = attrs.entries(&mut vm.heap);
    for (name, at, value) in entries.as_met() {
        let name = String::from_utf8_lossy(symbol::name(name)).into_owned();
        let what =
            format!("while evaluating the attribute '{name}' passed to builtins.fetchClosure");
        let mut context = Context::EMPTY;
        match name.as_str() {
            "fromPath" => {
                wanted.from_path = Some(vm.coerce_to_store_path(value, &mut context, at, &what)?);
            }
            "toPath" => {
                let value = vm.force(value)?;
                let is_gap = value
                    .as_str()
                    .is_some_and(|text| text.as_bytes().is_empty());
                wanted.to_path = Some(match is_gap {
                    true => None,
                    false => Some(vm.coerce_to_store_path(value, &mut context, at, &what)?),
                });
            }
            "fromStore" => {
                let text = vm.expect_plain_str(value, at, &what)?;
                wanted.from_store = Some(String::from_utf8_lossy(text).into_owned());
            }
            "inputAddressed" => wanted.input_addressed = vm.expect_bool(value, at, &what)?,
            _ => {
                return Err(Error::other(format!(
                    "attribute '{name}' isn't supported in call to 'fetchClosure'"
                )));
            }
        }
    }
    Ok(wanted)
}

fn fetch_closure(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    fetch_closure_at(vm, args[0], pos).map_err(|error| error.at(pos))
}

fn fetch_closure_at(vm: &mut Vm, argument: Value, pos: Pos) -> Result {
    let wanted = read_arguments(vm, argument, pos)?;
    let from_path = wanted.from_path.ok_or_else(|| missing("fromPath"))?;
    if wanted.input_addressed && wanted.to_path.is_some() {
        return Err(Error::other(
            "attribute 'inputAddressed' is set to true, but 'toPath' is also set. Please remove one of them",
        ));
    }
    let url = wanted.from_store.ok_or_else(|| missing("fromStore"))?;
    // Files are only for tests, as in the reference.
    let in_tests = std::env::var_os("_NIX_IN_TEST").is_some();
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if !matches!(scheme, "http" | "https") && !(in_tests && scheme == "file") {
        return Err(Error::other(
            "'fetchClosure' only supports http:// and https:// stores",
        ));
    }
    if url.contains('?') {
        return Err(Error::other(format!(
            "'fetchClosure' does not support URL query parameters (in '{url}')"
        )));
    }
    let fetcher = vm.fetcher()?;
    let from = rx_store::open::open(fetcher.settings(), &url).map_err(outside)?;
    let path = match wanted.to_path {
        Some(to_path) => rewritten(fetcher, &*from, &from_path, to_path)?,
        None => {
            copied(fetcher, &*from, &from_path)?;
            check_kind(fetcher, &from_path, wanted.input_addressed)?;
            from_path
        }
    };
    let store = fetcher.store();
    let closure = store
        .closure(&[path.clone()].into(), ClosureOptions::default())
        .map_err(outside)?;
    for path in &closure {
        vm.ev.io.allow(&vm.ev.store_dir.print(path));
    }
    Ok(store_object(vm, &path))
}

fn copied(fetcher: &Fetcher, from: &dyn Store, path: &StorePath) -> Result<()> {
    let store = fetcher.store();
    // Objects that are collected meanwhile would be missed; a store without roots has no collector either.
    let _ = store.add_temp_root(path);
    if store.is_valid(path).map_err(outside)? {
        return Ok(());
    }
    let closure = from
        .closure(&[path.clone()].into(), ClosureOptions::default())
        .map_err(outside)?;
    let options = CopyOptions {
        check_signatures: true,
        ..CopyOptions::default()
    };
    copy_paths(from, &**store, &closure, options).map_err(outside)?;
    Ok(())
}

fn is_content_addressed(fetcher: &Fetcher, path: &StorePath) -> Result<bool> {
    let store = fetcher.store();
    let info = store.path_info(path).map_err(outside)?;
    Ok(info.is_content_addressed(store.dir()).unwrap_or(false))
}

fn check_kind(fetcher: &Fetcher, path: &StorePath, input_addressed: bool) -> Result<()> {
    let shown = fetcher.store().dir().display(path).to_string();
    match (is_content_addressed(fetcher, path)?, input_addressed) {
        (true, true) => Err(Error::other(format!(
            "The store object referred to by 'fromPath' at '{shown}' is not input-addressed, but 'inputAddressed' is set to 'true'.\n\n\
             Remove the 'inputAddressed' attribute (it defaults to 'false') to expect 'fromPath' to be content-addressed"
        ))),
        (false, false) => Err(Error::other(format!(
            "The 'fromPath' value '{shown}' is input-addressed, but 'inputAddressed' is set to 'false' (default).\n\n\
             If you do intend to fetch an input-addressed store path, add\n\n    inputAddressed = true;\n\n\
             to the 'fetchClosure' arguments.\n\n\
             Note that to ensure authenticity input-addressed store paths, users must configure a trusted binary cache public key on their systems. This is not needed for content-addressed paths."
        ))),
        _ => Ok(()),
    }
}

/// The object under the path that follows from its contents.
fn rewritten(
    fetcher: &Fetcher,
    from: &dyn Store,
    path: &StorePath,
    wanted: Option<StorePath>,
) -> Result<StorePath> {
    let store = fetcher.store();
    let shown = |path: &StorePath| store.dir().display(path).to_string();
    let known = match wanted {
        Some(known) if store.is_valid(&known).map_err(outside)? => known,
        wanted => {
            let renamed =
                make_content_addressed(from, &**store, &[path.clone()].into()).map_err(outside)?;
            let found = renamed.get(path).unwrap_or(path).clone();
            let (was, is) = (shown(path), shown(&found));
            match wanted {
                None => {
                    return Err(Error::other(format!(
                        "rewriting '{was}' to content-addressed form yielded '{is}'\n\
                         Use this value for the 'toPath' attribute passed to 'fetchClosure'"
                    )));
                }
                Some(wanted) if wanted != found => {
                    return Err(Error::other(format!(
                        "rewriting '{was}' to content-addressed form yielded '{is}', while '{}' was expected",
                        shown(&wanted)
                    )));
                }
                Some(_) => found,
            }
        }
    };
    if !is_content_addressed(fetcher, &known)? {
        return Err(Error::other(format!(
            "The 'toPath' value '{}' is input-addressed, so it can't possibly be the result of rewriting to a content-addressed path.\n\n\
             Set 'toPath' to an empty string to make Nix report the correct content-addressed path.",
            shown(&known)
        )));
    }
    Ok(known)
}

fn output_of(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument to builtins.outputOf";
    let drv = vm.single_derived_path(args[0], pos, what)?;
    let what = "while evaluating the second argument to builtins.outputOf";
    let output = vm.expect_plain_str(args[1], pos, what)?;
    let element = ContextElement::Built {
        drv: Box::new(drv),
        output: output.into(),
    };
    let text = vm
        .text_of_element(&element)
        .map_err(|error| error.at(pos))?;
    Ok(Str::with_context(&mut vm.heap, &text, Context::of(element)))
}

impl Vm {
    /// The one thing that a string stands for.
    pub fn single_derived_path(
        &mut self,
        value: Value,
        pos: Pos,
        what: &str,
    ) -> Result<ContextElement> {
        let string = self.expect_str(value, pos, what)?;
        let (text, context) = (string.as_bytes(), string.context());
        let shown = String::from_utf8_lossy(text).into_owned();
        let fail = |message: String| Err(Error::other(message).frame(pos, what));
        let [element] = context.elements() else {
            return fail(format!(
                "string '{shown}' has {} entries in its context. It should only have exactly one entry",
                context.elements().len()
            ));
        };
        if let ContextElement::DrvDeep(_) = element {
            return fail(format!(
                "string '{shown}' has a context which refers to a complete source and binary closure. This is not supported at this time"
            ));
        }
        let expected = self.text_of_element(element)?;
        if text == expected {
            return Ok((*element).clone());
        }
        let expected = String::from_utf8_lossy(&expected);
        match element {
            ContextElement::Built { drv, output } => fail(format!(
                "string '{shown}' has context with the output '{}' from derivation '{}', but the string is not the right placeholder for this derivation output. It should be '{expected}'",
                String::from_utf8_lossy(output),
                shown_path(drv),
            )),
            _ => fail(format!(
                "path string '{shown}' has context with the different path '{expected}'"
            )),
        }
    }

    /// The path of a derivation, which may itself be an output that has been built.
    pub(super) fn built_derivation(&mut self, element: &ContextElement) -> Result<Vec<u8>> {
        let ContextElement::Built { drv, output } = element else {
            return Ok(element.store_path().to_vec());
        };
        let outer = self.built_derivation(drv)?;
        let output = String::from_utf8_lossy(output);
        let path = self.ev.store_dir.parse(&outer).map_err(outside)?;
        let outputs = self
            .fetcher()?
            .store()
            .query_derivation_outputs(&path)
            .map_err(outside)?;
        match outputs.into_iter().find(|(name, _)| *name == output) {
            Some((_, Some(path))) => Ok(self.ev.store_dir.print(&path)),
            _ => Err(Error::other(format!(
                "cannot operate on output '{output}' of the unbuilt derivation '{}'",
                String::from_utf8_lossy(&outer)
            ))),
        }
    }

    /// The text that stands for a context element: its path, or a placeholder while that is not known.
    fn text_of_element(&mut self, element: &ContextElement) -> Result<Vec<u8>> {
        let ContextElement::Built { drv, output } = element else {
            return Ok(element.store_path().to_vec());
        };
        let dir = &self.ev.store_dir;
        let base = dir.parse(element.store_path()).map_err(outside)?;
        let output = String::from_utf8_lossy(output).into_owned();
        if let ContextElement::Built { .. } = &**drv {
            let mut names = Vec::new();
            let mut at = element;
            while let ContextElement::Built { drv, output } = at {
                names.push(String::from_utf8_lossy(output).into_owned());
                at = drv;
            }
            names.reverse();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let text = computed_output_placeholder(&base, &names).unwrap_or_default();
            return Ok(text.into_bytes());
        }
        let derivation = self.ev.io.store().read_derivation(&base)?;
        let Some(found) = derivation.outputs.get(&output) else {
            return Err(Error::other(format!(
                "derivation '{}' does not have output '{output}'",
                shown_path(drv)
            )));
        };
        let known = found
            .path(dir, &derivation.name, &output)
            .map_err(outside)?;
        Ok(match known {
            Some(path) => dir.print(&path),
            None => upstream_placeholder(&base, &output).into_bytes(),
        })
    }
}

/// `PATH^OUTPUT^OUTPUT…`
fn shown_path(element: &ContextElement) -> String {
    match element {
        ContextElement::Built { drv, output } => {
            format!("{}^{}", shown_path(drv), String::from_utf8_lossy(output))
        }
        other => String::from_utf8_lossy(other.store_path()).into_owned(),
    }
}
