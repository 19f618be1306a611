builtins.fromJSON ''"a\n\t\"\\\/\u00e4\ud834\udd1e"''
