builtins.isFunction ((a: b: c: a) 1 2)
