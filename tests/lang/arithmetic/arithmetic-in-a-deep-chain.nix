builtins.foldl' (a: b: a + b * b) 0 (builtins.genList (x: x) 100)
