(builtins.foldl' (s: i: s // { "x${toString (i - i / 10 * 10)}" = i; }) { } (builtins.genList (i: i) 5000)).x7
