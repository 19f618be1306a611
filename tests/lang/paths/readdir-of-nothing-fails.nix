builtins.readDir /nonexistent
