//! The hash *modulo* fixed outputs, from which input-addressed output paths are made.
//!
//! A derivation's text is printed with every input derivation's path replaced by that derivation's own hash
//! modulo (for a fixed output: by a hash of the fixed path), so that how a fixed output was fetched does not
//! matter. For the derivation's own paths the text is printed with its outputs blank.
//!
//! Hashes of inputs come from the caller, who memoises them: an evaluation sees each input thousands of times.

use std::cell::RefCell;

use smallvec::SmallVec;

use super::aterm::Outputs;
use super::{BasicDerivation, Derivation, DerivationError, Output};
use crate::hash::sha256;
use crate::path::{StoreDir, StorePath};

/// What stands for a derivation where another one uses it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HashModulo {
    /// The hash of its text modulo.
    InputAddressed([u8; 32]),
    /// The hash that stands for its only output, `out`.
    Fixed([u8; 32]),
    /// Not known before something is built.
    Deferred,
}

thread_local! {
    /// Texts are printed here, so that hashing thousands of derivations allocates once.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` with an empty buffer that keeps its capacity.
fn with_buffer<R>(f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    BUFFER.with(|cell| match cell.try_borrow_mut() {
        Ok(mut buffer) => {
            buffer.clear();
            f(&mut buffer)
        }
        Err(_) => f(&mut Vec::new()),
    })
}

impl Derivation {
    /// Prints the list of input derivations with hashes for paths; `None` when an input is deferred.
    fn print_inputs<E: From<DerivationError>>(
        &self,
        lookup: &mut dyn FnMut(&StorePath) -> Result<HashModulo, E>,
    ) -> Result<Option<Vec<u8>>, E> {
        let mut inputs: Vec<([u8; 32], SmallVec<[&str; 2]>)> =
            Vec::with_capacity(self.input_derivations.len());
        for (path, node) in &self.input_derivations {
            if !node.dynamic.is_empty() {
                return Ok(None);
            }
            match lookup(path)? {
                HashModulo::Deferred => return Ok(None),
                HashModulo::InputAddressed(hash) => {
                    inputs.push((hash, node.outputs.iter().map(String::as_str).collect()));
                }
                HashModulo::Fixed(hash) => {
                    if let Some(output) = node.outputs.iter().find(|output| *output != "out") {
                        return Err(DerivationError::NoSuchOutput {
                            output: output.clone(),
                            derivation: self.name.clone(),
                        }
                        .into());
                    }
                    inputs.push((hash, SmallVec::from_slice(&["out"])));
                }
            }
        }
        inputs.sort_unstable_by_key(|a| a.0);
        // Two derivations that differ only in how fixed inputs are fetched have one hash: their outputs are united.
        inputs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1.append(&mut later.1);
                kept.1.sort_unstable();
                kept.1.dedup();
            }
            same
        });
        let mut out = Vec::with_capacity(inputs.len() * 80);
        for (i, (hash, names)) in inputs.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"(\"" } else { b",(\"" });
            append_hex(hash, &mut out);
            out.extend_from_slice(b"\",[");
            for (i, name) in names.iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
                out.extend_from_slice(name.as_bytes());
                out.push(b'"');
            }
            out.extend_from_slice(b"])");
        }
        Ok(Some(out))
    }

    fn hash_text(&self, dir: &StoreDir, outputs: Outputs, inputs: &[u8]) -> [u8; 32] {
        with_buffer(|out| {
            out.extend_from_slice(b"Derive(");
            self.basic
                .write_with(dir, outputs, out, |out| out.extend_from_slice(inputs));
            sha256(out)
        })
    }

    /// What stands for this derivation in those that use it. Its output paths must be filled in.
    pub fn hash_modulo<E: From<DerivationError>>(
        &self,
        dir: &StoreDir,
        lookup: &mut dyn FnMut(&StorePath) -> Result<HashModulo, E>,
    ) -> Result<HashModulo, E> {
        if self.kind()?.is_fixed() {
            return Ok(match self.outputs.get("out") {
                Some(Output::Fixed(address)) => {
                    let path = self.outputs["out"]
                        .path(dir, &self.name, "out")
                        .map_err(DerivationError::from)?;
                    let mut text = format!(
                        "fixed:out:{}:{}:",
                        address.method_algorithm(),
                        address.hash.base16()
                    )
                    .into_bytes();
                    if let Some(path) = path {
                        dir.append_to(&path, &mut text);
                    }
                    HashModulo::Fixed(sha256(&text))
                }
                _ => HashModulo::Deferred,
            });
        }
        if self
            .outputs
            .values()
            .any(|o| !matches!(o, Output::InputAddressed(_)))
        {
            return Ok(HashModulo::Deferred);
        }
        Ok(match self.print_inputs(lookup)? {
            None => HashModulo::Deferred,
            Some(inputs) => {
                HashModulo::InputAddressed(self.hash_text(dir, Outputs::Shown, &inputs))
            }
        })
    }

    /// Fills in output paths that are [`Output::Deferred`] and can be known, and the variables named after outputs;
    /// returns what then stands for the derivation. One lookup of every input serves both hashes.
    pub fn fill_in_output_paths<E: From<DerivationError>>(
        &mut self,
        dir: &StoreDir,
        lookup: &mut dyn FnMut(&StorePath) -> Result<HashModulo, E>,
    ) -> Result<HashModulo, E> {
        let kind = self.kind()?;
        if kind.is_fixed() {
            self.fill_in_variables(dir)?;
            return self.hash_modulo(dir, lookup);
        }
        if kind.is_content_addressed() {
            return Ok(HashModulo::Deferred);
        }
        let Some(inputs) = self.print_inputs(lookup)? else {
            return match self.outputs.values().find_map(|output| match output {
                Output::InputAddressed(path) => Some(path),
                _ => None,
            }) {
                Some(path) => {
                    let path = dir.display(path).to_string();
                    Err(DerivationError::ShouldBeDeferred(path).into())
                }
                None => Ok(HashModulo::Deferred),
            };
        };
        let BasicDerivation { outputs, env, .. } = &mut self.basic;
        // The variables enter the hash blank, so they must be there before it is made.
        for name in outputs.keys() {
            env.entry(name.clone().into_bytes()).or_default();
        }
        let hash = self.hash_text(dir, Outputs::Masked, &inputs);
        let BasicDerivation {
            name: drv_name,
            outputs,
            ..
        } = &mut self.basic;
        for (name, output) in outputs {
            let path = dir
                .make_output_path(name, &hash, drv_name)
                .map_err(DerivationError::from)?;
            match output {
                Output::InputAddressed(found) if *found != path => {
                    return Err(DerivationError::WrongOutputPath {
                        found: dir.display(found).to_string(),
                        expected: dir.display(&path).to_string(),
                    }
                    .into());
                }
                _ => *output = Output::InputAddressed(path),
            }
        }
        self.fill_in_variables(dir)?;
        Ok(HashModulo::InputAddressed(self.hash_text(
            dir,
            Outputs::Shown,
            &inputs,
        )))
    }

    /// Sets the variables named after outputs that are missing or empty; others must be right.
    fn fill_in_variables(&mut self, dir: &StoreDir) -> Result<(), DerivationError> {
        for (name, output) in &self.basic.outputs {
            let Some(path) = output.path(dir, &self.basic.name, name)? else {
                continue;
            };
            let value = dir.print(&path);
            match self.basic.env.get_mut(name.as_bytes()) {
                None => {
                    self.basic.env.insert(name.clone().into_bytes(), value);
                }
                Some(found) if found.is_empty() => *found = value,
                Some(found) if *found == value => {}
                Some(found) => {
                    return Err(DerivationError::WrongVariable {
                        name: name.clone(),
                        expected: String::from_utf8_lossy(&value).into_owned(),
                        found: String::from_utf8_lossy(found).into_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Checks that declared output paths and their variables are those that follow from the derivation.
    pub fn check_invariants<E: From<DerivationError>>(
        &self,
        dir: &StoreDir,
        lookup: &mut dyn FnMut(&StorePath) -> Result<HashModulo, E>,
    ) -> Result<(), E> {
        let kind = self.kind()?;
        if kind.is_content_addressed() && !kind.is_fixed() {
            return Ok(());
        }
        let masked = if kind.is_fixed() {
            None
        } else {
            self.print_inputs(lookup)?
                .map(|inputs| self.hash_text(dir, Outputs::Masked, &inputs))
        };
        for (name, output) in &self.outputs {
            let expected = match (output, &masked) {
                (Output::Fixed(_), _) => output
                    .path(dir, &self.name, name)
                    .map_err(DerivationError::from)?,
                (Output::InputAddressed(found), None) => {
                    let found = dir.display(found).to_string();
                    return Err(DerivationError::ShouldBeDeferred(found).into());
                }
                (Output::InputAddressed(found), Some(hash)) => {
                    let right = dir
                        .make_output_path(name, hash, &self.name)
                        .map_err(DerivationError::from)?;
                    if *found != right {
                        return Err(DerivationError::WrongOutputPath {
                            found: dir.display(found).to_string(),
                            expected: dir.display(&right).to_string(),
                        }
                        .into());
                    }
                    Some(right)
                }
                _ => None,
            };
            let Some(expected) = expected else { continue };
            let expected = dir.print(&expected);
            match self.env.get(name.as_bytes()) {
                Some(found) if *found == expected => {}
                Some(found) => {
                    return Err(DerivationError::WrongVariable {
                        name: name.clone(),
                        expected: String::from_utf8_lossy(&expected).into_owned(),
                        found: String::from_utf8_lossy(found).into_owned(),
                    }
                    .into());
                }
                None => {
                    return Err(DerivationError::MissingVariable {
                        name: name.clone(),
                        expected: String::from_utf8_lossy(&expected).into_owned(),
                    }
                    .into());
                }
            }
        }
        Ok(())
    }
}

fn append_hex(digest: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in digest {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content_address::{ContentAddress, Method};
    use crate::derivation::InputOutputs;
    use crate::hash::{Algorithm, Hash};

    fn env(drv: &mut Derivation, pairs: &[(&str, &str)]) {
        for (name, value) in pairs {
            drv.env
                .insert(name.as_bytes().to_vec(), value.as_bytes().to_vec());
        }
    }

    /// Paths as the reference computes them for a derivation with a plain and a fixed input, and two outputs.
    #[test]
    fn output_paths_are_those_that_every_nix_computes() {
        let dir = StoreDir::default();
        let none: &mut dyn FnMut(&StorePath) -> Result<HashModulo, DerivationError> =
            &mut |path| panic!("{path} is no input");

        let mut plain = Derivation::default();
        plain.name = "c".into();
        plain.platform = b"c".to_vec();
        plain.builder = b"x".to_vec();
        env(
            &mut plain,
            &[
                ("builder", "x"),
                ("name", "c"),
                ("system", "c"),
                ("out", ""),
            ],
        );
        plain.outputs.insert("out".into(), Output::Deferred);
        let plain_hash = plain.fill_in_output_paths(&dir, none).unwrap();
        let plain_path = plain.path(&dir).unwrap();
        assert_eq!(
            plain_path.to_string(),
            "bmf27niw5nk0zz6mnq9hwhdjd0psl3r4-c.drv"
        );
        plain.check_invariants(&dir, none).unwrap();

        let mut fixed = Derivation::default();
        fixed.name = "b".into();
        fixed.platform = b"x".to_vec();
        fixed.builder = b"/b".to_vec();
        let hash = Hash::of(Algorithm::Sha256, b"");
        let address = ContentAddress {
            method: Method::NixArchive,
            hash,
        };
        fixed.outputs.insert("out".into(), Output::Fixed(address));
        let sri = hash.sri();
        env(
            &mut fixed,
            &[
                ("builder", "/b"),
                ("name", "b"),
                ("outputHash", &sri),
                ("outputHashMode", "recursive"),
                ("system", "x"),
            ],
        );
        let fixed_hash = fixed.fill_in_output_paths(&dir, none).unwrap();
        let fixed_path = fixed.path(&dir).unwrap();
        assert_eq!(
            fixed_path.to_string(),
            "dsbv8lvj35nwbqiszmrqhqrzax88pxmq-b.drv"
        );

        let mut drv = Derivation::default();
        drv.name = "a".into();
        drv.platform = b"x86_64-linux".to_vec();
        drv.builder = b"/bin/sh".to_vec();
        drv.args = vec![b"-c".to_vec(), b"echo \n\t\"\\".to_vec()];
        drv.input_sources
            .insert(StorePath::parse("vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo").unwrap());
        drv.input_derivations
            .insert(plain_path.clone(), InputOutputs::of(["out"]));
        drv.input_derivations
            .insert(fixed_path, InputOutputs::of(["out"]));
        drv.outputs.insert("out".into(), Output::Deferred);
        drv.outputs.insert("dev".into(), Output::Deferred);
        env(
            &mut drv,
            &[(
                "__json",
                r#"{"builder":"/bin/sh","f":"/nix/store/vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo","name":"a","outputs":["out","dev"],"src":"/nix/store/zzrzwwl7wi19zrj7n0w80kadhf5bdq10-b","system":"x86_64-linux","x":1,"y":{"a":[1,2],"b":1},"z":"/nix/store/ysaxs29agsiw8y1xcflr86jw57xpbmd3-c"}"#,
            )],
        );
        let lookup: &mut dyn FnMut(&StorePath) -> Result<HashModulo, DerivationError> =
            &mut |path| {
                Ok(if *path == plain_path {
                    plain_hash
                } else {
                    fixed_hash
                })
            };
        drv.fill_in_output_paths(&dir, lookup).unwrap();
        assert_eq!(
            drv.env_var("dev").unwrap(),
            b"/nix/store/lm04fzi9pbz95c1l04mh5i3zcg0s4fz1-a-dev"
        );
        assert_eq!(
            drv.path(&dir).unwrap().to_string(),
            "siil4fbjdl0nfbn6i7zjhrvqajx1l29q-a.drv"
        );
        drv.check_invariants(&dir, lookup).unwrap();

        drv.env
            .insert(b"out".to_vec(), b"/nix/store/elsewhere".to_vec());
        assert!(matches!(
            drv.check_invariants(&dir, lookup),
            Err(DerivationError::WrongVariable { .. })
        ));
    }

    #[test]
    fn a_deferred_input_defers_the_derivation() {
        let dir = StoreDir::default();
        let mut drv = Derivation::default();
        drv.name = "a".into();
        drv.outputs.insert("out".into(), Output::Deferred);
        let input = StorePath::parse("bmf27niw5nk0zz6mnq9hwhdjd0psl3r4-c.drv").unwrap();
        drv.input_derivations
            .insert(input, InputOutputs::of(["out"]));
        let modulo = drv
            .fill_in_output_paths::<DerivationError>(&dir, &mut |_| Ok(HashModulo::Deferred))
            .unwrap();
        assert_eq!(modulo, HashModulo::Deferred);
        assert_eq!(drv.outputs["out"], Output::Deferred);
    }
}
