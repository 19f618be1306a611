//! How each kind of goal goes on when what it waited for is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::resolve::keys_of_outputs;
use super::{
    Fetch, Found, GoalId, Job, Key, Loaded, Made, RESOLVED, Scheduler, Stage, Target, not_found,
};
use crate::build::BuildMode;
use crate::build::error::{BuildError, FailureKind};
use crate::build::external;
use crate::build::options::Options;
use crate::build::report::known_output_list;
use crate::derivation::Kind;
use crate::path::StorePath;
use crate::progress::{self, Level};
use crate::settings::Feature;

impl Scheduler<'_, '_> {
    pub(super) fn advance(&mut self, goal: GoalId) {
        let result = match self.goals[goal].key.clone() {
            Key::Target(number) => self.advance_target(goal, number),
            Key::Output(path, output, mode) => self.advance_output(goal, &path, &output, mode),
            Key::Build(path, mode) => self.advance_build(goal, &path, mode),
            Key::Path(path, repair) => self.advance_path(goal, &path, repair),
            Key::Dynamic(base, chain) => self.advance_dynamic(goal, &base, &chain),
        };
        if let Err(error) = result {
            self.fail(goal, error);
        }
    }

    /// The first failure among what a goal needs.
    pub(super) fn first_error(&self, goal: GoalId) -> Option<BuildError> {
        self.goals[goal]
            .needs
            .iter()
            .find_map(|&need| match &self.goals[need].result {
                Some(Err(error)) => Some(error.clone()),
                _ => None,
            })
    }

    /// A valid derivation, read once; nothing if it is not in the store.
    pub(super) fn load(&mut self, path: &StorePath) -> Result<Option<Arc<Loaded>>, BuildError> {
        if let Some(loaded) = self.loaded.get(path) {
            return Ok(Some(Arc::clone(loaded)));
        }
        let Some(derivation) = self.store().derivation(path)? else {
            return Ok(None);
        };
        let explain = |error: &dyn std::fmt::Display| {
            BuildError::misc(format!(
                "{error}\nwhile parsing derivation '{}'",
                self.show(path)
            ))
        };
        let kind = derivation.kind().map_err(|error| explain(&error))?;
        let options =
            Options::of(&derivation, self.store().dir()).map_err(|error| explain(&error))?;
        let loaded = Arc::new(Loaded {
            derivation,
            options,
            kind,
        });
        self.loaded.insert(path.clone(), Arc::clone(&loaded));
        Ok(Some(loaded))
    }

    fn advance_target(&mut self, goal: GoalId, number: usize) -> Result<(), BuildError> {
        let mode = self.mode;
        if let Target::Dynamic {
            base,
            chain,
            outputs,
        } = self.targets[number].clone()
        {
            if self.goals[goal].stage == Stage::Start {
                let key = Key::chain(&base, &chain);
                self.need(goal, Stage::Derivation, [key]);
                return Ok(());
            }
            // From here on it is like any other derivation.
            self.targets[number] = Target::Outputs {
                derivation: self.obtained_derivation(goal, &base, &chain)?,
                outputs,
            };
        }
        if let Some(error) = self.first_error(goal) {
            self.finish(goal, Err(error));
            return Ok(());
        }
        if self.goals[goal].stage == Stage::Last {
            let mut made = Made::new();
            for &need in &self.goals[goal].needs {
                if let Some(Ok(outputs)) = &self.goals[need].result {
                    made.extend(outputs.clone());
                }
            }
            self.finish(goal, Ok(made));
            return Ok(());
        }
        let keys = match self.targets[number].clone() {
            Target::Dynamic { .. } => Vec::new(),
            Target::Path(path) => vec![Key::Path(path, mode == BuildMode::Repair)],
            Target::Outputs {
                derivation,
                outputs: Some(outputs),
            } => outputs
                .into_iter()
                .map(|output| Key::Output(derivation.clone(), output, mode))
                .collect(),
            // Which outputs there are is known when the derivation is.
            Target::Outputs { derivation, .. } => match self.load(&derivation)? {
                Some(loaded) => loaded
                    .derivation
                    .outputs
                    .keys()
                    .map(|output| Key::Output(derivation.clone(), output.clone(), mode))
                    .collect(),
                None => {
                    self.need(goal, Stage::Derivation, [Key::Path(derivation, false)]);
                    return Ok(());
                }
            },
        };
        self.need(goal, Stage::Last, keys);
        Ok(())
    }

