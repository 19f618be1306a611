//! One attribute → the packages in it, with the inputs that each depends on.

use rx_eval::error::Result;
use rx_eval::value::Attrs;
use rx_eval::{Pos, Value, Vm};
use rx_lang::symbol::{self, known};

/// What was found at an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The set that it is in, by its place in the scan; the scanned attribute itself has none.
    pub parent: Option<u32>,
    /// Its name in there.
    pub name: Vec<u8>,
    /// What it is.
    pub body: Body,
    /// The inputs that this depends on, beside those of the sets around it.
    pub inputs: Vec<u32>,
}

impl Found {
    /// That there is no package at an attribute path.
    pub fn nothing(path: &[Vec<u8>]) -> Found {
        Found {
            parent: None,
            name: path.last().cloned().unwrap_or_default(),
            body: Body::Nothing,
            inputs: Vec::new(),
        }
    }
}

/// What an attribute is, for a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// No package, or something that cannot be evaluated.
    Nothing,
    /// A set that is to be searched.
    Set,
    /// A package.
    Package(Package),
}

/// A package, as far as a search is interested in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// The name without the version.
    pub name: Vec<u8>,
    /// The version; may be empty.
    pub version: Vec<u8>,
    /// `meta.description`, in one line; may be empty.
    pub description: Vec<u8>,
    /// `meta.broken`
    pub broken: bool,
}

/// Sets in each other beyond this are not searched: a set may contain itself.
const DEEPEST: usize = 12;

/// How far below the attribute a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// To the end.
    All,
    /// A set that is one of many attributes, or has such a set in it, is not gone into: whoever asks has its attributes
    /// scanned one by one.
    Few,
}

/// A set of more attributes is one of many.
const MANY: usize = 250;

/// Scans the value at an attribute path, which is in these sets: what was found, and the names in it if it is not gone
/// into. Only errors that end the whole scan (Ctrl-C, memory) are errors.
pub fn scan(
    vm: &mut Vm,
    value: Value,
    path: &[Vec<u8>],
    within: Vec<Value>,
    depth: Depth,
) -> Result<(Vec<Found>, Vec<Vec<u8>>)> {
    let mut scan = Scan {
        path: path.to_vec(),
        sets: within,
        found: Vec::new(),
        depth,
        is_of_many: false,
    };
    let Some(attrs) = scan.visit(vm, value, None)? else {
        return Ok((scan.found, Vec::new()));
    };
    scan.go_into(vm, attrs, 0)?;
    if !scan.is_of_many {
        return Ok((scan.found, Vec::new()));
    }
    scan.found.truncate(1);
    let names = children(vm, attrs).into_iter().map(|(name, _)| name);
    Ok((scan.found, names.collect()))
}

/// Evaluates as much of a value as a scan does, but nothing below it.
pub fn glance(vm: &mut Vm, value: Value) -> Result<()> {
    let scan = Scan {
        path: Vec::new(),
        sets: Vec::new(),
        found: Vec::new(),
        depth: Depth::All,
        is_of_many: false,
    };
    scan.look(vm, value).map(|_| ())
}

struct Scan {
    path: Vec<Vec<u8>>,
    /// The sets around the current attribute, to see those that contain themselves.
    sets: Vec<Value>,
    found: Vec<Found>,
    depth: Depth,
    /// A set of many attributes was found, and is not to be gone into.
    is_of_many: bool,
}

enum Seen {
    Nothing,
    Set(Attrs),
    Package(Package),
}

