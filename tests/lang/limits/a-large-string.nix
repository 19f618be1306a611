builtins.stringLength (builtins.foldl' (s: i: s + s) "x" (builtins.genList (i: i) 20))
