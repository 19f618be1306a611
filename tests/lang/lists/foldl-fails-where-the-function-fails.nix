builtins.foldl' (a: b: throw "at ${toString b}") 0 [ 1 2 ]
