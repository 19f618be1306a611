//! The Nix evaluator.
