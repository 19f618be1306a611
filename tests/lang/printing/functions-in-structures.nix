{ f = x: x; g = [ map (map 1) ]; }
