let l = builtins.listToAttrs (builtins.genList (i: { name = "n${toString i}"; value = i; }) 500); m = l // { n3 = "x"; z = 1; }; in [ m.n3 m.n499 m.z (builtins.length (builtins.attrNames m)) (l.n3) ]
