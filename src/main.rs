//! The `rx` program.

fn main() {}
