/**
  A small set of packages and the functions to write more: what rx has where there is no network and no Nixpkgs.

  ```nix
  with import <rx> { };
  mkDerivation { name = "hello"; src = ./hello; hostTools = [ "cc" "make" ]; }
  ```

  `rx-build '<rx>' -A hello --host-tools` builds one of its own packages. `<rx>` is part of the program and always found, also
  where evaluation is pure; there the system must be given (`import <rx> { system = "x86_64-linux"; }`).
*/
{
  # The system to build for.
  system ? builtins.currentSystem or (throw
    "<rx> does not know the system to build for where evaluation is pure: import <rx> { system = \"x86_64-linux\"; }"),
  # Changes to the set, in order: final: prev: { … }.
  overlays ? [ ],
}:
let
  lib = import ./lib;
  mkDerivation = import ./mk-derivation.nix { inherit lib system; };
  writers = import ./writers.nix { inherit lib system mkDerivation; };
  fetchers = import ./fetchers.nix { inherit lib; };

  base = final: writers // fetchers // {
    inherit lib mkDerivation system;
    /** The same set, for functions that want all of it. */
    pkgs = final;
    /** `mkDerivation` where people look for it. */
    stdenv = { inherit mkDerivation; hostPlatform = { inherit system; }; };
    /** A package that is a function of others: `callPackage ./hello.nix { }`. */
    callPackage = lib.callPackageWith final;
    /** `callPackage` with more in reach. */
    newScope = more: lib.callPackageWith (final // more);
    /** The set with one more overlay. */
    extend = overlay: import ./. { inherit system; overlays = overlays ++ [ overlay ]; };
    /** The overlays that it was made with. */
    inherit overlays;
  };

  # Every directory is a package.
  packages = final: prev:
    lib.mapAttrs' (directory: _: lib.nameValuePair directory (final.callPackage (./packages + "/${directory}") { }))
      (builtins.readDir ./packages);
in
lib.fix (lib.foldl' (f: overlay: lib.extends overlay f) base ([ packages ] ++ overlays))
