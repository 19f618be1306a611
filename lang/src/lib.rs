//! The Nix language: text in, syntax out.
