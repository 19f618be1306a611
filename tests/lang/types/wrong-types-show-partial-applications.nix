builtins.length (map 1)
