/** A shell script that calls itself. */
{ writeShellApplication }:
writeShellApplication {
  name = "showtree";
  text = ''
    # Files and directories below a directory, indented: showtree [DIRECTORY [INDENT]]
    for entry in "''${1:-.}"/*; do
      [ -e "$entry" ] || continue
      printf '%s%s\n' "''${2:-}" "''${entry##*/}"
      if [ -d "$entry" ] && [ ! -L "$entry" ]; then "$0" "$entry" "''${2:-}  "; fi
    done
  '';
  meta.description = "Shows a directory as a tree";
}
