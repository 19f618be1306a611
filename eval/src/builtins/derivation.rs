//! Derivations: `derivationStrict`, `derivation`, `placeholder`.
//!
//! The attributes of the argument become a [`Derivation`] in alphabetical order, its hash modulo and output paths are
//! computed, its `.drv` file is written unless evaluation is read-only, and the set of the paths comes out.

use std::collections::BTreeSet;
use std::fmt::Display;

use rx_lang::symbol::{self, Symbol, known};
use rx_store::content_address::{ContentAddress, Method};
use rx_store::derivation::{
    Derivation, InputOutputs, Output, output_placeholder, upstream_placeholder,
};
use rx_store::hash::{Algorithm, Hash};
use rx_store::path::{StorePath, check_name};

use crate::builtins::{Builtin, builtin, require_feature};
use crate::error::{Context as _, Error, ErrorKind, Frame, Result};
use crate::interp::{Coercion, CopyMode};
use crate::source::{Origin, Pos};
use crate::value::attrs::{Duplicates, Entries};
use crate::value::{AttrsBuilder, Context, ContextElement, Str, Value};
use crate::vm::{Captures, Vm};

pub(super) const TABLE: &[Builtin] = &[
    builtin!(
        "derivationStrict",
        ["attrs"],
        derivation_strict,
        "Writes the derivation that `attrs` describes and gives the paths of the derivation and its outputs. Use `derivation`.",
        strict: 1,
        global: true,
    ),
    builtin!(
        "placeholder",
        ["output"],
        placeholder,
        "A string that stands for the path of the derivation's own output `output`; the builder sees the path instead.",
        global: true,
    ),
];

/// The function `derivation`, which is written in the language.
pub(super) fn derivation_function(vm: &mut Vm, _: Captures) -> Result {
    let text = include_bytes!("../../../stdlib/derivation.nix");
    vm.eval_text(Origin::Internal("derivation-internal.nix"), text, b"/")
}

fn placeholder(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.placeholder";
    let output = vm.expect_plain_str(args[0], pos, what)?;
    let text = output_placeholder(&text_of(output, "output name")?);
    Ok(vm.str(text.as_bytes()))
}

fn derivation_strict(vm: &mut Vm, args: &[Value]) -> Result {
    rx_store::evaluation::derivation();
    let what = "while evaluating the argument passed to builtins.derivationStrict";
    let attrs = vm.expect_attrs(args[0], Pos::NONE, what)?;
    let Some(name) = attrs.get(known::NAME) else {
        let pos = vm.call_pos;
        let error = vm.missing_attribute(attrs, known::NAME, pos);
        return Err(error.frame(
            pos,
            "in the attrset passed as argument to builtins.derivationStrict",
        ));
    };
    let name_pos = attrs.pos(known::NAME);
    let what = "while evaluating the `name` attribute passed to builtins.derivationStrict";
    let name = vm.expect_plain_str(name, name_pos, what).context(
        name_pos,
        || "while evaluating the derivation attribute 'name'",
    )?;
    let entries = attrs.entries(&mut vm.heap);
    Builder::run(vm, name, entries).map_err(|mut error| {
        let mut text = [
            b"while evaluating derivation '",
            name,
            b"'\n  whose name attribute is located at ",
        ]
        .concat();
        text.extend(vm.ev.describe_pos(name_pos));
        error.frames.push(Frame {
            pos: Pos::NONE,
            text,
            always: true,
        });
        error
    })
}

fn text_of(bytes: &[u8], what: &str) -> Result<String> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| Error::other(format!("the {what} is not valid UTF-8")))
}

/// An error of the store's, as one of evaluation.
fn outside(error: impl Display) -> Box<Error> {
    Error::new(ErrorKind::Other, error.to_string())
}

/// A derivation being put together.
struct Builder {
    derivation: Derivation,
    context: Context,
    /// The structured attributes as the inside of a JSON object.
    json: Option<Vec<u8>>,
    outputs: BTreeSet<String>,
    content_addressed: bool,
    impure: bool,
    output_hash: Option<Vec<u8>>,
    algorithm: Option<Algorithm>,
    method: Option<Method>,
}

