builtins.head null
