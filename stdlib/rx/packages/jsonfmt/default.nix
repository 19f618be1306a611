/** A filter in C that makes JSON readable. */
{ mkDerivation }:
mkDerivation {
  pname = "jsonfmt";
  version = "1.0";
  src = ./jsonfmt.c;
  hostTools = [ "cc" "tr" ];
  buildPhase = "cc -O2 -Wall -o jsonfmt jsonfmt.c";
  doCheck = true;
  checkPhase = ''
    [ "$(printf '{"a":[1,"x, y"]}' | ./jsonfmt | cat -A | sed 's/\$$/;/' | tr -d '\n')" = '{;  "a": [;    1,;    "x, y";  ];};' ]
  '';
  installPhase = ''
    mkdir -p "$out/bin"
    cp jsonfmt "$out/bin"
  '';
  meta.description = "Indents JSON";
}
