map (x: x.v) (builtins.sort (a: b: a.k <= b.k) (builtins.genList (i: { k = builtins.bitAnd (i * 7) 3; v = i; }) 40))
