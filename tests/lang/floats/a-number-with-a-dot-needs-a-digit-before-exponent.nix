let e5 = 2; in [ 1.5 e5 ]