impl Scan {
    /// Notes what a value is. If it is a set that is to be searched, gives it.
    fn visit(&mut self, vm: &mut Vm, value: Value, parent: Option<u32>) -> Result<Option<Attrs>> {
        vm.check()?;
        let (seen, inputs) = vm.with_inputs(|vm| self.look(vm, value));
        let seen = match seen {
            Err(error) if error.is_passing() => return Err(error),
            Err(_) => Seen::Nothing,
            Ok(seen) => seen,
        };
        let (body, set) = match seen {
            Seen::Nothing => (Body::Nothing, None),
            Seen::Package(package) => (Body::Package(package), None),
            Seen::Set(attrs) => (Body::Set, Some(attrs)),
        };
        self.found.push(Found {
            parent,
            name: self.path.last().cloned().unwrap_or_default(),
            body,
            inputs,
        });
        Ok(set)
    }

    /// Visits what is in a set that was found at a place, and so on.
    fn go_into(&mut self, vm: &mut Vm, attrs: Attrs, at: u32) -> Result<()> {
        let children = children(vm, attrs);
        if self.depth == Depth::Few && children.len() > MANY {
            self.is_of_many = true;
            return Ok(());
        }
        self.sets.push(attrs.value());
        for (name, value) in children {
            self.path.push(name);
            let visited = vm.deeper(|vm| {
                let place = self.found.len() as u32;
                match self.visit(vm, value, Some(at))? {
                    Some(attrs) => self.go_into(vm, attrs, place),
                    None => Ok(()),
                }
            });
            self.path.pop();
            visited?;
            if self.is_of_many {
                break;
            }
        }
        self.sets.pop();
        Ok(())
    }

    fn look(&self, vm: &mut Vm, value: Value) -> Result<Seen> {
        let value = vm.force(value)?;
        let Some(attrs) = value.as_attrs() else {
            return Ok(Seen::Nothing);
        };
        if vm.is_package(value)? {
            return Ok(Seen::Package(package(vm, attrs)?));
        }
        if self.path.len() >= DEEPEST || self.sets.contains(&value) {
            return Ok(Seen::Nothing);
        }
        let recurse = match self.path.first().map(Vec::as_slice) {
            // Outputs of a flake: SYSTEM is below them.
            Some(b"legacyPackages" | b"packages") if self.path.len() <= 2 => true,
            _ => match attrs.get(known::RECURSE_FOR_DERIVATIONS) {
                Some(recurse) => vm.expect_bool(recurse, Pos::NONE, "")?,
                None => false,
            },
        };
        Ok(if recurse {
            Seen::Set(attrs)
        } else {
            Seen::Nothing
        })
    }
}

/// The attributes of a set by name, nothing forced.
pub fn children(vm: &mut Vm, attrs: Attrs) -> Vec<(Vec<u8>, Value)> {
    let entries = attrs.entries(&mut vm.heap);
    let mut all: Vec<(Vec<u8>, Value)> = entries
        .iter()
        .map(|(name, value)| (symbol::name(name).to_vec(), value))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn package(vm: &mut Vm, attrs: Attrs) -> Result<Package> {
    let Some(name) = attrs.get(known::NAME) else {
        return Ok(Package::default());
    };
    let full = vm.expect_str(name, Pos::NONE, "")?.as_bytes();
    let (name, version) = rx_eval::text::version::split_name(full);
    let mut package = Package {
        name: name.to_vec(),
        version: version.to_vec(),
        ..Package::default()
    };
    if let Some(meta) = attrs.get(symbol::intern(b"meta")) {
        let meta = vm.expect_attrs(meta, Pos::NONE, "")?;
        if let Some(description) = meta.get(symbol::intern(b"description")) {
            let text = vm.expect_str(description, Pos::NONE, "")?.as_bytes();
            let spaced = text.iter().map(|&b| if b == b'\n' { b' ' } else { b });
            package.description = spaced.collect();
        }
        if let Some(broken) = meta.get(symbol::intern(b"broken")) {
            package.broken = match vm.force(broken) {
                Ok(broken) => broken.as_bool().unwrap_or(false),
                Err(error) if error.is_passing() => return Err(error),
                // Whoever says so in such a way says nothing about the name.
                Err(_) => false,
            };
        }
    }
    Ok(package)
}
