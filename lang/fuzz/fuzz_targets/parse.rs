//! Any bytes: neither sink panics, the tree keeps every byte, and both sinks agree.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rx_lang::print::{Paths, parse_form};
use rx_lang::tree::Tree;
use rx_lang::{ParseOptions, parse};

fuzz_target!(|source: &[u8]| {
    let options = ParseOptions { pipe_operators: true, ..ParseOptions::default() };
    let compact = parse(source, &options);
    let Ok(tree) = Tree::parse(source, &options) else { return };
    assert_eq!(tree.to_bytes(), source);
    match (compact, tree.lower(&options)) {
        (Ok(compact), Ok(lowered)) => {
            assert_eq!(parse_form(&compact, &Paths::AsWritten), parse_form(&lowered, &Paths::AsWritten));
        }
        (Err(_), Err(_)) => {}
        _ => panic!("one sink accepts what the other refuses"),
    }
});
