//! A package that is installed or could be: what its attributes say, with flags that were set by hand.

use std::collections::BTreeMap;

use rx_eval::interp::Coercion;
use rx_eval::packages::Package;
use rx_eval::value::attrs::Duplicates;
use rx_eval::value::{Attrs, AttrsBuilder, Context};
use rx_eval::{Error, Pos, Value, Vm};
use rx_lang::symbol::{self, known};
use rx_store::path::StorePath;
use rx_store::profile::{DEFAULT_PRIORITY, Element, Entry};

type Result<T> = std::result::Result<T, Box<Error>>;

/// Outputs with their paths, as far as they were asked for.
pub type Outputs = BTreeMap<String, Option<StorePath>>;

/// A package.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where it was found, as an attribute path.
    pub attr_path: Vec<u8>,
    /// Name with version.
    pub name: Vec<u8>,
    /// Its attributes; nothing for a plain store path.
    attrs: Option<Attrs>,
    /// Its `meta` when flags were set.
    meta: Option<Attrs>,
    out_path: Option<StorePath>,
    drv_path: Option<StorePath>,
    /// Known outputs.
    outputs: Option<BTreeMap<String, StorePath>>,
    /// The element of `manifest.json` that it is, with its name there.
    pub entry: Option<(String, Entry)>,
    /// It failed an assertion, and is passed over.
    pub failed: bool,
}

impl From<Package> for Item {
    fn from(package: Package) -> Item {
        Item {
            attr_path: package.attr_path,
            attrs: Some(package.attrs),
            ..Item::named(package.name)
        }
    }
}

impl Item {
    fn named(name: Vec<u8>) -> Item {
        Item {
            attr_path: Vec::new(),
            name,
            attrs: None,
            meta: None,
            out_path: None,
            drv_path: None,
            outputs: None,
            entry: None,
            failed: false,
        }
    }

    /// A store path, with the derivation that it is an output of if that is known.
    pub fn of_path(name: &str, out_path: StorePath, drv_path: Option<StorePath>) -> Item {
        Item {
            out_path: Some(out_path),
            drv_path,
            ..Item::named(name.as_bytes().to_vec())
        }
    }

    /// An element of `manifest.json`; nothing if it has no store path.
    pub fn of_entry(vm: &mut Vm, name: &str, entry: &Entry) -> Option<Item> {
        let main = entry.main_path()?.clone();
        let base = main.name().to_owned();
        let mut outputs = BTreeMap::from([("out".to_owned(), main.clone())]);
        for path in entry.store_paths.iter().filter(|path| **path != main) {
            let suffix = path.name().strip_prefix(&base);
            let suffix = suffix.and_then(|rest| rest.strip_prefix('-'));
            let name = suffix.unwrap_or(path.name()).to_owned();
            outputs.insert(name, path.clone());
        }
        let mut item = Item {
            out_path: Some(main),
            outputs: Some(outputs),
            entry: Some((name.to_owned(), entry.clone())),
            ..Item::named(base.into_bytes())
        };
        if !entry.active {
            item.set_flag(vm, b"active", b"false").ok()?;
        }
        if entry.priority != DEFAULT_PRIORITY {
            let priority = entry.priority.to_string();
            item.set_flag(vm, b"priority", priority.as_bytes()).ok()?;
        }
        if entry.keep {
            item.set_flag(vm, b"keep", b"true").ok()?;
        }
        Some(item)
    }

    /// Name and version.
    pub fn split_name(&self) -> (&[u8], &[u8]) {
        rx_eval::text::version::split_name(&self.name)
    }

    /// The name as text.
    pub fn shown_name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    fn attribute(&self, name: &[u8]) -> Option<(Value, Pos)> {
        let attrs = self.attrs?;
        let symbol = symbol::intern(name);
        Some((attrs.get(symbol)?, attrs.pos(symbol)))
    }

