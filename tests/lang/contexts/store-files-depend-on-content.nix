[ (builtins.toFile "a" "x") (builtins.toFile "a" "y") (builtins.toFile "b" "x") ]
