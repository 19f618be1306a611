builtins.head "${builtins.toFile "a" "b"}"
