builtins.sort (a: b: a.k <= b.k) [ { k = 1; v = 1; } { k = 1; v = 2; } { k = 0; v = 3; } ]
