/** The smallest C program. */
{ mkDerivation }:
mkDerivation {
  pname = "hello";
  version = "1.0";
  src = ./hello.c;
  hostTools = [ "cc" ];
  buildPhase = "cc -O2 -o hello hello.c";
  doCheck = true;
  checkPhase = ''[ "$(./hello)" = "Hello, world." ]'';
  installPhase = ''
    mkdir -p "$out/bin"
    cp hello "$out/bin"
  '';
  meta.description = "Greets the world";
}
