builtins.attrNames { inherit (throw "never") a; }
