/** A calculator, with its tests run in the build. */
{ mkDerivation }:
mkDerivation {
  pname = "calc";
  version = "1.1";
  src = ./src;
  hostTools = [ "cc" "make" ];
  doCheck = true;
  meta.description = "Says what an arithmetic expression is";
}
