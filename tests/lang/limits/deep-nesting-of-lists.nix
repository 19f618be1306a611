builtins.length (builtins.foldl' (a: i: [ a ]) [ ] (builtins.genList (i: i) 5000))
