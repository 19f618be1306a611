builtins.sort (a: b: a > b) (builtins.genList (n: n) 40)
