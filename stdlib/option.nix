/**
  What a module option is, as text for people: its value, default, type, description and where it is declared and
  defined. For a set of options, the names in it.

  `options` and `config` are those of an evaluated module system; `path` is a list of names.
*/
{
  options,
  config,
  path,
}:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    deepSeq
    elem
    foldl'
    isAttrs
    isFunction
    isList
    isString
    map
    toJSON
    toString
    tryEval
    typeOf
    ;

  walk =
    set: names:
    foldl' (
      found: name:
      if isAttrs found && found ? ${name} then
        found.${name}
      else
        throw "there is no option '${concatStringsSep "." path}'"
    ) set names;

  isOption = value: isAttrs value && (value._type or null) == "option";
  found = walk options path;

  indent = text: builtins.replaceStrings [ "\n" ] [ "\n  " ] text;

  # A value as it would be written, as far as it can be.
  show =
    depth: value:
    if isString value || value == null || elem (typeOf value) [
      "int"
      "float"
      "bool"
    ] then
      toJSON value
    else if typeOf value == "path" then
      toString value
    else if isFunction value then
      "<function>"
    else if depth > 5 then
      "…"
    else if isList value then
      if value == [ ] then "[ ]" else "[ ${concatStringsSep " " (map (attempt (depth + 1)) value)} ]"
    else if (value.type or null) == "derivation" then
      "<derivation ${value.name or "?"}>"
    else if (value._type or null) == "literalExpression" || (value._type or null) == "literalMD" then
      value.text
    else if value == { } then
      "{ }"
    else
      "{ ${
        concatStringsSep " " (map (name: "${name} = ${attempt (depth + 1) value.${name}};") (attrNames value))
      } }";

  attempt =
    depth: value:
    let
      text = show depth value;
      result = tryEval (deepSeq text text);
    in
    if result.success then result.value else "<error>";

  description =
    let
      text = found.description or "";
    in
    if isString text then text else text.text or "";

  section = title: text: if text == "" then "" else "${title}:\n  ${indent text}\n\n";
in
if isOption found then
  concatStringsSep "" [
    (section "Value" (attempt 0 (walk config path)))
    (section "Default" (
      if found ? defaultText then
        attempt 0 found.defaultText
      else if found ? default then
        attempt 0 found.default
      else
        ""
    ))
    (section "Type" (found.type.description or found.type.name or ""))
    (section "Example" (if found ? example then attempt 0 found.example else ""))
    (section "Description" description)
    (section "Declared by" (concatStringsSep "\n" (map toString (found.declarations or [ ]))))
    (section "Defined by" (concatStringsSep "\n" (map toString (found.files or [ ]))))
  ]
else
  concatStringsSep "" (map (name: "${name}\n") (builtins.filter (name: name != "_module") (attrNames found)))
