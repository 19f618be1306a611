builtins.split "^a" "aa"
