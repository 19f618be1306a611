builtins.warn 1 5
