let f = x: x + x; in f (builtins.seq 1 2)
