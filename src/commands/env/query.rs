//! `-q`: what is installed, or could be, as a table, JSON or XML.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use rx_eval::error::Context as _;
use rx_eval::interp::CopyMode;
use rx_eval::text::version;
use rx_eval::text::xml::{Attribute, XmlWriter};
use rx_eval::value::{Context, View};
use rx_eval::{Error, Pos, Value, Vm};
use rx_lang::symbol;
use rx_store::path::StorePath;
use rx_store::progress::{self, Level};
use serde_json::{Map, Value as Json, json};

use super::Work;
use super::installed::Installed;
use super::item::{Item, Outputs};
use super::selectors::{Choice, select};
use super::table;
use crate::ui::{self, Failure, UsageError};

/// How a version compares to those of the same name on the other side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Difference {
    /// All others are older.
    Newer,
    /// Another is the same, none is newer.
    Same,
    /// Another is newer.
    Older,
    /// There is no other.
    Alone,
}

impl Difference {
    fn sign(self) -> char {
        match self {
            Difference::Newer => '>',
            Difference::Same => '=',
            Difference::Older => '<',
            Difference::Alone => '-',
        }
    }
}

/// Versions by name, to compare with.
struct Versions<'a>(BTreeMap<&'a [u8], Vec<&'a [u8]>>);

impl<'a> Versions<'a> {
    fn of(items: &'a [Item]) -> Self {
        let mut versions: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
        for item in items {
            let (name, version) = item.split_name();
            versions.entry(name).or_default().push(version);
        }
        Versions(versions)
    }

    /// How a package compares, and to which version.
    fn compare(&self, item: &Item) -> (Difference, &'a [u8]) {
        let (name, version) = item.split_name();
        let mut result = (Difference::Alone, &b"?"[..]);
        for &other in self.0.get(name).into_iter().flatten() {
            match (version::compare(version, other), result.0) {
                (Ordering::Less, _) => result = (Difference::Older, other),
                (_, Difference::Older) => {}
                (Ordering::Equal, _) => result = (Difference::Same, other),
                (Ordering::Greater, Difference::Same) => {}
                (Ordering::Greater, _) => {
                    result.0 = Difference::Newer;
                    if version::compare(result.1, other) == Ordering::Less {
                        result.1 = other;
                    }
                }
            }
        }
        result
    }
}

/// What is known of packages beside their attributes.
#[derive(Default)]
struct Status {
    installed: BTreeSet<StorePath>,
    valid: BTreeSet<StorePath>,
    substitutable: BTreeSet<StorePath>,
}

