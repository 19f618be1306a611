map builtins.toJSON [ 1 1.5 "a" true null (-3) ]
