map (x: x.n) (builtins.sort (a: b: a.k < b.k) (builtins.genList (n: { inherit n; k = n - (n / 3) * 3; }) 20))
