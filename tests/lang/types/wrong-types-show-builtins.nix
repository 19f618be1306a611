builtins.length map
