builtins.elemAt (throw "list") "x"
