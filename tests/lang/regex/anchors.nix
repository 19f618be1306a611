[ (builtins.match "^a$" "a") (builtins.split "^a" "aa") ]
