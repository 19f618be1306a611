/** A program in C with its manual page. */
{ mkDerivation }:
mkDerivation {
  pname = "hexview";
  version = "1.0";
  src = builtins.path { path = ./.; name = "hexview"; filter = path: _: baseNameOf path != "default.nix"; };
  hostTools = [ "cc" ];
  buildPhase = "cc -O2 -Wall -o hexview hexview.c";
  doCheck = true;
  checkPhase = ''[ "$(printf 'ab\n' | ./hexview)" = "00000000  61 62 0a                                          ab." ]'';
  installPhase = ''
    mkdir -p "$out/bin" "$out/share/man/man1"
    cp hexview "$out/bin"
    cp hexview.1 "$out/share/man/man1"
  '';
  meta.description = "Shows bytes";
}