    /// Tells the user of a failure that others go on from.
    pub(super) fn tell_once(&mut self, error: &BuildError) {
        if error.kind != FailureKind::Cancelled && self.told.insert(error.message.clone()) {
            progress::error(&error.message);
        }
    }

    fn advance_output(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        output: &str,
        mode: BuildMode,
    ) -> Result<(), BuildError> {
        let stage = self.goals[goal].stage;
        if stage == Stage::Substitute {
            return self.conclude_substitution(goal, path, output, mode);
        }
        if stage == Stage::Resolved {
            return self.conclude_resolved(goal, path, output);
        }
        if let Some(error) = self.first_error(goal) {
            self.finish(goal, Err(error));
            return Ok(());
        }
        if stage == Stage::Last {
            return self.conclude_output(goal, path, output, mode);
        }
        let Some(loaded) = self.load(path)? else {
            self.need(goal, Stage::Derivation, [Key::Path(path.clone(), false)]);
            return Ok(());
        };
        self.check_features(loaded.kind)?;
        let Some(declared) = loaded.derivation.outputs.get(output) else {
            return Err(BuildError::misc(format!(
                "derivation '{}' does not have output '{output}'",
                self.show(path)
            )));
        };
        let build = Key::Build(path.clone(), mode);
        if loaded.kind.is_impure() {
            self.need(goal, Stage::Last, [build]);
            return Ok(());
        }
        let known = declared
            .path(self.store().dir(), &loaded.derivation.name, output)
            .map_err(BuildError::misc)?;
        let known = match known {
            Some(known) => Some(known),
            None => self.store().realisation(path, output)?,
        };
        if let Some(known) = &known {
            self.store().add_temporary_root(known)?;
            let valid = self.store().is_valid(known)?;
            match mode {
                BuildMode::Normal if valid => {
                    // Its path follows from the derivation, so it may have come without the other record.
                    if self.store().realisation(path, output)?.is_none() {
                        self.store().register_realisation(path, output, known)?;
                    }
                    let made = Made::from([(output.to_owned(), known.clone())]);
                    self.finish(goal, Ok(made));
                    return Ok(());
                }
                BuildMode::Repair if valid && self.store().contents_are_good(known)? => {
                    let keys = self.damaged_requisites(path, known)?;
                    if keys.is_empty() {
                        let made = Made::from([(output.to_owned(), known.clone())]);
                        self.finish(goal, Ok(made));
                    } else {
                        self.need(goal, Stage::Last, keys);
                    }
                    return Ok(());
                }
                BuildMode::Check if !valid => return Err(self.nothing_to_check(path)),
                _ => {}
            }
        } else if mode == BuildMode::Check {
            return Err(self.nothing_to_check(path));
        }
        let settings = self.context.settings;
        let may_fetch = settings.substitute
            && self.store().has_caches()
            && mode != BuildMode::Check
            && (loaded.options.allow_substitutes || settings.always_allow_substitutes);
        if !may_fetch {
            self.need(goal, Stage::Last, [build]);
            return Ok(());
        }
        match known {
            Some(known) => {
                let key = Key::Path(known, mode == BuildMode::Repair);
                self.need(goal, Stage::Substitute, [key]);
            }
            None => self.queue_fetch(goal, Fetch::Realisation(path.clone(), output.to_owned())),
        }
        Ok(())
    }

    /// After the attempt to fetch an output: done, or it must be built.
    fn conclude_substitution(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        output: &str,
        mode: BuildMode,
    ) -> Result<(), BuildError> {
        let Some(error) = self.first_error(goal) else {
            let fetched = self.goals[goal].needs.iter().find_map(|&need| {
                match (&self.goals[need].key, &self.goals[need].result) {
                    (Key::Path(path, _), Some(Ok(_))) => Some(path.clone()),
                    _ => None,
                }
            });
            let fetched =
                fetched.ok_or_else(|| BuildError::misc("some outputs are unexpectedly invalid"))?;
            if self
                .loaded
                .get(path)
                .is_some_and(|l| !l.kind.has_known_output_paths())
            {
                self.store().register_realisation(path, output, &fetched)?;
            }
            self.finish(goal, Ok(Made::from([(output.to_owned(), fetched)])));
            return Ok(());
        };
        // That no cache has it is normal; that one has it and cannot give it must be accepted.
        if error.kind == FailureKind::NoSubstituters || self.context.settings.fallback {
            self.need(goal, Stage::Last, [Key::Build(path.clone(), mode)]);
            return Ok(());
        }
        if error.kind == FailureKind::Cancelled {
            return Err(error);
        }
        self.tell_once(&error);
        Err(BuildError::new(
            FailureKind::Transient,
            format!(
                "some substitutes for the outputs of derivation '{}' failed (usually happens due to networking issues); try '--fallback' to build derivation from source ",
                self.show(path)
            ),
        ))
    }

