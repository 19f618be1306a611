map (x: x.key) (builtins.genericClosure { startSet = [ { key = 5; } ]; operator = item: [ { key = if item.key / 2 * 2 == item.key then item.key / 2 else 3 * item.key + 1; } ]; })
