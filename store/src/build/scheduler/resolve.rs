//! Derivations that are known only when others have been built: those whose inputs have no paths of their own, and those
//! that are themselves outputs.
//!
//! ```text
//! Output of a derivation with such inputs   needs Build -> RESOLVED -> Output of what it resolved to
//! Dynamic a^b^c                             needs Dynamic a^b (or Output) -> Output c of what that is
//! ```

use std::collections::BTreeMap;

use super::{Goal, GoalId, Key, Loaded, Made, RESOLVED, Scheduler, Stage, show_chain};
use crate::build::BuildMode;
use crate::build::error::{BuildError, FailureKind};
use crate::derivation::{Derivation, InputOutputs, Kind};
use crate::path::StorePath;
use crate::progress;

impl Scheduler<'_, '_> {
    /// An output of a derivation that has to be built first.
    pub(super) fn advance_dynamic(
        &mut self,
        goal: GoalId,
        base: &StorePath,
        chain: &[String],
    ) -> Result<(), BuildError> {
        let Some((last, before)) = chain.split_last() else {
            return Err(BuildError::misc("a derivation without outputs is wanted"));
        };
        match self.goals[goal].stage {
            Stage::Start => self.need(goal, Stage::Derivation, [Key::chain(base, before)]),
            Stage::Derivation => {
                let derivation = self.obtained_derivation(goal, base, before)?;
                let key = Key::Output(derivation, last.clone(), BuildMode::Normal);
                self.need(goal, Stage::Last, [key]);
            }
            _ => {
                let need = self.goals[goal].needs.first();
                let result = need.and_then(|&need| self.goals[need].result.clone());
                let result = result.unwrap_or_else(|| {
                    Err(BuildError::misc("some outputs are unexpectedly invalid"))
                });
                self.finish(goal, result);
            }
        }
        Ok(())
    }

    /// The derivation that the one thing a goal waited for has become.
    pub(super) fn obtained_derivation(
        &mut self,
        goal: GoalId,
        base: &StorePath,
        chain: &[String],
    ) -> Result<StorePath, BuildError> {
        if let Some(error) = self.first_error(goal) {
            if error.kind == FailureKind::Cancelled {
                return Err(error);
            }
            self.tell_once(&error);
            let what = show_chain(self.store(), base, chain);
            let message = format!("failed to obtain derivation of '{what}'");
            return Err(BuildError::new(FailureKind::DependencyFailed, message));
        }
        let made = self.goals[goal]
            .needs
            .iter()
            .find_map(|&need| match &self.goals[need].result {
                Some(Ok(made)) => made.values().next().cloned(),
                _ => None,
            });
        let made = made.ok_or_else(|| BuildError::misc("some outputs are unexpectedly invalid"))?;
        if !made.is_derivation() {
            return Err(BuildError::misc(format!(
                "error parsing derivation '{}': store path '{made}' is not a valid derivation path",
                self.show(&made)
            )));
        }
        Ok(made)
    }

    /// Whether inputs are known only now, so that this is another derivation than was written.
    pub(super) fn must_resolve(&mut self, loaded: &Loaded) -> Result<bool, BuildError> {
        if loaded.derivation.has_dynamic_inputs() {
            return Ok(true);
        }
        match loaded.kind {
            Kind::InputAddressed { deferred } => Ok(deferred),
            Kind::ContentAddressed { fixed: false, .. } => {
                Ok(!loaded.derivation.input_derivations.is_empty())
            }
            Kind::ContentAddressed { fixed: true, .. } | Kind::Impure => {
                // Only if some input has no path of its own.
                for input in loaded.derivation.input_derivations.keys() {
                    if let Some(input) = self.load(input)?
                        && !input.kind.has_known_output_paths()
                    {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    pub(super) fn resolve(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        loaded: &Loaded,
    ) -> Result<(), BuildError> {
        let mut made = BTreeMap::new();
        for &need in &self.goals[goal].needs {
            let Some(Ok(paths)) = &self.goals[need].result else {
                continue;
            };
            let (base, chain) = match &self.goals[need].key {
                Key::Output(base, output, _) => (base, std::slice::from_ref(output)),
                Key::Dynamic(base, chain) => (base, &chain[..]),
                _ => continue,
            };
            if let Some(path) = chain.last().and_then(|output| paths.get(output)) {
                made.insert((base.clone(), chain.to_vec()), path.clone());
            }
        }
        let dir = self.store().dir();
        let resolved = loaded
            .derivation
            .resolve(dir, &mut |input, outputs| {
                let chain: Vec<String> = outputs.iter().map(|&output| output.to_owned()).collect();
                made.get(&(input.clone(), chain)).cloned()
            })
            .ok_or_else(|| {
                BuildError::misc(format!("cannot resolve derivation '{}'", self.show(path)))
            })?;
        let mut resolved = Derivation::from(resolved);
        resolved.fill_in_output_paths::<BuildError>(dir, &mut |input| {
            Err(BuildError::misc(format!(
                "unexpected input derivation '{input}'"
            )))
        })?;
        let resolved_path = self.store().write_derivation(&resolved)?;
        if resolved_path == *path {
            return Err(BuildError::misc(format!(
                "derivation '{}' resolves to itself",
                self.show(path)
            )));
        }
        progress::info(format_args!(
            "resolved derivation: '{}' -> '{}'...",
            self.show(path),
            self.show(&resolved_path)
        ));
        self.counts.expected_builds = self.counts.expected_builds.saturating_sub(1);
        self.finish(goal, Ok(Made::from([(RESOLVED.to_owned(), resolved_path)])));
        Ok(())
    }

    /// An output is what the derivation that its own resolved to has built.
    pub(super) fn conclude_resolved(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        output: &str,
    ) -> Result<(), BuildError> {
        let need = self.goals[goal].needs.first().copied();
        let (resolved, result) = match need.map(|need| &self.goals[need]) {
            Some(Goal {
                key: Key::Output(resolved, ..),
                result: Some(result),
                ..
            }) => (resolved.clone(), result.clone()),
            _ => return Err(BuildError::misc("some outputs are unexpectedly invalid")),
        };
        let made = match result {
            Ok(made) => made,
            Err(error) => {
                self.tell_once(&error);
                let message = format!(
                    "build of resolved derivation '{}' failed",
                    self.show(&resolved)
                );
                return Err(BuildError::new(FailureKind::DependencyFailed, message));
            }
        };
        let impure = self.loaded.get(path).is_some_and(|l| l.kind.is_impure());
        if let Some(made) = made.get(output).filter(|_| !impure) {
            self.store().register_realisation(path, output, made)?;
        }
        self.finish(goal, Ok(made));
        Ok(())
    }
}

/// The goals for the outputs of an input, and of the derivations that those are.
pub(super) fn keys_of_outputs(
    input: &StorePath,
    wanted: &InputOutputs,
    chain: &mut Vec<String>,
    keys: &mut Vec<Key>,
) {
    let outputs = wanted.outputs.iter().map(|output| (output, None));
    let dynamic = wanted.dynamic.iter().map(|(output, of)| (output, Some(of)));
    for (output, of) in outputs.chain(dynamic) {
        chain.push(output.clone());
        match of {
            None => keys.push(Key::chain(input, chain)),
            // The depth is limited where derivations are read.
            Some(of) => keys_of_outputs(input, of, chain, keys),
        }
        chain.pop();
    }
}
