[ (builtins.match "a*" "aaa") (builtins.match "a{2,3}" "aaaa") (builtins.match "(a+)(a)" "aaa") ]
