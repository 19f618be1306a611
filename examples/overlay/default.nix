# A change to a library that others are built with, as an overlay: `greet` of rx is built again with the changed library,
# and neither its own expression nor that of the library is touched.
#
#   rx-build examples/overlay --host-tools -A greet
#   result/bin/greet es mundo
let
  spanish = final: prev: {
    libgreet = prev.libgreet.overrideAttrs (old: {
      version = "1.2-es";
      patches = old.patches or [ ] ++ [ ./spanish.patch ];
      hostTools = old.hostTools ++ [ "patch" ];
    });
  };
in
import <rx> { overlays = [ spanish ]; }
