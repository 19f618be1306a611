let m = builtins.map; in [ m m ] == [ m map ]