    fn nothing_to_check(&self, path: &StorePath) -> BuildError {
        BuildError::misc(format!(
            "some outputs of '{}' are not valid, so checking is not possible\n\
             Hint: --rebuild and --check error if the derivation was not previously built and cannot be substituted.\n      \
             Remove it to perform a fresh build, or use --repair to rewrite missing or corrupted builds in the store.",
            self.show(path)
        ))
    }

    /// The result of an output whose derivation was built, or whose requisites were repaired.
    fn conclude_output(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        output: &str,
        mode: BuildMode,
    ) -> Result<(), BuildError> {
        let built = self.goals[goal].needs.iter().find_map(|&need| {
            match (&self.goals[need].key, &self.goals[need].result) {
                (Key::Build(built, _), Some(Ok(made))) if built == path => Some(made),
                _ => None,
            }
        });
        if let Some(resolved) = built.and_then(|made| made.get(RESOLVED).cloned()) {
            let key = Key::Output(resolved, output.to_owned(), mode);
            self.need(goal, Stage::Resolved, [key]);
            return Ok(());
        }
        let made = match built.and_then(|made| made.get(output).cloned()) {
            Some(made) => made,
            None => self
                .known_path(path, output)?
                .ok_or_else(|| BuildError::misc("some outputs are unexpectedly invalid"))?,
        };
        self.finish(goal, Ok(Made::from([(output.to_owned(), made)])));
        Ok(())
    }

    fn known_path(
        &mut self,
        path: &StorePath,
        output: &str,
    ) -> Result<Option<StorePath>, BuildError> {
        let Some(loaded) = self.load(path)? else {
            return Ok(None);
        };
        let Some(declared) = loaded.derivation.outputs.get(output) else {
            return Ok(None);
        };
        let known = declared
            .path(self.store().dir(), &loaded.derivation.name, output)
            .map_err(BuildError::misc)?;
        Ok(match known {
            Some(known) => Some(known),
            None => self.store().realisation(path, output)?,
        })
    }

    /// What to repair in the closure of an output that is itself all right.
    fn damaged_requisites(
        &mut self,
        derivation: &StorePath,
        output: &StorePath,
    ) -> Result<Vec<Key>, BuildError> {
        let store = self.store();
        let mut closure = store.closure(&BTreeSet::from([output.clone()]))?;
        closure.remove(output);
        let mut bad = Vec::new();
        for path in closure {
            if !store.contents_are_good(&path)? {
                progress::log(
                    Level::Error,
                    format!(
                        "found corrupted or missing path '{}' in the output closure of '{}'",
                        self.show(&path),
                        self.show(derivation)
                    ),
                );
                bad.push(path);
            }
        }
        if bad.is_empty() {
            return Ok(Vec::new());
        }
        let mut makers = BTreeMap::new();
        for path in store.closure(&BTreeSet::from([derivation.clone()]))? {
            if !path.is_derivation() {
                continue;
            }
            if let Some(loaded) = self.load(&path)? {
                let names: Vec<String> = loaded.derivation.outputs.keys().cloned().collect();
                for name in names {
                    if let Some(made) = self.known_path(&path, &name)? {
                        makers.insert(made, (path.clone(), name));
                    }
                }
            }
        }
        Ok(bad
            .into_iter()
            .map(|path| match makers.get(&path) {
                Some((derivation, name)) => {
                    Key::Output(derivation.clone(), name.clone(), BuildMode::Repair)
                }
                None => Key::Path(path, true),
            })
            .collect())
    }

    fn check_features(&self, kind: Kind) -> Result<(), BuildError> {
        match kind.feature() {
            Some(needed) => self.check_feature(needed),
            None => Ok(()),
        }
    }

    fn check_feature(&self, needed: Feature) -> Result<(), BuildError> {
        if self.context.settings.enabled(needed) {
            return Ok(());
        }
        let name = needed.name();
        Err(BuildError::misc(format!(
            "experimental Nix feature '{name}' is disabled; add '--extra-experimental-features {name}' to enable it"
        )))
    }

    fn queue_fetch(&mut self, goal: GoalId, fetch: Fetch) {
        self.goals[goal].stage = Stage::Job;
        if matches!(fetch, Fetch::Path(..)) {
            self.counts.expected_fetches += 1;
        }
        self.fetches.push_back(Job::Fetch(goal, fetch));
    }

