builtins.readDir /no-such-place
