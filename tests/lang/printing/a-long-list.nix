builtins.genList (i: i) 60
