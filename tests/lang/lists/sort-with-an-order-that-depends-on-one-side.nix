builtins.sort (a: b: builtins.bitAnd a 1 == 1) (builtins.genList (x: (x * 37) - 50 * ((x * 37) / 50)) 50)
