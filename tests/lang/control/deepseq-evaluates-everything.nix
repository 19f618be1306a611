builtins.deepSeq { a = [ (throw "yes") ]; } 1
