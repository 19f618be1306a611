/** Sources from elsewhere, by address and hash. */
{ lib }:
{
  /**
    A file from the network, fetched when it is needed: `fetchurl { url = "…"; hash = "sha256-…"; }`. An empty hash makes the
    build tell the right one. Several `urls` are other names of the same file; the first is in use.
  */
  fetchurl = {
    url ? null,
    urls ? lib.optional (url != null) url,
    hash ? "",
    sha256 ? "",
    sha512 ? "",
    name ? baseNameOf (toString (lib.head urls)),
    executable ? false,
  }:
    if urls == [ ] then throw "fetchurl: give 'url'"
    else import <nix/fetchurl.nix> (
      { url = lib.head urls; inherit name executable; }
      # Without any, the hash is one that nothing has; the build then tells what it is.
      // (if sha512 != "" then { inherit sha512; } else if hash != "" then { inherit hash; } else { inherit sha256; })
    );

  /** The tree in an archive, fetched when it is evaluated: `fetchTarball { url = "…"; sha256 = "sha256-…"; }`. */
  fetchTarball = builtins.fetchTarball;

  /** The tree of a git commit, fetched when it is evaluated: `fetchgit { url = "…"; rev = "…"; }`. */
  fetchgit = { url, rev ? null, ref ? null, submodules ? false, name ? "source", shallow ? false, allRefs ? ref == null }:
    builtins.fetchGit (
      { inherit url submodules name shallow allRefs; }
      // lib.optionalAttrs (rev != null) { inherit rev; }
      // lib.optionalAttrs (ref != null) { inherit ref; }
    );
}
