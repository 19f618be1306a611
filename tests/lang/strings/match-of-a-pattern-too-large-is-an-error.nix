builtins.match "((a{100}){100}){100}" "x"
