[ (x: x) ({ a }: a) (a: b: a) ((a: b: a) 1) map (map 1) (builtins.foldl' 1 2) ]
