builtins.match "a(b)?(c*)" "abcc"
