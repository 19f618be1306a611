map builtins.toJSON [ 1.0 0.1 100000.0 1.0e30 (1.0 / 3) (-0.5) ]
