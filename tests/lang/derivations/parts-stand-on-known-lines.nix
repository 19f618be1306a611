let
  drv = derivation {
    name = "x";
    system = "s";
    builder = "b";
    outputs = [
      "out"
      "dev"
    ];
  };
  line = name: (builtins.unsafeGetAttrPos name drv).line;
in
map line [
  "all"
  "drvAttrs"
  "dev"
  "outPath"
  "drvPath"
  "type"
  "outputName"
]
