/** Several packages as one. */
{ symlinkJoin, banner, calc, greet, hello, hexview, jsonfmt, showtree, slugify, wordfreq }:
symlinkJoin {
  name = "tools";
  paths = [ banner calc greet hello hexview jsonfmt showtree slugify wordfreq ];
  meta.description = "The programs of this set";
}
