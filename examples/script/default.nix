# A package that is one shell script. Build and run it:
#
#   rx-build examples/script --host-tools
#   result/bin/roman 1994
{ pkgs ? import <rx> { } }:
pkgs.writeShellApplication {
  name = "roman";
  text = ''
    # A number as the Romans wrote it.
    left=''${1:?usage: roman NUMBER}
    out=
    for pair in 1000:M 900:CM 500:D 400:CD 100:C 90:XC 50:L 40:XL 10:X 9:IX 5:V 4:IV 1:I; do
      while [ "$left" -ge "''${pair%:*}" ]; do
        out=$out''${pair#*:}
        left=$((left - ''${pair%:*}))
      done
    done
    echo "$out"
  '';
  # Shell code that runs when the package is built.
  checkPhase = ''[ "$("$script" 9)" = IX ]'';
}
