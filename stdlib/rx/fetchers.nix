/** Sources from elsewhere, by address and hash. */
{ lib }:
{
  /**
    A file from the network, fetched when it is needed: `fetchurl { url = "…"; hash = "sha256-…"; }`. An empty hash makes the
    build tell the right one. `urls` are several addresses of the same file: the first that has it is taken, and those that
    do not answer or have something else are passed over with a warning.
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
    let
      file = import <nix/fetchurl.nix> (
        { url = lib.head urls; inherit name executable; }
        # Without any, the hash is one that nothing has; the build then tells what it is.
        // (if sha512 != "" then { inherit sha512; } else if hash != "" then { inherit hash; } else { inherit sha256; })
      );
    in
    if urls == [ ] then throw "fetchurl: give 'url'"
    else if lib.length urls == 1 then file
    # One address gives the derivation that every Nix has for it; more are a matter of the builder that is part of rx.
    else derivation (file.drvAttrs // { inherit urls; });

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
