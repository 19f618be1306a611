let f = x: f x; y = y + 1; in y