    /// The system that it is built on: `unknown` if its attributes do not say, empty for store paths.
    pub fn system(&self, vm: &mut Vm) -> Result<Vec<u8>> {
        if self.attrs.is_none() {
            return Ok(Vec::new());
        }
        match self.attribute(b"system") {
            Some((value, pos)) => {
                let what = "while evaluating the 'system' attribute of a derivation";
                Ok(vm.expect_plain_str(value, pos, what)?.to_vec())
            }
            None => Ok(b"unknown".to_vec()),
        }
    }

    /// Its derivation, if it has one.
    pub fn drv_path(&mut self, vm: &mut Vm) -> Result<Option<StorePath>> {
        if self.drv_path.is_none()
            && let Some((value, pos)) = self.attribute(b"drvPath")
        {
            let what = "while evaluating the 'drvPath' attribute of a derivation";
            let path = vm.coerce_to_store_path(value, &mut Context::EMPTY.clone(), pos, what)?;
            if !path.is_derivation() {
                let message = format!("store path '{path}' is not a valid derivation path");
                return Err(Error::other(message).frame(pos, what));
            }
            self.drv_path = Some(path);
        }
        Ok(self.drv_path.clone())
    }

    /// The output that it stands for.
    pub fn out_path(&mut self, vm: &mut Vm) -> Result<StorePath> {
        if let Some(path) = &self.out_path {
            return Ok(path.clone());
        }
        let Some((value, pos)) = self.attribute(b"outPath") else {
            return Err(Error::other("derivation does not have attribute 'outPath'"));
        };
        let what = "while evaluating the output path of a derivation";
        let path = vm.coerce_to_store_path(value, &mut Context::EMPTY.clone(), pos, what)?;
        self.out_path = Some(path.clone());
        Ok(path)
    }

    /// The name of the output that it stands for; empty if it does not say.
    pub fn output_name(&self, vm: &mut Vm) -> Result<Vec<u8>> {
        match self.attribute(b"outputName") {
            Some((value, _)) => {
                let what = "while evaluating the output name of a derivation";
                Ok(vm.expect_plain_str(value, Pos::NONE, what)?.to_vec())
            }
            None => Ok(Vec::new()),
        }
    }

    /// All its outputs, with their paths if those are wanted.
    pub fn outputs(&mut self, vm: &mut Vm, with_paths: bool) -> Result<Outputs> {
        if let Some(known) = &self.outputs {
            let known = known.iter();
            return Ok(known
                .map(|(name, path)| (name.clone(), Some(path.clone())))
                .collect());
        }
        let mut outputs = Outputs::new();
        let (Some(attrs), Some((list, pos))) = (self.attrs, self.attribute(b"outputs")) else {
            let path = with_paths.then(|| self.out_path(vm)).transpose()?;
            return Ok(Outputs::from([("out".to_owned(), path)]));
        };
        let what = "while evaluating the 'outputs' attribute of a derivation";
        let list = vm.expect_list(list, pos, what)?;
        for element in list.iter() {
            let what = "while evaluating the name of an output of a derivation";
            let name = vm.expect_plain_str(element, pos, what)?.to_vec();
            let shown = String::from_utf8_lossy(&name).into_owned();
            if !with_paths {
                outputs.insert(shown, None);
                continue;
            }
            // What names an output that it does not have is passed over, as the reference does.
            let Some(output) = attrs.get(symbol::intern(&name)) else {
                continue;
            };
            let what = "while evaluating an output of a derivation";
            let output = vm.expect_attrs(output, pos, what)?;
            let Some(path) = output.get(known::OUT_PATH) else {
                continue;
            };
            let pos = output.pos(known::OUT_PATH);
            let what = "while evaluating an output path of a derivation";
            let path = vm.coerce_to_store_path(path, &mut Context::EMPTY.clone(), pos, what)?;
            outputs.insert(shown, Some(path));
        }
        Ok(outputs)
    }

