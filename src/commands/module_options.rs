//! What the options of a module system are, as text for people: of a home or of a NixOS system.
//!
//! A path leads through sets of options, and through the types of options that have options inside: in
//! `users.users.root.shell`, `users.users` is an option, `root` one of its elements, and `shell` an option of that.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use rx_eval::print::{Derivations, PrintErrors, PrintOptions, attribute_name};
use rx_eval::{Error, Result as Evaluated, Value, Vm};
use rx_lang::symbol::{self, Symbol};

use crate::cli::suggest::nearest;
use crate::eval_session::EvalSession;
use crate::ui::{self, Failure, UsageError};

/// What commands that show options take.
#[derive(clap::Args)]
pub struct OptionArguments {
    /// Show the values of all options at or below the path.
    #[arg(long, short)]
    recursive: bool,
    /// Paths of options or of sets of options; without one, the outermost set.
    paths: Vec<OsString>,
}

/// Sets deeper than this are not walked through: they may have no end.
const DEEPEST: usize = 12;

impl OptionArguments {
    /// Prints what they ask for. `configuration` is a set with `config` and `options`.
    pub fn print(&self, session: &mut EvalSession, configuration: Value) -> Result<(), Failure> {
        let whole = [OsString::new()];
        let paths = match &self.paths[..] {
            [] => &whole[..],
            paths => paths,
        };
        for (number, path) in paths.iter().enumerate() {
            let text = path.as_bytes();
            let path = Path::parse(text.strip_suffix(b".").unwrap_or(text))?;
            if number > 0 {
                ui::print("\n")?;
            }
            let options = required(session, configuration, b"options")?;
            let config = required(session, configuration, b"config")?;
            if self.recursive {
                print_values(session, options, config, path)?;
                continue;
            }
            let text = describe(session, options, config, &path)?;
            ui::print_bytes(&text)?;
        }
        Ok(())
    }
}

/// The names that lead to an option.
#[derive(Clone)]
struct Path(Vec<Vec<u8>>);

impl Path {
    fn parse(text: &[u8]) -> Result<Path, Failure> {
        let names = rx_eval::selection::parse_attr_path(text)
            .map_err(|error| Failure::message(String::from_utf8_lossy(&error.message)))?;
        Ok(Path(names))
    }

