builtins.toFile "b" "see ${builtins.toFile "a" "x"}"
