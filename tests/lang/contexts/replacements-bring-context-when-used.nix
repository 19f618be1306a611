let s = "${builtins.toFile "a" "b"}"; in [ (builtins.hasContext (builtins.replaceStrings [ "x" ] [ s ] "x")) (builtins.hasContext (builtins.replaceStrings [ "y" ] [ s ] "x")) ]
