let f = n: { next = f (n + 1); }; in builtins.toJSON (f 0)
