/** Strings, versions and words for the shell. */
let
  lists = import ./lists.nix;
in
rec {
  inherit (builtins)
    compareVersions concatStringsSep fromJSON match parseDrvName replaceStrings split splitVersion stringLength
    substring toJSON;

  /** Joined without anything between. */
  concatStrings = concatStringsSep "";

  /** Joined results of a function. */
  concatMapStrings = f: list: concatStrings (map f list);

  /** Joined results of a function, with a separator. */
  concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);

  /** Each line with a line end. */
  concatLines = concatMapStrings (line: line + "\n");

  /** The text if the condition holds, else an empty one. */
  optionalString = condition: text: if condition then text else "";

  /** Parts between separators: `splitString "." "a.b"` is `[ "a" "b" ]`. */
  splitString = separator: text:
    map (part: builtins.appendContext part (builtins.getContext (toString text)))
      (builtins.filter builtins.isString
        (split (escapeRegex (toString separator)) (builtins.unsafeDiscardStringContext (toString text))));

  /** With a character that regular expressions give a meaning made plain. */
  escapeRegex = escape [ "\\" "^" "$" "." "|" "?" "*" "+" "(" ")" "[" "{" "}" "]" ];

  /** A backslash before each of these characters. */
  escape = characters: replaceStrings characters (map (c: "\\${c}") characters);

  /** Whether a text begins with another: `hasPrefix "lib" "libgreet"`. */
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;

  /** Whether a text ends with another: `hasSuffix ".c" "main.c"`. */
  hasSuffix = suffix: text:
    let rest = stringLength text - stringLength suffix; in rest >= 0 && substring rest (-1) text == suffix;

  /** Whether one text is somewhere within another. */
  hasInfix = infix: text: replaceStrings [ infix ] [ "" ] text != text || infix == "";

  /** Without a prefix, if it is there. */
  removePrefix = prefix: text:
    if hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;

  /** Without a suffix, if it is there. */
  removeSuffix = suffix: text:
    if hasSuffix suffix text then substring 0 (stringLength text - stringLength suffix) text else text;

  /** Without spaces at both ends. */
  trim = text: let found = match "[ \t\r\n]*(.*[^ \t\r\n])?[ \t\r\n]*" text; in
    if found == null || builtins.head found == null then "" else builtins.head found;

  /** The bytes of a text. */
  stringToCharacters = text: lists.genList (n: substring n 1 text) (stringLength text);

  /** The 26 letters, large. */
  upperChars = stringToCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  /** The 26 letters, small. */
  lowerChars = stringToCharacters "abcdefghijklmnopqrstuvwxyz";
  /** With large letters for the 26 small ones. */
  toUpper = replaceStrings lowerChars upperChars;
  /** With small letters for the 26 large ones. */
  toLower = replaceStrings upperChars lowerChars;

  /** One word for the shell, whatever is in it. */
  escapeShellArg = value:
    let text = toString value; in
    if match "[[:alnum:]@%+=:,./_-]+" text != null then text else "'${replaceStrings [ "'" ] [ "'\\''" ] text}'";

  /** Words for the shell. */
  escapeShellArgs = concatMapStringsSep " " escapeShellArg;

  /** `-DNAME=on` or `off`, as CMake wants it. */
  cmakeBool = name: value: "-D${name}:BOOL=${if value then "ON" else "OFF"}";

  /** `--enable-NAME` or `--disable-NAME`. */
  enableFeature = condition: name: "--${if condition then "enable" else "disable"}-${name}";

  /** `--with-NAME` or `--without-NAME`. */
  withFeature = condition: name: "--${if condition then "with" else "without"}-${name}";

  /** Directories below each package, as in `PATH`: `makeSearchPath "bin" [ a b ]`. */
  makeSearchPath = directory: packages: concatMapStringsSep ":" (package: "${package}/${directory}") packages;

  /** `PATH` for these packages. */
  makeBinPath = makeSearchPath "bin";

  /** `LD_LIBRARY_PATH` for these packages. */
  makeLibraryPath = makeSearchPath "lib";

  /** Whether the first version is before the second: `versionOlder "1.9" "1.10"`. */
  versionOlder = a: b: compareVersions b a == 1;
  /** Whether the first version is the second or after it. */
  versionAtLeast = a: b: !versionOlder a b;

  /** The name of a package: `pname`, or what stands before the version in `name`. */
  getName = package: package.pname or (parseDrvName (package.name or package)).name;

  /** The version of a package. */
  getVersion = package: package.version or (parseDrvName (package.name or package)).version;

  /** The path of the program that a package is mainly for. */
  getExe = package: "${package}/bin/${package.meta.mainProgram or (getName package)}";

  /** The path of a program of a package. */
  getExe' = package: program: "${package}/bin/${program}";

  /** A text that can be part of a name in the store. */
  sanitizeName = text:
    let
      plain = builtins.unsafeDiscardStringContext (toString text);
      kept = concatMapStrings (part: if builtins.isList part then "-" else part) (split "[^[:alnum:]+._?=-]+" plain);
      name = if hasPrefix "." kept then "x${kept}" else kept;
    in
    if name == "" then "unnamed" else substring 0 200 name;

  /** The value as Nix text, for messages: long ones are shortened. */
  describe = value:
    if builtins.isFunction value then "a function"
    else if builtins.isAttrs value && value.type or null == "derivation" then "the package '${value.name or "?"}'"
    else if value == { } then "an empty set"
    else if builtins.isAttrs value then "a set with the attributes [ ${concatStringsSep " " (lists.take 5 (builtins.attrNames value))} ]"
    else if builtins.isList value then "a list of ${toString (builtins.length value)} elements"
    else if builtins.isPath value then "the path ${toString value}"
    else "the ${typeName value} ${toJSON value}";

  /** The type of a value as a word for messages. */
  typeName = value: { bool = "Boolean"; int = "integer"; }.${builtins.typeOf value} or (builtins.typeOf value);
}
