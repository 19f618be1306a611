[ (builtins.seq 1 2) (builtins.seq [ (throw "never") ] 3) ]
