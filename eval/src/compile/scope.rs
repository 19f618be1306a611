//! Which name means which variable, and which unit captures what.

use rustc_hash::FxHashMap;
use rx_lang::symbol::Symbol;

use crate::code::Var;
use crate::value::Value;

/// A word of the frame of a unit that is being compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Place {
    /// The unit's depth.
    pub unit: u32,
    /// The word.
    pub slot: u32,
}

/// What a name is bound to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Binding {
    /// A variable.
    Var(Var),
    /// An attribute of the set in this variable (`rec` with `__overrides`).
    Overridable(Var),
    /// A value that is known now.
    Const(Value),
}

#[derive(Clone, Copy)]
enum Entry {
    Var(Place),
    Overridable(Place),
    Const(Value),
}

/// A unit under compilation.
#[derive(Default)]
struct Open {
    captures: Vec<Var>,
    known: FxHashMap<Place, u32>,
    next: u32,
    frame: u32,
}

/// A unit that is done.
pub(super) struct Closed {
    /// What it captures, in terms of the unit around it.
    pub captures: Vec<Var>,
    /// Words of its frame.
    pub frame: u32,
}

/// Where a construct's bindings begin, for undoing them.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    undo: usize,
    next: u32,
}

/// The names in scope and the units around.
#[derive(Default)]
pub(super) struct Scope {
    names: FxHashMap<Symbol, Entry>,
    undo: Vec<(Symbol, Option<Entry>)>,
    units: Vec<Open>,
    /// Emptied maps for reuse: most units capture little.
    spare: Vec<FxHashMap<Place, u32>>,
}

impl Scope {
    pub(super) fn enter_unit(&mut self) {
        let known = self.spare.pop().unwrap_or_default();
        self.units.push(Open {
            known,
            ..Open::default()
        });
    }

    pub(super) fn leave_unit(&mut self) -> Closed {
        let Some(mut unit) = self.units.pop() else {
            return Closed {
                captures: Vec::new(),
                frame: 0,
            };
        };
        unit.known.clear();
        self.spare.push(unit.known);
        Closed {
            captures: unit.captures,
            frame: unit.frame,
        }
    }

    fn depth(&self) -> u32 {
        self.units.len() as u32 - 1
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            undo: self.undo.len(),
            next: self.units.last().map_or(0, |u| u.next),
        }
    }

    /// Undoes what was bound since, and gives its words back.
    pub(super) fn release(&mut self, mark: Mark) {
        self.unbind(mark);
        if let Some(unit) = self.units.last_mut() {
            unit.next = mark.next;
        }
    }

    /// Undoes what was bound since.
    pub(super) fn unbind(&mut self, mark: Mark) {
        while self.undo.len() > mark.undo {
            match self.undo.pop() {
                Some((name, Some(old))) => self.names.insert(name, old),
                Some((name, None)) => self.names.remove(&name),
                None => break,
            };
        }
    }

    /// A new word of the frame.
    pub(super) fn reserve(&mut self) -> Place {
        let unit = self.depth();
        let open = &mut self.units[unit as usize];
        let slot = open.next;
        open.next += 1;
        open.frame = open.frame.max(open.next);
        Place { unit, slot }
    }

    pub(super) fn bind(&mut self, name: Symbol, place: Place) {
        self.enter(name, Entry::Var(place));
    }

    /// Binds the name to an attribute of the set in `place`.
    pub(super) fn bind_overridable(&mut self, name: Symbol, place: Place) {
        self.enter(name, Entry::Overridable(place));
    }

    /// Binds the name to a value that needs no word of a frame.
    pub(super) fn bind_constant(&mut self, name: Symbol, value: Value) {
        self.enter(name, Entry::Const(value));
    }

    fn enter(&mut self, name: Symbol, entry: Entry) {
        let old = self.names.insert(name, entry);
        self.undo.push((name, old));
    }

    pub(super) fn is_bound(&self, name: Symbol) -> bool {
        self.names.contains_key(&name)
    }

    /// Where the variable is.
    pub(super) fn lookup(&self, name: Symbol) -> Option<Place> {
        match self.names.get(&name) {
            Some(Entry::Var(place)) => Some(*place),
            _ => None,
        }
    }

    pub(super) fn is_local(&self, place: Place) -> bool {
        place.unit == self.depth()
    }

    /// All names that are bound here.
    pub(super) fn names(&self) -> impl Iterator<Item = Symbol> + '_ {
        self.names.keys().copied()
    }

    pub(super) fn resolve(&mut self, name: Symbol) -> Option<Binding> {
        Some(match *self.names.get(&name)? {
            Entry::Var(place) => Binding::Var(self.var(place)),
            Entry::Overridable(place) => Binding::Overridable(self.var(place)),
            Entry::Const(value) => Binding::Const(value),
        })
    }

    /// The variable as the current unit sees it.
    pub(super) fn var(&mut self, place: Place) -> Var {
        if place.unit == self.depth() {
            return Var::local(place.slot);
        }
        let mut var = Var::local(place.slot);
        for unit in &mut self.units[place.unit as usize + 1..] {
            let next = unit.captures.len() as u32;
            let n = *unit.known.entry(place).or_insert(next);
            if n == next {
                unit.captures.push(var);
            }
            var = Var::capture(n);
        }
        var
    }
}

impl Scope {
    /// The next free word of the frame.
    pub(super) fn mark_next(&self) -> u32 {
        self.units.last().map_or(0, |u| u.next)
    }
}
