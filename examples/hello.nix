# A first package: a C program, compiled by the machine's own compiler.
#
# The builder sees nothing of the machine but a shell, unless it is told so. Here the compiler is, by
#   --option extra-sandbox-paths "/usr /bin /lib /lib64"
# A package set such as nixpkgs brings its own compiler instead, and needs no such option.
derivation {
  name = "hello";
  system = builtins.currentSystem;
  source = builtins.toFile "hello.c" ''
    #include <stdio.h>
    int main(void) { puts("Hello from a package that rx built."); return 0; }
  '';
  builder = "/bin/sh";
  args = [ "-c" "PATH=/usr/bin:/bin; mkdir -p $out/bin; gcc -x c -o $out/bin/hello $source" ];
}
