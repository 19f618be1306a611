builtins.trace "shown" 5
