builtins.match "[[:space:]]*([^[:space:]]+)[[:space:]]*" "  x-y "
