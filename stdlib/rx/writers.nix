/** Small packages out of texts, commands and other packages. */
{ lib, system, mkDerivation }:
rec {
  /**
    A file with a text. Needs nothing but a shell to build, and not even that if the text mentions no built package.
  */
  writeText = name: text:
    let
      context = builtins.attrValues (builtins.getContext (
        if lib.isString text then text
        else throw "writeText: '${name}' must be made of a text, but this is ${lib.describe text}"));
      plain = builtins.all (kind: kind ? path) context;
    in
    if plain then builtins.toFile name text
    else derivation {
      inherit name system text;
      passAsFile = [ "text" ];
      builder = "/bin/sh";
      args = [ "-c" ''
        while IFS= read -r line; do printf '%s\n' "$line"; done < "$textPath" > "$out"
        printf %s "$line" >> "$out"
      '' ];
      preferLocalBuild = true;
      allowSubstitutes = false;
    };

  /** A value as JSON in a file. */
  writeJSON = name: value: writeText name (builtins.toJSON value);

  /** A program of one file: the text is a script and says so itself in its first line. */
  writeScript = name: text: runCommand name { inherit text; passAsFile = [ "text" ]; phaseTools = [ "cp" "chmod" ]; } ''
    cp "$textPath" "$out"
    chmod 555 "$out"
  '';

  /** A shell script of one file. */
  writeShellScript = name: text: writeScript name "#!/bin/sh\n${text}";

  /** A package with a shell script, `bin/NAME`. */
  writeShellScriptBin = name: text: writeShellApplication { inherit name text; strict = false; };

  /**
    A package with a shell script, `bin/NAME`, that finds the programs of `runtimeInputs`, stops at errors and at unset
    variables, and is checked for its syntax when it is built.
  */
  writeShellApplication = {
    name,
    text,
    # Packages whose programs the script calls.
    runtimeInputs ? [ ],
    # Variables to set: NAME = value.
    runtimeEnv ? { },
    # Stop at errors and unset variables?
    strict ? true,
    # More checks: shell code in which $script is the script.
    checkPhase ? "",
    meta ? { },
    passthru ? { },
  }:
    runCommand name {
      inherit passthru;
      meta = { mainProgram = name; } // meta;
      passAsFile = [ "text" ];
      phaseTools = [ "cp" "chmod" "mkdir" ];
      text = "#!/bin/sh\n"
        + lib.optionalString strict "set -eu\n"
        + lib.optionalString (runtimeInputs != [ ]) "export PATH=\"${lib.makeBinPath runtimeInputs}:$PATH\"\n"
        + lib.concatStrings (lib.mapAttrsToList (name: value: "export ${name}=${lib.escapeShellArg value}\n") runtimeEnv)
        + text
        + lib.optionalString (!lib.hasSuffix "\n" text) "\n";
    } ''
      mkdir -p "$out/bin"
      script=$out/bin/${lib.escapeShellArg name}
      cp "$textPath" "$script"
      chmod 555 "$script"
      /bin/sh -n "$script"
      ${checkPhase}
    '';

  /**
    What shell commands put at `$out`. Attributes are variables for them, or for `mkDerivation` (`hostTools`, `buildInputs` …).
  */
  runCommand = name: attributes: commands:
    mkDerivation ({ inherit name; phases = [ "buildPhase" ]; buildPhase = commands; preferLocalBuild = true; } // attributes);

  /**
    One tree with the files of all packages, as links. Where two have the same file, the smaller `meta.priority` wins.
    Needs no tools, unless there is a `postBuild`.
  */
  symlinkJoin = {
    name,
    paths,
    # Shell code that runs when the tree is there; it may replace links.
    postBuild ? "",
    ...
  }@arguments:
    let
      joined = import <nix/buildenv.nix> { inherit name; derivations = paths; };
      more = removeAttrs arguments [ "name" "paths" "postBuild" ];
      facts = { inherit paths; meta = arguments.meta or { }; } // arguments.passthru or { };
    in
    if postBuild == "" then joined // facts
    else runCommand name ({ inherit joined; phaseTools = [ "cp" "chmod" "ln" "mkdir" "rm" ]; } // more) ''
      cp -R "$joined/." "$out"
      chmod -R u+w "$out"
      ${postBuild}
    '' // facts;

  /** An environment of packages, for `rx-env` or a link: the same as `symlinkJoin`. */
  buildEnv = symlinkJoin;

  /** A tree of links: `linkFarm "docs" { "guide/index.html" = ./index.html; }`. */
  linkFarm = name: entries:
    let
      pairs = if builtins.isAttrs entries then lib.mapAttrsToList (name: path: { inherit name path; }) entries else entries;
      list = map (entry:
        if entry ? name && entry ? path then entry
        else throw "linkFarm: '${name}' is made of { NAME = PATH; } or [ { name, path } ], not of ${lib.describe entry}") pairs;
    in
    runCommand name { phaseTools = [ "ln" "mkdir" ]; } (
      ''mkdir -p "$out"'' + "\n" + lib.concatMapStrings (entry: ''
        target="$out"/${lib.escapeShellArg entry.name}
        mkdir -p "''${target%/*}"
        ln -s ${lib.escapeShellArg "${entry.path}"} "$target"
      '') list);

  /**
    A development shell for `rx-shell`: `packages` are at hand there, with what the packages in `inputsFrom` are built with.
    Other attributes are variables; `shellHook` runs at the beginning.
  */
  mkShell = {
    name ? "shell",
    packages ? [ ],
    inputsFrom ? [ ],
    ...
  }@arguments:
    mkDerivation (removeAttrs arguments [ "packages" "inputsFrom" ] // {
      inherit name;
      nativeBuildInputs = packages ++ arguments.nativeBuildInputs or [ ]
        ++ lib.concatMap (package: package.nativeBuildInputs or [ ]) inputsFrom;
      buildInputs = arguments.buildInputs or [ ]
        ++ lib.concatMap (package: package.buildInputs or [ ] ++ package.propagatedBuildInputs or [ ]) inputsFrom;
      phases = [ "buildPhase" ];
      buildPhase = ''printf '%s\n' $inputs > "$out"'';
    });
}
