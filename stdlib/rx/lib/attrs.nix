/** Attribute sets. */
rec {
  inherit (builtins)
    attrNames attrValues catAttrs functionArgs getAttr hasAttr intersectAttrs listToAttrs mapAttrs removeAttrs zipAttrsWith;

  /** A name and a value as `listToAttrs` wants them. */
  nameValuePair = name: value: { inherit name value; };

  /** The attributes for which `f name value` holds. */
  filterAttrs = f: set: removeAttrs set (builtins.filter (name: !f name set.${name}) (attrNames set));

  /** `f name value` gives the new name and value (`nameValuePair`). */
  mapAttrs' = f: set: listToAttrs (mapAttrsToList f set);

  /** The list of `f name value`. */
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);

  /** The list of pairs `{ name, value; }`. */
  attrsToList = mapAttrsToList nameValuePair;

  /** A set of these names, with the values that a function gives. */
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);

  /** The set if the condition holds, else an empty one. */
  optionalAttrs = condition: set: if condition then set else { };

  /** The value at a path of names, or the default. */
  attrByPath = path: default: set:
    if path == [ ] then set
    else
      let name = builtins.head path; in
      if builtins.isAttrs set && set ? ${name}
      then attrByPath (builtins.tail path) default set.${name}
      else default;

  /** Whether there is something at a path of names. */
  hasAttrByPath = path: set:
    path == [ ] ||
    builtins.isAttrs set && set ? ${builtins.head path} && hasAttrByPath (builtins.tail path) set.${builtins.head path};

  /** A set with one value at a path of names: `setAttrByPath [ "a" "b" ] 1` is `{ a.b = 1; }`. */
  setAttrByPath = path: value:
    if path == [ ] then value else { ${builtins.head path} = setAttrByPath (builtins.tail path) value; };

  /** The value at a path of names; an error that names the path if there is none. */
  getAttrFromPath = path:
    attrByPath path (throw "there is no attribute '${builtins.concatStringsSep "." path}'");

  /** Several attributes of a set. */
  getAttrs = names: set: genAttrs names (name: set.${name});

  /** Like `//`, but sets within sets are joined too. The second wins. */
  recursiveUpdate = one: two:
    one // mapAttrs (name: value:
      if builtins.isAttrs value && builtins.isAttrs (one.${name} or null) && !isDerivation value
      then recursiveUpdate one.${name} value
      else value) two;

  /** `f path value` for all values that are no sets, at any depth. */
  mapAttrsRecursive = f:
    let go = path: mapAttrs (name: value:
      if builtins.isAttrs value && !isDerivation value then go (path ++ [ name ]) value else f (path ++ [ name ]) value);
    in go [ ];

  /** `f accumulator name value` over all attributes. */
  foldlAttrs = f: initial: set: builtins.foldl' (acc: name: f acc name set.${name}) initial (attrNames set);

  /** Sets joined from left to right. */
  mergeAttrsList = builtins.foldl' (a: b: a // b) { };

  /** Values of the same name collected in lists. */
  zipAttrs = zipAttrsWith (_: values: values);

  /** Whether something is a package. */
  isDerivation = value: builtins.isAttrs value && value.type or null == "derivation";

  /** A set of packages that tools may walk into. */
  recurseIntoAttrs = set: set // { recurseForDerivations = true; };
}