impl Work<'_> {
    pub(super) fn query(&mut self) -> Result<(), Failure> {
        let columns = &self.env.columns;
        if columns.attr_path && !columns.available {
            return Err(UsageError::new("--attr-path(-P) only works with --available").into());
        }
        let mut installed = Vec::new();
        if !columns.available || columns.compare || columns.status {
            installed = Installed::read(self.session, &*self.store, self.profile)?.items;
        }
        let mut available = Vec::new();
        if columns.available || columns.compare {
            let source = &self.env.source;
            available = source.available(self.session, self.invocation, &columns.below)?;
        }
        let (mine, others) = match columns.available {
            true => (&available, &installed),
            false => (&installed, &available),
        };
        let ev = self.session.vm.ev;
        let vm = &mut self.session.vm;
        let mut items = select(vm, mine, &self.env.arguments, Choice::All, &|error| {
            crate::ui::eval_failure(ev, &error)
        })?;
        items.sort_by_key(|item| item.name.to_ascii_uppercase());
        let status = self.status(&mut items, &installed)?;
        if columns.json {
            return self.json(&mut items);
        }
        let versions = Versions::of(others);
        let colour = ui::stdout_colours();
        let mut rows = Vec::new();
        let mut xml = XmlWriter::default();
        xml.begin("items", &[]);
        for mut item in items {
            rx_store::interrupt::check()?;
            if item.failed {
                continue;
            }
            let shown = item.shown_name();
            let columns = &self.env.columns;
            let prebuilt_only = self.env.prebuilt_only;
            let dir = self.session.vm.ev.store_dir.clone();
            let vm = &mut self.session.vm;
            let result = (|| {
                if prebuilt_only {
                    let path = item.out_path(vm)?;
                    if !status.valid.contains(&path) && !status.substitutable.contains(&path) {
                        return Ok(());
                    }
                }
                let print = |path: &StorePath| dir.print(path);
                let describe = Describe {
                    vm,
                    columns,
                    status: &status,
                    versions: &versions,
                    print: &print,
                };
                if columns.xml {
                    describe.xml(&mut item, &mut xml)
                } else {
                    rows.push(describe.row(&mut item, colour)?);
                    Ok(())
                }
            })();
            self.pass_over_assertions(&shown, result)?;
        }
        if columns.xml {
            return ui::print_bytes(&xml.finish());
        }
        ui::print_bytes(&table::render(&rows))
    }

    /// Looks up paths if they matter for what is shown.
    fn status(&mut self, items: &mut [Item], installed: &[Item]) -> Result<Status, Failure> {
        let mut status = Status::default();
        if !self.env.columns.status && !self.env.prebuilt_only {
            return Ok(status);
        }
        for item in installed {
            let mut item = item.clone();
            status.installed.insert(self.of(|vm| item.out_path(vm))?);
        }
        let mut paths = BTreeSet::new();
        for item in items {
            match item.out_path(&mut self.session.vm) {
                Ok(path) => {
                    paths.insert(path);
                }
                Err(error) if error.is_assertion() => {
                    skipping(&item.shown_name());
                    item.failed = true;
                }
                Err(error) => return Err(self.session.failure(error)),
            }
        }
        status.valid = self.store.query_valid(&paths)?;
        status.substitutable = self.store.query_substitutable_paths(&paths)?;
        Ok(status)
    }

    fn pass_over_assertions(
        &self,
        name: &str,
        result: Result<(), Box<Error>>,
    ) -> Result<(), Failure> {
        match result {
            Err(error) if error.is_assertion() => {
                skipping(name);
                Ok(())
            }
            other => self.session.check(other.context(Pos::NONE, || {
                format!("while querying the derivation named '{name}'")
            })),
        }
    }

    fn json(&mut self, items: &mut [Item]) -> Result<(), Failure> {
        let mut all: BTreeMap<String, Json> = BTreeMap::new();
        for item in items.iter_mut().filter(|item| !item.failed) {
            rx_store::interrupt::check()?;
            let shown = item.shown_name();
            // What was found before an assertion failed stays, as the reference has it.
            let mut members = None;
            let result = self.json_of(item, &mut members);
            let members = members.map(|members: BTreeMap<&str, Json>| {
                let members = members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                members.collect::<Map<_, _>>()
            });
            all.insert(text(&item.attr_path), json!(members));
            self.pass_over_assertions(&shown, result)?;
        }
        let object: Map<String, Json> = all.into_iter().collect();
        ui::print(&format!("{:#}\n", Json::Object(object)))
    }

    fn json_of(
        &mut self,
        item: &mut Item,
        found: &mut Option<BTreeMap<&'static str, Json>>,
    ) -> rx_eval::Result<()> {
        let columns = &self.env.columns;
        let dir = self.session.vm.ev.store_dir.clone();
        let show = |path: &StorePath| dir.display(path).to_string();
        let vm = &mut self.session.vm;
        let (name, version) = item.split_name();
        let mut members = BTreeMap::from([
            ("name", json!(text(&item.name))),
            ("pname", json!(text(name))),
            ("version", json!(text(version))),
        ]);
        members.insert("system", json!(text(&item.system(vm)?)));
        members.insert("outputName", json!(text(&item.output_name(vm)?)));
        let members = found.insert(members);
        let outputs = item.outputs(vm, columns.out_path)?;
        let outputs: Map<String, Json> = outputs
            .into_iter()
            .map(|(name, path)| (name, json!(path.as_ref().map(show))))
            .collect();
        members.insert("outputs", outputs.into());
        if columns.drv_path
            && let Some(path) = item.drv_path(vm)?
        {
            members.insert("drvPath", json!(show(&path)));
        }
        if columns.meta {
            let mut meta = Map::new();
            for name in item.meta_names(vm)? {
                let value = match item.meta_value(vm, &name)? {
                    Some(value) => json_of_value(vm, value)?,
                    None => {
                        report_bad_meta(item, &name);
                        Json::Null
                    }
                };
                meta.insert(text(&name), value);
            }
            members.insert("meta", meta.into());
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json_of_value(vm: &mut Vm, value: Value) -> rx_eval::Result<Json> {
    let mut out = Vec::new();
    let mut context = Context::EMPTY;
    vm.print_json(value, CopyMode::ToStore, Pos::NONE, &mut out, &mut context)?;
    serde_json::from_slice(&out).map_err(|error| Error::other(error.to_string()))
}

fn report_bad_meta(item: &Item, name: &[u8]) {
    progress::log(
        Level::Error,
        format_args!(
            "derivation '{}' has invalid meta attribute '{}'",
            item.shown_name(),
            text(name)
        ),
    );
}

fn skipping(name: &str) {
    progress::talkative(format_args!(
        "skipping derivation named '{name}' which gives an assertion failure"
    ));
}

/// Describes one package.
struct Describe<'a> {
    vm: &'a mut Vm,
    columns: &'a super::options::Columns,
    status: &'a Status,
    versions: &'a Versions<'a>,
    print: &'a dyn Fn(&StorePath) -> Vec<u8>,
}

impl Describe<'_> {
    /// Its row in the table.
    fn row(self, item: &mut Item, colour: bool) -> rx_eval::Result<Vec<Vec<u8>>> {
        let (vm, columns) = (self.vm, self.columns);
        let mut row = Vec::new();
        if columns.status {
            let path = item.out_path(vm)?;
            let mark = |set: &BTreeSet<StorePath>, letter| match set.contains(&path) {
                true => letter,
                false => b'-',
            };
            row.push(vec![
                mark(&self.status.installed, b'I'),
                mark(&self.status.valid, b'P'),
                mark(&self.status.substitutable, b'S'),
            ]);
        }
        if columns.attr_path {
            row.push(item.attr_path.clone());
        }
        if !columns.no_name {
            row.push(item.name.clone());
        }
        if columns.compare {
            let (difference, version) = self.versions.compare(item);
            let mut cell = format!("{} {}", difference.sign(), text(version));
            if difference == Difference::Older && colour {
                cell = format!("\x1b[31;1m{cell}\x1b[0m");
            }
            row.push(cell.into_bytes());
        }
        if columns.system {
            row.push(item.system(vm)?);
        }
        if columns.drv_path {
            let path = item.drv_path(vm)?;
            row.push(path.as_ref().map_or_else(|| b"-".to_vec(), self.print));
        }
        if columns.out_path {
            let mut cell = Vec::new();
            for (name, path) in item.outputs(vm, true)? {
                if !cell.is_empty() {
                    cell.push(b';');
                }
                if name != "out" {
                    cell.extend_from_slice(name.as_bytes());
                    cell.push(b'=');
                }
                if let Some(path) = path {
                    cell.extend_from_slice(&(self.print)(&path));
                }
            }
            row.push(cell);
        }
        if columns.description {
            row.push(item.meta_text(vm, b"description")?);
        }
        Ok(row)
    }

    /// Its element.
    fn xml(self, item: &mut Item, xml: &mut XmlWriter) -> rx_eval::Result<()> {
        let (vm, columns) = (self.vm, self.columns);
        let mut attributes: BTreeMap<&'static str, Vec<u8>> = BTreeMap::new();
        if columns.status {
            let path = item.out_path(vm)?;
            let mut mark = |name, set: &BTreeSet<StorePath>| {
                let digit = if set.contains(&path) { b"1" } else { b"0" };
                attributes.insert(name, digit.to_vec());
            };
            mark("installed", &self.status.installed);
            mark("valid", &self.status.valid);
            mark("substitutable", &self.status.substitutable);
        }
        attributes.insert("attrPath", item.attr_path.clone());
        let (name, version) = item.split_name();
        attributes.insert("pname", name.to_vec());
        attributes.insert("version", version.to_vec());
        attributes.insert("name", item.name.clone());
        if columns.compare {
            let (difference, version) = self.versions.compare(item);
            if difference != Difference::Alone {
                attributes.insert("versionDiff", vec![difference.sign() as u8]);
                attributes.insert("maxComparedVersion", version.to_vec());
            }
        }
        let system = item.system(vm)?;
        if !system.is_empty() {
            attributes.insert("system", system);
        }
        if columns.drv_path
            && let Some(path) = item.drv_path(vm)?
        {
            attributes.insert("drvPath", (self.print)(&path));
        }
        attributes.insert("outputName", item.output_name(vm)?);
        if columns.description {
            let description = item.meta_text(vm, b"description")?;
            if !description.is_empty() {
                attributes.insert("description", description);
            }
        }
        // Everything is evaluated before something is written: a failure leaves the package out.
        let outputs: Outputs = item.outputs(vm, columns.out_path)?;
        let mut meta = Vec::new();
        if columns.meta {
            for name in item.meta_names(vm)? {
                match item.meta_value(vm, &name)? {
                    Some(value) => meta.push((name, value)),
                    None => report_bad_meta(item, &name),
                }
            }
        }
        let list: Vec<Attribute<'_>> = attributes
            .iter()
            .map(|(name, value)| (*name, value.as_slice()))
            .collect();
        xml.begin("item", &list);
        for (name, path) in &outputs {
            let path = path.as_ref().map(self.print);
            let mut list: Vec<Attribute<'_>> = vec![("name", name.as_bytes())];
            list.extend(path.as_deref().map(|path| ("path", path)));
            xml.empty("output", &list);
        }
        for (name, value) in meta {
            xml_of_meta(vm, &name, value, xml)?;
        }
        xml.end();
        Ok(())
    }
}

