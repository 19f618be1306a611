[ (builtins.match "A" "a") (builtins.match "[[:upper:]]" "A") (builtins.match "[[:space:]]*" " \t\n") ]
