//! The experimental features of the reference, which settings and commands can be gated by.

macro_rules! features {
    ($( $(#[doc = $doc:literal])+ $name:literal $feature:ident; )*) => {
        /// An experimental feature. The order is that of the names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Feature { $( $(#[doc = $doc])+ $feature, )* }

        impl Feature {
            /// All of them.
            pub const ALL: &[Feature] = &[$(Feature::$feature),*];

            /// The name in `experimental-features`.
            pub fn name(self) -> &'static str {
                match self { $(Feature::$feature => $name,)* }
            }

            /// What it is for.
            pub fn description(self) -> &'static str {
                match self { $(Feature::$feature => concat!($($doc),+).trim_ascii(),)* }
            }
        }
    };
}

features! {
    /// User ids for builds are taken from a range.
    "auto-allocate-uids" AutoAllocateUids;
    /// BLAKE3 as a hash algorithm.
    "blake3-hashes" Blake3Hashes;
    /// Derivations whose outputs are named after their content.
    "ca-derivations" CaDerivations;
    /// Builds in control groups.
    "cgroups" Cgroups;
    /// The setting `impure-env`.
    "configurable-impure-env" ConfigurableImpureEnv;
    /// Trust or distrust for a daemon's clients by option.
    "daemon-trust-override" DaemonTrustOverride;
    /// Derivations that are outputs of derivations.
    "dynamic-derivations" DynamicDerivations;
    /// Programs that build for given systems.
    "external-builders" ExternalBuilders;
    /// `builtins.fetchClosure`.
    "fetch-closure" FetchClosure;
    /// `builtins.fetchTree`.
    "fetch-tree" FetchTree;
    /// Flakes.
    "flakes" Flakes;
    /// Store objects that are named by git's hash.
    "git-hashing" GitHashing;
    /// Derivations that are built anew each time.
    "impure-derivations" ImpureDerivations;
    /// A store as a layer over another one.
    "local-overlay-store" LocalOverlayStore;
    /// A remote store whose directory is mounted here.
    "mounted-ssh-store" MountedSshStore;
    /// The subcommands of `nix`.
    "nix-command" NixCommand;
    /// Timestamps in `builtins.fromTOML`.
    "parse-toml-timestamps" ParseTomlTimestamps;
    /// The operators `|>` and `<|`.
    "pipe-operators" PipeOperators;
    /// The store parameter `read-only`.
    "read-only-local-store" ReadOnlyLocalStore;
    /// Builders that build.
    "recursive-nix" RecursiveNix;
    /// Signatures of git commits are verified.
    "verified-fetches" VerifiedFetches;
}

impl Feature {
    /// The feature of this name.
    pub fn from_name(name: &str) -> Option<Feature> {
        Feature::ALL
            .iter()
            .copied()
            .find(|feature| feature.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_found_by_its_name_and_they_are_ordered() {
        for feature in Feature::ALL {
            assert_eq!(Feature::from_name(feature.name()), Some(*feature));
        }
        assert!(Feature::ALL.is_sorted_by_key(|feature| feature.name()));
    }
}
