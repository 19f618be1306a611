builtins.deepSeq (builtins.listToAttrs [ { name = "q"; value = throw "first"; } { name = "p"; value = throw "second"; } ]) 1
