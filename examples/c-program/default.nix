# A C program with a makefile: the phases do what is usual, with no word about them here.
#
#   rx-build examples/c-program --host-tools
#   result/bin/primes 30
{ pkgs ? import <rx> { } }:
pkgs.mkDerivation {
  pname = "primes";
  version = "1.0";
  src = ./src;
  # What it takes from the machine, beside the usual small tools. The build fails at once where one is missing.
  hostTools = [ "cc" "make" ];
  doCheck = true;
}
