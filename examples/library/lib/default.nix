# Two outputs: programs need `out` when they run, and `dev` only when they are built.
{ mkDerivation }:
mkDerivation {
  pname = "libstats";
  version = "2.0";
  src = ./.;
  outputs = [ "dev" "out" ];
  hostTools = [ "cc" ];
  buildPhase = "cc -O2 -Wall -fPIC -shared -Wl,-soname,libstats.so -o libstats.so stats.c -lm";
  installPhase = ''
    mkdir -p "$out/lib" "$dev/include"
    cp libstats.so "$out/lib"
    cp stats.h "$dev/include"
  '';
  # Whoever is built with `dev` is built with the library itself too.
  postFixup = ''
    mkdir -p "$dev/nix-support"
    echo "$out" > "$dev/nix-support/propagated-inputs"
  '';
}
