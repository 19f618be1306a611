builtins.fromTOML "a.b.c = 1\na.b.d = 2\n'x.y'.z = 3"
