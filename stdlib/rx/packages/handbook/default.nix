/** Text files in a tree, one of them written from the package set itself. */
{ lib, linkFarm, writeText, pkgs }:
let
  packages = lib.filterAttrs (name: value: lib.isDerivation value && name != "handbook" && name != "tools") pkgs;
  line = name: package: "${name} ${package.version}: ${package.meta.description or ""}\n";
in
linkFarm "handbook" {
  "share/doc/packages.txt" = writeText "packages.txt" (lib.concatStrings (lib.mapAttrsToList line packages));
  "share/doc/phases.txt" = writeText "phases.txt" ''
    unpack, patch, configure, build, check, install, fixup
  '';
}
