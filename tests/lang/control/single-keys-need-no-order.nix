builtins.length (builtins.genericClosure { startSet = [ { key = { }; } ]; operator = x: [ ]; })
