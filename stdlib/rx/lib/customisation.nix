/** Packages as functions of other packages, and how to change them afterwards. */
let
  trivial = import ./trivial.nix;
  strings = import ./strings.nix;
  inherit (import ./lists.nix) take sortOn;
in
rec {
  /**
    Calls a function so that its result can be had again with other arguments: `result.override { … }`, or
    `result.override (old: { … })`. What `overrideAttrs` changes in the result stays changed.
  */
  makeOverridable = f: arguments:
    let
      result = f arguments;
      override = new:
        makeOverridable f (arguments // (if trivial.isFunction new then new arguments else new));
      overrideAttrs = change:
        makeOverridable (again: (f again).overrideAttrs change) arguments;
    in
    if builtins.isAttrs result then
      result // { inherit override; } // (if result ? overrideAttrs then { inherit overrideAttrs; } else { })
    else if builtins.isFunction result then
      { inherit override; __functor = _: result; __functionArgs = builtins.functionArgs result; }
    else result;

  /**
    Calls a function, or the function in a file, with the arguments that it names: from `scope`, or from
    `arguments`, which win. `pkgs.callPackage` has the packages as scope.
  */
  callPackageWith = scope: fileOrFunction: arguments:
    let
      isFile = !trivial.isFunction fileOrFunction;
      f = if isFile then import fileOrFunction else fileOrFunction;
      wanted = f.__functionArgs or (builtins.functionArgs f);
      found = builtins.intersectAttrs wanted scope // arguments;
      missing = builtins.filter (name: !wanted.${name} && !found ? ${name}) (builtins.attrNames wanted);
    in
    if missing == [ ] then makeOverridable f found
    else throw (
      "callPackage: ${if isFile then toString fileOrFunction else "a function"} needs "
      + "'${strings.concatStringsSep "', '" missing}', which the package set does not have"
      + strings.concatMapStrings (name:
          let near = similar name (builtins.attrNames scope); in
          strings.optionalString (near != [ ]) " (is '${strings.concatStringsSep "' or '" near}' meant?)") missing
    );

  /** Names that begin or end like one, at most three. */
  similar = name: names:
    let
      size = strings.stringLength name;
      half = (size + 1) / 2;
      near = other:
        let difference = strings.stringLength other - size; in
        difference >= -2 && difference <= 2
        && (strings.substring 0 half other == strings.substring 0 half name
          || strings.hasSuffix (strings.substring (size - half) half name) other);
    in
    take 3 (sortOn strings.stringLength (builtins.filter near names));

  /** `callPackage` in a set of its own that knows the outer one: for families of packages. */
  makeScope = newScope: f:
    let
      self = f self // {
        callPackage = newScope self;
        newScope = more: newScope (self // more);
        overrideScope = overlay: makeScope newScope ((import ./fixed-points.nix).extends overlay f);
        packages = f;
      };
    in self;

  /** Marks a package with facts: `addMeta { description = "…"; } package`. */
  addMeta = meta: package: package // { meta = package.meta or { } // meta; };
}
