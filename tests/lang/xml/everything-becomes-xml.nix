builtins.toXML { a = [ 1 1.5 true null "x<&\"\n" ]; b.c = { }; }
