/** A shell script with a setting that can be overridden: banner.override { border = "#"; } */
{ writeShellApplication, border ? "*" }:
writeShellApplication {
  name = "banner";
  runtimeEnv.BORDER = border;
  text = ''
    # The words in a frame.
    text="$BORDER $* $BORDER"
    line=
    i=0
    while [ "$i" -lt "''${#text}" ]; do line="$line$BORDER"; i=$((i + ''${#BORDER})); done
    printf '%s\n%s\n%s\n' "$line" "$text" "$line"
  '';
  meta.description = "Frames words";
}
