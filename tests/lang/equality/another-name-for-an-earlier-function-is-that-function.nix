let b = x: x; a = b; in [ a ] == [ b ] && [ a ] == [ a ]
