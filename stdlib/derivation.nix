/**
  Makes a derivation: a build plan, as a set that can be used wherever a path or string can.

  The argument's attributes become the builder's environment; `name`, `system` and `builder` are required. The result
  has them too, with `drvPath`, `outPath`, `outputName` and `type`, and one attribute for every output. Nothing is hashed
  or written before one of the paths is looked at.
*/
arguments@{ outputs ? [ "out" ], ... }:
let
  # Looked at by each output below, evaluated at most once.
  plan = derivationStrict arguments;

  common = arguments // builtins.listToAttrs named // {
    all = map (output: output.value) named;
    drvAttrs = arguments;
  };

  named = map (outputName: {
    name = outputName;
    value = common // {
      outPath = plan.${outputName};
      drvPath = plan.drvPath;
      type = "derivation";
      inherit outputName;
    };
  }) outputs;
in
(builtins.head named).value
