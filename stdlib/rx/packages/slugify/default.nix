/** Uses another package of this set when it runs. */
{ writeShellApplication, banner }:
writeShellApplication {
  name = "slugify";
  runtimeInputs = [ banner ];
  text = ''
    # A title as it may stand in a URL; with -b in a frame.
    frame=
    if [ "''${1:-}" = -b ]; then frame=1; shift; fi
    slug=$(printf %s "$*" | tr '[:upper:]' '[:lower:]' | sed -e 's/[^a-z0-9][^a-z0-9]*/-/g' -e 's/^-//' -e 's/-$//')
    if [ -n "$frame" ]; then banner "$slug"; else printf '%s\n' "$slug"; fi
  '';
  meta.description = "Makes titles fit for URLs";
}
