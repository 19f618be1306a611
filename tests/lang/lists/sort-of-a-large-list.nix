let l = builtins.genList (n: let m = n * 7919; in m - (m / 1009) * 1009) 300; s = builtins.sort builtins.lessThan l; in [ (builtins.head s) (builtins.elemAt s 150) (builtins.elemAt s 299) ]
