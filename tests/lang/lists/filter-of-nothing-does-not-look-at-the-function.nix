builtins.filter (throw "no") [ ]
