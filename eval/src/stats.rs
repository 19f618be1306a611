//! Counters that `NIX_SHOW_STATS` prints.

/// What one evaluator thread has done.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Thunks made.
    pub thunks: u64,
    /// Places where a thunk would have been possible but was not needed.
    pub avoided: u64,
    /// Calls of functions written in the language.
    pub calls: u64,
    /// Calls of builtins.
    pub builtin_calls: u64,
    /// Attribute sets made from literals.
    pub sets: u64,
    /// Uses of `//`.
    pub updates: u64,
    /// Uses of `++`.
    pub concats: u64,
    /// Attribute selections.
    pub selects: u64,
    /// Expressions compiled.
    pub expressions: u64,
    /// Files parsed.
    pub files: u64,
    /// Bytes parsed.
    pub parsed_bytes: u64,
    /// Microseconds spent parsing and compiling.
    pub parse_micros: u64,
    /// Microseconds of that spent in making code.
    pub compile_micros: u64,
}
