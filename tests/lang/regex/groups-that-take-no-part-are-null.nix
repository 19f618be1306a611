[ (builtins.match "(a)|(b)" "b") (builtins.match "a(x)?" "a") ]
