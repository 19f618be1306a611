builtins.nonsense
