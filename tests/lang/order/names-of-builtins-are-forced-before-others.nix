builtins.deepSeq { zz = throw "second"; map = throw "first"; } 1
