/a + "${builtins.toFile "a" "b"}"
