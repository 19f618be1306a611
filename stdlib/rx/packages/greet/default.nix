/** A C program that uses a library of this set. */
{ mkDerivation, libgreet }:
mkDerivation {
  pname = "greet";
  version = "1.0";
  src = ./src;
  hostTools = [ "cc" "make" ];
  buildInputs = [ libgreet ];
  doInstallCheck = true;
  installCheckPhase = ''[ "$("$out/bin/greet" de Welt)" = "Guten Tag, Welt." ]'';
  meta.description = "Greets in several languages";
}
