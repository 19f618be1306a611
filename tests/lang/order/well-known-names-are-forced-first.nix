builtins.deepSeq { zz = throw "second"; outPath = throw "first"; } 1
