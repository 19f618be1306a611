# A first package with no library at all: a C program, compiled by the machine's own compiler.
#
# A builder sees nothing of the machine but a shell, unless its derivation asks for it and the person who builds allows it:
#   rx-build examples/hello.nix --host-tools
# A package set such as Nixpkgs brings its own compiler instead, and needs no such option.
derivation {
  name = "hello";
  system = builtins.currentSystem;
  requiredSystemFeatures = [ "host-tools" ];
  source = builtins.toFile "hello.c" ''
    #include <stdio.h>
    int main(void) { puts("Hello from a package that rx built."); return 0; }
  '';
  builder = "/bin/sh";
  args = [ "-c" "PATH=/usr/bin:/bin; mkdir -p $out/bin; cc -x c -o $out/bin/hello $source" ];
}
