builtins.length (builtins.attrNames (builtins.listToAttrs (builtins.genList (i: { name = "a${toString i}"; value = i; }) 20000)))
