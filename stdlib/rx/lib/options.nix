/**
  Modules: settings that several files declare and define together.

  `evalModules { modules = [ … ]; }` gives `{ config, options }`. A module is a set, a function of
  `{ config, lib, ... }`, or a file with one of these. It has `imports`, `options` (declared with `mkOption`) and
  `config` (values for options, of this or any other module); one that has neither `options` nor `config` is all `config`.
*/
let
  inherit (builtins) attrNames concatMap concatStringsSep elem filter head isAttrs length listToAttrs map mapAttrs;
  trivial = import ./trivial.nix;
  lists = import ./lists.nix;
  strings = import ./strings.nix;
  customisation = import ./customisation.nix;

  show = path: concatStringsSep "." path;
  isType = name: value: isAttrs value && value._type or null == name;

  # A value may be wrapped: conditions and priorities go down to the values of a set's attributes.
  pushDown = value:
    if isType "merge" value then concatMap pushDown value.contents
    else if isType "if" value then map (mapAttrs (_: mkIf value.condition)) (pushDown value.content)
    else if isType "override" value then map (mapAttrs (_: mkOverride value.priority)) (pushDown value.content)
    else [ value ];

  # The definitions that count, each with its priority.
  discharge = definition:
    let value = definition.value; inner = content: discharge (definition // { value = content; }); in
    if isType "merge" value then concatMap inner value.contents
    else if isType "if" value then (if value.condition then inner value.content else [ ])
    else if isType "override" value then map (d: d // { inherit (value) priority; }) (inner value.content)
    else [ ({ priority = 100; } // definition) ];

  strongest = definitions:
    let best = lists.foldl' (p: d: lists.head (lists.sort builtins.lessThan [ p d.priority ])) 9999 definitions; in
    filter (d: d.priority == best) definitions;

  # Where an attribute is written, as exactly as it is known.
  place = name: definition:
    let position = builtins.unsafeGetAttrPos name definition.value; in
    if position == null then definition.file else "${position.file}:${toString position.line}";

  places = definitions: concatStringsSep ", " (lists.unique (map (d: d.file) definitions));

  mergeEqual = path: definitions:
    let first = (head definitions).value; in
    if lists.all (d: d.value == first) definitions then first
    else throw "The option '${show path}' has conflicting definitions, in ${places definitions}: ${
      concatStringsSep " and " (map (d: strings.describe d.value) definitions)
    }. Give one of them priority with 'lib.mkForce' or 'lib.mkDefault'";

  /** A definition that counts only if the condition holds: `config = mkIf config.enable { … }`. */
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  /** A definition with a priority; smaller numbers win. Ordinary ones have 100, `mkForce` has 50, `mkDefault` 1000. */
  mkOverride = priority: content: { _type = "override"; inherit priority content; };

  # All modules that a list of modules leads to, with their parts told apart.
  collect = arguments: file: module:
    let
      isFile = builtins.isPath module || builtins.isString module;
      here = if isFile then toString module else file;
      loaded = if isFile then import module else module;
      set = if trivial.isFunction loaded then loaded (arguments // builtins.intersectAttrs (builtins.functionArgs loaded) arguments) else loaded;
      plain = !(set ? options || set ? config);
    in
    [ {
      file = set._file or here;
      options = set.options or { };
      config = if plain then removeAttrs set [ "imports" "_file" ] else set.config or { };
    } ]
    ++ concatMap (collect arguments here) (set.imports or [ ]);

  # Declarations and definitions of the same names, as { values, options, unknown }.
  evaluate = path: declarations: definitions:
    let
      names = lists.unique (concatMap (d: attrNames d.options) declarations);
      sets = concatMap (d: map (value: { inherit (d) file; inherit value; }) (pushDown d.value)) definitions;
      defined = name: concatMap (d: if d.value ? ${name} then [ { file = place name d; value = d.value.${name}; } ] else [ ]) sets;
      parts = listToAttrs (map (name: { inherit name; value = part name; }) names);
      part = name:
        let
          here = path ++ [ name ];
          declared = map (d: { file = place name (d // { value = d.options; }); options = d.options.${name}; }) (filter (d: d.options ? ${name}) declarations);
          option = head declared;
        in
        if lists.any (d: isType "option" d.options) declared then
          if length declared > 1 then throw "The option '${show here}' is declared twice, in ${places declared}"
          else {
            values = (option.options.apply or (x: x)) (valueOf here option (defined name));
            options = option.options // { loc = here; declaration = option.file; definitions = defined name; };
            unknown = [ ];
          }
        else evaluate here declared (defined name);
      strange = concatMap (d: map (name: { file = place name d; path = path ++ [ name ]; near = customisation.similar name names; })
        (filter (name: !elem name names) (attrNames d.value))) sets;
    in
    {
      values = mapAttrs (_: part: part.values) parts;
      options = mapAttrs (_: part: part.options) parts;
      unknown = strange ++ concatMap (part: part.unknown) (builtins.attrValues parts);
    };

  valueOf = path: option: definitions:
    let
      type = option.options.type or types.anything;
      found = strongest (concatMap discharge definitions);
    in
    if found != [ ] then mergeType type path found
    else if option.options ? default then option.options.default
    else throw "The option '${show path}' has no value: it is declared in ${option.file} without a default${
      strings.optionalString (option.options ? description) " (${option.options.description})"
    }";

  mergeType = type: path: definitions:
    let wrong = filter (d: !type.check d.value) definitions; in
    if wrong == [ ] then type.merge path definitions
    else
      let first = head wrong; in
      throw "A definition for option '${show path}' is not of type '${type.description}': it is ${strings.describe first.value}, in ${first.file}";

  mkType = name: description: check: { _type = "type"; inherit name description check; merge = mergeEqual; };

  /** What options may be: `types.int`, `types.listOf types.str` … */
  types = rec {
    /** Any value; all definitions must be the same. */
    anything = mkType "anything" "anything" (_: true);
    /** `true` or `false`. */
    bool = mkType "bool" "boolean" builtins.isBool;
    /** An integer. */
    int = mkType "int" "signed integer" builtins.isInt;
    /** A floating point number. */
    float = mkType "float" "floating point number" builtins.isFloat;
    /** A text; all definitions must be the same. */
    str = mkType "str" "string" builtins.isString;
    /** A text; several definitions become lines. */
    lines = str // {
      description = "strings concatenated with \"\\n\"";
      merge = _: definitions: concatStringsSep "\n" (map (d: d.value) definitions);
    };
    /** A path, or a string that is one. */
    path = mkType "path" "absolute path" (value:
      builtins.isPath value || (builtins.isString value || value ? outPath) && strings.hasPrefix "/" (toString value));
    /** A package, or anything else with an `outPath`. */
    package = mkType "package" "package" (value: value.type or null == "derivation" || value ? outPath);
    /** An attribute set of anything; several definitions are joined, and nothing within is merged. */
    attrs = mkType "attrs" "attribute set" isAttrs // {
      merge = _: definitions: lists.foldl' (all: d: all // d.value) { } definitions;
    };
    /** An integer between two others, both included. */
    between = low: high:
      mkType "between" "integer between ${toString low} and ${toString high}"
        (value: builtins.isInt value && low <= value && value <= high);
    /** The number of a port. */
    port = between 0 65535;
    /** One of these values. */
    enum = values: mkType "enum" "one of ${concatStringsSep ", " (map builtins.toJSON values)}" (value: elem value values);
    /** Of a type, or null. */
    nullOr = type: type // {
      description = "null or ${type.description}";
      check = value: value == null || type.check value;
      merge = path: definitions:
        if lists.all (d: d.value == null) definitions then null
        else type.merge path (filter (d: d.value != null) definitions);
    };
    /** Of the first type that fits. */
    either = one: two: mkType "either" "${one.description} or ${two.description}" (value: one.check value || two.check value) // {
      merge = path: definitions:
        (if lists.all (d: one.check d.value) definitions then one else two).merge path definitions;
    };
    /** Of the first type in a list that fits. */
    oneOf = list: lists.foldl' either (head list) (builtins.tail list);
    /** A list; several definitions are joined. */
    listOf = type: mkType "listOf" "list of ${type.description}" builtins.isList // {
      merge = path: definitions: lists.concatLists (map (d:
        lists.imap1 (n: value: mergeType type (path ++ [ "[${toString n}]" ]) [ (d // { inherit value; }) ]) d.value) definitions);
    };
    /** A set of values of one type under any names; several definitions are joined. */
    attrsOf = type: mkType "attrsOf" "attribute set of ${type.description}" isAttrs // {
      merge = path: definitions:
        let sets = concatMap (d: map (value: d // { inherit value; }) (pushDown d.value)) definitions; in
        listToAttrs (concatMap (name:
          let found = strongest (concatMap discharge (concatMap (d:
            if d.value ? ${name} then [ { file = place name d; value = d.value.${name}; } ] else [ ]) sets)); in
          if found == [ ] then [ ] else [ { inherit name; value = mergeType type (path ++ [ name ]) found; } ])
          (lists.unique (concatMap (d: attrNames d.value) sets)));
    };
    /** Modules within an option: `attrsOf (submodule { options = { … }; })`. */
    submodule = modules: mkType "submodule" "submodule" (value: isAttrs value || trivial.isFunction value || builtins.isPath value) // {
      merge = path: definitions: (evalModules {
        modules = lists.toList modules ++ map (d: if isAttrs d.value then { _file = d.file; config = d.value; } else d.value) definitions;
        prefix = path;
        specialArgs.name = lists.last path;
      }).config;
    };
  };

  /**
    Puts modules together: `(evalModules { modules = [ ./a.nix { b = 1; } ]; }).config`. Modules that are functions get
    `config`, `options`, `lib` and what is in `specialArgs`.
  */
  evalModules = { modules, specialArgs ? { }, prefix ? [ ] }:
    let
      arguments = { inherit (result) options; config = result.values; lib = import ./.; } // specialArgs;
      all = concatMap (collect arguments "the list of modules") modules;
      result = evaluate prefix all (map (m: { inherit (m) file; value = m.config; }) all);
      first = head result.unknown;
      checked =
        if result.unknown == [ ] then result.values
        else throw "The option '${show first.path}' does not exist; it is defined in ${first.file}${
          strings.optionalString (first.near != [ ]) " (is '${concatStringsSep "' or '" first.near}' meant?)"
        }";
    in
    { inherit (result) options; config = checked; };
in
{
  inherit evalModules types mkIf mkOverride;

  /** Declares an option: `{ type, default, description, example, apply }`, all of them optional. */
  mkOption = attributes: { _type = "option"; } // attributes;

  /** An option that switches something on: a Boolean, `false` unless it is defined. */
  mkEnableOption = what: {
    _type = "option";
    type = types.bool;
    default = false;
    description = "Whether to enable ${what}.";
  };

  /** Several definitions as one. */
  mkMerge = contents: { _type = "merge"; inherit contents; };

  /** A definition that gives way to ordinary ones. */
  mkDefault = mkOverride 1000;

  /** A definition that wins against ordinary ones. */
  mkForce = mkOverride 50;
}
