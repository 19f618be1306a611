{ mkDerivation, libstats }:
mkDerivation {
  pname = "stats";
  version = "1.0";
  src = ./stats.c;
  hostTools = [ "cc" ];
  buildInputs = [ libstats ];
  buildPhase = "cc -O2 -Wall -o stats stats.c -lstats";
  installPhase = ''
    mkdir -p "$out/bin"
    cp stats "$out/bin"
  '';
}
