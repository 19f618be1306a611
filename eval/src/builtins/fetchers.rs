//! Files and trees from elsewhere: `fetchurl`, `fetchTarball`, `fetchGit`, `fetchTree`, `fetchMercurial`.

use std::collections::BTreeMap;

use rx_lang::symbol::{self, known};
use rx_store::fetch::attrs::{Attr, Attrs as InputAttrs};
use rx_store::fetch::flake_ref::{FlakeRef, ParseOptions};
use rx_store::fetch::input::{Fetched, Fetcher, Input, InputError, Wanted};
use rx_store::fetch::registry::{self, Use};
use rx_store::fetch::url::parse_git_url;
use rx_store::hash::{Algorithm, Hash};
use rx_store::path::check_name;

use super::paths::{parse_hash, store_object};
use crate::builtins::{Builtin, builtin, require_feature};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::interp::{Coercion, CopyMode};
use crate::io::outside;
use crate::print::attribute_name;
use crate::source::Pos;
use crate::track::InputKind;
use crate::value::attrs::Duplicates;
use crate::value::{AttrsBuilder, Context, Str, Value, View};
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!(
        "fetchurl",
        ["arg"],
        fetchurl,
        "Downloads a file and gives its store path. `arg` is a URL or `{ url, name, sha256 }`.",
        strict: 1,
    ),
    builtin!(
        "fetchTarball",
        ["args"],
        fetch_tarball,
        "Downloads an archive, unpacks it and gives the store path of the tree. `args` is a URL or `{ url, name, sha256 }`.",
        strict: 1,
        global: true,
    ),
    builtin!(
        "fetchGit",
        ["args"],
        fetch_git,
        "Fetches a Git repository: `args` is a URL or a set with `url`, `rev`, `ref`, `submodules`, `shallow`, `allRefs` … \
         Gives a set with `outPath`, `rev`, `revCount`, `lastModified`, `narHash` and others.",
        strict: 1,
        global: true,
    ),
    builtin!(
        "fetchTree",
        ["input"],
        fetch_tree,
        "Fetches a source tree of any `type`: `git`, `github`, `tarball`, `file`, `path` … `input` is a set of \
         attributes or a URL like those of flakes.",
        strict: 1,
        global: true,
        feature: Some("fetch-tree"),
    ),
    builtin!(
        "fetchMercurial",
        ["args"],
        fetch_mercurial,
        "Fetches a Mercurial repository: `args` is a URL or `{ url, rev, name }`.",
        strict: 1,
        global: true,
    ),
    builtin!(
        "getFlake",
        ["args"],
        get_flake,
        "Fetches the flake that a reference names and gives its outputs, with `inputs`, `outPath`, `sourceInfo` and others. \
         In pure evaluation the reference must be locked.",
    ),
    builtin!(
        "parseFlakeRef",
        ["flake-ref"],
        parse_flake_ref,
        "The attributes that a flake reference (a URL) stands for.",
    ),
    builtin!(
        "flakeRefToString",
        ["attrs"],
        flake_ref_to_string,
        "The URL of the flake reference that has these attributes.",
    ),
];

/// Which of the two old download functions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    File,
    Tarball,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::File => "fetchurl",
            What::Tarball => "fetchTarball",
        }
    }
}

/// The fetcher's error as one of evaluation, with what was being fetched as a frame.
#[cold]
pub(crate) fn failed(error: InputError) -> Box<Error> {
    match error {
        InputError::While { input, error } => {
            failed(*error).frame(Pos::NONE, format!("while fetching the input '{input}'"))
        }
        InputError::Interrupted(_) => Error::new(ErrorKind::Interrupted, "interrupted by the user"),
        error => {
            let status = if matches!(error, InputError::HashMismatch(_)) {
                102
            } else {
                1
            };
            let mut failure = outside(error);
            failure.status = status;
            failure
        }
    }
}