    /// The outputs that are installed: the selected one, those of `meta.outputsToInstall`, or all.
    pub fn outputs_to_install(&mut self, vm: &mut Vm) -> Result<BTreeMap<String, StorePath>> {
        let all = self.outputs(vm, true)?;
        let mut all: BTreeMap<String, StorePath> = all
            .into_iter()
            .filter_map(|(name, path)| Some((name, path?)))
            .collect();
        if self.attrs.is_none() {
            return Ok(all);
        }
        if let Some((value, pos)) = self.attribute(b"outputSpecified") {
            let what = "while evaluating the 'outputSpecified' attribute of a derivation";
            if vm.expect_bool(value, pos, what)? {
                let name = String::from_utf8_lossy(&self.output_name(vm)?).into_owned();
                let missing = || Error::other(format!("derivation does not have output '{name}'"));
                let path = all.remove(&name).ok_or_else(missing)?;
                return Ok(BTreeMap::from([(name, path)]));
            }
        }
        let Some(wanted) = self.meta_value(vm, b"outputsToInstall")? else {
            return Ok(all);
        };
        let bad = || Error::other("this derivation has bad 'meta.outputsToInstall'");
        let mut chosen = BTreeMap::new();
        for name in wanted.as_list().ok_or_else(bad)?.iter() {
            let name = vm.force(name)?.as_str().ok_or_else(bad)?;
            let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
            let path = all.get(&name).ok_or_else(bad)?.clone();
            chosen.insert(name, path);
        }
        Ok(chosen)
    }

    fn meta(&mut self, vm: &mut Vm) -> Result<Option<Attrs>> {
        if self.meta.is_none()
            && let Some((value, pos)) = self.attribute(b"meta")
        {
            let what = "while evaluating the 'meta' attribute of a derivation";
            self.meta = Some(vm.expect_attrs(value, pos, what)?);
        }
        Ok(self.meta)
    }

    /// The names in its `meta`, in alphabetical order.
    pub fn meta_names(&mut self, vm: &mut Vm) -> Result<Vec<Vec<u8>>> {
        let Some(meta) = self.meta(vm)? else {
            return Ok(Vec::new());
        };
        let entries = meta.entries(&mut vm.heap);
        Ok(entries
            .names()
            .iter()
            .map(|&name| symbol::name(name).to_vec())
            .collect())
    }

    /// A value of its `meta`, if it is there and consists of plain data.
    pub fn meta_value(&mut self, vm: &mut Vm, name: &[u8]) -> Result<Option<Value>> {
        let Some(value) = self
            .meta(vm)?
            .and_then(|meta| meta.get(symbol::intern(name)))
        else {
            return Ok(None);
        };
        Ok(if is_data(vm, value)? {
            Some(vm.force(value)?)
        } else {
            None
        })
    }

    /// A text of its `meta`; empty if there is none.
    pub fn meta_text(&mut self, vm: &mut Vm, name: &[u8]) -> Result<Vec<u8>> {
        let value = self.meta_value(vm, name)?;
        let text = value.and_then(Value::as_str);
        Ok(text.map_or_else(Vec::new, |text| text.as_bytes().to_vec()))
    }

    /// A number of its `meta`, which may be written as text.
    pub fn meta_int(&mut self, vm: &mut Vm, name: &[u8], default: i64) -> Result<i64> {
        let Some(value) = self.meta_value(vm, name)? else {
            return Ok(default);
        };
        let from_text = || {
            std::str::from_utf8(value.as_str()?.as_bytes())
                .ok()?
                .parse()
                .ok()
        };
        Ok(value.as_int().or_else(from_text).unwrap_or(default))
    }

    /// A truth value of its `meta`, which may be written as text.
    pub fn meta_bool(&mut self, vm: &mut Vm, name: &[u8], default: bool) -> Result<bool> {
        let Some(value) = self.meta_value(vm, name)? else {
            return Ok(default);
        };
        let text = value.as_str().map(|text| text.as_bytes());
        Ok(match (value.as_bool(), text) {
            (Some(value), _) => value,
            (None, Some(b"true")) => true,
            (None, Some(b"false")) => false,
            _ => default,
        })
    }