impl Builder {
    fn run(vm: &mut Vm, name: &[u8], entries: Entries) -> Result {
        let name = match check_name(name) {
            Ok(name) => name.to_owned(),
            Err(why) => {
                let message =
                    format!("invalid derivation name: {why}. Please pass a different 'name'.");
                return Err(Error::other(message));
            }
        };
        let flag = |vm: &mut Vm, name: Symbol, what: &str| match entries.find(name) {
            Some(i) => vm.expect_bool(entries.value(i), entries.pos(i), what),
            None => Ok(false),
        };
        let structured = flag(
            vm,
            known::STRUCTURED_ATTRS,
            "while evaluating the `__structuredAttrs` attribute passed to builtins.derivationStrict",
        )?;
        let ignore_nulls = flag(
            vm,
            known::IGNORE_NULLS,
            "while evaluating the `__ignoreNulls` attribute passed to builtins.derivationStrict",
        )?;
        let mut derivation = Derivation::default();
        derivation.name.clone_from(&name);
        let mut builder = Builder {
            derivation,
            context: Context::EMPTY,
            json: structured.then(|| b"{".to_vec()),
            outputs: BTreeSet::from(["out".to_owned()]),
            content_addressed: false,
            impure: false,
            output_hash: None,
            algorithm: None,
            method: None,
        };
        for (i, (key, value)) in entries.iter().enumerate() {
            if key == known::IGNORE_NULLS {
                continue;
            }
            builder
                .attribute(vm, key, value, ignore_nulls)
                .context(entries.pos(i), || {
                    [
                        b"while evaluating attribute '",
                        symbol::name(key),
                        b"' of derivation '",
                        name.as_bytes(),
                        b"'",
                    ]
                    .concat()
                })?;
        }
        builder.finish(vm)
    }

    fn attribute(
        &mut self,
        vm: &mut Vm,
        key: Symbol,
        value: Value,
        ignore_nulls: bool,
    ) -> Result<()> {
        let pos = Pos::NONE;
        if ignore_nulls && vm.force(value)? == Value::NULL {
            return Ok(());
        }
        match key {
            known::CONTENT_ADDRESSED => {
                if vm.expect_bool(value, pos, "")? {
                    self.content_addressed = true;
                    require_feature(vm, "ca-derivations")?;
                }
                Ok(())
            }
            known::IMPURE => {
                if vm.expect_bool(value, pos, "")? {
                    self.impure = true;
                    require_feature(vm, "impure-derivations")?;
                }
                Ok(())
            }
            known::ARGS => {
                let list = vm.expect_list(value, pos, "")?;
                for element in list.iter() {
                    let mut text = Vec::new();
                    let what = "while evaluating an element of the argument list";
                    vm.coerce_to_string(
                        element,
                        &mut text,
                        &mut self.context,
                        Coercion::DERIVATION,
                        pos,
                        what,
                    )?;
                    self.derivation.args.push(text);
                }
                Ok(())
            }
            _ if self.json.is_some() => self.structured_attribute(vm, key, value),
            _ => self.variable(vm, key, value),
        }
    }

