builtins.intersectAttrs { n7 = 0; x = 0; } (builtins.listToAttrs (builtins.genList (i: { name = "n${toString i}"; value = i; }) 100))