impl Vm {
    /// Who fetches for this evaluation.
    pub fn fetcher(&self) -> Result<&'static Fetcher> {
        // What is fetched may be another thing tomorrow.
        self.ev.io.used(InputKind::Volatile, b"");
        self.ev.io.store().fetcher()
    }

    /// Fetches an input, once.
    pub fn fetch_input(&mut self, input: &Input) -> Result<Fetched> {
        self.ev.io.used(InputKind::Volatile, b"");
        if let Some(known) = self.ev.fetched.lock().get(input) {
            return Ok(known.clone());
        }
        let fetched = self.fetcher()?.fetch(input).map_err(failed)?;
        self.ev.trees.lock().insert(
            self.ev.store_dir.print(&fetched.store_path),
            input.provenance(&fetched.input),
        );
        self.ev
            .fetched
            .lock()
            .insert(input.clone(), fetched.clone());
        Ok(fetched)
    }

    /// The inputs that have been fetched.
    pub fn fetched(&self) -> BTreeMap<Input, Fetched> {
        self.ev.fetched.lock().clone()
    }

    /// Takes over inputs that another evaluation has fetched.
    pub fn remember_fetched(&self, fetched: &BTreeMap<Input, Fetched>) {
        let mut trees = self.ev.trees.lock();
        for (input, fetched) in fetched {
            let path = self.ev.store_dir.print(&fetched.store_path);
            trees.insert(path, input.provenance(&fetched.input));
        }
        drop(trees);
        self.ev.fetched.lock().extend(fetched.clone());
    }
}

