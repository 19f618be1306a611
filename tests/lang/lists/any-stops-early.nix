builtins.any (x: if x == 1 then true else throw "never") [ 1 2 ]
