builtins.all (x: if x == 1 then false else throw "never") [ 1 2 ]
