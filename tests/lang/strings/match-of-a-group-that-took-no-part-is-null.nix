builtins.match "a(b)?(c*)" "a"
