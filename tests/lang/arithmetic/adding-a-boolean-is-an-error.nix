builtins.add 1 true
