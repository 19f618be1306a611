# Packages by phases.
{ lib, system }:
let
  # What the phases themselves use.
  phaseTools = [ "cat" "chmod" "cp" "mkdir" "rm" "sed" "tar" ];

  # For rx itself or for this file, not for the builder.
  notForBuilder = [ "passthru" "meta" "hostTools" "phaseTools" "env" ];

  checkAttrs = attrs:
    let
      # A version without quotes is a number, or no Nix at all.
      wrong = builtins.filter (name: attrs ? ${name} && !lib.isString attrs.${name}) [ "name" "pname" "version" ];
      first = lib.head wrong;
      place = builtins.unsafeGetAttrPos first attrs;
    in
    if !(attrs ? name || attrs ? pname) then throw "mkDerivation: a package needs 'name', or 'pname' and 'version'"
    else if wrong != [ ] then throw "mkDerivation: '${first}' must be a text, but is ${lib.describe attrs.${first}}${
      lib.optionalString (place != null) ", at ${place.file}:${toString place.line}"
    }"
    else attrs;

  # What editors open for the package.
  position = attrs:
    let place = builtins.unsafeGetAttrPos (if attrs ? pname then "pname" else "name") attrs; in
    lib.optionalAttrs (place != null) { position = "${place.file}:${toString place.line}"; };

  checkInputs = attrs: name:
    let
      inputs = attrs.${name} or [ ];
      wrong = what: throw "mkDerivation: '${name}' of '${attrs.name}' ${what}";
      # Packages as text are paths in the store.
      isPackage = input: lib.isPath input || input ? outPath || lib.isString input && lib.hasPrefix "/" input;
    in
    if !lib.isList inputs then wrong "must be a list of packages, but is ${lib.describe inputs}"
    else map (input:
      if input == null then wrong "has null in it; leave it out with 'lib.optional'"
      else if lib.isString input && !isPackage input then wrong "has the text \"${input}\" in it; packages are named without quotes"
      else if !isPackage input then wrong "has ${lib.describe input} in it, which is no package"
      else input)
      inputs;

  make = function:
    let
      given = checkAttrs (function final);
      attrs = { name = "${given.pname}-${given.version or "0"}"; } // given;
      pure = attrs ? hostTools && attrs.hostTools == null;
      # Which variables there are must not depend on their values: these may use the finished package.
      derivationAttrs = removeAttrs attrs notForBuilder // {
        # Attributes that are null are no variables.
        __ignoreNulls = true;
        inherit system;
        builder = "/bin/sh";
        args = [ "-e" "-u" "-c" ". \"$stdenv/setup\"; genericBuild" ];
        # A development shell finds it under this name.
        stdenv = "${./stdenv}";
        hostTools = if pure then null else lib.unique (attrs.phaseTools or phaseTools ++ attrs.hostTools or [ ]);
        hostPath = if pure then null else attrs.hostPath or [ "/usr/local/bin" "/usr/bin" "/bin" "/usr/sbin" "/sbin" ];
        requiredSystemFeatures =
          let features = attrs.requiredSystemFeatures or [ ] ++ lib.optional (!pure) "host-tools"; in
          if features == [ ] then null else lib.unique features;
      }
      // lib.mapAttrs (name: _: checkInputs attrs name)
        (builtins.intersectAttrs { nativeBuildInputs = 1; buildInputs = 1; propagatedBuildInputs = 1; } attrs)
      // attrs.env or { };
      package = derivation derivationAttrs;
      final = package // attrs.passthru or { } // {
        inherit (attrs) name;
        pname = attrs.pname or (lib.getName attrs.name);
        version = attrs.version or (lib.getVersion attrs.name);
        meta = { inherit (attrs) name; } // position given // attrs.meta or { };
        passthru = attrs.passthru or { };
        /** The package with other attributes: `overrideAttrs (old: { … })`, `(final: old: { … })` or `{ … }`. */
        overrideAttrs = change:
          make (final: let old = function final; in old // (
            if lib.isFunction change then
              let once = change old; in if lib.isFunction once then change final old else once
            else change));
      };
    in
    final;
in
/**
  `mkDerivation`: a package by phases.

  ```nix
  mkDerivation {
    pname = "hello";
    version = "1.0";
    src = ./hello;                 # a directory, an archive, a file
    hostTools = [ "cc" "make" ];   # tools taken from the machine, beside the usual small ones
    buildInputs = [ zlib ];        # packages it is built with and refers to
    installPhase = "…";            # any phase may be replaced, and has hooks: preBuild, postInstall …
  }
  ```

  All attributes are variables for the phases (see `stdenv/setup`). A function is called with the finished package:
  `mkDerivation (finalAttrs: { … })`. The result has `overrideAttrs`.

  Builds see nothing of the machine but `/bin/sh`. What else a package takes from it, it says with `hostTools`, and the
  derivation says it too: `requiredSystemFeatures = [ "host-tools" ]`. Only with `--host-tools` does a machine have this
  feature and show its tools to such builds. Results then depend on that machine's tools, which their store paths do not tell;
  so they are for this machine and not for a cache. `hostTools = null` is for packages that take nothing from it.
*/
argument: make (if lib.isFunction argument then argument else _: argument)
