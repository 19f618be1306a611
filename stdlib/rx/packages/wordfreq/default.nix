/** A script for awk, which is a tool of the host also when it runs. */
{ writeShellApplication }:
writeShellApplication {
  name = "wordfreq";
  text = ''
    # The words of standard input by how often they occur.
    awk '{ for (i = 1; i <= NF; i++) seen[$i]++ } END { for (word in seen) print seen[word], word }' | sort -k1,1nr -k2
  '';
  meta.description = "Counts words";
}
