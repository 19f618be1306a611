let s = "${builtins.toFile "a" "b"}"; in [ (builtins.hasContext s) (builtins.hasContext (builtins.unsafeDiscardStringContext s)) ]
