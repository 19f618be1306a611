let s = "${builtins.toFile "a" "b"}"; in builtins.hasContext (builtins.concatStringsSep s [ "x" ])
