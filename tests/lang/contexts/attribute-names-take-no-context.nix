{ "${builtins.toFile "a" "b"}" = 1; }
