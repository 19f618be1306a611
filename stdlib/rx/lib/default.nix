/**
  The functions of `<rx>`: `(import <rx> { }).lib`, or `import <rx/lib>` alone, which needs no system.

  Names and argument orders are those that people know from Nixpkgs, where it has such a function.
*/
let
  parts = {
    trivial = import ./trivial.nix;
    lists = import ./lists.nix;
    attrs = import ./attrs.nix;
    strings = import ./strings.nix;
    fixedPoints = import ./fixed-points.nix;
    customisation = import ./customisation.nix;
    options = import ./options.nix;
  };
in
parts.trivial // parts.lists // parts.attrs // parts.strings // parts.fixedPoints // parts.customisation // parts.options // parts
