# <nix/buildenv.nix>: one tree of links to the files of several packages, made by a builder that is built into rx.
# Where two packages have the same file, the smaller `meta.priority` wins (5 if a package names none).
{
  # Packages, or paths in the store.
  derivations,
  # A file in the store that says what the tree was made of; `manifest.nix` in it is a link to this.
  manifest ? builtins.toFile "manifest.nix" "[ ]",
  name ? "user-environment",
}:
let
  # What the builder reads for each package: active, priority, number of paths, paths.
  describe = package:
    let
      names = package.meta.outputsToInstall or package.outputs or [ ];
      paths = if names == [ ] then [ package ] else map (output: package.${output}) names;
    in
    [ (package.meta.active or "true") (package.meta.priority or 5) (builtins.length paths) ] ++ paths;
in
derivation {
  inherit name manifest;
  system = "builtin";
  builder = "builtin:buildenv";
  derivations = map describe derivations;
  preferLocalBuild = true;
  # It is made faster than it is fetched.
  allowSubstitutes = false;
}
