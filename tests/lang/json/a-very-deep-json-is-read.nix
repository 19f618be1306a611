builtins.length (builtins.fromJSON (builtins.concatStringsSep "" (builtins.genList (i: if i < 5000 then "[" else "]") 10000)))