/// A URL of its own kind: `channel:NAME` is short for where that channel is.
pub(crate) fn resolve_pseudo_url(url: &str) -> String {
    match url.strip_prefix("channel:") {
        Some(channel) => format!("https://channels.nixos.org/{channel}/nixexprs.tar.xz"),
        None => url.to_owned(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn fetchurl(vm: &mut Vm, args: &[Value]) -> Result {
    fetch(vm, args[0], What::File)
}

fn fetch_tarball(vm: &mut Vm, args: &[Value]) -> Result {
    fetch(vm, args[0], What::Tarball)
}

fn fetch(vm: &mut Vm, arg: Value, what: What) -> Result {
    let pos = vm.call_pos;
    let who = what.name();
    let mut name = match what {
        What::File => String::new(),
        What::Tarball => "source".to_owned(),
    };
    let mut expected = None;
    let mut url = None;
    let mut named = false;
    let attrs = vm.force(arg)?.as_attrs();
    let of_url = "while evaluating the url we should fetch";
    if let Some(attrs) = attrs {
        let entries = attrs.entries(&mut vm.heap);
        for (key, at, value) in entries.as_met() {
            match symbol::name(key) {
                b"url" => url = Some(text(vm.expect_plain_str(value, at, of_url)?)),
                b"sha256" => {
                    let what = "while evaluating the sha256 of the content we should fetch";
                    let hash = vm.expect_plain_str(value, at, what)?;
                    expected = Some(parse_hash(vm, hash, Algorithm::Sha256)?);
                }
                b"name" => {
                    named = true;
                    let what = "while evaluating the name of the content we should fetch";
                    name = text(vm.expect_plain_str(value, at, what)?);
                }
                other => {
                    let message = format!("unsupported argument '{}' to '{who}'", text(other));
                    return Err(Error::other(message).at(at));
                }
            }
        }
    } else {
        url = Some(text(vm.expect_plain_str(arg, pos, of_url)?));
    }
    let Some(mut url) = url else {
        return Err(Error::other("'url' argument required").at(pos));
    };
    if what == What::Tarball {
        url = resolve_pseudo_url(&url);
    }
    vm.ev.io.check_uri(&url).map_err(|e| e.at(pos))?;
    if name.is_empty() {
        let trimmed = url.trim_end_matches('/');
        name = trimmed.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Err(why) = check_name(name.as_bytes()) {
        let advice = if named {
            format!(
                "Please change the value for the 'name' attribute passed to '{who}', so that it can create a valid store path."
            )
        } else if attrs.is_some() {
            format!(
                "Please add a valid 'name' attribute to the argument for '{who}', so that it can create a valid store path."
            )
        } else {
            format!(
                "Please pass an attribute set with 'url' and 'name' attributes to '{who}',  so that it can create a valid store path."
            )
        };
        let message = format!("invalid store path name when fetching URL '{url}': {why}. {advice}");
        return Err(Error::other(message).at(pos));
    }
    if vm.ev.settings.pure && expected.is_none() {
        let message = format!("in pure evaluation mode, '{who}' requires a 'sha256' argument");
        return Err(Error::other(message).at(pos));
    }
    let path = vm
        .fetcher()?
        .fetch_url(&url, &name, expected.as_ref(), what == What::Tarball)
        .map_err(|e| failed(e).at(pos))?;
    Ok(store_object(vm, &path))
}

/// The two functions that fetch inputs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tree {
    Git,
    Any,
}

impl Tree {
    fn name(self) -> &'static str {
        match self {
            Tree::Git => "fetchGit",
            Tree::Any => "fetchTree",
        }
    }
}

fn fetch_git(vm: &mut Vm, args: &[Value]) -> Result {
    fetch_any(vm, args[0], Tree::Git)
}

fn fetch_tree(vm: &mut Vm, args: &[Value]) -> Result {
    fetch_any(vm, args[0], Tree::Any)
}

fn git_url(url: &str) -> Result<String> {
    Ok(parse_git_url(url).map_err(outside)?.to_string())
}

fn fetch_any(vm: &mut Vm, arg: Value, tree: Tree) -> Result {
    let pos = vm.call_pos;
    let who = tree.name();
    let arg = vm.force(arg)?;
    let mut input = match arg.as_attrs() {
        Some(_) => {
            let attrs = input_attributes(vm, arg, tree, pos)?;
            Input::from_attrs(attrs).map_err(|e| failed(e).at(pos))?
        }
        None => {
            let what = format!("while evaluating the first argument passed to '{who}'");
            let (url, _) = vm.to_text(arg, Coercion::segment(false), pos, &what)?;
            from_text(vm, &text(&url), tree).map_err(|e| e.at(pos))?
        }
    };
    let settings = &vm.ev.settings;
    if !settings.pure && !input.is_direct() && vm.ev.has_feature("flakes") {
        let fetcher = vm.fetcher()?;
        let registries = registry::registries(fetcher).map_err(failed)?;
        input = registry::lookup(&input, &registries, Use::Limited)
            .map_err(failed)?
            .0;
    }
    if settings.pure && !input.is_locked(vm.fetcher()?.settings().trust_tarballs_from_git_forges) {
        if input.nar_hash().map_err(failed)?.is_none() {
            let shown = input.show();
            let message =
                format!("in pure evaluation mode, '{who}' doesn't fetch unlocked input '{shown}'");
            return Err(Error::other(message).at(pos));
        }
        vm.ev.warn(&format!(
            "Input '{}' is unlocked (e.g. lacks a Git revision) but is checked by NAR hash. This is not reproducible and will break after garbage collection or when shared.",
            input.show()
        ));
    }
    let url = input.to_url().map_err(failed)?.to_string();
    vm.ev.io.check_uri(&url).map_err(|e| e.at(pos))?;
    if input.is_final() {
        let message = format!(
            "input '{}' is not allowed to use the '__final' attribute",
            input.show()
        );
        return Err(Error::other(message).at(pos));
    }
    let fetched = vm.fetch_input(&input).map_err(|e| e.at(pos))?;
    let out = fetched
        .output_attributes(tree == Tree::Git)
        .map_err(failed)?;
    let tree = store_object(vm, &fetched.store_path);
    Ok(tree_value(vm, tree, &out, pos))
}

/// What a fetch gives: `outPath` and the attributes.
pub(crate) fn tree_value(vm: &mut Vm, tree: Value, out: &InputAttrs, pos: Pos) -> Value {
    let mut set = AttrsBuilder::new(out.0.len() + 1);
    set.push_at(known::OUT_PATH, pos, tree);
    for (name, value) in &out.0 {
        let value = attr_value(vm, value);
        set.push_at(symbol::intern(name.as_bytes()), pos, value);
    }
    set.finish(&mut vm.heap, Duplicates::Last)
}

/// An attribute of an input as a value.
pub(crate) fn attr_value(vm: &mut Vm, value: &Attr) -> Value {
    match value {
        Attr::Str(text) => vm.str(text.as_bytes()),
        Attr::Int(n) => vm.int(*n as i64),
        Attr::Bool(b) => Value::bool(*b),
    }
}

/// A value as an attribute of an input, if it can be one.
pub(crate) fn plain_attr(vm: &mut Vm, value: Value) -> Result<Option<Attr>> {
    let value = vm.force(value)?;
    Ok(match value.view() {
        View::Str(s) => Some(Attr::Str(text(s.as_bytes()))),
        View::Bool(b) => Some(Attr::Bool(b)),
        View::Int(n) => u64::try_from(n).ok().map(Attr::Int),
        _ => None,
    })
}

fn from_text(vm: &Vm, url: &str, tree: Tree) -> Result<Input> {
    if tree == Tree::Git {
        let attrs = InputAttrs::new()
            .with("type", "git")
            .with("url", git_url(url)?)
            .with("exportIgnore", true);
        return Input::from_attrs(attrs).map_err(failed);
    }
    if !vm.ev.has_feature("flakes") {
        return Err(Error::other(
            "passing a string argument to 'fetchTree' requires the 'flakes' experimental feature",
        ));
    }
    Input::parse(url, Wanted::Tree).map_err(failed)
}

fn input_attributes(vm: &mut Vm, arg: Value, tree: Tree, pos: Pos) -> Result<InputAttrs> {
    let who = tree.name();
    let attrs = vm.expect_attrs(
        arg,
        pos,
        &format!("while evaluating the argument passed to '{who}'"),
    )?;
    let mut kind = (tree == Tree::Git).then(|| "git".to_owned());
    if let Some(value) = attrs.get(known::TYPE) {
        if kind.is_some() {
            return Err(Error::other("unexpected argument 'type'").at(pos));
        }
        let what = format!("while evaluating the `type` argument passed to '{who}'");
        kind = Some(text(vm.expect_plain_str(
            value,
            attrs.pos(known::TYPE),
            &what,
        )?));
    }
    let Some(kind) = kind else {
        let message = format!("argument 'type' is missing in call to '{who}'");
        return Err(Error::other(message).at(pos));
    };
    let mut out = InputAttrs::new().with("type", kind.as_str());
    let entries = attrs.entries(&mut vm.heap);
    for (name, at, value) in entries.as_met() {
        if name == known::TYPE {
            continue;
        }
        let name = text(symbol::name(name));
        let value = input_attribute(vm, &name, value, tree, at, pos)?;
        out.set(&name, value);
    }
    let submodules = out.flag("submodules").map_err(outside)?;
    if tree == Tree::Git && !out.has("exportIgnore") && !submodules {
        out.set("exportIgnore", true);
    }
    if tree == Tree::Any && kind == "git" && !out.has("shallow") {
        out.set("shallow", true);
    }
    if tree == Tree::Any && out.has("name") {
        return Err(Error::other("argument 'name' isn’t supported in call to 'fetchTree'").at(pos));
    }
    Ok(out)
}

fn input_attribute(
    vm: &mut Vm,
    name: &str,
    value: Value,
    tree: Tree,
    at: Pos,
    pos: Pos,
) -> Result<Attr> {
    let who = tree.name();
    let value = vm.force(value)?;
    match value.view() {
        View::Str(_) | View::Path(_) => {
            let (bytes, _) = vm.to_text(value, Coercion::segment(false), at, "")?;
            let text = text(&bytes);
            Ok(Attr::Str(if tree == Tree::Git && name == "url" {
                git_url(&text)?
            } else {
                text
            }))
        }
        View::Bool(b) => Ok(Attr::Bool(b)),
        View::Int(n) => u64::try_from(n).map(Attr::Int).map_err(|_| {
            Error::other(format!(
                "negative value given for '{who}' argument '{name}': {n}"
            ))
            .at(pos)
        }),
        _ if name == "publicKeys" => {
            require_feature(vm, "verified-fetches")?;
            let mut json = Vec::new();
            vm.print_json(
                value,
                CopyMode::ToStore,
                at,
                &mut json,
                &mut Context::EMPTY.clone(),
            )?;
            Ok(Attr::Str(text(&json)))
        }
        _ => Err(Error::new(
            ErrorKind::Type,
            format!(
                "argument '{name}' to '{who}' is {} while a string, Boolean or integer is expected",
                value.type_phrase()
            ),
        )),
    }
}

fn fetch_mercurial(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let mut url = Vec::new();
    let mut name = "source".to_owned();
    let mut revision: Option<String> = None;
    let arg = vm.force(args[0])?;
    if let Some(attrs) = arg.as_attrs() {
        let entries = attrs.entries(&mut vm.heap);
        for (key, at, value) in entries.as_met() {
            match symbol::name(key) {
                b"url" => {
                    let what =
                        "while evaluating the `url` attribute passed to builtins.fetchMercurial";
                    url = vm.to_text(value, Coercion::segment(false), at, what)?.0;
                }
                b"rev" => {
                    let what =
                        "while evaluating the `rev` attribute passed to builtins.fetchMercurial";
                    revision = Some(text(vm.expect_plain_str(value, at, what)?));
                }
                b"name" => {
                    let what =
                        "while evaluating the `name` attribute passed to builtins.fetchMercurial";
                    name = text(vm.expect_plain_str(value, at, what)?);
                }
                other => {
                    let other = text(&attribute_name(other));
                    let message = format!("unsupported argument '{other}' to 'fetchMercurial'");
                    return Err(Error::other(message).at(at));
                }
            }
        }
        if url.is_empty() {
            return Err(Error::other("'url' argument required").at(pos));
        }
    } else {
        let what = "while evaluating the first argument passed to builtins.fetchMercurial";
        url = vm.to_text(arg, Coercion::segment(false), pos, what)?.0;
    }
    let url = text(&url);
    vm.ev.io.check_uri(&url).map_err(|e| e.at(pos))?;
    let is_revision =
        |text: &String| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let exact = revision.as_ref().is_some_and(is_revision);
    if vm.ev.settings.pure && !exact {
        return Err(Error::other(
            "in pure evaluation mode, 'fetchMercurial' requires a Mercurial revision",
        ));
    }
    let url = if url.contains("://") {
        url
    } else {
        format!("file://{url}")
    };
    let mut attrs = InputAttrs::new()
        .with("type", "hg")
        .with("url", url)
        .with("name", name);
    if let Some(revision) = revision {
        attrs.set(if exact { "rev" } else { "ref" }, revision);
    }
    let input = Input::from_attrs(attrs).map_err(failed)?;
    let fetched = vm.fetch_input(&input).map_err(|e| e.at(pos))?;
    let locked = &fetched.input;
    let mut out = InputAttrs::new();
    if let Some(branch) = locked.reference().map_err(failed)? {
        out.set("branch", branch);
    }
    let zero = Hash::zero(Algorithm::Sha1);
    let revision = locked.revision().map_err(failed)?.unwrap_or(zero).base16();
    out.set("shortRev", &revision[..12]);
    out.set("rev", revision);
    if let Some(count) = locked.attrs.int_opt("revCount").map_err(outside)? {
        out.set("revCount", count);
    }
    let tree = store_object(vm, &fetched.store_path);
    Ok(tree_value(vm, tree, &out, Pos::NONE))
}

fn get_flake(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    require_feature(vm, "flakes").map_err(|e| e.at(pos))?;
    let what = "while evaluating the argument passed to builtins.getFlake";
    let value = vm.force(args[0]).context(pos, || what)?;
    let reference = match value.view() {
        View::Path(path) => flake_at(vm, path.as_bytes()).map_err(|e| e.at(pos))?,
        _ => text(vm.expect_plain_str(value, pos, what)?),
    };
    crate::flakes::get_flake(vm, &reference).map_err(|e| e.at(pos))
}

/// The flake in a directory. Of a store object it is known by its hash, so that it is pure.
fn flake_at(vm: &mut Vm, path: &[u8]) -> Result<String> {
    let Ok((object, rest)) = vm.ev.store_dir.split(path) else {
        return Ok(format!("path:{}", String::from_utf8_lossy(path)));
    };
    let info = vm.fetcher()?.store().path_info(&object);
    let hash = info.map_err(outside)?.nar_hash.sri();
    let mut attrs = InputAttrs::new()
        .with("type", "path")
        .with("path", text(&vm.ev.store_dir.print(&object)))
        .with("narHash", hash);
    let subdir = text(rest.strip_prefix(b"/").unwrap_or(&rest));
    if !subdir.is_empty() {
        attrs.set("dir", subdir);
    }
    let reference = FlakeRef::from_attrs(attrs).map_err(failed)?;
    Ok(reference.to_string())
}

fn parse_flake_ref(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    require_feature(vm, "flakes").map_err(|e| e.at(pos))?;
    let what = "while evaluating the argument passed to builtins.parseFlakeRef";
    let url = text(vm.expect_plain_str(args[0], pos, what)?);
    let options = ParseOptions {
        allow_missing: true,
        ..ParseOptions::default()
    };
    let parsed = FlakeRef::parse(&url, options).map_err(|e| failed(e).at(pos))?;
    let mut set = AttrsBuilder::new(8);
    for (name, value) in &parsed.to_attrs().0 {
        let value = attr_value(vm, value);
        set.push(symbol::intern(name.as_bytes()), value);
    }
    Ok(set.finish(&mut vm.heap, Duplicates::Last))
}

fn flake_ref_to_string(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    require_feature(vm, "flakes").map_err(|e| e.at(pos))?;
    let what = "while evaluating the argument passed to builtins.flakeRefToString";
    let attrs = vm.expect_attrs(args[0], pos, what)?;
    let mut out = InputAttrs::new();
    for (name, _, value) in attrs.entries(&mut vm.heap).as_met() {
        let name = text(symbol::name(name));
        let value = vm.force(value)?;
        let attr = match value.view() {
            View::Int(n) => Attr::Int(u64::try_from(n).map_err(|_| {
                Error::other(format!(
                    "negative value given for flake ref attr {name}: {n}"
                ))
                .at(pos)
            })?),
            View::Bool(b) => Attr::Bool(b),
            View::Str(s) => Attr::Str(text(s.as_bytes())),
            _ => {
                return Err(Error::other(format!(
                    "flake reference attribute sets may only contain integers, Booleans, and strings, but attribute '{}' is {}",
                    text(&attribute_name(name.as_bytes())),
                    value.type_phrase()
                )));
            }
        };
        out.set(&name, attr);
    }
    let reference = FlakeRef::from_attrs(out).map_err(|e| failed(e).at(pos))?;
    let url = reference
        .to_url()
        .map_err(|e| failed(e).at(pos))?
        .to_string();
    Ok(Str::new(&mut vm.heap, url.as_bytes()))
}
