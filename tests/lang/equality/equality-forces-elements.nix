[ (throw "first") ] == [ 1 ]
