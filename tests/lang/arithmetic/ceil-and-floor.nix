map (x: [ (builtins.ceil x) (builtins.floor x) ]) [ 1 1.5 (-1.5) 0.5 (-0.5) 100000000000.5 ]
