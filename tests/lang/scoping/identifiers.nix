let a-b = 1; a' = 2; _x = 3; a1 = 4; in [ a-b a' _x a1 ]
