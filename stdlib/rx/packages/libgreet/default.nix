/** A C library with a shared and a static form, a header, and a file for pkg-config. */
{ mkDerivation }:
mkDerivation {
  pname = "libgreet";
  version = "1.2";
  src = ./src;
  hostTools = [ "cc" "ar" "ln" "make" ];
  doCheck = true;
  makeFlags = [ "VERSION=1.2" ];
  meta.description = "Greetings in several languages";
}
