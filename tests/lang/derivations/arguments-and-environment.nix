(derivation { name = "n"; system = "s"; builder = "b"; args = [ "-c" 1 true null [ "x" "y" ] ]; a = 1; b = true; c = null; d = [ 1 [ 2 ] "z" ]; e = 1.5; }).drvPath