    /// Its priority when packages are chosen: 0 unless its `meta` says otherwise.
    pub fn priority(&mut self, vm: &mut Vm) -> Result<i64> {
        self.meta_int(vm, b"priority", 0)
    }

    /// Whether upgrades leave it alone.
    pub fn is_kept(&mut self, vm: &mut Vm) -> Result<bool> {
        self.meta_bool(vm, b"keep", false)
    }

    /// Sets a text in its `meta`.
    pub fn set_flag(&mut self, vm: &mut Vm, name: &[u8], value: &[u8]) -> Result<()> {
        let old = self.meta(vm)?;
        let mut meta = AttrsBuilder::new(8);
        if let Some(old) = old {
            let entries = old.entries(&mut vm.heap);
            for (index, (name, value)) in entries.iter().enumerate() {
                meta.push_at(name, entries.pos(index), value);
            }
        }
        let value = vm.str(value);
        meta.push(symbol::intern(name), value);
        self.meta = meta.finish(&mut vm.heap, Duplicates::Last).as_attrs();
        Ok(())
    }

    /// What stands in `manifest.nix` about it.
    pub fn element(&mut self, vm: &mut Vm, keep_derivation: bool) -> Result<Element> {
        let outputs = self.outputs_to_install(vm)?;
        let derivation = match keep_derivation {
            true => self.drv_path(vm)?,
            false => None,
        };
        let mut meta = AttrsBuilder::new(8);
        for name in self.meta_names(vm)? {
            if let Some(value) = self.meta_value(vm, &name)? {
                meta.push(symbol::intern(&name), value);
            }
        }
        let meta = meta.finish(&mut vm.heap, Duplicates::Last);
        let mut word = |name: &[u8], default: &[u8]| match meta
            .as_attrs()
            .and_then(|meta| meta.get(symbol::intern(name)))
        {
            Some(value) => Ok(vm.to_text(value, Coercion::DERIVATION, Pos::NONE, "")?.0),
            None => Ok::<_, Box<Error>>(default.to_vec()),
        };
        Ok(Element {
            active: word(b"active", b"true")?,
            priority: word(b"priority", b"5")?,
            name: self.name.clone(),
            out_path: self.out_path(vm)?,
            outputs,
            derivation,
            system: self.system(vm)?,
            meta: vm.print_data(meta)?,
        })
    }

    /// What stands in `manifest.json` about it.
    pub fn to_entry(&mut self, vm: &mut Vm) -> Result<Entry> {
        let source = self
            .entry
            .as_ref()
            .and_then(|(_, entry)| entry.source.clone());
        Ok(Entry {
            store_paths: self.outputs_to_install(vm)?.into_values().collect(),
            active: self.meta_bool(vm, b"active", true)?,
            priority: self.meta_int(vm, b"priority", DEFAULT_PRIORITY)?,
            source,
            keep: self.is_kept(vm)?,
        })
    }
}

/// Whether a value consists of texts, numbers, truth values, and lists and sets of these, which are evaluated.
fn is_data(vm: &mut Vm, value: Value) -> Result<bool> {
    let value = vm.force(value)?;
    if let Some(list) = value.as_list() {
        return vm.nested(|vm| all_data(vm, list.iter()));
    }
    if let Some(attrs) = value.as_attrs() {
        if attrs.get(known::OUT_PATH).is_some() {
            return Ok(false);
        }
        let entries = attrs.entries(&mut vm.heap);
        return vm.nested(|vm| all_data(vm, entries.iter().map(|(_, value)| value)));
    }
    Ok(value.as_int().is_some()
        || value.as_bool().is_some()
        || value.as_str().is_some()
        || value.as_float().is_some())
}

fn all_data(vm: &mut Vm, values: impl Iterator<Item = Value>) -> Result<bool> {
    for value in values {
        if !is_data(vm, value)? {
            return Ok(false);
        }
    }
    Ok(true)
}
