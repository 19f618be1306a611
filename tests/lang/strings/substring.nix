map (f: f "hello") [ (builtins.substring 0 2) (builtins.substring 1 100) (builtins.substring 5 1) (builtins.substring 9 1) (builtins.substring 2 (-1)) (builtins.substring 0 0) ]
