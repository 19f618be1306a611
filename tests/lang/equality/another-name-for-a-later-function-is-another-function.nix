let a = b; b = x: x; in [ a ] == [ b ]
