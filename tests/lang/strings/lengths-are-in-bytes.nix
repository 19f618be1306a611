map builtins.stringLength [ "" "a" "ä" "€" "𝄞" "\n" ]