    pub(super) fn fetched(
        &mut self,
        goal: GoalId,
        result: Result<Found, BuildError>,
    ) -> Result<(), BuildError> {
        let found = result.inspect_err(|_| self.counts.failed_fetches += 1)?;
        match (self.goals[goal].key.clone(), found) {
            (Key::Path(path, _), Found::References(references)) => {
                let mut keys = Vec::new();
                for reference in references {
                    if reference != path && !self.store().is_valid(&reference)? {
                        keys.push(Key::Path(reference, false));
                    }
                }
                self.need(goal, Stage::Inputs, keys);
            }
            (Key::Path(path, _), Found::Path(_)) => {
                self.counts.fetched += 1;
                self.finish(goal, Ok(Made::from([(String::new(), path)])));
            }
            (Key::Path(path, _), Found::Nothing) => {
                return Err(not_found(FailureKind::NoSubstituters, self.store(), &path));
            }
            (Key::Output(..), Found::Path(path)) => {
                self.need(goal, Stage::Substitute, [Key::Path(path, false)]);
            }
            (Key::Output(path, _, mode), _) => {
                self.need(goal, Stage::Last, [Key::Build(path, mode)]);
            }
            _ => {}
        }
        Ok(())
    }

    fn advance_path(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        repair: bool,
    ) -> Result<(), BuildError> {
        if self.goals[goal].stage == Stage::Inputs {
            if let Some(error) = self.first_error(goal) {
                let kind = match error.kind {
                    FailureKind::NoSubstituters | FailureKind::Cancelled => error.kind,
                    _ => FailureKind::Substitution,
                };
                return Err(BuildError::new(
                    kind,
                    format!(
                        "some references of path '{}' could not be realised",
                        self.show(path)
                    ),
                ));
            }
            self.queue_fetch(goal, Fetch::Path(path.clone(), repair));
            return Ok(());
        }
        self.store().add_temporary_root(path)?;
        if self.store().is_valid(path)? && !(repair && !self.store().contents_are_good(path)?) {
            self.finish(goal, Ok(Made::from([(String::new(), path.clone())])));
        } else if self.context.settings.substitute && self.store().has_caches() {
            self.queue_fetch(goal, Fetch::Find(path.clone()));
        } else {
            return Err(not_found(FailureKind::NoSubstituters, self.store(), path));
        }
        Ok(())
    }

    fn advance_build(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        mode: BuildMode,
    ) -> Result<(), BuildError> {
        let loaded = self
            .load(path)?
            .ok_or_else(|| BuildError::misc(format!("'{}' is not valid", self.show(path))))?;
        match self.goals[goal].stage {
            Stage::Start => {
                self.counts.expected_builds += 1;
                self.refuse_impure_inputs(path, &loaded)?;
                let keys = self.input_keys(path, &loaded)?;
                let mut needs: Vec<String> = keys
                    .iter()
                    .filter_map(|key| match key {
                        Key::Output(derivation, ..) => Some(self.show(derivation)),
                        _ => None,
                    })
                    .collect();
                needs.dedup();
                progress::logger().build_planned(&self.show(path), &needs);
                self.need(goal, Stage::Inputs, keys);
            }
            Stage::Inputs => {
                let failed = self.goals[goal].failed;
                if failed > 0 {
                    return self.dependencies_failed(goal, path, &loaded);
                }
                if self.must_resolve(&loaded)? {
                    return self.resolve(goal, path, &loaded);
                }
                self.check_machine(path, &loaded)?;
                let mut sources = loaded.derivation.input_sources.clone();
                for &need in &self.goals[goal].needs {
                    if let Some(Ok(made)) = &self.goals[need].result {
                        sources.extend(made.values().cloned());
                    }
                }
                self.goals[goal].stage = Stage::Job;
                self.queue_build(Job::Build(goal, loaded, path.clone(), mode, sources));
            }
            Stage::Derivation | Stage::Substitute | Stage::Job | Stage::Resolved | Stage::Last => {}
        }
        Ok(())
    }

