builtins.toXML { a = 1; b = [ "x" 1.5 true null ]; }
