builtins.replaceStrings [ "a" "b" ] [ "b" "c" ] "ab"
