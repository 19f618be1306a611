builtins.genericClosure { startSet = [ { key = 1; a = 1; } { key = 1; a = 2; } ]; operator = x: [ ]; }
