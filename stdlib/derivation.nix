/**
  Makes a derivation: a build plan, as a set that can be used wherever a path or string can.

  The argument's attributes become the builder's environment; these are required:

  - `name`: the name of the store objects that come out of it
  - `system`: what the builder runs on, as in `x86_64-linux`
  - `builder`: the program that makes the outputs

  These mean something besides:

  - `args`: the builder's arguments
  - `outputs`: what comes out of it; one output named `out` unless told otherwise

  The result has all of them too, with

  - `drvPath`: the path of the build plan
  - `outPath`: the path of the first output
  - `outputName`: the name of the first output
  - `type`: `"derivation"`
  - `drvAttrs`: the argument
  - `all`: a list of the outputs, each a derivation like the result
  - one attribute for every output

  Nothing is hashed or written before one of the paths is looked at.

  Programs can ask on which line these attributes stand (`builtins.unsafeGetAttrPos`, `toXML`), and the answer is the
  same everywhere: so must be the lines below, which a test checks.
*/
drvAttrs@{
  outputs ? [ "out" ],
  ...
}:
let

  # What is computed by the evaluator itself: the paths. Looked at by each output below, evaluated at most once.
  plan = derivationStrict drvAttrs;

  common =
    drvAttrs
    // builtins.listToAttrs named
    // {
      all = map (output: output.value) named;
      inherit drvAttrs;
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
