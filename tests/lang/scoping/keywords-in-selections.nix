{ "let" = 1; "rec" = 2; }."let"
