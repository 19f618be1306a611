builtins.length [ map (x: x) ]
