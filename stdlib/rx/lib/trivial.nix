/** The smallest helpers. */
{
  /** The argument itself. */
  id = x: x;

  /** Always the first argument. */
  const = x: _: x;

  /** A function with its two arguments swapped. */
  flip = f: a: b: f b a;

  /** A value through functions from left to right: `pipe 3 [ (x: x + 1) toString ]` is `"4"`. */
  pipe = builtins.foldl' (value: f: f value);

  /** `null` stays, anything else goes through the function. */
  mapNullable = f: value: if value == null then null else f value;

  /** Something that can be called: a function, or a set with `__functor`. */
  isFunction = value: builtins.isFunction value || value ? __functor && builtins.isFunction (value.__functor value);

  /** `"true"` or `"false"` (`toString` gives `"1"` or `""`). */
  boolToString = value: if value then "true" else "false";

  /** Prints a warning when the second argument is evaluated, which is the result. */
  warn = message: builtins.trace "warning: ${message}";

  /** `throwIf condition message value`: the value, or an error. */
  throwIf = condition: message: value: if condition then throw message else value;

  /** `throwIfNot condition message value`: the value, or an error. */
  throwIfNot = condition: message: value: if condition then value else throw message;

  /** A value from a JSON file. */
  importJSON = path: builtins.fromJSON (builtins.readFile path);

  /** A value from a TOML file. */
  importTOML = path: builtins.fromTOML (builtins.readFile path);

  /** The smaller one. */
  min = a: b: if a < b then a else b;
  /** The larger one. */
  max = a: b: if a > b then a else b;

  inherit (builtins) add sub mul div lessThan seq deepSeq trace isAttrs isBool isInt isList isString isPath;
}
