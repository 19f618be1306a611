builtins.toJSON { a = [ 1 1.5 true null "x" ]; b.c = { }; }
