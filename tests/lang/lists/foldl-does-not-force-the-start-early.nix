builtins.foldl' (a: b: b) (throw "never") [ 1 2 ]
