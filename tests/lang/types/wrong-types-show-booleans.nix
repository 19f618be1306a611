builtins.head true
