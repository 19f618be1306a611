let s = { a = s; l = [ s l ]; l2 = l; }; l = [ s ]; in builtins.deepSeq s 1
