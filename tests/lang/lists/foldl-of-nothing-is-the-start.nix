builtins.foldl' (throw "never" 1) 5 [ ]
