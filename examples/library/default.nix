# A set of packages of your own: a C library, and a program that is built with it. `callPackage` finds for each file the
# arguments that it names, here `mkDerivation` from rx and `libstats` from this set.
#
#   rx-build examples/library --host-tools -A stats
#   echo 1 2 3 4 | result/bin/stats
{ overlays ? [ ] }:
let
  own = final: prev: {
    libstats = final.callPackage ./lib { };
    stats = final.callPackage ./program { };
  };
in
import <rx> { overlays = [ own ] ++ overlays; }
