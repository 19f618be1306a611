map builtins.fromJSON [ "1" "1.5" "\"a\"" "true" "null" "-3" "1e2" ]
