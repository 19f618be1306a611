# What `builtins.getFlake` gives: the flake "0" of a graph of nodes, called with its inputs.
#
# A node has its `inputs` (names to keys of nodes), says whether it is a `flake`, knows its `source` (as `fetchTree` tells
# it; fetched when it is looked at) and the flake's directory `dir` in it. One that is `relative` to its `parent` has its source.
nodes:
let
  below = path: name: if name == "" then path else path + "/" + name;

  called = builtins.mapAttrs (key: node:
    let
      around = called.${node.parent};
      sourceInfo = if node ? parent then around.sourceInfo else node.source;
      base = if node ? parent then below around.outPath node.relative else sourceInfo.outPath;
      outPath = below base node.dir;

      flake = import (outPath + "/flake.nix");
      inputs = builtins.mapAttrs (name: target: called.${target}.value) node.inputs;
      outputs = flake.outputs (inputs // { self = result; });
      result = outputs // sourceInfo // {
        inherit inputs outputs sourceInfo outPath;
        _type = "flake";
      };
    in
    {
      inherit sourceInfo outPath;
      value =
        if node.flake then
          assert builtins.isFunction flake.outputs; result
        else
          sourceInfo // { inherit sourceInfo outPath; };
    }) nodes;
in
called."0".value
