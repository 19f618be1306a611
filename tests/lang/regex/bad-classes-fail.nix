builtins.match "[z-a]" "b"
