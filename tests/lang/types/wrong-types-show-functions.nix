builtins.length (x: x) + map
