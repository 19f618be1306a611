[ (builtins.match "[[:digit:]]+" "123") (builtins.match "[^a-z]*" "ABC") (builtins.match "[]x]+" "x]") ]