    /// An attribute that becomes a variable of the environment.
    fn variable(&mut self, vm: &mut Vm, key: Symbol, value: Value) -> Result<()> {
        let mut text = Vec::new();
        vm.coerce_to_string(
            value,
            &mut text,
            &mut self.context,
            Coercion::DERIVATION,
            Pos::NONE,
            "",
        )?;
        if symbol::name(key) == b"__json" {
            vm.ev.warn(&format!(
                "In derivation '{}': setting structured attributes via '__json' is deprecated, and may be disallowed in future versions of Nix. Set '__structuredAttrs = true' instead.",
                self.derivation.name
            ));
        }
        match key {
            known::BUILDER => self.derivation.builder.clone_from(&text),
            known::SYSTEM => self.derivation.platform.clone_from(&text),
            known::OUTPUT_HASH => self.output_hash = Some(text.clone()),
            known::OUTPUT_HASH_ALGO => self.algorithm = Algorithm::parse(&text).ok(),
            known::OUTPUT_HASH_MODE => self.hash_mode(vm, &text)?,
            known::OUTPUTS => {
                let names = text
                    .split(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
                    .filter(|name| !name.is_empty())
                    .collect::<Vec<_>>();
                self.set_outputs(&names)?;
            }
            _ => {}
        }
        self.derivation.env.insert(symbol::name(key).to_vec(), text);
        Ok(())
    }

    fn structured_attribute(&mut self, vm: &mut Vm, key: Symbol, value: Value) -> Result<()> {
        if key == known::STRUCTURED_ATTRS {
            return Ok(());
        }
        let pos = Pos::NONE;
        if let Some(json) = &mut self.json {
            if json.len() > 1 {
                json.push(b',');
            }
            crate::print::json::write_string(symbol::name(key), json)?;
            json.push(b':');
            vm.print_json(value, CopyMode::ToStore, pos, json, &mut self.context)?;
        }
        match key {
            known::BUILDER => {
                let text = vm.expect_str(value, pos, "")?;
                self.context = self.context.union(text.context());
                self.derivation.builder = text.as_bytes().to_vec();
            }
            known::SYSTEM => {
                self.derivation.platform = vm.expect_plain_str(value, pos, "")?.to_vec()
            }
            known::OUTPUT_HASH => {
                self.output_hash = Some(vm.expect_plain_str(value, pos, "")?.to_vec())
            }
            known::OUTPUT_HASH_ALGO => {
                self.algorithm = Algorithm::parse(vm.expect_plain_str(value, pos, "")?).ok()
            }
            known::OUTPUT_HASH_MODE => {
                let mode = vm.expect_plain_str(value, pos, "")?;
                self.hash_mode(vm, mode)?;
            }
            known::OUTPUTS => {
                let list = vm.expect_list(value, pos, "")?;
                let mut names = Vec::new();
                for name in list.iter() {
                    names.push(vm.expect_plain_str(name, pos, "")?);
                }
                self.set_outputs(&names)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn hash_mode(&mut self, vm: &Vm, mode: &[u8]) -> Result<()> {
        let method = if mode == b"recursive" {
            Method::NixArchive
        } else {
            Method::parse(mode).map_err(|_| {
                Error::other(
                    [
                        b"invalid value '",
                        mode,
                        b"' for 'outputHashMode' attribute",
                    ]
                    .concat(),
                )
            })?
        };
        match method {
            Method::Text => require_feature(vm, "dynamic-derivations")?,
            Method::Git => require_feature(vm, "git-hashing")?,
            _ => {}
        }
        self.method = Some(method);
        Ok(())
    }

    fn set_outputs(&mut self, names: &[&[u8]]) -> Result<()> {
        self.outputs.clear();
        for &name in names {
            let name = text_of(name, "output name")?;
            if name == "drvPath" {
                return Err(Error::other("invalid derivation output name 'drvPath'"));
            }
            if self.outputs.contains(&name) {
                return Err(Error::other(format!(
                    "duplicate derivation output '{name}'"
                )));
            }
            self.outputs.insert(name);
        }
        if self.outputs.is_empty() {
            return Err(Error::other(
                "derivation cannot have an empty set of outputs",
            ));
        }
        Ok(())
    }

    fn finish(mut self, vm: &mut Vm) -> Result {
        if let Some(mut json) = self.json.take() {
            json.push(b'}');
            self.derivation.env.insert(b"__json".to_vec(), json);
        }
        self.add_inputs(vm)?;
        if self.derivation.builder.is_empty() {
            return Err(Error::other("required attribute 'builder' missing"));
        }
        if self.derivation.platform.is_empty() {
            return Err(Error::other("required attribute 'system' missing"));
        }
        let only_out = self.outputs.len() == 1 && self.outputs.contains("out");
        if self.derivation.name.ends_with(".drv")
            && !(self.method == Some(Method::Text) && only_out)
        {
            return Err(Error::other(
                "derivation names are allowed to end in '.drv' only if they produce a single derivation file",
            ));
        }
        if let Some(hash) = self.output_hash.take() {
            if !only_out {
                return Err(Error::other(
                    "multiple outputs are not supported in fixed-output derivations",
                ));
            }
            let hash = self.fixed_hash(vm, &hash)?;
            let address = ContentAddress {
                method: self.method.unwrap_or(Method::Flat),
                hash,
            };
            self.derivation
                .outputs
                .insert("out".to_owned(), Output::Fixed(address));
            self.derivation.env.insert(b"out".to_vec(), Vec::new());
        } else if self.content_addressed || self.impure {
            self.floating_outputs()?;
        } else {
            for name in &self.outputs {
                self.derivation
                    .basic
                    .env
                    .insert(name.clone().into_bytes(), Vec::new());
                self.derivation
                    .basic
                    .outputs
                    .insert(name.clone(), Output::Deferred);
            }
        }
        let dir = &vm.ev.store_dir;
        let ev = vm.ev;
        let modulo = self
            .derivation
            .fill_in_output_paths::<OutsideError>(dir, &mut |path| {
                ev.hash_modulo(path).map_err(OutsideError)
            })?;
        let aterm = self.derivation.to_aterm(dir);
        let path = self.derivation.path_of(dir, &aterm).map_err(outside)?;
        ev.io
            .store()
            .write_derivation(&self.derivation, &path, &aterm)?;
        ev.drv_hashes.lock().insert(path.clone(), modulo);
        self.result(vm, &path)
    }

    fn fixed_hash(&self, vm: &Vm, hash: &[u8]) -> Result<Hash> {
        if !hash.is_empty() {
            return Hash::parse_any(hash, self.algorithm).map_err(outside);
        }
        let Some(algorithm) = self.algorithm else {
            return Err(Error::other("empty hash requires explicit hash algorithm"));
        };
        let zero = Hash::zero(algorithm);
        vm.ev
            .warn(&format!("found empty hash, assuming '{}'", zero.sri()));
        Ok(zero)
    }

    fn floating_outputs(&mut self) -> Result<()> {
        if self.content_addressed && self.impure {
            return Err(Error::other(
                "derivation cannot be both content-addressed and impure",
            ));
        }
        let algorithm = self.algorithm.unwrap_or(Algorithm::Sha256);
        let method = self.method.unwrap_or(Method::NixArchive);
        for name in &self.outputs {
            let placeholder = output_placeholder(name).into_bytes();
            self.derivation
                .basic
                .env
                .insert(name.clone().into_bytes(), placeholder);
            let output = if self.impure {
                Output::Impure { method, algorithm }
            } else {
                Output::Floating { method, algorithm }
            };
            self.derivation.basic.outputs.insert(name.clone(), output);
        }
        Ok(())
    }

    /// What the strings of the attributes refer to becomes what the derivation depends on.
    fn add_inputs(&mut self, vm: &mut Vm) -> Result<()> {
        for &element in self.context.elements() {
            match element {
                ContextElement::Opaque(_) => {
                    let path = vm.ev.store_path_of(element)?;
                    self.derivation.input_sources.insert(path.clone());
                }
                ContextElement::Built { drv, output } => {
                    let path = vm.ev.store_path_of(element)?;
                    let mut node = self
                        .derivation
                        .input_derivations
                        .entry(path.clone())
                        .or_default();
                    for output in outputs_on_the_way(drv) {
                        node = node
                            .dynamic
                            .entry(text_of(output, "output name")?)
                            .or_default();
                    }
                    node.outputs.insert(text_of(output, "output name")?);
                }
                ContextElement::DrvDeep(_) => {
                    let path = vm.ev.store_path_of(element)?.clone();
                    self.add_closure(vm, &path)?;
                }
            }
        }
        Ok(())
    }

    /// A derivation with its whole closure and all outputs in it (the context of `drvPath`).
    fn add_closure(&mut self, vm: &mut Vm, path: &StorePath) -> Result<()> {
        for path in vm.ev.io.store().closure(path)? {
            if path.is_derivation() {
                let names = vm
                    .ev
                    .io
                    .store()
                    .read_derivation(&path)?
                    .outputs
                    .keys()
                    .cloned()
                    .collect::<Vec<_>>();
                let node = self
                    .derivation
                    .input_derivations
                    .entry(path.clone())
                    .or_default();
                node.outputs.extend(InputOutputs::of(names).outputs);
            }
            self.derivation.input_sources.insert(path);
        }
        Ok(())
    }

    fn result(self, vm: &mut Vm, path: &StorePath) -> Result {
        let dir = &vm.ev.store_dir;
        let printed = dir.print(path);
        let mut set = AttrsBuilder::new(1 + self.derivation.outputs.len());
        let context = Context::of(ContextElement::DrvDeep(printed.clone().into()));
        let drv_path = Str::with_context(&mut vm.heap, &printed, context);
        set.push(known::DRV_PATH, drv_path);
        let drv = Box::new(ContextElement::Opaque(printed.into()));
        for (name, output) in &self.derivation.outputs {
            let text = match output
                .path(dir, &self.derivation.name, name)
                .map_err(outside)?
            {
                Some(path) => dir.print(&path),
                None => upstream_placeholder(path, name).into_bytes(),
            };
            let context = Context::of(ContextElement::Built {
                drv: drv.clone(),
                output: name.as_bytes().into(),
            });
            let value = Str::with_context(&mut vm.heap, &text, context);
            set.push(symbol::intern(name.as_bytes()), value);
        }
        Ok(set.finish(&mut vm.heap, Duplicates::Last))
    }
}

/// For an output of an output of …: the names of the outputs that are derivations, outermost derivation first.
fn outputs_on_the_way(drv: &ContextElement) -> Vec<&[u8]> {
    let mut names = Vec::new();
    let mut at = drv;
    while let ContextElement::Built { drv, output } = at {
        names.push(&**output);
        at = drv;
    }
    names.reverse();
    names
}

/// Lets errors of the store and of lookups travel through the store's functions.
struct OutsideError(Box<Error>);

impl From<rx_store::derivation::DerivationError> for OutsideError {
    fn from(error: rx_store::derivation::DerivationError) -> Self {
        OutsideError(outside(error))
    }
}

impl From<OutsideError> for Box<Error> {
    fn from(error: OutsideError) -> Self {
        error.0
    }
}