    /// What is not impure itself cannot need what differs from build to build.
    fn refuse_impure_inputs(
        &mut self,
        path: &StorePath,
        loaded: &Loaded,
    ) -> Result<(), BuildError> {
        if loaded.kind.is_impure() || loaded.kind.is_fixed() {
            return Ok(());
        }
        let may_depend = matches!(loaded.kind, Kind::InputAddressed { deferred: true })
            || loaded.kind.is_content_addressed();
        if !may_depend {
            return Ok(());
        }
        for input in loaded.derivation.input_derivations.keys() {
            if let Some(other) = self.load(input)?
                && other.kind.is_impure()
            {
                return Err(BuildError::misc(format!(
                    "pure derivation '{}' depends on impure derivation '{}'",
                    self.show(path),
                    self.show(input)
                )));
            }
        }
        Ok(())
    }

    fn input_keys(&self, path: &StorePath, loaded: &Loaded) -> Result<Vec<Key>, BuildError> {
        let mut keys = Vec::new();
        for (input, wanted) in &loaded.derivation.input_derivations {
            if !wanted.dynamic.is_empty() {
                self.check_feature(Feature::DynamicDerivations)?;
            }
            keys_of_outputs(input, wanted, &mut Vec::new(), &mut keys);
        }
        for source in &loaded.derivation.input_sources {
            if self.store().is_valid(source)? || self.store().bring(source)? {
                continue;
            }
            if !self.context.settings.substitute {
                return Err(BuildError::misc(format!(
                    "dependency '{}' of '{}' does not exist, and substitution is disabled",
                    self.show(source),
                    self.show(path)
                )));
            }
            keys.push(Key::Path(source.clone(), false));
        }
        Ok(keys)
    }

    fn dependencies_failed(
        &mut self,
        goal: GoalId,
        path: &StorePath,
        loaded: &Loaded,
    ) -> Result<(), BuildError> {
        let mut count = 0;
        let mut errors: Vec<BuildError> = Vec::new();
        for &need in &self.goals[goal].needs {
            if let Some(Err(error)) = &self.goals[need].result {
                count += 1;
                if !errors.iter().any(|known| known.message == error.message) {
                    errors.push(error.clone());
                }
            }
        }
        let cancelled = |error: &BuildError| error.kind == FailureKind::Cancelled;
        if !errors.is_empty() && errors.iter().all(cancelled) {
            self.fail(goal, BuildError::cancelled());
            return Ok(());
        }
        // Each failure is told where it is first met on the way up.
        for error in errors {
            self.tell_once(&error);
        }
        let noun = if count == 1 {
            "dependency"
        } else {
            "dependencies"
        };
        let message = format!(
            "Cannot build '{}'.\nReason: {count} {noun} failed.{}",
            self.show(path),
            known_output_list(self.store(), &loaded.derivation)
        );
        self.fail(
            goal,
            BuildError::new(FailureKind::DependencyFailed, message),
        );
        Ok(())
    }

    /// Whether this machine can and may build it.
    fn check_machine(&self, path: &StorePath, loaded: &Loaded) -> Result<(), BuildError> {
        let settings = self.context.settings;
        let mut reasons = String::new();
        if settings.max_jobs.0 == 0 {
            reasons += "\nReason: local builds are disabled (max-jobs = 0)\n\
                        Hint: set 'max-jobs' to a non-zero value to enable local builds, \
                        or configure remote builders via 'builders'";
        }
        let platform = String::from_utf8_lossy(&loaded.derivation.platform);
        if platform != settings.system.as_str()
            && !settings.extra_platforms.contains(platform.as_ref())
            && !loaded.derivation.is_builtin()
            && external::find(settings, &loaded.derivation.basic).is_none()
        {
            reasons += &format!(
                "\nReason: platform mismatch\nRequired system: '{platform}'\nCurrent system: '{}'",
                settings.system
            );
        }
        let mut required = loaded.options.required_system_features.clone();
        if !loaded.kind.has_known_output_paths() {
            required.insert("ca-derivations".to_owned());
        }
        let mut available = settings.system_features.clone();
        if settings.enabled(crate::settings::Feature::CaDerivations) {
            available.insert("ca-derivations".to_owned());
        }
        if settings.host_tools {
            available.insert(crate::build::options::HOST_TOOLS.to_owned());
        }
        if required.iter().any(|feature| !available.contains(feature)) {
            let list = |features: &BTreeSet<String>| {
                features.iter().cloned().collect::<Vec<_>>().join(", ")
            };
            reasons += &format!(
                "\nReason: missing system features\nRequired features: {{{}}}\nAvailable features: {{{}}}",
                list(&required),
                list(&available)
            );
        }
        if reasons.is_empty() {
            return Ok(());
        }
        Err(BuildError::new(
            FailureKind::InputRejected,
            format!("Cannot build '{}'.{reasons}", self.show(path)),
        ))
    }
}
