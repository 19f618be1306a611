//! Hashes of strings, and their written forms.

use rx_lang::symbol;
use rx_store::hash::{Algorithm, Format, Hash};

use crate::builtins::{Builtin, builtin};
use crate::error::{Error, Result};
use crate::source::Pos;
use crate::value::Value;
use crate::vm::Vm;

pub(super) const TABLE: &[Builtin] = &[
    builtin!(
        "hashString",
        ["type", "s"],
        hash_string,
        "The hash of the string `s` in base 16; `type` is `\"md5\"`, `\"sha1\"`, `\"sha256\"`, `\"sha512\"` or `\"blake3\"`.",
        strict: 1
    ),
    builtin!(
        "convertHash",
        ["args"],
        convert_hash,
        "The hash `hash` in the form `toHashFormat`: `\"base16\"`, `\"nix32\"`, `\"base64\"` or `\"sri\"`. `hashAlgo` names the algorithm if the hash itself does not.",
        strict: 1
    ),
];

impl Vm {
    /// The hash algorithm with this name.
    pub(crate) fn hash_algorithm(&self, name: &[u8], pos: Pos) -> Result<Algorithm> {
        const BLAKE3: &str = "blake3-hashes";
        let algorithm =
            Algorithm::parse(name).map_err(|error| Error::other(error.to_string()).at(pos))?;
        if algorithm == Algorithm::Blake3 && !self.ev.has_feature(BLAKE3) {
            let message = format!(
                "experimental Nix feature '{BLAKE3}' is disabled; add '--extra-experimental-features {BLAKE3}' to enable it"
            );
            return Err(Error::other(message).at(pos));
        }
        Ok(algorithm)
    }
}

fn hash_string(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.hashString";
    let name = vm.expect_plain_str(args[0], pos, what)?;
    let algorithm = vm.hash_algorithm(name, pos)?;
    let what = "while evaluating the second argument passed to builtins.hashString";
    let text = vm.expect_str(args[1], pos, what)?;
    let hash = Hash::of(algorithm, text.as_bytes());
    Ok(vm.str(hash.base16().as_bytes()))
}

fn convert_hash(vm: &mut Vm, args: &[Value]) -> Result {
    let pos = vm.call_pos;
    let what = "while evaluating the first argument passed to builtins.convertHash";
    let set = vm.expect_attrs(args[0], pos, what)?;
    let outside = |error: rx_store::hash::HashError| Error::other(error.to_string()).at(pos);
    let required = |vm: &mut Vm, name: &str| {
        let symbol = symbol::intern(name.as_bytes());
        let Some(value) = set.get(symbol) else {
            let frame = format!("while locating the attribute '{name}'");
            return Err(vm.missing_attribute(set, symbol, pos).frame(pos, frame));
        };
        vm.expect_plain_str(
            value,
            pos,
            &format!("while evaluating the attribute '{name}'"),
        )
    };
    let hash = required(vm, "hash")?;
    let algorithm = match set.get(symbol::intern(b"hashAlgo")) {
        Some(name) => {
            let name =
                vm.expect_plain_str(name, pos, "while evaluating the attribute 'hashAlgo'")?;
            Some(vm.hash_algorithm(name, pos)?)
        }
        None => None,
    };
    let format = Format::parse(required(vm, "toHashFormat")?).map_err(outside)?;
    let hash = Hash::parse_any(hash, algorithm).map_err(outside)?;
    Ok(vm.str(hash.format(format, format == Format::Sri).as_bytes()))
}
