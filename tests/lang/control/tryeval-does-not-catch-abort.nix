builtins.tryEval (abort "through")
