builtins.length (builtins.attrNames (builtins.foldl' (s: i: s // { "k${toString i}" = i; }) { } (builtins.genList (i: i) 700)))
