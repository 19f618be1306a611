let s = { a.b = null; }; in [ (s ? a) (s ? b) (s ? a.b) (s ? a.c) (s ? a.b.c) (s ? "a") (1 ? a) ]