    fn shown(&self) -> String {
        let names = self.0.iter().map(|name| attribute_name(name));
        let text = names.collect::<Vec<_>>().join(&b'.');
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Where a path leads.
enum Place {
    /// A set of options.
    Set(Value),
    /// An option.
    Option(Value),
    /// A value inside that of an option, which has no options of its own. The path of that option.
    Inside(Path),
}

/// An attribute of a set, evaluated; nothing if it is no set or has no such attribute.
fn get(vm: &mut Vm, set: Value, name: &[u8]) -> Evaluated<Option<Value>> {
    let Some(attrs) = vm.force(set)?.as_attrs() else {
        return Ok(None);
    };
    match attrs.get(symbol::intern(name)) {
        Some(value) => vm.force(value).map(Some),
        None => Ok(None),
    }
}

/// The same; what cannot be evaluated is as good as missing.
fn get_if_good(vm: &mut Vm, set: Value, name: &[u8]) -> Evaluated<Option<Value>> {
    get(vm, set, name).or_else(|error| passing(error).map(|_| None))
}

/// What must end the command stays an error.
fn passing(error: Box<Error>) -> Evaluated<Box<Error>> {
    match error.is_passing() {
        true => Err(error),
        false => Ok(error),
    }
}

fn required(session: &mut EvalSession, set: Value, name: &[u8]) -> Result<Value, Failure> {
    let found = session.vm.find_along(name, &[], set);
    Ok(session.check(found)?.0)
}

/// The names in a set, for people: without what belongs to the module system itself.
fn names(vm: &mut Vm, set: Value) -> Vec<Symbol> {
    let Some(attrs) = set.as_attrs() else {
        return Vec::new();
    };
    let entries = attrs.entries(&mut vm.heap);
    let mut names = entries.names().to_vec();
    names.retain(|name| symbol::name(*name) != b"_module");
    names.sort_by_key(|name| symbol::name(*name));
    names
}

fn is_a(vm: &mut Vm, value: Value, kind: &[u8]) -> Evaluated<bool> {
    let tag = get_if_good(vm, value, b"_type")?;
    Ok(tag
        .and_then(Value::as_str)
        .is_some_and(|tag| tag.as_bytes() == kind))
}

fn is_option(vm: &mut Vm, value: Value) -> Evaluated<bool> {
    is_a(vm, value, b"option")
}

/// Follows a path through options.
fn find(
    session: &mut EvalSession,
    options: Value,
    config: Value,
    path: &Path,
) -> Result<Place, Failure> {
    let mut current = options;
    let mut at = 0;
    while at < path.0.len() {
        let forced = session.vm.force(current);
        current = session.check(forced)?;
        let here = is_option(&mut session.vm, current);
        if session.check(here)? {
            let inner = options_inside(&mut session.vm, current);
            let Some((inner, elements)) = session.check(inner)? else {
                return inside_value(session, config, path, at);
            };
            current = inner;
            at += elements;
            if elements > 0 {
                continue;
            }
        }
        let name = &path.0[at];
        let found = current
            .as_attrs()
            .and_then(|set| set.get(symbol::intern(name)));
        let Some(found) = found else {
            let known = names(&mut session.vm, current);
            return match inside_value(session, config, path, at) {
                // Options may be there that no module declares.
                Ok(place) if at > 0 => Ok(place),
                _ => Err(missing(path, at, &known)),
            };
        };
        current = found;
        at += 1;
    }
    let forced = session.vm.force(current);
    current = session.check(forced)?;
    let here = is_option(&mut session.vm, current);
    if session.check(here)? {
        return Ok(Place::Option(current));
    }
    Ok(Place::Set(current))
}

/// A value inside that of an option: the first `known` names of the path are those of the option.
fn inside_value(
    session: &mut EvalSession,
    config: Value,
    path: &Path,
    known: usize,
) -> Result<Place, Failure> {
    let found = value_at(&mut session.vm, config, path);
    let option = Path(path.0[..known].to_vec());
    match session.check(found)? {
        Some(_) => Ok(Place::Inside(option)),
        None => Err(
            UsageError::new(format!("there is no option '{}'", path.shown()))
                .hint(format!(
                    "'{}' is an option without options inside",
                    option.shown()
                ))
                .into(),
        ),
    }
}

fn missing(path: &Path, at: usize, known: &[Symbol]) -> Failure {
    let error = UsageError::new(format!("there is no option '{}'", path.shown()));
    let name = String::from_utf8_lossy(&path.0[at]);
    let known: Vec<_> = known
        .iter()
        .map(|known| String::from_utf8_lossy(symbol::name(*known)))
        .collect();
    let Some(near) = nearest(&name, known.iter().map(|known| &**known)) else {
        return error.into();
    };
    let mut meant = path.clone();
    meant.0[at] = near.as_bytes().to_vec();
    error
        .hint(format!("did you mean '{}'?", meant.shown()))
        .into()
}

/// The options that the type of an option has inside, if it has any, and how many names of a path stand for
/// elements: one for each list or set of such things.
fn options_inside(vm: &mut Vm, option: Value) -> Evaluated<Option<(Value, usize)>> {
    let Some(kind) = get_if_good(vm, option, b"type")? else {
        return Ok(None);
    };
    let Some(function) = get_if_good(vm, kind, b"getSubOptions")? else {
        return Ok(None);
    };
    let prefix = vm.list(&[]);
    let called = vm.call(function, &[prefix]);
    let inner = match called.and_then(|inner| vm.force(inner)) {
        Ok(inner) => inner,
        Err(error) => {
            passing(error)?;
            return Ok(None);
        }
    };
    if names(vm, inner).is_empty() {
        return Ok(None);
    }
    let elements = placeholders(vm, inner, 0)?;
    Ok(Some((inner, elements.unwrap_or(0))))
}

/// How much longer the place of an option is than the path to it: by what stands for the names of elements.
fn placeholders(vm: &mut Vm, set: Value, depth: usize) -> Evaluated<Option<usize>> {
    let Some(attrs) = set.as_attrs().filter(|_| depth < 6) else {
        return Ok(None);
    };
    if is_option(vm, set)? {
        let place = get_if_good(vm, set, b"loc")?.and_then(Value::as_list);
        return Ok(place.map(|place| place.len().saturating_sub(depth)));
    }
    let entries = attrs.entries(&mut vm.heap);
    for name in entries.names() {
        let Some(value) = get_if_good(vm, set, symbol::name(*name))? else {
            continue;
        };
        if let Some(found) = placeholders(vm, value, depth + 1)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The value of a configuration at a path.
fn value_at(vm: &mut Vm, config: Value, path: &Path) -> Evaluated<Option<Value>> {
    let mut value = config;
    for name in &path.0 {
        let forced = vm.force(value)?;
        let element = forced.as_list().and_then(|list| {
            let index = std::str::from_utf8(name).ok()?.parse().ok()?;
            list.get(index)
        });
        let attribute = || forced.as_attrs()?.get(symbol::intern(name));
        match element.or_else(attribute) {
            Some(found) => value = found,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// A value as people want to see it: long ones on several lines, with what cannot be evaluated marked.
fn show(vm: &mut Vm, value: Value) -> Evaluated<Vec<u8>> {
    let forced = match vm.force(value) {
        Ok(forced) => forced,
        Err(error) => {
            passing(error)?;
            value
        }
    };
    // How a default is written says more than what it is.
    for kind in [&b"literalExpression"[..], b"literalMD"] {
        if is_a(vm, forced, kind)?
            && let Some(text) = get_if_good(vm, forced, b"text")?.and_then(Value::as_str)
        {
            return Ok(text.as_bytes().to_vec());
        }
    }
    if let Some(text) = forced.as_str().map(|text| text.as_bytes())
        && text.contains(&b'\n')
    {
        return Ok([b"''\n", text.trim_ascii_end(), b"\n''"].concat());
    }
    let options = PrintOptions {
        force: true,
        derivations: Derivations::Names,
        repeated: false,
        max_depth: 8,
        max_items: 2000,
        max_attrs: 2000,
        indent: 2,
        errors: PrintErrors::Show,
        ..PrintOptions::default()
    };
    vm.print(value, &options)
}

/// A value of an option that is text: as it is, or the `text` of a set.
fn text_of(vm: &mut Vm, value: Value) -> Evaluated<Vec<u8>> {
    if let Some(text) = value.as_str() {
        return Ok(text.as_bytes().to_vec());
    }
    let text = get_if_good(vm, value, b"text")?.and_then(Value::as_str);
    Ok(text
        .map(|text| text.as_bytes().to_vec())
        .unwrap_or_default())
}

/// The elements of a list as lines.
fn lines_of(vm: &mut Vm, value: Value) -> Evaluated<Vec<u8>> {
    let mut lines = Vec::new();
    for element in value.as_list().into_iter().flat_map(|list| list.iter()) {
        let line = match vm.force(element) {
            Ok(element) => element,
            Err(error) => {
                passing(error)?;
                continue;
            }
        };
        lines.push(match line.as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => show(vm, line)?,
        });
    }
    Ok(lines.join(&b'\n'))
}

/// What an option is.
fn describe(
    session: &mut EvalSession,
    options: Value,
    config: Value,
    path: &Path,
) -> Result<Vec<u8>, Failure> {
    let place = find(session, options, config, path)?;
    let vm = &mut session.vm;
    let described = match &place {
        Place::Set(set) => {
            let mut text = Vec::new();
            for name in names(vm, *set) {
                text.extend(attribute_name(symbol::name(name)));
                text.push(b'\n');
            }
            Ok(text)
        }
        Place::Option(option) => sections(vm, *option, config, path),
        Place::Inside(option) => value_section(vm, config, path).map(|mut text| {
            section(&mut text, "Inside", option.shown().as_bytes());
            text
        }),
    };
    session.check(described)
}

fn section(out: &mut Vec<u8>, title: &str, text: &[u8]) {
    let text = text.trim_ascii_end();
    if text.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push(b'\n');
    }
    out.extend_from_slice(title.as_bytes());
    out.extend_from_slice(b":\n");
    for line in text.split(|&byte| byte == b'\n') {
        if !line.is_empty() {
            out.extend_from_slice(b"  ");
            out.extend_from_slice(line);
        }
        out.push(b'\n');
    }
}

fn value_section(vm: &mut Vm, config: Value, path: &Path) -> Evaluated<Vec<u8>> {
    let mut out = Vec::new();
    let text = match value_at(vm, config, path) {
        Ok(Some(value)) => show(vm, value)?,
        Ok(None) => Vec::new(),
        Err(error) => {
            let error = passing(error)?;
            format!("«error: {error}»").into_bytes()
        }
    };
    section(&mut out, "Value", &text);
    Ok(out)
}

fn sections(vm: &mut Vm, option: Value, config: Value, path: &Path) -> Evaluated<Vec<u8>> {
    let mut out = value_section(vm, config, path)?;
    let option_set = option.as_attrs();
    for (title, names) in [
        ("Default", &["defaultText", "default"][..]),
        ("Type", &["type"]),
        ("Example", &["example"]),
        ("Description", &["description"]),
        ("Declared by", &["declarations"]),
        ("Defined by", &["files"]),
    ] {
        let found = names.iter().find_map(|name| {
            let set = option_set?;
            Some((*name, set.get(symbol::intern(name.as_bytes()))?))
        });
        let Some((name, slot)) = found else {
            continue;
        };
        let text = match (name, get_if_good(vm, option, name.as_bytes())?) {
            ("type", Some(kind)) => {
                let described = get_if_good(vm, kind, b"description")?;
                let named = get_if_good(vm, kind, b"name")?;
                match described.or(named) {
                    Some(text) => text_of(vm, text)?,
                    None => Vec::new(),
                }
            }
            ("description", Some(text)) => text_of(vm, text)?,
            ("declarations" | "files", Some(list)) => lines_of(vm, list)?,
            ("default" | "defaultText" | "example", _) => show(vm, slot)?,
            _ => Vec::new(),
        };
        section(&mut out, title, &text);
    }
    Ok(out)
}

/// Prints `path = value;` for all options at and below a path, as they are found.
fn print_values(
    session: &mut EvalSession,
    options: Value,
    config: Value,
    mut path: Path,
) -> Result<(), Failure> {
    match find(session, options, config, &path)? {
        Place::Set(set) => print_options_below(session, set, config, &mut path),
        Place::Option(_) | Place::Inside(_) => print_value(session, config, &mut path),
    }
}

fn print_options_below(
    session: &mut EvalSession,
    options: Value,
    config: Value,
    path: &mut Path,
) -> Result<(), Failure> {
    for name in names(&mut session.vm, options) {
        let name = symbol::name(name);
        let found = get_if_good(&mut session.vm, options, name);
        let Some(inner) = session.check(found)? else {
            continue;
        };
        path.0.push(name.to_vec());
        let here = is_option(&mut session.vm, inner);
        if !session.check(here)? {
            print_options_below(session, inner, config, path)?;
        } else {
            let visible = get_if_good(&mut session.vm, inner, b"visible");
            // Old names of options are not shown.
            if session.check(visible)? != Some(Value::bool(false)) {
                print_value(session, config, path)?;
            }
        }
        path.0.pop();
    }
    Ok(())
}

/// Prints the value of a configuration at a path, and what is inside.
fn print_value(session: &mut EvalSession, config: Value, path: &mut Path) -> Result<(), Failure> {
    let found = value_at(&mut session.vm, config, path);
    match session.check(found)? {
        Some(value) => print_below(session, value, path, &mut Vec::new()),
        None => Ok(()),
    }
}

/// The same for a value in the sets `around`.
fn print_below(
    session: &mut EvalSession,
    value: Value,
    path: &mut Path,
    around: &mut Vec<Value>,
) -> Result<(), Failure> {
    let inner = inner_values(&mut session.vm, value, around);
    let inner = session.check(inner)?;
    if !inner.is_empty() {
        for (name, value) in inner {
            path.0.push(symbol::name(name).to_vec());
            print_below(session, value, path, around)?;
            path.0.pop();
        }
        around.pop();
        return Ok(());
    }
    let shown = show_leaf(&mut session.vm, value);
    let mut line = path.shown().into_bytes();
    if !line.is_empty() {
        line.extend_from_slice(b" = ");
    }
    line.extend(session.check(shown)?);
    line.extend_from_slice(b";\n");
    ui::print_bytes(&line)
}

/// A value that is printed as it is, with a word for what is too large.
fn show_leaf(vm: &mut Vm, value: Value) -> Evaluated<Vec<u8>> {
    if is_package_set(vm, value)? {
        return Ok("«packages»".as_bytes().to_vec());
    }
    if is_a(vm, value, b"option-type")? {
        return Ok("«type»".as_bytes().to_vec());
    }
    show(vm, value)
}

/// Whether a set has more packages than anybody wants to see.
fn is_package_set(vm: &mut Vm, value: Value) -> Evaluated<bool> {
    if is_a(vm, value, b"pkgs")? {
        return Ok(true);
    }
    let attrs = vm.force(value).ok().and_then(Value::as_attrs);
    let has = |name: &[u8]| attrs.is_some_and(|set| set.get(symbol::intern(name)).is_some());
    Ok(has(b"callPackage") || has(b"pkgs"))
}

/// The values in a set that stands for more than itself, which is then added to those around; nothing for what is
/// printed as it is.
fn inner_values(
    vm: &mut Vm,
    value: Value,
    around: &mut Vec<Value>,
) -> Evaluated<Vec<(Symbol, Value)>> {
    let value = match vm.force(value) {
        Ok(value) => value,
        Err(error) => {
            passing(error)?;
            return Ok(Vec::new());
        }
    };
    let Some(attrs) = value.as_attrs().filter(|_| around.len() < DEEPEST) else {
        return Ok(Vec::new());
    };
    let is_leaf = match vm.is_package(value) {
        Ok(is_package) => {
            is_package || is_package_set(vm, value)? || is_a(vm, value, b"option-type")?
        }
        Err(error) => {
            passing(error)?;
            false
        }
    };
    if is_leaf {
        return Ok(Vec::new());
    }
    let names = names(vm, value);
    if names.is_empty() || around.contains(&value) {
        return Ok(Vec::new());
    }
    around.push(value);
    Ok(names
        .into_iter()
        .filter_map(|name| Some((name, attrs.get(name)?)))
        .collect())
}