fn xml_of_meta(vm: &mut Vm, name: &[u8], value: Value, xml: &mut XmlWriter) -> rx_eval::Result<()> {
    let mut simple = |kind: &'static [u8], value: &[u8]| {
        xml.empty("meta", &[("name", name), ("type", kind), ("value", value)]);
    };
    match value.view() {
        View::Str(text) => simple(b"string", text.as_bytes()),
        View::Int(number) => simple(b"int", number.to_string().as_bytes()),
        View::Float(number) => simple(b"float", number.to_string().as_bytes()),
        View::Bool(value) => simple(b"bool", if value { b"true" } else { b"false" }),
        View::List(list) => {
            xml.begin("meta", &[("name", name), ("type", b"strings")]);
            for element in list.iter() {
                if let Some(text) = vm.force(element)?.as_str() {
                    xml.empty("string", &[("value", text.as_bytes())]);
                }
            }
            xml.end();
        }
        View::Attrs(attrs) => {
            xml.begin("meta", &[("name", name), ("type", b"strings")]);
            let entries = attrs.entries(&mut vm.heap);
            for (name, value) in entries.iter() {
                if let Some(text) = vm.force(value)?.as_str() {
                    xml.empty(
                        "string",
                        &[("type", symbol::name(name)), ("value", text.as_bytes())],
                    );
                }
            }
            xml.end();
        }
        _ => {}
    }
    Ok(())
}
