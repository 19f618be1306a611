# What `import` makes of a derivation's file: the set that `derivation` would have given, as far as the file tells.
# The argument has the name, the path of the file, the names of the outputs, and the path of each output.
imported@{ name, drvPath, outputs, ... }:
let
  named = map (outputName: {
    name = outputName;
    value = common // { inherit outputName; outPath = imported.${outputName}; };
  }) outputs;

  common = builtins.listToAttrs named // {
    inherit name drvPath;
    type = "derivation";
    all = map (output: output.value) named;
  };
in
(builtins.head named).value
