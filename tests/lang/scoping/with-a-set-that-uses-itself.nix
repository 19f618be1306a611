let s = with s; { a = 1; b = a + 1; }; in s.b
