builtins.sort (throw "no") [ ]
