let f = n: { next = f (n + 1); }; in builtins.deepSeq (f 0) 1
