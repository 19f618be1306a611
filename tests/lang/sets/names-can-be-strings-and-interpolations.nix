let n = "x"; in { "a b" = 1; ${n} = 2; "${n}y" = 3; }
